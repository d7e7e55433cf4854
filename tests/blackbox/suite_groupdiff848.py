"""The same conversations with groups of KIP-848 (`group.protocol=consumer`) with Apache Kafka and with us, answer by answer.

A conversation is drawn by a seed: four members, two of which may share a static instance, and whoever else asks about the group.
They join, rejoin, say nothing, little or everything, change what they read (by names and by patterns), own up to what they have,
to less and to more than that, leave for good and for a while, commit and fetch at any version, and all that also with epochs that
were, that are to come and that never will be, with foreign ids, and with fields that are missing or wrong. Both brokers hear the
same in the same order and are compared field by field.

What may differ, and how it is compared all the same:
- topic ids: written as the topic's name. Texts and throttle times are left out, as is the order in lists.
- HeartbeatIntervalMs: who waits is told 0.5 s here (docs/groups.md), 5 s by Kafka.
- Kafka resolves patterns in the background and at most every ten seconds: after a sentence with one, members keep to the
  protocol until both describe the same group, at rest.
- how soon a look at a group sees what was answered last: Kafka reads groups as of the last offset that it committed. Both are
  asked until they agree.
- a member that changes its rack or its assignor makes new targets here, as KIP-848 has it; in Kafka they come with the next change
  of the group. It is not asked.
- the epoch before is forgotten by Kafka with the next heartbeat of a member that waits for partitions of others, so that a second
  lost answer fences it; here it stays good until the epoch changes again. It is asked once.
- a static member that joins again while it is still there, under its own member id, is taken in here; Kafka says
  UNRELEASED_INSTANCE_ID, as to another one. It is not asked, nor is OffsetFetch with an epoch and no member (Kafka: UNKNOWN_SERVER_ERROR).
- who gets which partitions, where an assignor has the choice: all ask for `range`, which has none.
- which of two errors is told, of a bad pattern and of an instance that somebody else has.
- targets after a leave are made at once here, in Kafka with the next heartbeat of somebody else, which follows. Where nobody is
  there to send one, the conversation ends.
- targets are made at once on both sides (group.consumer.assignment.interval.ms=0, and nothing in the background in Kafka).
"""
import time

import differential
import rawkafka as rk

SUITE = differential.suite("groupdiff848")
PATIENT = ["group.consumer.max.session.timeout.ms=600000", "group.consumer.session.timeout.ms=600000"]  # nobody is out by the clock
NOW = ["group.consumer.assignment.interval.ms=0", *PATIENT]
NOW_IN_KAFKA = [*NOW, "group.consumer.assignor.offload.enable=false"]
LEFT_OUT = ("ThrottleTimeMs", "ErrorMessage")
MEMBERS = 4
AT_A_TIME = 6
LOOKS = ("ConsumerGroupDescribe", "DescribeGroups", "OffsetFetch", "ListGroups")
BEHIND = 3  # seconds after which a look has seen what was answered before it
REST = 25  # seconds in which both must come to rest
MADE_ID = 22  # letters of a member id that the broker made
FENCED = (25, 82, 110)
PARTITIONS = {"a": 4, "b": 3, "c": 1}


class Slot:
    """A member of one side, or one that will be."""

    def __init__(self, name):
        self.name = self.id = name
        self.epoch, self.before, self.has, self.had, self.inside = 0, 0, {}, {}, False

    def heard(self, answer):
        if answer["ErrorCode"] in FENCED:
            self.epoch, self.has, self.inside = 0, {}, self.inside and answer["ErrorCode"] != 82
        if answer["ErrorCode"] != 0:
            return
        self.before = self.epoch if answer["MemberEpoch"] != self.epoch else 0
        self.epoch = max(0, answer["MemberEpoch"])
        self.inside = self.epoch > 0
        if self.epoch == 0:
            self.had, self.has = self.has, {}
        if answer["Assignment"] is not None:
            has = {t["TopicId"]: sorted(t["Partitions"]) for t in answer["Assignment"]["TopicPartitions"]}
            if has != self.has:
                self.had, self.has = self.has, has


