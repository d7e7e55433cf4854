"""Group conversations frame by frame: every version, every refusal, and what a real client would never send.

What is expected here was seen in answers of Apache Kafka 4.3.1, against which this suite passes too.
"""
import gzip
import json
import struct
import time
import urllib.error
import urllib.parse
import urllib.request

import rawkafka as rk
from harness import Suite, wait_until
from suite_raw import expect, topic_id, versions

SUITE = Suite("groups", "raw frames")
scenario = SUITE.scenario

NOT_COORDINATOR, LOADING, NOT_AVAILABLE = 16, 14, 15
METADATA_TOO_LARGE, ILLEGAL_GENERATION, INCONSISTENT_PROTOCOL, INVALID_GROUP_ID, UNKNOWN_MEMBER = 12, 22, 23, 24, 25
INVALID_SESSION_TIMEOUT, REBALANCE_IN_PROGRESS, NON_EMPTY_GROUP, GROUP_NOT_FOUND = 26, 27, 68, 69
MEMBER_ID_REQUIRED, FENCED_INSTANCE, SUBSCRIBED_TO_TOPIC = 79, 82, 86
NO_ID = rk.ZERO_UUID


def subscription(*topics):
    """What consumers send: version 0 of Kafka's own format."""
    return struct.pack(">hi", 0, len(topics)) + b"".join(
        struct.pack(">h", len(t)) + t.encode() for t in topics) + struct.pack(">i", -1)


def first_answer(ask, seconds=30):
    """A coordinator that is being made or loaded says so for a while."""
    return wait_until(lambda: (lambda a: a if a["ErrorCode"] not in (LOADING, NOT_AVAILABLE, NOT_COORDINATOR) else None)(
        ask()), seconds, "a coordinator")


def coordinator(ctx, c, group):
    """Waits until `group` has one; all scenarios begin here."""
    first_answer(lambda: c.call("FindCoordinator", 1, {"Key": group, "KeyType": 0}))
    first_answer(lambda: c.call("OffsetFetch", 5, {"GroupId": group, "Topics": []}))
    return group


