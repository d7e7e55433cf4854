"""The same conversations about topics, records and settings with Apache Kafka and with us, answer by answer.

A conversation is drawn by a seed (admin_sentences.py): topics are made, grown, written, trimmed, changed and deleted, looked at
in every way there is, at any version that both have, with odd names, numbers and batches among the good ones. Both brokers hear
the same in the same order, start with the same settings and are compared field by field; after each change also by what there is
then: topics, partitions, settings, offsets.

What is not compared, or another way:
- texts (errors, documentation), throttle times, addresses, the cluster's id, the paths and sizes of volumes;
- topic ids: written as T1, T2... in order of appearance. Times of the broker's own clock: one is as good as another;
- the order in lists, but for DescribeTopicPartitions; the topics of other conversations, where all are asked for;
- settings that Apache Kafka has from 4.4 on (UNKNOWN_THERE), and the default at the end of a chain of synonyms: three of ours
  differ on purpose, and a broker option without effect is not there (docs/differences.md);
- min.insync.replicas: Apache Kafka has it set for all brokers from the start, so we set it too.
What is not asked, since both are right or the difference is named elsewhere:
- what docs/admin.md, docs/records.md and docs/differences.md list: impossible names in DescribeTopicPartitions, partitions and
  settings of __consumer_offsets, two of the same resource in AlterConfigs, operations that do not exist, transactions, null or odd
  batches, Java's own ways of writing a double;
- what breaks a partition of Apache Kafka: an index that has room for one entry; records of a time before 1970;
- two errors in one produce request, one of the request as a whole and one of a batch: which of them is told;
- a topic named both by its name and by its id in two places of one DeleteTopics, the zero id in Produce and Fetch;
- a kind of resource that does not exist beside others in DescribeConfigs, a topic with neither name nor id in Metadata: Apache
  Kafka refuses the whole request, we that one entry; bytes that are not even framed as a batch: it says CORRUPT_MESSAGE to all
  partitions of the request.
"""
import copy
import json
import random
import time

import differential
import rawkafka as rk
from admin_sentences import CHANGE, READ, SILENT, Sentences
from harness import Millrace, wait_until

SUITE = differential.suite("admindiff")
SETTINGS = ["auto.create.topics.enable=false", "offsets.topic.num.partitions=50", "log.segment.bytes=67108864",
            "log.flush.interval.messages=1", "log.retention.check.interval.ms=86400000"]  # retention has its own moments
LEFT_OUT = ("ThrottleTimeMs", "ErrorMessage", "BatchIndexErrorMessage", "Documentation", "Host", "Port", "ClusterId", "LogDir", "TotalBytes", "UsableBytes")
UNKNOWN_THERE = ("errors.deadletterqueue.group.enable", "remote.copy.lag.ms", "remote.copy.lag.bytes")
DEFAULT = 5
AT_A_TIME = 4
SENTENCES = 60
PATIENCE = 5  # seconds in which both must have the same state after a change
PREFIX = "diff"