class Side:
    """One broker and what it has said."""

    def __init__(self, address, stem, ids):
        self.c, self.stem, self.ids = rk.Connection(address, timeout=20), stem, ids
        names = {i: n for n, i in ids.items()}
        self.mask = differential.Mask(LEFT_OUT, {"MemberId": ("M", lambda v: len(v) == MADE_ID)}, {
            "TopicId": lambda i: names.get(i, i), "Partitions": self.in_order,
            "HeartbeatIntervalMs": lambda v: "some" if v in (500, 5000) else v})
        self.slots = [Slot(f"m{n}") for n in range(MEMBERS)]

    def in_order(self, partitions):
        return self.mask.of(partitions) if partitions and isinstance(partitions[0], dict) else sorted(partitions)

    def parts(self, owned):
        return [{"TopicId": t, "Partitions": p} for t, p in sorted(owned.items()) if p]

    def call(self, api, version, ask, client="diff"):
        return self.c.call(api, version, ask, client)


class Conversation(differential.Talk):
    def __init__(self, seed, sides, group, stem):
        super().__init__(seed, sides)
        self.group, self.stem = group, stem
        self.instances = [None, None, "i1", self.random.choice([None, "i1", "i2"])]
        self.racks = [self.random.choice([None, None, "r1", "r2"]) for _ in range(MEMBERS)]
        self.racks[3] = self.racks[2]  # they may take each other's place
        self.nobody_came = True
        self.patterns = 2 if self.random.random() < 0.3 else 0  # sentences with one: Kafka takes up to ten seconds for each

    def topics(self):
        return [self.stem + "-" + t for t in self.random.choice(
            [["a"], ["a"], ["a", "b"], ["b"], ["a", "b", "c"], ["c"], ["a", "missing"], ["missing"], []])]

    def pattern(self):
        return self.stem + "-" + self.random.choice(["[ab]", "a", ".*", "none", "[bc]$"])

    # Each of these is one sentence of a member: (api, version, ask of a side and slot, client id).

    def join(self, n):
        v = self.version("ConsumerGroupHeartbeat")
        ask = {"GroupId": self.group, "MemberEpoch": 0, "InstanceId": self.instances[n], "RebalanceTimeoutMs": 60000,
               "SubscribedTopicNames": self.topics(), "TopicPartitions": []}
        if v >= 1 and self.patterns > 0 and self.random.random() < 0.6:
            ask["SubscribedTopicRegex"] = self.pattern()
            if self.random.random() < 0.5:
                ask["SubscribedTopicNames"] = self.random.choice([None, []])
        ask.update(ServerAssignor="range", RackId=self.racks[n])
        if self.random.random() < 0.15:
            ask.update(self.random.choice([
                {"RebalanceTimeoutMs": -1}, {"SubscribedTopicNames": None}, {"TopicPartitions": None}, {"GroupId": ""},
                {"InstanceId": ""}, {"RackId": ""}, {"ServerAssignor": "nobody"}, {"ServerAssignor": ""}, {"MemberEpoch": -3},
                {"TopicPartitions": "one"}, {"RebalanceTimeoutMs": 0},
                {"SubscribedTopicNames": [""]}, {"SubscribedTopicNames": [self.stem + "-a"] * 2},
                *([{"SubscribedTopicRegex": ""}, *([] if self.instances[n] else [{"SubscribedTopicRegex": "("}])] if v >= 1 else [])]))
        return self.heartbeat(v, ask)

    def heartbeat(self, v, ask, epoch=lambda slot: None, owned=None):
        client = "other" if self.random.random() < 0.03 else "diff"
        foreign = self.random.random() < 0.03 and not ask.get("SubscribedTopicRegex") and not (ask.get("InstanceId") and ask.get("MemberEpoch") == 0)

        def of(side, slot):
            out = {"MemberId": "foreign" if foreign else slot.id, **ask}
            if epoch(slot) is not None:
                out["MemberEpoch"] = epoch(slot)
            if owned is not None:
                out["TopicPartitions"] = side.parts(owned(side, slot))
            if out.get("TopicPartitions") == "one":
                out["TopicPartitions"] = side.parts({side.ids[self.stem + "-a"]: [0]})
            return out
        return "ConsumerGroupHeartbeat", v, of, client

    def epoch(self):
        """Mostly the right one. That before only where it is the last but one answer's: Kafka forgets it sooner than we do."""
        which = self.random.choice(["now"] * 14 + ["before", "before", "plus", "minus", "far"])
        return {"now": lambda s: s.epoch or 1, "before": lambda s: s.before or 2**30, "plus": lambda s: s.epoch + 1,
                "minus": lambda s: max(1, s.epoch - 7), "far": lambda s: 2**31 - 1}[which]

    def owned(self):
        which = self.random.choice(["nothing said"] * 4 + ["has"] * 5 + ["none", "had", "half", "foreign", "beyond"])
        if which == "nothing said":
            return None
        return {"has": lambda side, s: s.has, "none": lambda side, s: {}, "had": lambda side, s: s.had,
                "half": lambda side, s: {t: p[::2] for t, p in s.has.items()},
                "foreign": lambda side, s: {"12" * 16: [0], **s.has},
                "beyond": lambda side, s: {t: [*p, 77] for t, p in s.has.items()}}[which]

    def beat(self, n):
        ask = {"GroupId": self.group, "InstanceId": self.instances[n] if self.random.random() < 0.9 else "i9"}
        if self.random.random() < 0.05:
            ask.update(self.random.choice([{"RackId": ""}, {"ServerAssignor": "nobody"}, {"InstanceId": ""}, {"GroupId": ""}, {"MemberEpoch": -3}]))
            return self.heartbeat(self.version("ConsumerGroupHeartbeat"), {"MemberEpoch": 1, **ask})
        return self.heartbeat(self.version("ConsumerGroupHeartbeat"), ask, self.epoch(), self.owned())

    def full(self, n):
        """All that a client says when it is not sure of what it was told."""
        ask = {"GroupId": self.group, "InstanceId": self.instances[n], "RebalanceTimeoutMs": 60000, "SubscribedTopicNames": self.topics()}
        return self.heartbeat(self.version("ConsumerGroupHeartbeat"), ask, self.epoch(), self.owned() or (lambda side, s: s.has))

    def change(self, n):
        v = self.version("ConsumerGroupHeartbeat")
        ask = {"GroupId": self.group, "InstanceId": self.instances[n]}
        what = self.random.choice(["names", "names", "names", "as before", "timeout", "pattern"])
        if what == "pattern" and v >= 1 and self.patterns > 0:
            ask["SubscribedTopicRegex"] = self.random.choice([self.pattern(), self.pattern(), "", "(", None])
        elif what == "as before":
            ask.update(ServerAssignor="range", RackId=self.racks[n])
        elif what == "timeout":
            ask["RebalanceTimeoutMs"] = self.random.choice([50000, 70000])
        else:
            ask["SubscribedTopicNames"] = self.topics()
        return self.heartbeat(v, ask, self.epoch(), self.owned())

    def leave(self, n):
        ask = {"GroupId": self.group, "MemberEpoch": self.random.choice([-1, -2]) if self.instances[n] else -1,
               "InstanceId": self.instances[n]}
        if self.random.random() < 0.1:
            ask["MemberEpoch"] = -2
        if self.random.random() < 0.1:
            ask["InstanceId"] = self.random.choice([None, "i9"])
        return self.heartbeat(self.version("ConsumerGroupHeartbeat"), ask)

    def commit(self, n):
        v = self.random.choice([9, 9, 9, 10, 10, self.random.randint(2, 10)])
        epoch = self.random.choice([None] * 4 + [-1]) or self.epoch()
        who = self.random.choice(["own"] * 8 + ["none", "foreign"])
        partitions = [{"PartitionIndex": self.random.randint(0, 4), "CommittedOffset": self.random.randint(0, 99),
                       "CommittedMetadata": "x" * self.random.choice([0, 3, 4096])} for _ in range(self.random.choice([1, 1, 2]))]
        if v >= 6:
            for p in partitions:
                p["CommittedLeaderEpoch"] = 0
        topic = self.stem + "-" + self.random.choice(["a", "a", "b"])

        def of(side, slot):
            out = {"GroupId": self.group, "GenerationIdOrMemberEpoch": epoch if epoch == -1 else epoch(slot),
                   "MemberId": {"own": slot.id, "none": "", "foreign": "foreign"}[who], "Topics": [
                       {**({"TopicId": side.ids[topic]} if v >= 10 else {"Name": topic}), "Partitions": partitions}]}
            if v >= 7:
                out["GroupInstanceId"] = self.instances[n]
            return out
        return "OffsetCommit", v, of, "diff"

    def fetch(self, n):
        v = self.random.choice([9, 9, 10, 10, self.random.randint(1, 10)])
        epoch = self.random.choice([-1, None, None]) or self.epoch()
        who = self.random.choice([None, "own", "own", "foreign"] if epoch == -1 else ["own", "own", "foreign"])
        topic, partitions, everything = self.stem + "-a", list(range(5)), v >= 2 and self.random.random() < 0.4
        group = self.group + self.random.choice(["", "", "", "", "-none"])

        def of(side, slot):
            name = {"TopicId": side.ids[topic]} if v >= 10 else {"Name": topic}
            topics = None if everything else [{**name, "PartitionIndexes": partitions}]
            if v < 8:
                return {"GroupId": group, "Topics": topics}
            one = {"GroupId": group, "Topics": topics}
            if v >= 9:
                one.update(MemberId=slot.id if who == "own" else who, MemberEpoch=epoch if epoch == -1 else epoch(slot))
            return {"Groups": [one]}
        return "OffsetFetch", v, of, "diff"

    # Sentences of others.

    def describe(self, _):
        groups = [self.group, self.group + "-none", *([""] if self.random.random() < 0.1 else [])]
        ask = {"GroupIds": groups, "IncludeAuthorizedOperations": self.random.random() < 0.2}
        return "ConsumerGroupDescribe", self.version("ConsumerGroupDescribe"), lambda side, slot: ask, "diff"

    def describe_classic(self, _):
        return "DescribeGroups", self.version("DescribeGroups"), lambda side, slot: {"Groups": [self.group]}, "diff"

    def list(self, _):
        v = self.version("ListGroups")
        ask = {}
        if v >= 4:
            ask["StatesFilter"] = self.random.choice([[], [], ["Stable"], ["Reconciling", "Assigning"], ["empty"]])
        if v >= 5:
            ask["TypesFilter"] = self.random.choice([[], [], ["consumer"], ["Classic"], ["nonsense"]])
        return "ListGroups", v, lambda side, slot: ask, "diff"

    def delete(self, _):
        return "DeleteGroups", self.version("DeleteGroups"), lambda side, slot: {"GroupsNames": [self.group, self.group + "-none"]}, "diff"

    def delete_offset(self, _):
        topic, partition = self.stem + "-" + self.random.choice("ab"), self.random.randint(0, 4)
        return "OffsetDelete", 0, lambda side, slot: {"GroupId": self.group, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition}]}]}, "diff"

    WEIGHTS = {"join": 5, "beat": 14, "full": 2, "change": 3, "leave": 2.5, "commit": 4, "fetch": 2, "describe": 4,
               "describe_classic": 0.3, "list": 1, "delete": 0.5, "delete_offset": 0.7}

    def nameless(self):
        """Before v1 a member may come without an id and gets one. Alone, since assignments go by the order of ids."""
        heard = []
        for side in self.sides:
            came = side.call("ConsumerGroupHeartbeat", 0, {"GroupId": self.group, "MemberId": "", "RebalanceTimeoutMs": 60000,
                                                           "SubscribedTopicNames": [self.stem + "-a"], "TopicPartitions": []})
            went = side.call("ConsumerGroupHeartbeat", 0, {"GroupId": self.group, "MemberId": came["MemberId"], "MemberEpoch": -1})
            heard.append([side.mask.of(came), side.mask.of(went)])
        self.said.append("a member without an id comes and goes")
        return heard

    def asked(self, n, api, version, ask, client):
        """What each side answered."""
        out = []
        for side in self.sides:
            slot = side.slots[n]
            answer = side.call(api, version, ask(side, slot), client)
            if api == "ConsumerGroupHeartbeat" and ask(side, slot)["MemberId"] == slot.id:
                slot.heard(answer)
            if api == "ListGroups":
                answer["Groups"] = [g for g in answer["Groups"] if g["GroupId"].startswith(self.group)]
            out.append([side.mask.of(answer)])
        return out

    def say(self):
        """One sentence to both: what it was (api and request), and what each side answered."""
        n = self.random.randrange(MEMBERS)
        kind = self.kind(self.WEIGHTS)
        if self.sides[0].slots[n].epoch == 0 and kind in ("beat", "full", "change") and self.random.random() < 0.7:
            kind = "join"
        if kind == "join" and self.instances[n] and any(side.slots[n].inside for side in self.sides):
            kind = "beat"
        sentence = getattr(self, kind)(n)
        api, version, ask, _ = sentence
        told = ask(self.sides[0], self.sides[0].slots[n])
        self.said.append(f"{n} {kind} {api} v{version} " + repr({k: v for k, v in told.items() if k != "GroupId"})[:300])
        heard = self.asked(n, *sentence)
        behind = time.monotonic() + BEHIND
        while api in LOOKS and heard[0] != heard[1] and time.monotonic() < behind:
            heard = self.asked(n, *sentence)
        self.nobody_came &= kind != "join"
        if api == "ConsumerGroupHeartbeat" and told["MemberEpoch"] == -1 and heard[0][0]["ErrorCode"] == 0 and heard[0] == heard[1]:
            heard = self.noticed()
        return told, heard

    def noticed(self):
        """Somebody has left: here those who stay have new targets at once, in Kafka with the next heartbeat of one of them."""
        for n, slot in enumerate(self.sides[0].slots):
            if all(side.slots[n].epoch > 0 for side in self.sides):
                heard = self.asked(n, *self.heartbeat(1, {"GroupId": self.group, "InstanceId": self.instances[n]}, lambda s: s.epoch))
                if heard[0] != heard[1] or heard[0][0]["ErrorCode"] == 0:
                    return heard
        raise EndsHere  # those who stay are away

    def step(self):
        if self.nobody_came and self.random.random() < 0.1:
            return self.nameless()
        told, heard = self.say()
        if not told.get("SubscribedTopicRegex") or heard[0] != heard[1]:
            return heard
        self.patterns -= 1
        return self.rest()

    def rest(self):
        """All members keep to the protocol until both sides say the same of the group, at rest."""
        self.said.append("all keep to the protocol until the group rests")
        ask = {"GroupIds": [self.group]}
        until = time.monotonic() + REST
        while True:
            for side in self.sides:
                for n, slot in enumerate(side.slots):
                    if slot.epoch > 0:
                        slot.heard(side.call("ConsumerGroupHeartbeat", 1, {
                            "GroupId": self.group, "MemberId": slot.id, "MemberEpoch": slot.epoch, "InstanceId": self.instances[n],
                            "TopicPartitions": side.parts(slot.has)}))
            heard = self.asked(0, "ConsumerGroupDescribe", 1, lambda side, slot: ask, "diff")
            if heard[0] == heard[1] and heard[0][0]["Groups"][0]["GroupState"] in ("Stable", "Empty", "Dead"):
                for slot in [s for side in self.sides for s in side.slots]:
                    slot.before = 0  # how many steps it took is each side's own
                return heard
            if time.monotonic() > until:
                return heard
            time.sleep(0.05)

    def run(self, steps):
        """None, or what differed."""
        for _ in range(steps):
            try:
                ours, theirs = self.step()
            except EndsHere:
                return None
            if ours != theirs:
                return self.told(ours, theirs)
        return None