class Member:
    """One member on a connection of its own, so that it can wait in a join while others act."""

    def __init__(self, ctx, group, version=9, instance=None, topics=("t",), kind="consumer", protocols=None,
                 session=10000, rebalance=10000, client_id="raw"):
        self.c = ctx.broker.connect(timeout=40)
        self.group, self.version, self.instance, self.kind = group, version, instance, kind
        self.protocols = protocols or [("range", subscription(*topics))]
        self.session, self.rebalance, self.client_id = session, rebalance, client_id
        self.id, self.generation, self.joined = "", -1, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.close()

    def begin_join(self, member_id=None):
        ask = {"GroupId": self.group, "SessionTimeoutMs": self.session, "ProtocolType": self.kind,
               "MemberId": self.id if member_id is None else member_id,
               "Protocols": [{"Name": n, "Metadata": m} for n, m in self.protocols]}
        if self.version >= 1:
            ask["RebalanceTimeoutMs"] = self.rebalance
        if self.version >= 5:
            ask["GroupInstanceId"] = self.instance
        self.c.send("JoinGroup", self.version, ask, self.client_id)

    def end_join(self):
        answer = self.c.receive("JoinGroup", self.version)
        if answer["ErrorCode"] == 0:
            self.generation, self.id, self.joined = answer["GenerationId"], answer["MemberId"], answer
        return answer

    def join(self, member_id=None):
        """With the second round that versions from 4 on need. Returns the last answer."""
        self.begin_join(member_id)
        answer = self.end_join()
        if answer["ErrorCode"] == MEMBER_ID_REQUIRED:
            self.id = answer["MemberId"]
            self.begin_join()
            answer = self.end_join()
        return answer

    def begin(self):
        """Up to the join that waits for others."""
        self.begin_join()
        if self.version >= 4 and not self.instance and not self.id:
            answer = self.end_join()
            expect(MEMBER_ID_REQUIRED, answer["ErrorCode"], "the id comes first")
            self.id = answer["MemberId"]
            self.begin_join()

    def leads(self):
        return self.joined["Leader"] == self.id

    def begin_sync(self, assignments=None, version=None, **over):
        version = min(self.version, 5) if version is None else version
        ask = {"GroupId": self.group, "GenerationId": self.generation, "MemberId": self.id, "Assignments": [
            {"MemberId": m, "Assignment": a} for m, a in (assignments or {}).items()]}
        if version >= 3:
            ask["GroupInstanceId"] = self.instance
        if version >= 5:
            ask["ProtocolType"], ask["ProtocolName"] = self.kind, self.protocols[0][0]
        ask.update(over)
        self.sync_version = version
        self.c.send("SyncGroup", version, ask, self.client_id)

    def end_sync(self):
        return self.c.receive("SyncGroup", self.sync_version)

    def sync(self, assignments=None, version=None, **over):
        self.begin_sync(assignments, version, **over)
        return self.end_sync()

    def heartbeat(self, version=None, **over):
        version = min(self.version, 4) if version is None else version
        ask = {"GroupId": self.group, "GenerationId": self.generation, "MemberId": self.id}
        if version >= 3:
            ask["GroupInstanceId"] = self.instance
        ask.update(over)
        return self.c.call("Heartbeat", version, ask)["ErrorCode"]

    def leave(self, version=None):
        version = min(self.version, 5) if version is None else version
        if version < 3:
            return self.c.call("LeaveGroup", version, {"GroupId": self.group, "MemberId": self.id})["ErrorCode"]
        answer = self.c.call("LeaveGroup", version, {"GroupId": self.group, "Members": [
            {"MemberId": self.id, "GroupInstanceId": self.instance}]})
        return answer["ErrorCode"] or answer["Members"][0]["ErrorCode"]

    def commit(self, topic, offset, partition=0, version=7, metadata="", tid=NO_ID, epoch=-1, **over):
        ask = {"GroupId": self.group, "GenerationIdOrMemberEpoch": self.generation, "MemberId": self.id, "Topics": [
            {("TopicId" if version >= 10 else "Name"): tid if version >= 10 else topic, "Partitions": [
                {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": metadata}]}]}
        if version >= 6:
            ask["Topics"][0]["Partitions"][0]["CommittedLeaderEpoch"] = epoch
        if version >= 7:
            ask["GroupInstanceId"] = self.instance
        ask.update(over)
        return self.c.call("OffsetCommit", version, ask)["Topics"][0]["Partitions"][0]["ErrorCode"]


def rounds(*members):
    """All members join and sync; the leader gives everyone its own id as assignment. Returns the leader."""
    for m in members:
        m.begin()
    for m in members:
        expect(0, m.end_join()["ErrorCode"], "join")
    leader = next(m for m in members if m.leads())
    for m in members:
        m.begin_sync({o.id: o.id.encode() for o in members} if m is leader else None)
    for m in members:
        answer = m.end_sync()
        expect((0, m.id.encode()), (answer["ErrorCode"], answer["Assignment"]), "sync")
    return leader


def join_beside(first, second):
    """The second asks to join the first's group; returns once the first has heard of it."""
    second.begin()
    wait_until(lambda: first.heartbeat() == REBALANCE_IN_PROGRESS, 10, "the first hears of it")


def joined_pair(first, second):
    """A group of the first, into which the second has come. Returns (leader, other), both between join and sync."""
    rounds(first)
    join_beside(first, second)
    first.begin_join()
    for member in (first, second):
        expect(0, member.end_join()["ErrorCode"], "join")
    return (first, second) if first.leads() else (second, first)


def committed(c, group, topic, partition=0, version=5, **over):
    """(offset, metadata) as that version tells it."""
    one = {"Name": topic, "PartitionIndexes": [partition]}
    if version < 8:
        answer = c.call("OffsetFetch", version, {"GroupId": group, "Topics": [one], **over})
        assert answer.get("ErrorCode", 0) == 0, answer
        p = answer["Topics"][0]["Partitions"][0]
    else:
        if version >= 10:
            one = {"TopicId": topic_id(c, topic), "PartitionIndexes": [partition]}
        answer = c.call("OffsetFetch", version, {"Groups": [{"GroupId": group, "Topics": [one]}], **over})
        assert answer["Groups"][0]["ErrorCode"] == 0, answer
        p = answer["Groups"][0]["Topics"][0]["Partitions"][0]
    expect(0, p["ErrorCode"], "partition")
    return p["CommittedOffset"], p["Metadata"]


def simple_commit(c, group, topic, offset, partition=0, version=7, **over):
    ask = {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": ""}]}]}
    ask.update(over)
    return c.call("OffsetCommit", version, ask)["Topics"][0]["Partitions"][0]["ErrorCode"]


def state_of(c, group, version=5):
    g = c.call("DescribeGroups", version, {"Groups": [group]})["Groups"][0]
    return g["GroupState"]


# ---- finding

@scenario("find-coordinator-every-version")
def find_every(ctx):
    group = ctx.name("g")
    host, _, port = ctx.broker.address.rpartition(":")
    with ctx.broker.connect() as c:
        coordinator(ctx, c, group)
        for v in versions(c, "FindCoordinator"):
            if v < 4:
                answer = c.call("FindCoordinator", v, {"Key": group, **({"KeyType": 0} if v else {})})
                found = [answer]
            else:
                answer = c.call("FindCoordinator", v, {"KeyType": 0, "CoordinatorKeys": [group, group + "-2"]})
                found = answer["Coordinators"]
                expect([group, group + "-2"], [f["Key"] for f in found], f"v{v}")
            for f in found:
                expect((0, host, int(port)), (f["ErrorCode"], f["Host"], f["Port"]), f"v{v}")
        expect(42, c.call("FindCoordinator", 3, {"Key": group, "KeyType": 9})["ErrorCode"], "a type there is not")


# ---- one member, every version

@scenario("join-every-version")
def join_every(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        for v in versions(c, "JoinGroup"):
            group = coordinator(ctx, c, ctx.name(f"g{v}"))
            with Member(ctx, group, v, topics=[topic]) as m:
                m.begin_join()
                answer = m.end_join()
                if v >= 4:
                    expect((MEMBER_ID_REQUIRED, -1, ""), (answer["ErrorCode"], answer["GenerationId"], answer["Leader"]), f"v{v}")
                    assert answer["MemberId"].startswith("raw-"), answer
                    expect(None if v >= 7 else "", answer["ProtocolName"], f"v{v} protocol beside an error")
                    answer = m.join(answer["MemberId"])
                expect((0, 1, "range"), (answer["ErrorCode"], answer["GenerationId"], answer["ProtocolName"]), f"v{v}")
                expect("consumer" if v >= 7 else None, answer.get("ProtocolType"), f"v{v} type")
                expect(answer["MemberId"], answer["Leader"], f"v{v} leader")
                expect([(answer["MemberId"], m.protocols[0][1])],
                       [(o["MemberId"], o["Metadata"]) for o in answer["Members"]], f"v{v} members")
                got = m.sync({m.id: b"mine"})
                expect((0, b"mine"), (got["ErrorCode"], got["Assignment"]), f"v{v} sync")
                if v >= 5:
                    expect(("consumer", "range"), (got["ProtocolType"], got["ProtocolName"]), f"v{v} sync")
                expect(0, m.heartbeat(), f"v{v} heartbeat")
                expect(0, m.commit(topic, 7 + v, metadata=f"m{v}"), f"v{v} commit")
                expect((7 + v, f"m{v}"), committed(c, group, topic), f"v{v} fetch")
                expect(0, m.leave(), f"v{v} leave")
                expect("Empty", state_of(c, group), f"v{v}")
                expect(UNKNOWN_MEMBER, m.heartbeat(), f"v{v} after leaving")


@scenario("sync-heartbeat-leave-every-version")
def others_every(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group) as m:
            expect(0, m.join()["ErrorCode"], "join")
            for v in versions(c, "SyncGroup"):
                answer = m.sync({m.id: b"a"}, version=v)
                expect((0, b"a"), (answer["ErrorCode"], answer["Assignment"]), f"sync v{v}")
            for v in versions(c, "Heartbeat"):
                expect(0, m.heartbeat(v), f"heartbeat v{v}")
        for v in versions(c, "LeaveGroup"):
            with Member(ctx, ctx.name("g")) as m:
                coordinator(ctx, c, m.group)
                rounds(m)
                expect(0, m.leave(v), f"leave v{v}")
                expect("Empty", state_of(c, m.group), f"leave v{v}")


# ---- rebalances

@scenario("two-members")
def two(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, client_id="one") as a, Member(ctx, group, client_id="two") as b:
            rounds(a)
            expect("Stable", state_of(c, group), "alone")
            join_beside(a, b)
            expect("PreparingRebalance", state_of(c, group), "waiting")
            answer = a.sync()
            expect((REBALANCE_IN_PROGRESS, b""), (answer["ErrorCode"], answer["Assignment"]), "sync meanwhile")
            before = a.generation
            a.begin_join()
            expect(0, a.end_join()["ErrorCode"], "a")
            expect(0, b.end_join()["ErrorCode"], "b")
            expect((before + 1, before + 1), (a.generation, b.generation), "once for both")
            expect(a.id, b.joined["Leader"], "the leader stays")
            expect([], b.joined["Members"], "only the leader gets the members")
            expect({a.id, b.id}, {m["MemberId"] for m in a.joined["Members"]}, "all of them")
            expect("CompletingRebalance", state_of(c, group), "before the sync")
            b.begin_sync()
            got = a.sync({a.id: b"A", b.id: b"B"})
            expect((0, b"A"), (got["ErrorCode"], got["Assignment"]), "a")
            got = b.end_sync()
            expect((0, b"B"), (got["ErrorCode"], got["Assignment"]), "b")
            got = b.sync()
            expect((0, b"B"), (got["ErrorCode"], got["Assignment"]), "again")
            expect(ILLEGAL_GENERATION, a.heartbeat(GenerationId=before), "the old generation")
            expect(ILLEGAL_GENERATION, a.sync(GenerationId=before)["ErrorCode"], "the old generation")
            expect(ILLEGAL_GENERATION, a.heartbeat(GenerationId=before + 7), "one to come")
            described = c.call("DescribeGroups", 5, {"Groups": [group]})["Groups"][0]
            expect(("Stable", "consumer", "range"), (described["GroupState"], described["ProtocolType"], described["ProtocolData"]), "group")
            expect({(a.id, "one", b"A"), (b.id, "two", b"B")},
                   {(m["MemberId"], m["ClientId"], m["MemberAssignment"]) for m in described["Members"]}, "members")
            assert all(m["ClientHost"] == "/127.0.0.1" for m in described["Members"]), described
            expect(0, a.leave(), "leave")
            wait_until(lambda: b.heartbeat() == REBALANCE_IN_PROGRESS, 10, "the other hears of it")
            b.begin_join()
            expect(0, b.end_join()["ErrorCode"], "b alone")
            expect((before + 2, b.id), (b.generation, b.joined["Leader"]), "and leads")


@scenario("left-out-by-the-leader")
def left_out(ctx):
    """A member without an assignment gets an empty one; an assignment for a member there is not counts for nothing."""
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group) as a, Member(ctx, group) as b:
            leader, other = joined_pair(a, b)
            other.begin_sync({other.id: b"not the leader's to say"})
            got = leader.sync({leader.id: b"L", "nobody": b"N"})
            expect((0, b"L"), (got["ErrorCode"], got["Assignment"]), "leader")
            got = other.end_sync()
            expect((0, b""), (got["ErrorCode"], got["Assignment"]), "the other")


@scenario("protocol-that-all-list")
def common_protocol(ctx):
    both = [("x", b"x1"), ("y", b"y1")]
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, protocols=both) as a, Member(ctx, group, protocols=[("y", b"y2")]) as b, \
                Member(ctx, group, protocols=[("z", b"z")]) as stranger, Member(ctx, group, kind="connect") as other:
            expect("x", a.join()["ProtocolName"], "the first choice of one")
            expect(0, a.sync({a.id: b"A"})["ErrorCode"], "sync")
            expect(INCONSISTENT_PROTOCOL, stranger.join()["ErrorCode"], "nothing in common")
            expect(INCONSISTENT_PROTOCOL, other.join()["ErrorCode"], "another type")
            join_beside(a, b)
            a.begin_join()
            expect("y", a.end_join()["ProtocolName"], "a")
            expect("y", b.end_join()["ProtocolName"], "b")
            expect({b"y1", b"y2"}, {m["Metadata"] for m in a.joined["Members"]}, "metadata of that protocol")
            expect(INCONSISTENT_PROTOCOL, a.sync({}, ProtocolName="x")["ErrorCode"], "not the chosen one")
            expect(INCONSISTENT_PROTOCOL, a.sync({}, ProtocolType="connect")["ErrorCode"], "not the group's")


@scenario("unchanged-follower-needs-no-round")
def unchanged(ctx):
    """A member that joins again as it is gets the round it has; the leader asks for a new one."""
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group) as a, Member(ctx, group) as b:
            leader, other = joined_pair(a, b)
            other.begin_sync()
            leader.sync({leader.id: b"L", other.id: b"O"})
            other.end_sync()
            before = other.generation
            other.begin_join()
            expect((0, before), (lambda r: (r["ErrorCode"], r["GenerationId"]))(other.end_join()), "the same round")
            expect("Stable", state_of(c, group), "nothing happened")
            leader.begin_join()
            wait_until(lambda: other.heartbeat() == REBALANCE_IN_PROGRESS, 10, "a new round")
            other.begin_join()
            expect((0, before + 1), (lambda r: (r["ErrorCode"], r["GenerationId"]))(other.end_join()), "other")
            expect((0, before + 1), (lambda r: (r["ErrorCode"], r["GenerationId"]))(leader.end_join()), "leader")


@scenario("who-does-not-come-back-is-out")
def not_back(ctx):
    """The round waits for all members, but no longer than the rebalance timeout."""
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, rebalance=700, session=30000) as a, Member(ctx, group, rebalance=700, session=30000) as b:
            rounds(a)
            started = time.monotonic()
            b.begin()
            expect(0, b.end_join()["ErrorCode"], "the other goes on alone")
            waited = time.monotonic() - started
            assert 0.5 < waited < 10, f"after {waited} s"
            expect([b.id], [m["MemberId"] for m in b.joined["Members"]], "alone")
            expect(UNKNOWN_MEMBER, a.heartbeat(), "out")


@scenario("who-does-not-sync-is-out")
def not_synced(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, rebalance=700, session=30000) as a:
            expect(0, a.join()["ErrorCode"], "join")
            wait_until(lambda: state_of(c, group) == "Empty", 15, "the member is removed")
            expect(UNKNOWN_MEMBER, a.heartbeat(), "out")


@scenario("silent-member-expires")
def expires(ctx):
    """The smallest session timeout is 6 s."""
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, session=6000) as a, Member(ctx, group, session=6000) as b, \
                Member(ctx, group, session=5999) as short, Member(ctx, group, session=1800001) as long:
            expect(INVALID_SESSION_TIMEOUT, short.join()["ErrorCode"], "too short")
            expect(INVALID_SESSION_TIMEOUT, long.join()["ErrorCode"], "too long")
            leader, other = joined_pair(a, b)
            other.begin_sync()
            leader.sync({leader.id: b"L", other.id: b"O"})
            other.end_sync()
            started = time.monotonic()
            wait_until(lambda: leader.heartbeat() == REBALANCE_IN_PROGRESS, 15, "the silent one is missed")
            assert time.monotonic() - started > 5, "not before its time"
            expect(UNKNOWN_MEMBER, other.heartbeat(), "gone")


# ---- refusals

@scenario("unknown-groups-and-members")
def strangers(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group) as m, Member(ctx, group) as other, Member(ctx, "") as nameless:
            m.id, m.generation = "who", 3
            expect(UNKNOWN_MEMBER, m.heartbeat(), "heartbeat, no group")
            expect(UNKNOWN_MEMBER, m.sync()["ErrorCode"], "sync, no group")
            expect(UNKNOWN_MEMBER, m.leave(2), "leave v2, no group")
            expect(UNKNOWN_MEMBER, m.leave(3), "leave v3, no group")
            expect(UNKNOWN_MEMBER, m.join()["ErrorCode"], "join under an id that nobody gave")
            expect(INVALID_GROUP_ID, nameless.join()["ErrorCode"], "no name")
            nameless.id, nameless.generation = "who", 1
            expect(INVALID_GROUP_ID, nameless.heartbeat(), "heartbeat without a name")
            expect(INVALID_GROUP_ID, nameless.sync()["ErrorCode"], "sync without a name")
            expect(INVALID_GROUP_ID, nameless.leave(), "leave without a name")
            rounds(other)
            expect(UNKNOWN_MEMBER, m.heartbeat(), "heartbeat")
            expect(UNKNOWN_MEMBER, m.sync()["ErrorCode"], "sync")
            expect(UNKNOWN_MEMBER, m.leave(2), "leave")
            answer = c.call("LeaveGroup", 4, {"GroupId": group, "Members": [
                {"MemberId": "who", "GroupInstanceId": None}, {"MemberId": other.id, "GroupInstanceId": None}]})
            expect((0, [UNKNOWN_MEMBER, 0]), (answer["ErrorCode"], [a["ErrorCode"] for a in answer["Members"]]), "each its own")
        with Member(ctx, ctx.name("g"), protocols=[("p", b"")]) as m:
            m.protocols = []
            expect(INCONSISTENT_PROTOCOL, m.join()["ErrorCode"], "no protocols")
            m.protocols, m.kind = [("p", b"")], ""
            expect(INCONSISTENT_PROTOCOL, m.join()["ErrorCode"], "no type")


# ---- static members

@scenario("static-member-comes-back")
def static_back(ctx):
    for v in (5, 9):
        with ctx.broker.connect() as c:
            group = coordinator(ctx, c, ctx.name("g"))
            with Member(ctx, group, v, instance="i1") as a, Member(ctx, group, v, instance="i1") as again, \
                    Member(ctx, group, v, instance="i2") as b:
                joined_pair(a, b)
                expect(["i1", "i2"], sorted(m["GroupInstanceId"] for m in a.joined["Members"]), "instances")
                b.begin_sync()
                a.sync({a.id: b"A", b.id: b"B"})
                b.end_sync()
                before = a.generation
                answer = again.join()
                expect((0, before), (answer["ErrorCode"], answer["GenerationId"]), f"v{v}: no new round")
                assert answer["MemberId"] != a.id, "a new id"
                if v >= 9:
                    expect((True, answer["MemberId"]), (answer["SkipAssignment"], answer["Leader"]), "leads, and need not assign")
                    expect({"i1", "i2"}, {m["GroupInstanceId"] for m in answer["Members"]}, "members")
                else:
                    expect((a.id, []), (answer["Leader"], answer["Members"]), "is told that somebody else leads")
                got = again.sync()
                expect((0, b"A"), (got["ErrorCode"], got["Assignment"]), "its assignment")
                expect(0, b.heartbeat(), "the other has not noticed")
                expect(FENCED_INSTANCE, a.heartbeat(), "the old one is fenced")
                expect(FENCED_INSTANCE, a.sync()["ErrorCode"], "the old one is fenced")
                expect(FENCED_INSTANCE, a.leave(), "the old one is fenced")
                a.begin_join()
                expect(FENCED_INSTANCE, a.end_join()["ErrorCode"], "the old one is fenced")


@scenario("static-member-is-removed-by-name")
def static_removed(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, instance="i1") as a:
            rounds(a)
            answer = c.call("LeaveGroup", 5, {"GroupId": group, "Members": [
                {"MemberId": "", "GroupInstanceId": "i1", "Reason": "an admin"}, {"MemberId": "", "GroupInstanceId": "i9"}]})
            expect([("i1", 0), ("i9", UNKNOWN_MEMBER)],
                   [(m["GroupInstanceId"], m["ErrorCode"]) for m in answer["Members"]], "each its own")
            expect("Empty", state_of(c, group), "gone")


@scenario("static-member-that-changes-asks-for-a-round")
def static_changed(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, instance="i1", protocols=[("x", b"1"), ("y", b"1")]) as a, \
                Member(ctx, group, instance="i1", protocols=[("y", b"1"), ("x", b"1")]) as again:
            rounds(a)
            answer = again.join()
            expect((0, a.generation + 1, "y"), (answer["ErrorCode"], answer["GenerationId"], answer["ProtocolName"]), "a new round")


# ---- offsets

@scenario("commit-and-fetch-every-version")
def offsets_every(ctx):
    topic = ctx.topic(2)
    with ctx.broker.connect() as c:
        tid = topic_id(c, topic)
        group = coordinator(ctx, c, ctx.name("g"))
        for v in versions(c, "OffsetCommit"):
            where = {"TopicId": tid} if v >= 10 else {"Name": topic}
            parts = [{"PartitionIndex": p, "CommittedOffset": 100 * v + p, "CommittedMetadata": f"v{v}"} for p in (0, 1)]
            answer = c.call("OffsetCommit", v, {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "",
                                                "Topics": [{**where, "Partitions": parts}]})
            expect([(0, 0), (1, 0)], [(p["PartitionIndex"], p["ErrorCode"]) for p in answer["Topics"][0]["Partitions"]], f"v{v}")
            for f in versions(c, "OffsetFetch"):
                expect((100 * v + 1, f"v{v}"), committed(c, group, topic, 1, f), f"commit v{v}, fetch v{f}")
        simple_commit(c, group, topic, 5, Topics=[{"Name": topic, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 5, "CommittedLeaderEpoch": 3, "CommittedMetadata": None}]}])
        answer = c.call("OffsetFetch", 5, {"GroupId": group, "Topics": [{"Name": topic, "PartitionIndexes": [0]}]})
        p = answer["Topics"][0]["Partitions"][0]
        expect((5, 3, ""), (p["CommittedOffset"], p["CommittedLeaderEpoch"], p["Metadata"]), "leader epoch; no metadata")


