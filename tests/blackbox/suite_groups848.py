"""Groups of KIP-848 frame by frame: epochs, refusals, what a lost answer leaves, and the classic questions about them.

What is expected here was seen in answers of Apache Kafka 4.3.1, against which this suite passes too.
"""
import contextlib
import json
import os
import struct
import subprocess
import urllib.request

import rawkafka as rk
from harness import Context, Millrace, Suite, wait_until
from suite_groups import (GROUP_NOT_FOUND, ILLEGAL_GENERATION, INCONSISTENT_PROTOCOL, MEMBER_ID_REQUIRED, NON_EMPTY_GROUP,
                          REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER, Member, coordinator, first_answer, state_of)
from suite_raw import expect, topic_id

SUITE = Suite("groups848", "raw frames")
scenario = SUITE.scenario

FENCED_INSTANCE, FENCED_EPOCH, UNRELEASED_INSTANCE, UNSUPPORTED_ASSIGNOR, STALE_EPOCH, BAD_REGEX = 82, 110, 111, 112, 113, 128


class Consumer:
    """One member, told what to send; what it has is what it was last told."""

    def __init__(self, c, group, name, topic, tid, instance=None):
        self.c, self.group, self.id, self.topic, self.tid, self.instance = c, group, name, topic, tid, instance
        self.epoch, self.has = 0, []

    def parts(self, numbers):
        return [{"TopicId": self.tid, "Partitions": sorted(numbers)}] if numbers else []

    def send(self, version=1, **over):
        ask = {"GroupId": self.group, "MemberId": self.id, "MemberEpoch": self.epoch, "InstanceId": self.instance}
        if self.epoch == 0:
            ask.update(RebalanceTimeoutMs=30000, SubscribedTopicNames=[self.topic], TopicPartitions=[])
        ask.update(over)
        answer = self.c.call("ConsumerGroupHeartbeat", version, ask)
        if answer["ErrorCode"] == 0:
            self.epoch = answer["MemberEpoch"]
            if answer["Assignment"] is not None:
                self.has = [p for t in answer["Assignment"]["TopicPartitions"] for p in t["Partitions"]]
        return answer

    def join(self):
        return first_answer(self.send)

    def until_has(self, n):
        """Keeps to the protocol until it has so many partitions."""
        def enough():
            expect(0, self.send(TopicPartitions=self.parts(self.has))["ErrorCode"], "heartbeat")
            return len(self.has) == n
        wait_until(enough, 15, f"{self.id} has {n} partitions")


def begin(ctx, c, partitions=4):
    topic = ctx.topic(partitions)
    return coordinator(ctx, c, ctx.name("g848")), topic, topic_id(c, topic)


@scenario("heartbeats-that-are-refused")
def refused(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)

        def code(version=1, **over):
            return Consumer(c, group, "m", topic, tid).send(version, **over)["ErrorCode"]
        invalid = rk.INVALID_REQUEST
        for over in ({"GroupId": ""}, {"MemberId": ""}, {"InstanceId": ""}, {"RackId": ""}, {"RebalanceTimeoutMs": -1},
                     {"SubscribedTopicNames": None}, {"TopicPartitions": None}, {"MemberEpoch": -3}, {"MemberEpoch": -2},
                     {"TopicPartitions": [{"TopicId": tid, "Partitions": [0]}]}):
            expect(invalid, code(**over), over)
        expect(UNSUPPORTED_ASSIGNOR, code(ServerAssignor="nobody"), "an assignor that is not there")
        expect(BAD_REGEX, code(SubscribedTopicNames=None, SubscribedTopicRegex="("), "a pattern that does not compile")
        expect(GROUP_NOT_FOUND, code(MemberEpoch=1), "a group that is not there")
        consumer = Consumer(c, group, "", topic, tid)
        made = consumer.send(0)
        expect(0, made["ErrorCode"], "v0 may come without an id")
        assert made["MemberId"], "and gets one"
        expect(UNKNOWN_MEMBER, code(MemberEpoch=1), "a member that is not there")
        consumer.id = made["MemberId"]
        expect(FENCED_EPOCH, consumer.send(MemberEpoch=9)["ErrorCode"], "an epoch that is to come")
        expect(FENCED_EPOCH, consumer.send(MemberEpoch=consumer.epoch - 1 or 77)["ErrorCode"], "one that never was")
        expect(-1, consumer.send(MemberEpoch=-1)["MemberEpoch"], "it leaves")