class Side:
    """One broker and what it has said."""

    def __init__(self, address, stem, start):
        self.address, self.stem, self.start = address, stem, start
        made = {"TopicId": ("T", lambda v: v != rk.ZERO_UUID)}
        moment = dict.fromkeys(("LogAppendTimeMs", "Timestamp", "LastTimestamp"), self.when)
        self.mask = differential.Mask(LEFT_OUT, made, {
            **moment, "SessionId": lambda v: v != 0, "Records": self.batches})
        self.c, self.ids, self.tick = rk.Connection(address), {}, 0

    def when(self, moment):
        """Times that the broker took from its own clock are all the same; those of the conversation are a day old, or to come."""
        return "now" if abs(moment - self.start) < 3_600_000 else moment

    def batches(self, data):
        if data is None:
            return None
        out = []
        for b in rk.batches_of(data):
            known = {k: v for k, v in b.items() if k != "raw"}
            if b["codec"] in ("none", "gzip"):
                known["records"] = [{**r, "timestamp": self.when(r["timestamp"])} for r in rk.records_of(b)]
            out.append({**known, "timestamp": self.when(b["timestamp"]), "max_timestamp": self.when(b["max_timestamp"])})
        return out

    def raw(self, api, version, value, silent=False):
        """The answer as it came; what happened instead of one otherwise."""
        try:
            if not silent:
                return self.c.call(api, version, value, "diff")
            self.c.send(api, version, value, "diff")
            self.c.call("ApiVersions", 0, {})
            return "stays open"
        except (rk.Closed, TimeoutError) as e:
            self.c.close()
            self.c = rk.Connection(self.address)
            return "no answer" if isinstance(e, TimeoutError) else "closed"

    def call(self, api, version, value, silent=False):
        return self.masked(api, self.raw(api, version, value, silent))

    def masked(self, api, answer):
        if not isinstance(answer, dict):
            return answer
        answer = self.own(answer)
        if api == "DescribeTopicPartitions":  # the only lists whose order says something
            answer = {**answer, "Order": repr([(t["Name"], [p["PartitionIndex"] for p in t["Partitions"]]) for t in answer["Topics"]])}
        return self.mask.of(answer)

    def own(self, answer):
        """Without the topics of other conversations, where all were asked for."""
        def stranger(one):
            if one.get("Name") in UNKNOWN_THERE or one.get("Source") == DEFAULT:
                return True
            names = [one[k] for k in ("Name", "Topic", "ResourceName") if isinstance(one.get(k), str)]
            return any(n.startswith(PREFIX + "-") and not n.startswith(self.stem) for n in names)
        return {k: ([self.own(one) if isinstance(one, dict) else one for one in v if not (isinstance(one, dict) and stranger(one))]
                    if isinstance(v, list) else v) for k, v in answer.items()}

    def settle(self):
        """Whatever was answered before is applied when this returns: Apache Kafka applies changes in order, each as a whole, so that
        all before the last but one are done when the last is seen."""
        name = self.stem + "-settled"
        for _ in range(2):
            self.tick += 1
            value = str(1_000_000 + self.tick)
            answer = self.c.call("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 2, "ResourceName": name, "Configs": [
                {"Name": "retention.ms", "ConfigOperation": 0, "Value": value}]}]})
            assert answer["Responses"][0]["ErrorCode"] == 0, answer

            def seen(value=value):
                got = self.c.call("DescribeConfigs", 4, {"Resources": [
                    {"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": ["retention.ms"]}]})
                return [c["Value"] for c in got["Results"][0]["Configs"]] == [value]
            wait_until(seen, 20, "a change that is seen at " + self.address)

    def state(self, names):
        """Topics with their partitions, settings and offsets."""
        asked = [{"Name": n} for n in names]
        topics = self.c.call("Metadata", 12, {"Topics": asked, "AllowAutoTopicCreation": False})
        there = [t for t in topics["Topics"] if t["ErrorCode"] == 0]
        for t in there:
            known = self.ids.setdefault(t["Name"], [])
            if t["TopicId"] not in known:
                known.append(t["TopicId"])
        settings = self.c.call("DescribeConfigs", 4, {"Resources": [
            {"ResourceType": 2, "ResourceName": t["Name"], "ConfigurationKeys": None} for t in there]})
        offsets = [self.c.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": t["Name"], "Partitions": [
            {"PartitionIndex": p["PartitionIndex"], "Timestamp": time} for p in t["Partitions"]]} for t in there]}) for time in (-2, -1)]
        return [self.masked("", topics), self.masked("", settings), *(self.masked("", o) for o in offsets)]


class Conversation(differential.Talk, Sentences):
    def __init__(self, seed, sides, stem, start, versions, node, lie=None):
        super().__init__(seed, sides)
        self.stem, self.versions, self.node, self.lie = stem, versions, node, lie
        self.base, self.future = start - 86_400_000, start + 3 * 3_600_000
        self.producer, self.sequence, self.creates = 1000 + seed, 0, False

    def version(self, api, low=0):
        first, last = self.versions[api]
        return self.random.choice([last, last, self.random.randint(max(first, low), last)])

    def heard(self, api, version, ask, silent):
        answers = [side.raw(api, version, ask(side), silent) for side in self.sides]
        if self.lie and self.lie.applies(len(self.said)):
            answers[1] = self.lie.told(answers[1], len(self.said), self.sides[1].mask.written)
        return [side.masked(api, a) for side, a in zip(self.sides, answers)]

    def same_state(self):
        """None, or what there is on one side only."""
        def look():
            ours, theirs = (side.state(self.own_names()) for side in self.sides)
            return None if ours == theirs else (ours, theirs)
        return self.agreed(look)

    @staticmethod
    def agreed(look):
        until = time.monotonic() + PATIENCE
        while (found := look()) and time.monotonic() < until:
            time.sleep(0.02)
        return found

    def step(self):
        """Says one sentence to both; None, or what differed."""
        api, ask, how, *low = getattr(self, self.kind(self.WEIGHTS))()
        version = self.version(api, *low)
        self.said.append(f"{api} v{version} {json.dumps(ask(self.sides[0]), default=lambda b: b.hex()[:300])}")

        def look():
            ours, theirs = self.heard(api, version, ask, how == SILENT)
            return None if ours == theirs else (ours, theirs)
        found = self.agreed(look) if how == READ else look()
        if found or how == READ:
            return found and self.told(*map(flat, found))
        if how == CHANGE:
            for side in self.sides:
                side.settle()
        found = self.same_state()
        return found and "what there is then:\n" + self.told(*map(flat, found))

    def run(self, steps):
        for name in self.own_names()[:2]:
            for side in self.sides:
                side.c.create_topic(name, 2)
        for _ in range(steps):
            if found := self.step():
                return found
        return None