@scenario("fetch-what-is-not-there")
def fetch_missing(ctx):
    topic = ctx.topic(2)
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        for v in versions(c, "OffsetFetch"):
            expect((-1, ""), committed(c, group, topic, 0, v), f"v{v}")
            if v < 10:
                expect((-1, ""), committed(c, group, "no-such-topic", 4, v), f"v{v}, no such topic")
        for v in (2, 7):
            expect([], c.call("OffsetFetch", v, {"GroupId": group, "Topics": None})["Topics"], f"v{v} all")
        simple_commit(c, group, topic, 9, 1)
        for v in versions(c, "OffsetFetch"):
            if v < 2:
                continue
            if v < 8:
                topics = c.call("OffsetFetch", v, {"GroupId": group, "Topics": None})["Topics"]
            else:
                topics = c.call("OffsetFetch", v, {"Groups": [{"GroupId": group, "Topics": None}]})["Groups"][0]["Topics"]
            expect([(topic_id(c, topic) if v >= 10 else topic, [(1, 9)])],
                   [(t["TopicId"] if v >= 10 else t["Name"], [(p["PartitionIndex"], p["CommittedOffset"]) for p in t["Partitions"]])
                    for t in topics], f"v{v} all")
        unknown = "11" * 16
        answer = c.call("OffsetFetch", 10, {"Groups": [{"GroupId": group, "Topics": [{"TopicId": unknown, "PartitionIndexes": [0]}]}]})
        p = answer["Groups"][0]["Topics"][0]["Partitions"][0]
        expect((100, -1), (p["ErrorCode"], p["CommittedOffset"]), "an id that nobody has")
        two = c.call("OffsetFetch", 8, {"Groups": [{"GroupId": group, "Topics": None}, {"GroupId": group + "-x", "Topics": None}]})
        expect([(group, 1), (group + "-x", 0)], [(g["GroupId"], len(g["Topics"])) for g in two["Groups"]], "two groups")