@scenario("partitions-move-in-steps")
def steps(ctx):
    """Join, revoke, acknowledge, assign; null means as before; an answer that was lost is asked for again."""
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        a, b = (Consumer(c, group, name, topic, tid) for name in "ab")
        expect(0, a.join()["ErrorCode"], "a joins")
        a.until_has(4)
        quiet = a.send()
        expect((0, None), (quiet["ErrorCode"], quiet["Assignment"]), "nothing new")
        again = a.send(RebalanceTimeoutMs=30000, SubscribedTopicNames=[topic], TopicPartitions=a.parts(a.has))
        assert again["Assignment"] is not None, "who says everything hears everything"
        expect([], b.join()["Assignment"]["TopicPartitions"], "all are a's still")

        def told_to_revoke():
            a.send()
            return len(a.has) == 2
        before = a.epoch
        wait_until(told_to_revoke, 15, "a is told to let go of two")
        expect(before, a.epoch, "a's epoch, until it has")
        b.send(TopicPartitions=[])
        expect([], b.has, "b waits")
        after = a.send(TopicPartitions=a.parts(a.has))
        assert after["MemberEpoch"] > before, "a has let go"
        expect(0, a.send(MemberEpoch=before, TopicPartitions=a.parts(a.has))["ErrorCode"], "the answer was lost: the epoch before is good")
        expect(FENCED_EPOCH, a.send(MemberEpoch=before, TopicPartitions=a.parts(range(4)))["ErrorCode"], "not with more than it has")
        a.epoch = after["MemberEpoch"]
        b.until_has(2)
        expect([0, 1, 2, 3], sorted(a.has + b.has), "all are read, none twice")
        b.send(MemberEpoch=-1)
        b.epoch = 0
        a.until_has(4)