def flat(answer, path=""):
    """["path: leaf"], so that of two long answers only what differs is shown."""
    if isinstance(answer, dict):
        return [line for k, v in answer.items() for line in flat(v, f"{path}.{k}")]
    if isinstance(answer, list):
        heads = [next((str(v) for k, v in one.items() if k in ("Name", "ResourceName", "Topic")), str(i)) if isinstance(one, dict) else str(i)
                 for i, one in enumerate(answer)]
        return [f"{path}#{len(answer)}", *(line for h, v in zip(heads, answer) for line in flat(v, f"{path}[{h}]"))]
    return [f"{path}: {answer!r}"]


def converse(addresses, seeds, steps, name, lie=None):
    start = rk.now_ms()
    with rk.Connection(addresses[0]) as a, rk.Connection(addresses[1]) as b:
        ours, theirs = ({k["ApiKey"]: (k["MinVersion"], k["MaxVersion"]) for k in c.call("ApiVersions", 0)["ApiKeys"]} for c in (a, b))
        node = a.call("DescribeCluster", 0)["Brokers"][0]["BrokerId"]
    versions = {}
    for api, known in rk.APIS.items():
        ranges = [r[known["key"]] for r in (ours, theirs) if known["key"] in r] + [rk.api_range(api)]
        versions[api] = max(r[0] for r in ranges), min(r[1] for r in ranges)
    for address in addresses:
        differential.coordinated(address, "anyone")
        with rk.Connection(address) as c:  # Apache Kafka has this set from the start
            c.call("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 4, "ResourceName": "", "Configs": [
                {"Name": "min.insync.replicas", "ConfigOperation": 0, "Value": "1"}]}]})

    def one(seed):
        stem = f"{name}-{seed}x"
        sides = [Side(a, stem, start) for a in addresses]
        try:
            for side in sides:
                side.c.create_topic(stem + "-settled")
            talk = Conversation(seed, sides, stem, start, versions, node, lie)
            return talk, talk.run(steps)
        finally:
            for side in sides:
                side.c.close()
    return differential.converse(one, seeds, AT_A_TIME)


class Lie:
    """One leaf of one answer that is another, from sentence `at` on until there is something to lie about."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.at, self.told_at = self.random.randint(5, SENTENCES // 2), None

    def applies(self, n):
        return n == self.told_at or self.told_at is None and n >= self.at

    def told(self, answer, n, written):
        answer, leaves = copy.deepcopy(answer), []

        def look(value):
            for k, v in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(v, (dict, list)):
                    look(v)
                elif k not in LEFT_OUT and k not in written and isinstance(v, (bool, int, str)):
                    leaves.append((value, k))
        if isinstance(answer, dict):
            look(answer)
        if leaves:
            holder, key = self.random.choice(leaves) if self.told_at is None else leaves[self.which]
            self.which, self.told_at = next(i for i, (h, k) in enumerate(leaves) if h is holder and k == key), n
            v = holder[key]
            holder[key] = not v if isinstance(v, bool) else v + 1 if isinstance(v, int) else v + "x"
        return answer


@SUITE.scenario("generated-conversations", only="millrace")
def generated(ctx):
    """The same seeds each time; by hand --seed N --rounds M takes M others from N on."""
    first, rounds = ctx.options.seed, ctx.options.rounds or 16
    ours = started(ctx)
    try:
        with differential.reference(SETTINGS) as kafka:
            count = converse([ours.address, kafka.address], range(first, first + rounds), SENTENCES, ctx.name(PREFIX))
            print(f"     {rounds} conversations, {count} sentences: the same answers")
    finally:
        ours.close()


@SUITE.scenario("a-wrong-answer-is-heard", only="millrace")
def lies(ctx):
    """Two brokers of ours, of which one changes a single number, name or flag of what it says: no such lie gets through."""
    one, other = started(ctx), started(ctx)
    try:
        addresses = [one.address, other.address]
        converse(addresses, [100], SENTENCES, ctx.name(PREFIX))
        for seed in range(101, 109):
            lie, heard = Lie(seed), ""
            try:
                converse(addresses, [seed], SENTENCES, ctx.name(PREFIX), lie)
            except AssertionError as e:
                heard = str(e)
            assert lie.told_at is not None, f"seed {seed}: nothing to lie about"
            assert "answers differ" in heard, f"seed {seed}: a lie at sentence {lie.told_at} was not heard"
    finally:
        one.close()
        other.close()


def started(ctx):
    return Millrace(ctx.broker.binary, args=[word for s in SETTINGS for word in ("--set", s)]).start()