@scenario("commit-refused")
def commit_refused(ctx):
    topic = ctx.topic(1)
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, simple_commit(c, group, "no-such-topic", 1), "topic")
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, simple_commit(c, group, topic, 1, 1), "partition")
        answer = c.call("OffsetCommit", 10, {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
            {"TopicId": "22" * 16, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}]}]})
        expect(rk.UNKNOWN_TOPIC_ID, answer["Topics"][0]["Partitions"][0]["ErrorCode"], "topic id")
        with Member(ctx, group) as m:
            m.id, m.generation = "who", 5
            for v, error in ((8, ILLEGAL_GENERATION), (9, GROUP_NOT_FOUND)):
                expect(error, m.commit(topic, 1, version=v), f"v{v}: a generation, but no group")
            m.id, m.generation = "", -1
            rounds(m)
            expect(METADATA_TOO_LARGE, m.commit(topic, 1, metadata="x" * 4097), "metadata")
            expect(0, m.commit(topic, 1, metadata="x" * 4096), "as much as may be")
            expect(ILLEGAL_GENERATION, m.commit(topic, 2, GenerationIdOrMemberEpoch=m.generation + 1), "generation")
            expect(UNKNOWN_MEMBER, m.commit(topic, 2, MemberId="who"), "member")
            expect(UNKNOWN_MEMBER, simple_commit(c, group, topic, 2), "no member, while the group has some")
            expect((1, "x" * 4096), committed(c, group, topic), "nothing of it counted")
            with Member(ctx, group) as other:
                other.begin()
                wait_until(lambda: m.heartbeat() == REBALANCE_IN_PROGRESS, 10, "a round begins")
                expect(0, m.commit(topic, 3), "while the round gathers its members may commit")
                m.begin_join()
                m.end_join(), other.end_join()
                expect(REBALANCE_IN_PROGRESS, m.commit(topic, 4), "but not between join and sync")
            expect((3, ""), committed(c, group, topic), "the last that counted")