@scenario("static-members-take-their-place")
def static(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        first, second = (Consumer(c, group, name, topic, tid, "i") for name in ("one", "two"))
        first.join()
        first.until_has(4)
        expect(UNRELEASED_INSTANCE, second.send()["ErrorCode"], "the place is taken")
        expect(-2, first.send(MemberEpoch=-2)["MemberEpoch"], "it goes for a while")
        epoch = described(c, group)["GroupEpoch"]
        expect(0, second.send()["ErrorCode"], "the next takes its place")
        expect(4, len(second.has), "with all it had")
        expect(epoch, described(c, group)["GroupEpoch"], "the group's epoch")
        first.epoch = second.epoch
        expect(FENCED_INSTANCE, first.send()["ErrorCode"], "the first is fenced")


def described(c, group, version=1):
    return c.call("ConsumerGroupDescribe", version, {"GroupIds": [group]})["Groups"][0]


@scenario("what-is-told-of-a-group")
def told(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        expect(GROUP_NOT_FOUND, described(c, group)["ErrorCode"], "before anybody came")
        a = Consumer(c, group, "a", topic, tid)
        a.join()
        a.until_has(4)
        for version in (0, 1):
            seen = described(c, group, version)
            expect(("Stable", "uniform", a.epoch), (seen["GroupState"], seen["AssignorName"], seen["AssignmentEpoch"]), "the group")
            member = seen["Members"][0]
            expect(("a", a.epoch, [topic], 1 if version else -1), (member["MemberId"], member["MemberEpoch"],
                   member["SubscribedTopicNames"], member["MemberType"] if version else -1), "its member")
            for what in ("Assignment", "TargetAssignment"):
                expect([(topic, [0, 1, 2, 3])], [(t["TopicName"], t["Partitions"]) for t in member[what]["TopicPartitions"]], what)
        old = c.call("DescribeGroups", 6, {"Groups": [group]})["Groups"][0]
        expect((GROUP_NOT_FOUND, "Dead"), (old["ErrorCode"], old["GroupState"]), "the classic question")
        for kinds, there in ((["consumer"], True), (["Classic"], False), ([], True)):
            listed = c.call("ListGroups", 5, {"TypesFilter": kinds})["Groups"]
            expect(there, any(g["GroupId"] == group and g["GroupType"] == "consumer" for g in listed), f"listed by {kinds}")
        expect(NON_EMPTY_GROUP, c.call("DeleteGroups", 2, {"GroupsNames": [group]})["Results"][0]["ErrorCode"], "delete")
        expect(FENCED_EPOCH, a.send(MemberEpoch=a.epoch + 1)["ErrorCode"], "still there")
        a.send(MemberEpoch=-1)
        expect("Empty", described(c, group)["GroupState"], "after it left")
        expect(0, c.call("DeleteGroups", 2, {"GroupsNames": [group]})["Results"][0]["ErrorCode"], "delete")


@scenario("offsets-go-by-member-epoch")
def offsets(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        a = Consumer(c, group, "a", topic, tid)
        a.join()
        a.until_has(4)

        def commit(member, epoch, version=9):
            return c.call("OffsetCommit", version, {"GroupId": group, "GenerationIdOrMemberEpoch": epoch, "MemberId": member, "Topics": [
                {"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 3, "CommittedMetadata": ""}]}]})[
                    "Topics"][0]["Partitions"][0]["ErrorCode"]

        def fetch(member, epoch):
            return c.call("OffsetFetch", 9, {"Groups": [{"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "Topics": [
                {"Name": topic, "PartitionIndexes": [0]}]}]})["Groups"][0]["ErrorCode"]
        expect(0, commit("a", a.epoch), "of a member")
        expect(STALE_EPOCH, commit("a", a.epoch + 1), "of an epoch that is to come")
        expect(rk.UNSUPPORTED_VERSION, commit("a", a.epoch, 8), "a version that knows no epochs")
        expect(UNKNOWN_MEMBER, commit("b", 1), "of nobody")
        expect(UNKNOWN_MEMBER, commit("", -1), "of no group, while it has members")
        expect((0, STALE_EPOCH, UNKNOWN_MEMBER, 0), (fetch("a", a.epoch), fetch("a", a.epoch + 1), fetch("b", 1), fetch(None, -1)), "fetches")
        deleted = c.call("OffsetDelete", 0, {"GroupId": group, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]})
        expect(86, deleted["Topics"][0]["Partitions"][0]["ErrorCode"], "an offset that is read")
        a.send(MemberEpoch=-1)
        expect(0, commit("", -1), "of no group, when it is empty")


@scenario("empty-groups-change-sides")
def convert(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        a = Consumer(c, group, "a", topic, tid)
        a.join()
        with Member(ctx, group, protocols=[("unknown", b"\0")], kind="other") as classic:
            expect(INCONSISTENT_PROTOCOL, classic.join()["ErrorCode"], "a classic member that cannot be taken in")
        a.send(MemberEpoch=-1)
        a.epoch = 0
        with Member(ctx, group) as classic:
            expect(0, classic.join()["ErrorCode"], "into the empty group")
            expect(GROUP_NOT_FOUND, described(c, group)["ErrorCode"], "it is a classic one now")
            classic.sync({classic.id: b""})
            classic.leave()
        expect(0, a.join()["ErrorCode"], "and back")
        expect("consumer", next(g for g in c.call("ListGroups", 5, {})["Groups"] if g["GroupId"] == group)["GroupType"], "its type")


@scenario("an-assignor-from-outside", only="millrace")
def assignor_from_outside(ctx):
    """The example in examples/weighted_assignor: a program that embeds the broker and brings an assignor."""
    binary = os.path.join(os.path.dirname(ctx.broker.binary), "millrace_weighted")
    wrong = subprocess.run([binary, "serve", "--data-dir", os.path.join(ctx.broker.home, "none"), "--set",
                            "group.consumer.assignors=heavy"], capture_output=True, text=True, timeout=30)
    expect(2, wrong.returncode, "a name that nobody has")
    assert "'heavy' is not one of: uniform, range, roundrobin, weighted" in wrong.stderr, wrong.stderr
    other = Context(Millrace(binary), ctx.options)
    with contextlib.closing(other.broker.start()), other.broker.connect() as c:
        group, topic, tid = begin(other, c, 12)
        strong, weak = Consumer(c, group, "s", topic, tid, "strong*3"), Consumer(c, group, "w", topic, tid, "weak")
        asked = {"ServerAssignor": "weighted"}
        first_answer(lambda: strong.send(**asked))
        strong.until_has(12)
        expect(0, weak.send(**asked)["ErrorCode"], "the weak one joins")

        def even():
            for one in (strong, weak):
                one.send(TopicPartitions=one.parts(one.has))
            return (len(strong.has), len(weak.has)) == (9, 3)
        wait_until(even, 15, "three parts and one part")
        expect("weighted", described(c, group)["AssignorName"], "as it is described")


@scenario("http-and-command-line-show-it", only="millrace")
def shown(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        a = Consumer(c, group, "a", topic, tid)
        a.join()
        a.until_has(4)

        def http(path):
            with urllib.request.urlopen(f"http://{ctx.broker.http}{path}", timeout=10) as answer:
                return json.load(answer)

        def cli(*words):
            done = subprocess.run([ctx.options.binary, "group", *words, "-b", ctx.broker.address, "-o", "json"],
                                  capture_output=True, text=True, timeout=60)
            expect(0, done.returncode, done.stderr)
            return json.loads(done.stdout)
        listed = next(g for g in http("/consumer-groups")["groups"] if g["group"] == group)
        expect({"group": group, "type": "consumer", "state": "Stable", "protocol_type": "consumer"}, listed, "HTTP's list")
        seen = http(f"/consumer-groups/{group}")
        expect(("consumer", "Stable", "uniform", a.epoch, a.epoch), tuple(
            seen[k] for k in ("type", "state", "protocol", "generation", "assignment_epoch")), "HTTP's group")
        expect([{"topic": topic, "partitions": [0, 1, 2, 3]}], seen["members"][0]["assignment"], "HTTP's member")
        expect({"a"}, {row["member"] for row in http(f"/consumer-groups/{group}/assignments")["assignments"]}, "HTTP's owners")
        expect(("Stable", "consumer", "uniform", 1), tuple(
            cli("describe", group)[k] for k in ("state", "protocol_type", "protocol", "members")), "group describe")
        member = cli("members", group)[0]
        expect(("a", [topic], 4), (member["member"], member["subscription"], member["partitions"]), "group members")
        expect("consumer", next(g for g in cli("list") if g["group"] == group)["type"], "group list")


@scenario("rebalances-are-told-with-their-cause", only="millrace")
def rebalances(ctx):
    """One entry per rise of the epoch that targets answer: who made it, when all had what they should, what moved."""
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)

        def rounds():
            with urllib.request.urlopen(f"http://{ctx.broker.http}/consumer-groups/{group}/rebalances", timeout=10) as answer:
                return json.load(answer)["rebalances"]

        def story():
            return [tuple(r[k] for k in ("cause", "member", "generation", "members", "moved")) for r in rounds()]
        a, b = (Consumer(c, group, name, topic, tid) for name in "ab")
        a.join()
        a.until_has(4)
        expect((("member_joined", "a"), (a.epoch, 1), 4), (story()[-1][:2], story()[0][2:4], sum(r[4] for r in story())), "a alone")
        b.join()
        expect(("member_joined", "b", None), tuple(rounds()[0][k] for k in ("cause", "member", "seconds")), "b waits for a")
        a.until_has(2)
        a.send(TopicPartitions=a.parts(a.has))
        b.until_has(2)
        expect(("member_joined", "b", b.epoch, 2, 2), story()[0], "b has its half")
        assert 0 <= rounds()[0]["seconds"] < 30 and rounds()[0]["began_ms"] >= rounds()[1]["began_ms"], rounds()
        b.send(MemberEpoch=-1)
        a.until_has(4)
        expect(("member_left", "b", a.epoch, 1, 2), story()[0], "b has gone")
        a.send(MemberEpoch=-1)
        expect(["member_left", "member_left", "member_joined"], [r[0] for r in story()[:3]], "everybody has")
        expect(("member_left", "a", 0, 0), tuple(story()[0][k] for k in (0, 1, 3, 4)), "the last one")


def lists(topics):
    """Topics with partitions, as in subscriptions and assignments."""
    return struct.pack(">i", len(topics)) + b"".join(
        struct.pack(">h", len(t)) + t.encode() + struct.pack(f">i{len(ps)}i", len(ps), *ps) for t, ps in topics.items())


def subscription(topic, owned=(), version=1):
    """As a cooperative consumer says it: what it reads, and what it has not let go of."""
    return struct.pack(">hih", version, 1, len(topic)) + topic.encode() + struct.pack(">i", -1) + lists(
        {topic: list(owned)} if owned else {})


def assignment(topic, partitions, user_data=None):
    return struct.pack(">h", 1) + lists({topic: list(partitions)}) + (
        struct.pack(">i", -1) if user_data is None else struct.pack(">i", len(user_data)) + user_data)


def partitions(blob):
    """Of an assignment of one topic at most."""
    if struct.unpack_from(">i", blob, 2)[0] == 0:
        return []
    at = 8 + struct.unpack_from(">h", blob, 6)[0]
    count, = struct.unpack_from(">i", blob, at)
    return sorted(struct.unpack_from(f">{count}i", blob, at + 4))


class Classic(Member):
    """A classic consumer of one topic, which can say what it still has."""

    def __init__(self, ctx, group, topic, protocol="range", **more):
        super().__init__(ctx, group, protocols=[(protocol, subscription(topic))], **more)
        self.topic = topic

    def again(self, owned=()):
        self.protocols = [(self.protocols[0][0], subscription(self.topic, owned))]
        return self.join()

    def fetch(self):
        """What it has, by its sync."""
        answer = self.sync()
        expect(0, answer["ErrorCode"], f"{self.id} syncs")
        return partitions(answer["Assignment"])

    def until_has(self, n):
        """An eager member: it lets go of everything and joins until it has so many partitions."""
        def enough():
            expect(0, self.again()["ErrorCode"], "join")
            answer = self.sync()
            return answer["ErrorCode"] == 0 and len(partitions(answer["Assignment"])) == n
        wait_until(enough, 15, f"{self.id} has {n} partitions")


def two_readers(ctx, group, topic):
    """A classic group of two; each reads two partitions."""
    first, second = Classic(ctx, group, topic), Classic(ctx, group, topic)
    expect(0, first.join()["ErrorCode"], "the first joins")
    first.sync({first.id: b""})
    second.begin()
    wait_until(lambda: first.heartbeat() == REBALANCE_IN_PROGRESS, 10, "the first hears of it")
    first.begin_join()
    for member in (first, second):
        expect(0, member.end_join()["ErrorCode"], "join")
    parts = {first.id: assignment(topic, [0, 1]), second.id: assignment(topic, [2, 3])}
    leads = first if first.leads() else second
    other = second if first.leads() else first
    other.begin_sync()
    leads.sync(parts)
    expect(0, other.end_sync()["ErrorCode"], "sync")
    return first, second


@scenario("convert-with-members-up-and-down")
def convert_members(ctx):
    """The group goes over with its first member of KIP-848 and back with the last; classic members read on."""
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        first, second = two_readers(ctx, group, topic)
        with first, second:
            generation = first.generation
            k = Consumer(c, group, "k", topic, tid)
            joined = k.join()
            expect((0, generation + 1), (joined["ErrorCode"], joined["MemberEpoch"]), "the group goes over")
            expect([], k.has, "all are read still")
            seen = described(c, group)
            expect([(first.id, 0), (second.id, 0), ("k", 1)], sorted(((m["MemberId"], m["MemberType"]) for m in seen["Members"]),
                   key=lambda m: (m[0] == "k", m[0] != first.id)), "who is in it")
            assigned = {m["MemberId"]: [p for t in m["Assignment"]["TopicPartitions"] for p in t["Partitions"]] for m in seen["Members"]}
            expect([[0, 1], [2, 3], []], [assigned[i] for i in (first.id, second.id, "k")], "what they have")
            expect("consumer", next(g for g in c.call("ListGroups", 5, {})["Groups"] if g["GroupId"] == group)["GroupType"], "its type")
            expect(GROUP_NOT_FOUND, c.call("DescribeGroups", 6, {"Groups": [group]})["Groups"][0]["ErrorCode"], "the classic question")

            expect(0, first.commit(topic, 7), "commits go by the generation")
            first.generation += 5
            expect((ILLEGAL_GENERATION, ILLEGAL_GENERATION), (first.commit(topic, 7), first.heartbeat()), "of another one")
            first.generation = generation
            expect(REBALANCE_IN_PROGRESS, first.heartbeat(), "it shall join")
            expect(REBALANCE_IN_PROGRESS, first.sync()["ErrorCode"], "and not sync before")
            again = first.join()
            expect((0, generation + 1, "consumer", "range", "", []), tuple(
                again[f] for f in ("ErrorCode", "GenerationId", "ProtocolType", "ProtocolName", "Leader", "Members")), "its join")
            second.join()
            had = first.fetch() + second.fetch()
            k.until_has(1)
            expect([0, 1, 2, 3], sorted(had + k.has), "all are read, none twice")
            expect((0, 0), (first.heartbeat(), second.heartbeat()), "and all is well")
            expect("Stable", described(c, group)["GroupState"], "the group")

            expect(-1, k.send(MemberEpoch=-1)["MemberEpoch"], "k leaves")
            expect(GROUP_NOT_FOUND, described(c, group)["ErrorCode"], "the group is a classic one")
            expect((REBALANCE_IN_PROGRESS, REBALANCE_IN_PROGRESS), (first.heartbeat(), second.heartbeat()), "and gathers")
            for member in (first, second):
                member.begin_join()
            for member in (first, second):
                expect((0, generation + 2), (member.end_join()["ErrorCode"], member.generation), "join")
            leads, other = (first, second) if first.leads() else (second, first)
            expect(2, len(leads.joined["Members"]), "whom it assigns to")
            other.begin_sync()
            expect(0, leads.sync({leads.id: assignment(topic, [0, 1]), other.id: assignment(topic, [2, 3])})["ErrorCode"], "sync")
            expect([2, 3], partitions(other.end_sync()["Assignment"]), "what it gets")


@scenario("convert-cooperative-members-let-go-first")
def convert_cooperative(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        with Classic(ctx, group, topic, "cooperative-sticky") as member:
            member.join()
            expect(0, member.sync({member.id: assignment(topic, range(4))})["ErrorCode"], "alone")
            generation = member.generation
            k = Consumer(c, group, "k", topic, tid)
            expect(0, k.join()["ErrorCode"], "k joins")
            expect(REBALANCE_IN_PROGRESS, member.heartbeat(), "it shall join")
            expect((0, generation), (member.again(range(4))["ErrorCode"], member.generation), "the generation stays until it has let go")
            keeps = member.fetch()
            expect(2, len(keeps), "what it keeps")
            k.send(TopicPartitions=[])
            expect([], k.has, "k waits")
            expect(REBALANCE_IN_PROGRESS, member.heartbeat(), "it shall come again")
            expect((0, generation + 1), (member.again(keeps)["ErrorCode"], member.generation), "it has let go")
            expect(keeps, member.fetch(), "and keeps the rest")
            k.until_has(2)
            expect([0, 1, 2, 3], sorted(keeps + k.has), "all are read, none twice")


@scenario("convert-classic-members-join")
def convert_join(ctx):
    """Into a group that began with KIP-848."""
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        k = Consumer(c, group, "k", topic, tid)
        k.join()
        k.until_has(4)

        def code(**over):
            with Classic(ctx, group, topic, **over) as member:
                return member.join()["ErrorCode"]
        expect(INCONSISTENT_PROTOCOL, code(kind="connect"), "of another type")
        with Classic(ctx, group, topic) as member:
            member.begin_join()
            asked = member.end_join()
            expect(MEMBER_ID_REQUIRED, asked["ErrorCode"], "the id comes first")
            member.id = asked["MemberId"]
            expect(0, member.join()["ErrorCode"], "join")
            expect([], member.fetch(), "k has all")
            expect(0, member.heartbeat(), "nothing to do yet")
            expect(INCONSISTENT_PROTOCOL, code(protocol="other"), "nothing in common with the member")

            def let_go():
                expect(0, k.send(TopicPartitions=k.parts(k.has))["ErrorCode"], "k lives")
                return len(k.has) == 2
            wait_until(let_go, 15, "k is told to let go")
            k.send(TopicPartitions=k.parts(k.has))
            expect(REBALANCE_IN_PROGRESS, member.heartbeat(), "two are free")
            member.until_has(2)
            for what, ask in (("type", {"ProtocolType": "connect"}), ("protocol", {"ProtocolName": "other"})):
                expect(INCONSISTENT_PROTOCOL, member.sync(**ask)["ErrorCode"], what)
            expect(ILLEGAL_GENERATION, member.sync(GenerationId=77)["ErrorCode"], "of a generation that never was")
            expect((UNKNOWN_MEMBER, UNKNOWN_MEMBER), (member.heartbeat(MemberId="k"), member.sync(MemberId="k")["ErrorCode"]), "for k")
            expect(0, member.leave(), "it leaves")
            expect(["k"], [m["MemberId"] for m in described(c, group)["Members"]], "who is left")
            expect(UNKNOWN_MEMBER, member.heartbeat(), "not the one that left")
            k.until_has(4)
            member.id = ""
            member.join()
            taken_out = c.call("LeaveGroup", 5, {"GroupId": group, "Members": [{"MemberId": "k", "GroupInstanceId": None}]})
            expect(0, taken_out["Members"][0]["ErrorCode"], "LeaveGroup for k")
            expect(GROUP_NOT_FOUND, described(c, group)["ErrorCode"], "the group is a classic one")
            # Which of them: whether targets were made for its join yet.
            assert member.heartbeat() in (REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION), "and gathers"


@scenario("convert-static-members-in-both-directions")
def convert_static(ctx):
    with ctx.broker.connect() as c:
        group, topic, tid = begin(ctx, c)
        with Classic(ctx, group, topic, instance="i") as old:
            old.join()
            expect(0, old.sync({old.id: assignment(topic, range(4))})["ErrorCode"], "alone")
            k = Consumer(c, group, "k", topic, tid, "i")
            expect(0, k.send()["ErrorCode"], "in the place of the classic one, which cannot say that it comes back")
            expect([0, 1, 2, 3], sorted(k.has), "with all it had")
            expect(FENCED_INSTANCE, old.heartbeat(), "the old one")
        with Classic(ctx, group, topic, instance="i") as back:
            expect(0, back.join()["ErrorCode"], "and back")
            expect(GROUP_NOT_FOUND, described(c, group)["ErrorCode"], "the group is a classic one")


@scenario("convert-that-is-refused")
def convert_refused(ctx):
    with ctx.broker.connect() as c:
        for name, kind, metadata, given in (("type", "connect", None, b""), ("subscription", "consumer", b"?", b""),
                                            ("assignment", "consumer", None, b"?"), ("user data", "consumer", None, "mine")):
            group, topic, tid = begin(ctx, c)
            with Classic(ctx, group, topic, kind=kind) as member:
                if metadata is not None:
                    if ctx.broker.kind == "kafka":
                        continue  # never answers such a join
                    member.protocols = [("range", metadata)]
                member.join()
                given = assignment(topic, [0], b"data") if given == "mine" else given
                expect(0, member.sync({member.id: given})["ErrorCode"], "sync")
                expect(GROUP_NOT_FOUND, Consumer(c, group, "k", topic, tid).send()["ErrorCode"], name)
                expect((0, "Stable"), (member.heartbeat(), state_of(c, group)), f"{name}: the group stays what it is")
