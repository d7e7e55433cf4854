"""The same group conversations with Apache Kafka and with us, answer by answer.

A conversation is drawn by a seed: some members on connections of their own, some of them static, and whoever else asks about
the group; among what they say are stale generations, foreign ids and groups that are not there. Both brokers hear the same in
the same order; after each sentence both must have given the same answers, and the same calls must still be waiting. How long an
answer takes is nobody's business: what one side has answered is waited for on the other.

What may differ, and how it is compared all the same:
- member ids: each broker makes its own. They are written as M1, M2... in order of appearance, so that one that is repeated
  where another should stand is seen.
- the order of members, groups, topics and partitions in lists: compared as sets.
- the leader of a round whose leader has left: Kafka takes any member (hash order). The conversation ends there.
- error texts and throttle times are left out.
- how soon a look at a group (DescribeGroups, OffsetFetch) sees what was answered last: Kafka reads groups as of the last offset
  that it committed, and answers a JoinGroup that makes a group before the group is there. Both are asked until they agree.
- when a group is empty after its last member has left, while an id that was given out has not come back: here with that answer, in
  Kafka by a timer of 0 ms. Both are looked at until they agree before anything else is said.
- a commit by nobody of which nothing is stored: Kafka has an empty group from then on, which it neither lists nor writes down,
  and a member that joins it is not shown until it has synced. Here there is no group. It is not asked.
"""
import re
import time

import differential
import rawkafka as rk
from suite_groups import subscription

SUITE = differential.suite("groupdiff")
PATIENCE = 0.35  # seconds after which a call that neither side has answered counts as waiting
SLOW = 20  # seconds after which a call that one side has answered counts as waiting on the other
MADE_ID = re.compile(r"-[0-9a-zA-Z_-]{22,}$")  # behind the client's name or the instance
MADE = dict.fromkeys(("MemberId", "Leader"), ("M", MADE_ID.search))
LEFT_OUT = ("ThrottleTimeMs", "ErrorMessage")
MEMBERS = 4
AT_A_TIME = 6
LOOKS = ("DescribeGroups", "OffsetFetch")
BEHIND = 3  # seconds after which a look has seen what was answered before it
PROTOCOLS = [["range"], ["range", "sticky"], ["sticky", "range"], ["sticky"]]


class Side:
    """One broker and what it has said."""

    def __init__(self, address):
        self.address = address
        self.mask = differential.Mask(LEFT_OUT, MADE)
        self.slots = [Slot(self) for _ in range(MEMBERS)]
        self.other = rk.Connection(address, timeout=20)

    def close(self):
        for slot in self.slots:
            slot.c.close()
        self.other.close()


class Slot:
    """A member of this side, or one that will be."""

    def __init__(self, side):
        self.side = side
        self.c = rk.Connection(side.address, timeout=20)
        self.id, self.generation, self.leader = "", -1, None
        self.waits = None  # (api, version) of the call that has no answer yet

    def say(self, api, version, ask):
        self.c.send(api, version, ask, "diff")
        self.waits = (api, version)

    def hear(self, until):
        """The answer, or None while there is none."""
        if self.waits is None:
            return None
        self.c.socket.settimeout(max(0.001, until - time.monotonic()))
        try:
            first = self.c.socket.recv(1)
        except (TimeoutError, BlockingIOError):
            return None
        finally:
            self.c.socket.settimeout(20)
        if not first:
            raise rk.Closed("end of stream")
        self.c.ahead = first
        api, version = self.waits
        self.waits = None
        answer = self.c.receive(api, version)
        if api == "JoinGroup":
            if answer["ErrorCode"] in (0, 79):
                self.id = answer["MemberId"]
            if answer["ErrorCode"] == 0:
                self.generation, self.leader = answer["GenerationId"], answer["Leader"]
        return answer


def read_ahead(connection_class):
    """hear() has taken one byte; the rest is read behind it."""
    plain = connection_class.read_exactly

    def read_exactly(self, n):
        ahead, self.ahead = getattr(self, "ahead", b""), b""
        return ahead + plain(self, n - len(ahead))
    connection_class.read_exactly = read_exactly


read_ahead(rk.Connection)