@scenario("offsets-outlive-the-broker")
def outlive(ctx):
    topic = ctx.topic(1)
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
    with Member(ctx, group, session=30000) as m:
        rounds(m)
        expect(0, m.commit(topic, 41, metadata="here"), "commit")
        ctx.broker.restart("kill")
        m.c = ctx.broker.connect()
        with ctx.broker.connect() as c:
            coordinator(ctx, c, group)
            expect((41, "here"), committed(c, group, topic), "after a kill")
            expect("Stable", state_of(c, group), "its members are known")
        expect(0, m.heartbeat(), "and go on")
        expect(0, m.commit(topic, 42), "and commit")
        got = m.sync()
        expect((0, m.id.encode()), (got["ErrorCode"], got["Assignment"]), "and have their assignment")
        m.leave()
        ctx.broker.restart("term")
        with ctx.broker.connect() as c:
            coordinator(ctx, c, group)
            expect((42, ""), committed(c, group, topic), "after a stop")
            expect("Empty", state_of(c, group), "nobody there")


@scenario("deleted-topic-takes-its-offsets")
def topic_deleted(ctx):
    topic, kept = ctx.topic(1), ctx.topic(1)
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        simple_commit(c, group, topic, 3)
        simple_commit(c, group, kept, 4)
        expect(0, c.call("DeleteTopics", 1, {"TopicNames": [topic], "TimeoutMs": 10000})["Responses"][0]["ErrorCode"], "delete")
        wait_until(lambda: committed(c, group, topic) == (-1, ""), 20, "the offset goes with its topic")
        expect((4, ""), committed(c, group, kept), "the other stays")