class EndsHere(Exception):
    """From here on the two are different groups, and both are right."""


def converse(addresses, seeds, steps, stem):
    """Holds a conversation per seed, some at a time; fails with the first difference. The count of sentences."""
    ids = []
    for address in addresses:
        with rk.Connection(address) as c:
            for t, n in PARTITIONS.items():
                c.create_topic(f"{stem}-{t}", n)
            names = [f"{stem}-{t}" for t in PARTITIONS]
            ids.append({t["Name"]: t["TopicId"] for t in c.metadata(names, version=12)["Topics"]})

    def one(seed):
        group = f"{stem}-{seed}"
        for address in addresses:
            differential.coordinated(address, group)
        sides = [Side(address, stem, of) for address, of in zip(addresses, ids)]
        try:
            talk = Conversation(seed, sides, group, stem)
            return talk, talk.run(steps)
        finally:
            for side in sides:
                side.c.close()
    return differential.converse(one, seeds, AT_A_TIME)


SUITE.settings = NOW


@SUITE.scenario("generated-conversations", only="millrace")
def generated(ctx):
    """The same seeds each time; by hand --seed N --rounds M takes M others from N on."""
    first, rounds = ctx.options.seed, ctx.options.rounds or 30
    with differential.reference(NOW_IN_KAFKA) as kafka:
        count = converse([ctx.broker.address, kafka.address], range(first, first + rounds), 60, ctx.name("diff"))
        print(f"     {rounds} conversations, {count} sentences: the same answers")