class Conversation(differential.Talk):
    def __init__(self, seed, sides, group, topic, partitions):
        super().__init__(seed, sides)
        self.group, self.topic, self.partitions = group, topic, partitions
        self.instances = [None, None, "i1", self.random.choice([None, "i2"])]
        self.protocols = [self.random.choice(PROTOCOLS[:3]) for _ in range(MEMBERS)]

    # Each of these is one sentence: what to ask on which slot (None: of somebody else), per side.

    def join(self, n):
        v = self.version("JoinGroup", 5 if self.instances[n] else 0)
        if self.random.random() < 0.15:
            self.protocols[n] = self.random.choice(PROTOCOLS)
        kind = "connect" if self.random.random() < 0.04 else "consumer"
        foreign = self.random.random() < 0.05
        fresh = self.instances[n] is not None and self.random.random() < 0.4
        blob = subscription(self.topic, *(["extra"] if self.random.random() < 0.2 else []))

        def ask(slot):
            member = "foreign" if foreign else "" if fresh else slot.id
            out = {"GroupId": self.group, "SessionTimeoutMs": 60000, "MemberId": member, "ProtocolType": kind,
                   "Protocols": [{"Name": p, "Metadata": blob + p.encode()} for p in self.protocols[n]]}
            if v >= 1:
                out["RebalanceTimeoutMs"] = 60000
            if v >= 5:
                out["GroupInstanceId"] = self.instances[n]
            return out
        return n, "JoinGroup", v, ask

    def sync(self, n):
        v = self.version("SyncGroup", 3 if self.instances[n] else 0)
        stale = self.random.choice([0] * 12 + [1, -1])
        protocol = self.random.choice(["range", "sticky"]) if self.random.random() < 0.1 else None

        def ask(slot):
            out = {"GroupId": self.group, "GenerationId": slot.generation + stale, "MemberId": slot.id, "Assignments": [
                {"MemberId": other.id, "Assignment": b"for %d" % i} for i, other in enumerate(slot.side.slots) if other.id]}
            if v >= 3:
                out["GroupInstanceId"] = self.instances[n]
            if v >= 5:
                out["ProtocolType"], out["ProtocolName"] = "consumer", protocol or slot.protocol
            return out
        return n, "SyncGroup", v, ask

    def heartbeat(self, n):
        v = self.version("Heartbeat", 3 if self.instances[n] else 0)
        stale = self.random.choice([0] * 8 + [1, -1])

        def ask(slot):
            out = {"GroupId": self.group, "GenerationId": slot.generation + stale, "MemberId": slot.id or "foreign"}
            if v >= 3:
                out["GroupInstanceId"] = self.instances[n]
            return out
        return n, "Heartbeat", v, ask

    def leave(self, n):
        v = self.version("LeaveGroup")
        by_name = self.instances[n] is not None and self.random.random() < 0.5

        def ask(slot):
            if v < 3:
                return {"GroupId": self.group, "MemberId": slot.id}
            return {"GroupId": self.group, "Members": [
                {"MemberId": "" if by_name else slot.id, "GroupInstanceId": self.instances[n]},
                *([{"MemberId": "foreign", "GroupInstanceId": None}] if by_name else [])]}
        return n, "LeaveGroup", v, ask

    def commit(self, n):
        v = self.random.randint(2, 9)
        simple = self.random.random() < 0.25
        stale = self.random.choice([0] * 8 + [1, -1])
        offset, partition = self.random.randint(0, 99), self.random.randint(0, self.partitions)
        text = "x" * self.random.choice([0, 3, 4096, 4097])

        def ask(slot):
            creates = simple or slot.generation + stale < 0
            p = {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": text[:4096] if creates else text}
            if v >= 6:
                p["CommittedLeaderEpoch"] = 0
            out = {"GroupId": self.group, "GenerationIdOrMemberEpoch": -1 if simple else slot.generation + stale,
                   "MemberId": "" if simple else slot.id,
                   "Topics": [{"Name": self.topic, "Partitions": [p]}]}
            if v >= 7:
                out["GroupInstanceId"] = None if simple else self.instances[n]
            return out
        return n, "OffsetCommit", v, ask

    def fetch(self, _):
        v = self.random.randint(1, 9)
        some = {"Name": self.topic, "PartitionIndexes": list(range(self.partitions + 1))}
        topics = None if v >= 2 and self.random.random() < 0.5 else [some]
        group = self.group + self.random.choice(["", "", "", "-none"])
        if v < 8:
            return None, "OffsetFetch", v, lambda _: {"GroupId": group, "Topics": topics}
        return None, "OffsetFetch", v, lambda _: {"Groups": [{"GroupId": group, "Topics": topics}]}

    def describe(self, _):
        return None, "DescribeGroups", self.version("DescribeGroups"), lambda _: {"Groups": [self.group, self.group + "-none"]}

    def delete(self, _):
        return None, "DeleteGroups", self.version("DeleteGroups"), lambda _: {"GroupsNames": [self.group, self.group + "-none"]}

    def delete_offset(self, _):
        partition = self.random.randint(0, self.partitions)
        return None, "OffsetDelete", 0, lambda _: {"GroupId": self.group, "Topics": [
            {"Name": self.topic, "Partitions": [{"PartitionIndex": partition}]}]}

    WEIGHTS = {"join": 10, "sync": 8, "heartbeat": 5, "leave": 2, "commit": 4, "fetch": 2, "describe": 3, "delete": 0.4,
               "delete_offset": 0.7}

    def other(self, api, version, question):
        """Asked by somebody who is no member: what each side answered."""
        return [[("other", api, side.mask.of(side.other.call(api, version, question, "diff")))] for side in self.sides]

    def free(self):
        return [n for n in range(MEMBERS) if all(side.slots[n].waits is None for side in self.sides)]

    def step(self):
        """Says one sentence to both; what they answered, as [(who, api, answer)] per side."""
        kind = self.kind(self.WEIGHTS)
        free = self.free()
        if kind in ("join", "sync", "heartbeat", "leave", "commit") and not free:
            kind = "describe"
        n, api, version, ask = getattr(self, kind)(self.random.choice(free) if free else None)
        heard = [[] for _ in self.sides]
        if n is None:
            question = ask(None)
            heard = self.other(api, version, question)
            behind = time.monotonic() + BEHIND
            while api in LOOKS and heard[0] != heard[1] and time.monotonic() < behind:
                heard = self.other(api, version, question)
        else:
            for side in self.sides:
                side.slots[n].say(api, version, ask(side.slots[n]))
        self.said.append(f"{'other' if n is None else n} {api} v{version}")
        # Answers come at once or wait for somebody. What one side has answered, the other has to: it may only be slow.
        said = time.monotonic()
        while True:
            for side, answers in zip(self.sides, heard):
                for i, slot in enumerate(side.slots):
                    waited = slot.waits
                    answer = slot.hear(time.monotonic() + 0.002)
                    if answer is not None:
                        if waited[0] == "JoinGroup" and answer["ErrorCode"] == 0:
                            slot.protocol = answer["ProtocolName"]
                        answers.append((i, waited[0], answer))
            same = {a[:2] for a in heard[0]} == {a[:2] for a in heard[1]}
            nothing_left = all(slot.waits is None for side in self.sides for slot in side.slots)
            if time.monotonic() - said > SLOW or same and (nothing_left or time.monotonic() - said > PATIENCE):
                break
        if api == "LeaveGroup":
            self.empty()
        # Ids are named in order of slots, not of arrival.
        for side, answers in zip(self.sides, heard):
            answers.sort(key=lambda a: str(a[0]))
            answers[:] = [(who, api, a if who == "other" else side.mask.of(a)) for who, api, a in answers]
        return heard

    def empty(self):
        """Until both say the same of the group's state."""
        behind = time.monotonic() + BEHIND
        while time.monotonic() < behind:
            answers = [side.other.call("DescribeGroups", 5, {"Groups": [self.group]}, "diff") for side in self.sides]
            if len({answer["Groups"][0]["GroupState"] for answer in answers}) == 1:
                return

    def leaders_differ(self):
        """Somebody else was chosen: from there on the two are different groups."""
        first, second = (side.mask for side in self.sides)
        return any(a.leader and b.leader and first.name(a.leader, "Leader") != second.name(b.leader, "Leader")
                   for a, b in zip(self.sides[0].slots, self.sides[1].slots))

    def run(self, steps):
        """None, or what differed."""
        for slot in [s for side in self.sides for s in side.slots]:
            slot.protocol = "range"
        for _ in range(steps):
            ours, theirs = self.step()
            if self.leaders_differ():
                return None
            if ours != theirs:
                return self.told(ours, theirs)
        return None


def converse(addresses, seeds, steps, name):
    """Runs a conversation per seed, some at a time; fails with the first difference. The count of sentences."""
    topic, partitions = name + "-topic", 2
    for address in addresses:
        with rk.Connection(address) as c:
            c.create_topic(topic, partitions)

    def one(seed):
        group = f"{name}-{seed}"
        for address in addresses:
            differential.coordinated(address, group)
        sides = [Side(a) for a in addresses]
        try:
            talk = Conversation(seed, sides, group, topic, partitions)
            return talk, talk.run(steps)
        finally:
            for side in sides:
                side.close()
    return differential.converse(one, seeds, AT_A_TIME)


@SUITE.scenario("generated-conversations", only="millrace")
def generated(ctx):
    """The same seeds each time; by hand --seed N --rounds M takes M others from N on."""
    first, rounds = ctx.options.seed, ctx.options.rounds or 25
    with differential.reference() as kafka:
        count = converse([ctx.broker.address, kafka.address], range(first, first + rounds), 60, ctx.name("diff"))
        print(f"     {rounds} conversations, {count} sentences: the same answers")