# ---- looking, deleting

@scenario("describe-every-version")
def describe_every(ctx):
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, instance="i1") as m:
            rounds(m)
            for v in versions(c, "DescribeGroups"):
                answers = c.call("DescribeGroups", v, {"Groups": [group, group + "-x"]})["Groups"]
                # Kafka answers in order of the partitions that the groups live in.
                unknown, known = sorted(answers, key=lambda g: g["GroupId"] == group)
                expect((0, "Stable", "consumer", "range"),
                       (known["ErrorCode"], known["GroupState"], known["ProtocolType"], known["ProtocolData"]), f"v{v}")
                one = known["Members"][0]
                expect((m.id, "raw", "/127.0.0.1", m.protocols[0][1], m.id.encode()), (
                    one["MemberId"], one["ClientId"], one["ClientHost"], one["MemberMetadata"], one["MemberAssignment"]), f"v{v}")
                if v >= 4:
                    expect("i1", one["GroupInstanceId"], f"v{v}")
                expect((GROUP_NOT_FOUND if v >= 6 else 0, "Dead", group + "-x", []), (
                    unknown["ErrorCode"], unknown["GroupState"], unknown["GroupId"], unknown["Members"]), f"v{v} unknown")


@scenario("list-every-version")
def list_every(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        group, simple = coordinator(ctx, c, ctx.name("g")), coordinator(ctx, c, ctx.name("simple"))
        simple_commit(c, simple, topic, 1)
        with Member(ctx, group) as m:
            rounds(m)
            for v in versions(c, "ListGroups"):
                answer = c.call("ListGroups", v, {})
                expect(0, answer["ErrorCode"], f"v{v}")
                found = {g["GroupId"]: g for g in answer["Groups"]}
                expect(("consumer", ""), (found[group]["ProtocolType"], found[simple]["ProtocolType"]), f"v{v}")
                if v >= 4:
                    expect(("Stable", "Empty"), (found[group]["GroupState"], found[simple]["GroupState"]), f"v{v}")
                if v >= 5:
                    expect("classic", found[group]["GroupType"], f"v{v}")

            def listed(**filters):
                return {g["GroupId"] for g in c.call("ListGroups", 5, filters)["Groups"]} & {group, simple}
            expect({group}, listed(StatesFilter=["Stable"]), "by state")
            expect({simple}, listed(StatesFilter=["empty", "Dead"]), "case does not matter")
            expect({group, simple}, listed(TypesFilter=["Classic"]), "by type")
            expect(set(), listed(TypesFilter=["share"]), "of another type")
            expect(set(), listed(StatesFilter=["nonsense"]), "no such state")


@scenario("delete-groups-every-version")
def delete_every(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        for v in versions(c, "DeleteGroups"):
            group, busy = coordinator(ctx, c, ctx.name("g")), coordinator(ctx, c, ctx.name("busy"))
            simple_commit(c, group, topic, 1)
            with Member(ctx, busy) as m:
                rounds(m)
                answer = c.call("DeleteGroups", v, {"GroupsNames": [group, busy, group + "-x"]})
                expect({group: 0, busy: NON_EMPTY_GROUP, group + "-x": GROUP_NOT_FOUND},
                       {r["GroupId"]: r["ErrorCode"] for r in answer["Results"]}, f"v{v}")
                expect(0, m.heartbeat(), f"v{v}")
            expect((-1, ""), committed(c, group, topic), f"v{v}")
            expect("Dead", state_of(c, group), f"v{v}")


@scenario("offset-delete")
def offset_delete(ctx):
    topic, other = ctx.topic(2), ctx.topic(1)

    def delete(group, *wanted):
        answer = c.call("OffsetDelete", 0, {"GroupId": group, "Topics": [
            {"Name": t, "Partitions": [{"PartitionIndex": p} for p in ps]} for t, ps in wanted]})
        return answer["ErrorCode"], {t["Name"]: [p["ErrorCode"] for p in t["Partitions"]] for t in answer["Topics"]}
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        expect(GROUP_NOT_FOUND, delete(group, (topic, [0]))[0], "no such group")
        for p in (0, 1):
            simple_commit(c, group, topic, 5, p)
        simple_commit(c, group, other, 6)
        expect((0, {topic: [0], "no-such-topic": [rk.UNKNOWN_TOPIC_OR_PARTITION]}), delete(group, (topic, [1]), ("no-such-topic", [0])), "one of two")
        expect([(5, ""), (-1, "")], [committed(c, group, topic, p) for p in (0, 1)], "the other is there")
        with Member(ctx, group, topics=[topic]) as m:
            rounds(m)
            expect((0, {topic: [SUBSCRIBED_TO_TOPIC], other: [0]}), delete(group, (topic, [0]), (other, [0])), "a topic somebody reads")
            expect([(5, ""), (-1, "")], [committed(c, group, t) for t in (topic, other)], "what became of it")


@scenario("big-subscriptions")
def big(ctx):
    """Subscriptions are passed on as they are; what does not fit a record is refused, and the group goes on."""
    blob = bytes(range(256)) * 1600
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, protocols=[("p", blob)], kind="connect") as m:
            expect(blob, m.join()["Members"][0]["Metadata"], "whole")
            expect(blob, m.sync({m.id: blob})["Assignment"], "whole")
        group = coordinator(ctx, c, ctx.name("g"))
        with Member(ctx, group, protocols=[("p", b"x")], kind="connect") as m:
            expect(0, m.join()["ErrorCode"], "join")
            got = m.sync({m.id: b"y" * (2 << 20)})
            assert got["ErrorCode"] != 0, "2 MiB in one record"
            m.begin_join()
            expect(0, m.end_join()["ErrorCode"], "the group goes on")
            expect(0, m.sync({m.id: b"small"})["ErrorCode"], "the group goes on")


@scenario("garbage-subscription", only="millrace")
def garbage(ctx):
    """Consumers' subscriptions that do not decode are opaque like any other's. Apache Kafka 4.3.1 never answers them."""
    with ctx.broker.connect() as c:
        for blob in (b"", b"z", b"z" * 1000, b"\x00\x00\x7f\xff\xff\xff", b"\xff" * (1 << 20)):
            group = coordinator(ctx, c, ctx.name("g"))
            with Member(ctx, group, protocols=[("p", blob)]) as m:
                answer = m.join()
                if len(blob) < 1000000:
                    expect((0, blob), (answer["ErrorCode"], answer["Members"][0]["Metadata"]), f"{len(blob)} bytes")
                    expect(0, m.sync({m.id: b"a"}, ProtocolName="p")["ErrorCode"], f"{len(blob)} bytes")
                expect(0, c.call("OffsetFetch", 5, {"GroupId": group, "Topics": []})["ErrorCode"], "the broker lives")


# ---- seen from outside

def http(ctx, path):
    try:
        with urllib.request.urlopen(f"http://{ctx.broker.http}{path}", timeout=10) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@scenario("http-consumer-groups", only="millrace")
def http_groups(ctx):
    topic = ctx.topic(2)
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("g/ä"))
        path = "/consumer-groups/" + urllib.parse.quote(group, safe="")
        expect(404, http(ctx, path)[0], "no such group")
        for p in (0, 1):
            for _ in range(5):
                expect(0, c.produce(topic, rk.batch([b"v"]), partition=p)["ErrorCode"], "produce")
        simple_commit(c, group, topic, 2, 0)
        got = json.loads(http(ctx, path)[1])
        expect(("Empty", [], 3), (got["state"], got["members"], got["lag"]), "offsets alone")
        with Member(ctx, group, instance="i1", topics=[topic], client_id="me") as m:
            expect(0, m.join()["ErrorCode"], "join")
            assignment = struct.pack(">hih", 0, 1, len(topic)) + topic.encode() + struct.pack(">iii", 2, 0, 1) + struct.pack(">i", -1)
            expect(0, m.sync({m.id: assignment})["ErrorCode"], "sync")
            expect(0, m.commit(topic, 4, 1), "commit")
            status, body = http(ctx, path)
            got = json.loads(body)
            expect((200, group, "Stable", "consumer", "range", m.generation, m.id, 4), (
                status, got["group"], got["state"], got["protocol_type"], got["protocol"], got["generation"], got["leader"],
                got["lag"]), "the group")
            one = got["members"][0]
            expect((m.id, "i1", "me", "/127.0.0.1", [{"topic": topic, "partitions": [0, 1]}]), (
                one["member"], one["instance"], one["client_id"], one["host"], one["assignment"]), "its member")
            assert 0 <= one["heartbeat_age_seconds"] < 10, one
            rows = json.loads(http(ctx, path + "/assignments")[1])["assignments"]
            expect([(topic, 0, 2, 5, 3, m.id), (topic, 1, 4, 5, 1, m.id)],
                   [(r["topic"], r["partition"], r["committed_offset"], r["end_offset"], r["lag"], r["member"]) for r in rows], "rows")
            listed = {g["group"]: g for g in json.loads(http(ctx, "/consumer-groups")[1])["groups"]}
            expect(("Stable", "consumer", "classic"), (listed[group]["state"], listed[group]["protocol_type"], listed[group]["type"]), "list")
            assert group not in http(ctx, "/consumer-groups?state=Empty")[1], "filter"
            rounds_seen = json.loads(http(ctx, path + "/rebalances")[1])["rebalances"]
            expect([("member_joined", m.id, None, m.generation, 1, 2)],
                   [(r["cause"], r["member"], r["timeout_ms"], r["generation"], r["members"], r["moved"])
                    for r in rounds_seen], "rebalances")
            assert 0 <= rounds_seen[0]["seconds"] < 10, rounds_seen
            assert abs(rounds_seen[0]["began_ms"] - rk.now_ms()) < 20_000, rounds_seen

            def metric(name, *labels):
                lines = [line for line in http(ctx, "/metrics")[1].splitlines()
                         if line.startswith(name) and all(label in line for label in labels)]
                return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
            mine = (f'topic="{topic}"', f'consumer_group="{group}"')
            expect((3, 1), tuple(metric("queue_consumer_lag{", *mine, f'partition="{p}"') for p in (0, 1)), "lag")
            before = metric("queue_messages_consumed_total{", *mine)
            expect(0, m.commit(topic, 5, 0), "commit")
            expect((before + 3, 0), (metric("queue_messages_consumed_total{", *mine), metric("queue_consumer_lag{", *mine, 'partition="0"')), "consumed")
            assert metric("millrace_group_members") >= 1 and metric("millrace_group_rebalances_completed_total") >= 1
            assert metric("millrace_group_offset_commits_total") >= 3 and metric("millrace_groups_active") >= 1


@scenario("http-lag-in-seconds", only="millrace")
def http_lag(ctx):
    """A probe stamps its records in the past; what the broker calls their age is off by less than a second, inside
    batches, compressed, after a burst, a restart, and on a topic where nothing happens."""
    topic = ctx.topic(2)
    with ctx.broker.connect() as c:
        group = coordinator(ctx, c, ctx.name("lag"))
        path = f"/consumer-groups/{group}/lag"
        expect(404, http(ctx, path)[0], "no such group")

        def stamped(*ages, codec=0, partition=0):
            """One batch of records that were stamped so many seconds ago; when each was."""
            now = rk.now_ms()
            at = [now - int(age * 1000) for age in ages]
            records = b"".join(rk.record(b"v", offset_delta=i, timestamp_delta=one - at[0]) for i, one in enumerate(at))
            payload = gzip.compress(records) if codec == 1 else records
            expect(0, c.produce(topic, rk.batch([b"v"] * len(at), codec=codec, timestamp=at[0], max_timestamp=max(at),
                                                payload=payload), partition=partition)["ErrorCode"], "produce")
            return at

        def lag():
            status, body = http(ctx, path)
            expect(200, status, "status")
            return json.loads(body)

        def age_is(stamp, what, of=lag):
            least = (rk.now_ms() - stamp) / 1000 - 1
            got = of()["lag_seconds"]
            most = (rk.now_ms() - stamp) / 1000 + 1
            assert got is not None and least <= got <= most, f"{what}: {got}, not {least} to {most}"

        stamps = stamped(500, 400, 300) + stamped(200, 100, codec=1)
        [other] = stamped(50, partition=1)
        for committed, stamp in enumerate(stamps):
            simple_commit(c, group, topic, committed, 0)
            age_is(stamp, f"committed {committed}")
        simple_commit(c, group, topic, 5, 0)
        got = lag()
        expect((0, 0, 0), (got["lag"], got["lag_seconds"], got["drain_seconds"]), "all is consumed")
        expect([], got["advice"], "nothing to do")
        simple_commit(c, group, topic, 0, 1)
        age_is(other, "the other partition")
        got = lag()
        expect(["no_consumer"], [one["advice"] for one in got["advice"]], "advice")
        rows = [(r["topic"], r["partition"], r["committed_offset"], r["end_offset"], r["lag"], r["member"])
                for r in got["partitions"]]
        expect([(topic, 0, 5, 5, 0, None), (topic, 1, 0, 1, 1, None)], rows, "rows")
        for _ in range(20):
            stamped(*[1] * 50, partition=0)
        age_is(other, "a burst on the other partition changes nothing")
        expect(1001, lag()["lag"], "burst")

        def gauge():
            lines = [line for line in http(ctx, "/metrics")[1].splitlines()
                     if line.startswith("millrace_group_lag_seconds{") and f'"{group}"' in line]
            expect(1, len(lines), "one series")
            return {"lag_seconds": float(lines[0].rsplit(" ", 1)[1])}
        age_is(other, "metric", gauge)
    ctx.broker.restart()
    wait_until(lambda: http(ctx, path)[0] == 200, 30, "the group is loaded")
    age_is(other, "after a restart")

    def with_rates():
        got = lag()
        return got if got["produced_per_second"] is not None else None
    wait_until(with_rates, 30, "two looks at the group")
    got = lag()
    expect((0, 0, None), (got["produced_per_second"], got["consumed_per_second"], got["drain_seconds"]), "nobody reads")


# ---- how long a start takes

@scenario("many-offsets-are-loaded", only="millrace")
def many_offsets(ctx):
    """50,000 offsets of 50 groups, after a clean stop and a kill; by hand --rounds 1000 for a million of 1,000 groups."""
    partitions, groups = 1000, ctx.options.rounds or 50
    topic = ctx.topic(partitions)
    names = [f"many-{n}" for n in range(groups)]
    with ctx.broker.connect(timeout=60) as c:
        coordinator(ctx, c, names[0])
        rows = [{"PartitionIndex": p, "CommittedOffset": p + 1, "CommittedMetadata": ""} for p in range(partitions)]
        for name in names:
            answer = first_answer(lambda name=name: {"ErrorCode": 0, **c.call("OffsetCommit", 7, {
                "GroupId": name, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [{"Name": topic, "Partitions": rows}]})})
            expect({0}, {p["ErrorCode"] for p in answer["Topics"][0]["Partitions"]}, name)
    for how in ("term", "kill"):
        started = time.monotonic()
        ctx.broker.restart(how)
        ready = time.monotonic()
        with ctx.broker.connect(timeout=60) as c:
            listed = first_answer(lambda c=c: c.call("ListGroups", 4, {}), 60)
            loaded = time.monotonic()
            assert set(names) <= {g["GroupId"] for g in listed["Groups"]}, "a group is missing"
            expect((partitions, ""), committed(c, names[-1], topic, partitions - 1), "the last offset")
        print(f"     {groups * partitions} offsets, {how}: stopped and ready again after {ready - started:.2f} s, "
              f"all groups loaded {loaded - ready:.2f} s later", flush=True)
