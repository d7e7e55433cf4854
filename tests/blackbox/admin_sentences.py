"""What suite_admindiff says: sentences about topics, records and settings, sensible ones and others, drawn by chance.

A sentence is (api, version, ask, kind): `ask(side)` is the request's value for that side, and the kind says how the answers
are taken. READ: again until both agree, for a while. CHANGE: once, and both brokers get time to apply it. WRITE: once.
SILENT: there is no answer, only a connection that stays or does not. A number behind it is the lowest version.
"""
import hashlib

import rawkafka as rk

READ, CHANGE, WRITE, SILENT = "read", "change", "write", "silent"
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)

NUMBERS = ["0", "1", "-1", "-2", "5", " 7 ", "+5", "05", "5L", "0x10", "1e3", "1.0", "", " ", "x", "2147483647", "2147483648",
           "-2147483649", "9223372036854775807", "9223372036854775808", None]
SWITCHES = ["true", "false", "TRUE", " false ", "yes", "1", "", None]
# Names and some values of them each; the first ones are good.
TOPIC_CONFIGS = {
    "cleanup.policy": ["delete", "compact", "compact,delete", "delete , compact", "", "none", "DELETE", "delete,delete", ",", None],
    "compression.type": ["producer", "gzip", "lz4", "zstd", "snappy", "uncompressed", "none", "GZIP", "", None],
    "compression.gzip.level": ["-1", "1", "9", "0", "10", "x"],
    "compression.lz4.level": ["1", "17", "9", "0", "18", "-1"],
    "compression.zstd.level": ["3", "22", "-131072", "23", "-131073"],
    "delete.retention.ms": ["86400000", *NUMBERS],
    "file.delete.delay.ms": ["60000", *NUMBERS],
    "flush.messages": ["1", "10", *NUMBERS],
    "flush.ms": ["1000", *NUMBERS],
    "index.interval.bytes": ["4096", *NUMBERS],
    "leader.replication.throttled.replicas": ["", "*", "0:1", "0:1,1:1", "zz", "0:1:2", "0:", ":1", None],
    "follower.replication.throttled.replicas": ["*", "0:1", "zz", "*,0:1"],
    "max.compaction.lag.ms": ["9223372036854775807", "1", "100", *NUMBERS],
    "max.message.bytes": ["1048588", "300", "100", *NUMBERS],
    "message.timestamp.after.max.ms": ["3600000", "9223372036854775807", *NUMBERS],
    "message.timestamp.before.max.ms": ["9223372036854775807", "1000", *NUMBERS],
    "message.timestamp.type": ["CreateTime", "LogAppendTime", "createtime", "", None],
    "min.cleanable.dirty.ratio": ["0.5", "0", "1", "1.5", "-0.1", ".5", "5e-1", "x", "", "1.", "Infinity"],
    "min.compaction.lag.ms": ["0", "100", *NUMBERS],
    "min.insync.replicas": ["1", "2", *NUMBERS],
    "preallocate": SWITCHES,
    "retention.bytes": ["-1", "100000000", *NUMBERS],
    "retention.ms": ["604800000", "-1", *NUMBERS],
    "segment.bytes": ["1048576", "67108864", "1048575", *NUMBERS],
    "segment.index.bytes": ["10485760", "1048576", "3", "-1", "x", "", None],
    "segment.jitter.ms": ["0", *NUMBERS],
    "segment.ms": ["604800000", *NUMBERS],
    "unclean.leader.election.enable": SWITCHES,
    "remote.storage.enable": ["false", "true", "x"],
    "local.retention.ms": ["-2", "1000", "-3", "x"],
    "local.retention.bytes": ["-2", "1000", "-3"],
    "no.such.config": ["1", "", None],
    "message.format.version": ["2.8"],
    "": ["1"],
}
LISTS = ("cleanup.policy", "leader.replication.throttled.replicas", "follower.replication.throttled.replicas")


class Sentences:
    """Needs self.random, self.stem (what the names of this conversation's topics begin with), self.base (a time in ms)."""

    def chance(self, p):
        return self.random.random() < p

    def own_names(self):
        """Names that a topic can have here, of which two cannot be at the same time."""
        return [self.stem + end for end in ("-a", "-b", "-c", ".d", "_d")]

    def topic(self):
        return self.random.choice(self.own_names()[:3] * 3 + self.own_names()[3:])

    def odd(self, likely=0.12):
        """A topic's name, at times one that none can have or none has."""
        if not self.chance(likely):
            return self.topic()
        long = self.stem + "-" + "n" * 250
        return self.random.choice([self.stem + "/x", self.stem + " x", self.stem + "\0", self.stem + "\u00fc", "..", ".", "", long[:249],
                                   long[:250], self.stem + "-none", self.stem + ":x", "\0", "a/../b"])

    def visible(self, likely=0.12):
        """The same for those who only look: internal topics too."""
        return self.random.choice(["__consumer_offsets", "__cluster_metadata"]) if self.chance(likely / 3) else self.odd(likely)

    def partition(self):
        return self.random.choice([0, 0, 0, 0, 1, 1, 2, 3, 9, -1, 2147483647])

    def some(self, draw, most=3):
        return [draw() for _ in range(self.random.choice([1, 1, 1, *range(1, most + 1), 0 if self.chance(0.2) else 1]))]

    def unlike(self, draw, most=3):
        """The same without one that stands there twice."""
        return list(dict.fromkeys(self.some(draw, most)))

    def config(self, names=TOPIC_CONFIGS):
        name = self.random.choice(list(names))
        return name, self.random.choice(names[name][:2] if self.chance(0.5) else names[name])

    def id_of(self, name, wrong=0.1, shapes=("foreign", "zero", "old")):
        """side -> the topic's id there; of one that is gone at times, or of none."""
        nobodys = hashlib.md5(name.encode()).hexdigest()
        shape = self.random.choice(shapes) if self.chance(wrong) else "now"

        def ask(side):
            if shape == "foreign":
                return nobodys
            if shape == "zero":
                return rk.ZERO_UUID
            known = side.ids.get(name, [])
            return (known[0] if shape == "old" else known[-1]) if known else nobodys
        return ask

    # ---- topics

    def new_topic(self):
        node, roll = self.node, self.random.random()
        t = {"Name": self.odd(), "NumPartitions": self.random.choice([1, 2, 3, 3, -1]), "ReplicationFactor": self.random.choice([1, 1, -1]),
             "Assignments": [], "Configs": [dict(zip(("Name", "Value"), self.config())) for _ in range(self.random.choice([0, 0, 1, 2, 3]))]}
        if roll < 0.08:
            t["NumPartitions"] = self.random.choice([0, -2, -2147483648])
        elif roll < 0.16:
            t["ReplicationFactor"] = self.random.choice([0, 2, -2, 32767, -32768])
        elif roll < 0.3:
            lists = self.random.choice([[(0, [node])], [(0, [node]), (1, [node])], [(1, [node]), (0, [node])], [(1, [node])],
                                        [(0, [node]), (0, [node])], [(0, [])], [(0, [node, node])], [(0, [node + 7])],
                                        [(0, [node]), (1, [node, node + 1])], [(-1, [node])], [(0, [-1])]])
            t["Assignments"] = [{"PartitionIndex": p, "BrokerIds": brokers} for p, brokers in lists]
            if self.chance(0.8):
                t["NumPartitions"] = t["ReplicationFactor"] = -1
        return t

    def create_topics(self):
        topics = self.some(self.new_topic, 2)
        if len({t["Name"].replace(".", "_") for t in topics}) < len({t["Name"] for t in topics}):
            topics = topics[:1]  # Apache Kafka compares a name only with those of topics that are there
        if self.chance(0.06) and topics:
            topics.append({**topics[0], "NumPartitions": 1})
        check = self.chance(0.2)
        return "CreateTopics", lambda side: {"Topics": topics, "timeoutMs": 20000, "validateOnly": check}, CHANGE

    def delete_topics(self):
        named = self.some(self.odd, 2)
        twice = len(set(named)) < len(named)  # then in the same way: by name
        by_id = [(not twice and self.chance(0.4), self.chance(0.08)) for _ in named]
        ids = [self.id_of(name) for name in named]

        def ask(side):
            states = [{"Name": None if is_id else name, "TopicId": i(side) if is_id or both else rk.ZERO_UUID}
                      for name, (is_id, both), i in zip(named, by_id, ids)]
            return {"TopicNames": named, "Topics": states, "TimeoutMs": 20000}
        return "DeleteTopics", ask, CHANGE

    def create_partitions(self):
        node = self.node

        def one():
            count = self.random.choice([1, 2, 3, 4, 4, 5, 6, 0, -1, -2147483648])
            by_hand = self.random.choice([[[node]], [[node], [node]], [[]], [[node, node]], [[node + 7]], [[-1]], [], [[node, node + 1]]])
            return {"Name": self.odd(), "Count": count, "Assignments": None if self.chance(0.7) else [{"BrokerIds": b} for b in by_hand]}
        topics, check = self.some(one, 2), self.chance(0.3)
        return "CreatePartitions", lambda side: {"Topics": topics, "TimeoutMs": 20000, "ValidateOnly": check}, CHANGE

    # ---- settings

    def resource(self, look=False):
        roll = self.random.random()
        if roll < 0.9:
            return TOPIC, "__cluster_metadata" if look and self.chance(0.04) else self.odd()
        return self.random.choice([(BROKER, "77"), (BROKER, "abc"), (0, "x"), (1, "x"), (3, "x"), (64, "x"), (-1, "x"), (LOGGER, "77")])

    def incremental(self):
        def one():
            kind, name = self.resource()
            changes = []
            for _ in range(self.random.choice([1, 1, 1, 2, 3, 0])):
                key, value = self.config({k: TOPIC_CONFIGS[k] for k in LISTS}) if self.chance(0.25) else self.config()
                operation = self.random.choice([SET, SET, SET, DELETE, APPEND, SUBTRACT])
                changes.append({"Name": key, "ConfigOperation": operation, "Value": value})
            return {"ResourceType": kind, "ResourceName": name, "Configs": changes}
        resources, check = self.some(one, 2), self.chance(0.2)
        return "IncrementalAlterConfigs", lambda side: {"Resources": resources, "ValidateOnly": check}, CHANGE

    def replace(self):
        resources = [{"ResourceType": kind, "ResourceName": name, "Configs": [
            dict(zip(("Name", "Value"), self.config())) for _ in range(self.random.choice([0, 1, 1, 2, 3]))]}
            for kind, name in self.unlike(self.resource, 2)]
        check = self.chance(0.2)
        return "AlterConfigs", lambda side: {"Resources": resources, "ValidateOnly": check}, CHANGE

    def describe_configs(self):
        resources = []
        named = self.some(lambda: self.resource(True), 2)
        if any(kind not in (TOPIC, BROKER, LOGGER) for kind, _ in named):
            named = named[:1]  # Apache Kafka refuses all of a request that names a kind which is none
        for kind, name in named:
            keys = None if self.chance(0.4) else self.random.sample(list(TOPIC_CONFIGS), self.random.choice([0, 1, 2, 5]))
            resources.append({"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys})
        more = {"IncludeSynonyms": self.chance(0.7), "IncludeDocumentation": self.chance(0.2)}
        return "DescribeConfigs", lambda side: {"Resources": resources, **more}, READ

    def list_resources(self):
        types = self.random.choice([[], [TOPIC], [BROKER], [LOGGER, BROKER], [GROUP, METRICS], [TOPIC, TOPIC], [0], [1], [3], [64], [-1],
                                    [TOPIC, 3]])
        return "ListConfigResources", lambda side: {"ResourceTypes": types}, READ

    # ---- looking

    def metadata(self):
        names, roll = self.some(self.visible), self.random.random()
        ids = [(self.id_of(n, 0.3, ("foreign", "old")), self.chance(0.1)) for n in names]
        by_id = roll < 0.3

        def ask(side):
            topics = [{"Name": n if named or not by_id else None, "TopicId": i(side) if by_id else rk.ZERO_UUID} for n, (i, named) in zip(names, ids)]
            return {"Topics": None if roll > 0.93 else topics, "AllowAutoTopicCreation": self.creates,
                    "IncludeClusterAuthorizedOperations": roll < 0.5, "IncludeTopicAuthorizedOperations": roll < 0.6}
        return "Metadata", ask, READ, 10 if by_id else 1

    def describe_topics(self):
        # An impossible name is a difference that docs/admin.md names.
        names = [n for n in self.some(self.visible, 4) if self.possible(n)]
        cursor = None if self.chance(0.6) else {"TopicName": self.random.choice([*names, self.topic(), self.stem]),
                                                "PartitionIndex": self.random.choice([0, 1, 2, 3, 9, -1])}
        limit = self.random.choice([2000, 2000, 1, 2, 3, 4, 0, -1, 2147483647])
        return "DescribeTopicPartitions", lambda side: {"Topics": [{"Name": n} for n in names or [self.topic_zero()]],
                                                        "ResponsePartitionLimit": limit, "Cursor": cursor}, READ

    def topic_zero(self):
        return self.own_names()[0]

    def possible(self, name):
        return 0 < len(name) < 250 and name not in (".", "..") and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)

    def log_dirs(self):
        topics = [{"Topic": n, "Partitions": self.some(self.partition)} for n in self.some(self.visible)]
        return "DescribeLogDirs", lambda side: {"Topics": None if not topics else topics}, READ

    def cluster(self):
        value = {"IncludeClusterAuthorizedOperations": self.chance(0.5), "EndpointType": self.random.choice([1, 1, 1, 0, 3, -1]),
                 "IncludeFencedBrokers": self.chance(0.5)}
        return "DescribeCluster", lambda side: value, READ

    def producers(self):
        topics = [{"Name": n, "PartitionIndexes": self.some(self.partition)} for n in self.some(self.visible, 2)]
        return "DescribeProducers", lambda side: {"Topics": topics}, READ

    def elect(self):
        topics = [{"Topic": n, "Partitions": self.some(self.partition)} for n in self.unlike(self.visible, 2)]
        kind = self.random.choice([0, 0, 1, 2, -1])
        return "ElectLeaders", lambda side: {"ElectionType": kind, "TopicPartitions": topics or None, "TimeoutMs": 20000}, READ

    def reassign(self):
        node = self.node
        lists = [[node], None, [], [node + 7], [node, node], [-1]]
        topics = [{"Name": n, "Partitions": [{"PartitionIndex": p, "Replicas": self.random.choice(lists)}
                                             for p in self.unlike(self.partition)]} for n in self.unlike(self.visible, 2)]
        value = {"TimeoutMs": 20000, "AllowReplicationFactorChange": not topics or self.chance(0.7), "Topics": topics}
        return "AlterPartitionReassignments", lambda side: value, READ

    def reassignments(self):
        topics = None if self.chance(0.3) else [{"Name": n, "PartitionIndexes": self.some(self.partition)} for n in self.some(self.visible)]
        return "ListPartitionReassignments", lambda side: {"TimeoutMs": 20000, "Topics": topics}, READ

    # ---- records

    def epoch(self, likely=0.25):
        return self.random.choice([0, 0, 1, -1, -2, 7]) if self.chance(likely) else -1

    def timestamp(self):
        return self.base + self.random.randint(0, 40) * 7

    def good_batch(self, **more):
        keys = None if self.chance(0.3) else [b"k%d" % self.random.randint(0, 3) for _ in range(self.random.choice([1, 2, 5]))]
        values = [b"v" * self.random.choice([0, 1, 10, 100]) for _ in keys or range(self.random.choice([1, 2, 5]))]
        known = {"codec": self.random.choice([0, 0, 1]), "timestamp": self.timestamp(), "keys": keys}
        if self.chance(0.3):
            epoch = self.random.choice([0, 0, 0, 1])
            start = self.random.choice([self.sequence, self.sequence, 0, (self.sequence + 3) % (1 << 31), 2147483647])
            known["producer"] = (self.producer, epoch, start)
            self.sequence = (start + len(values)) % (1 << 31)
        return rk.batch(values, **{**known, **more})

    def bad_batch(self):
        whole = self.good_batch(codec=0)
        return self.random.choice([
            lambda: self.good_batch(crc=1), lambda: self.good_batch(magic=1),
            lambda: self.good_batch(count=-1), lambda: self.good_batch(count=0),
            lambda: self.good_batch(last_offset_delta=9), lambda: self.good_batch(base_offset=3), lambda: self.good_batch(attributes=32),
            lambda: self.good_batch(timestamp=self.future),
            lambda: self.good_batch(timestamp=-1), lambda: self.good_batch(timestamp=1),
            lambda: self.good_batch(producer=(9, 0, -1)),
            lambda: self.good_batch(max_timestamp=5),
            lambda: whole[:-3], lambda: whole[:40], lambda: whole[:11], lambda: b"", lambda: whole + whole,
            lambda: self.good_batch(leader_epoch=7)])()

    def produce(self):
        # A partition stands there once: what happens to the second is not said anywhere. Nor is which of two things is told
        # when the whole request is wrong and a batch too.
        topics, acks = [], self.random.choice([-1, -1, -1, 1, 1, 0, 2, -2])
        bad = 0.25 if abs(acks) < 2 else 0
        for name in self.unlike(lambda: self.visible(0.06), 2):
            partitions = [{"Index": p, "Records": self.bad_batch() if self.chance(bad) else self.good_batch()}
                          for p in self.unlike(lambda: self.random.choice([0, 0, 0, 1, 1, 2, 9]), 2)]
            topics.append((name, self.id_of(name, 0.04 if not topics else 0, ("foreign", "old")), partitions))
        if acks == 0:
            topics = topics[:1]

        def ask(side):
            return {"Acks": acks, "TimeoutMs": 20000, "TopicData": [
                {"Name": n, "TopicId": i(side), "PartitionData": ps} for n, i, ps in topics]}
        return "Produce", ask, SILENT if acks == 0 else WRITE, 3

    def fetch(self):
        # One topic: in which order the bytes of a limit are shared out is not said anywhere.
        name = self.visible(0.06)
        i, roll = self.id_of(name, 0.06, ("foreign", "old")), self.random.random()
        partitions = [{"Partition": p, "CurrentLeaderEpoch": self.epoch(0.15), "LastFetchedEpoch": self.epoch(0.1),
                       "FetchOffset": self.random.choice([0, 0, 0, 1, 2, 3, 5, 8, 13, 100, -1, 1 << 62]),
                       "LogStartOffset": self.random.choice([-1, -1, 0, 7]),
                       "PartitionMaxBytes": self.random.choice([1 << 20, 1 << 20, 100, 1, 0, 250])} for p in self.unlike(self.partition, 2)]
        least = self.random.choice([1] * 8 + [0, 1 << 20])
        session = (0, -1) if not partitions else self.random.choice([(0, -1)] * 12 + [(0, 0), (12345, 1), (12345, -1), (0, 5)])

        def ask(side):
            return {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": least, "MaxBytes": 1 << 20 if roll < 0.9 else 1,
                    "IsolationLevel": 1 if roll < 0.3 else 0, "SessionId": session[0], "SessionEpoch": session[1],
                    "Topics": [{"Topic": name, "TopicId": i(side), "Partitions": partitions}]}
        return "Fetch", ask, READ

    def list_offsets(self):
        def one(p):
            time = self.random.choice([-1, -1, -2, -2, -3, -3, -4, -5, -6, -7, -100, 0, 1, self.timestamp(), self.timestamp() + 1, self.future])
            return {"PartitionIndex": p, "CurrentLeaderEpoch": self.epoch(), "Timestamp": time}
        topics = [{"Name": n, "Partitions": [one(p) for p in self.some(self.partition)]} for n in self.some(self.visible, 2)]
        level = self.random.choice([0, 0, 1])
        return "ListOffsets", lambda side: {"ReplicaId": -1, "IsolationLevel": level, "TimeoutMs": 20000, "Topics": topics}, READ

    def leader_epochs(self):
        topics = [{"Topic": n, "Partitions": [{"Partition": p, "CurrentLeaderEpoch": self.epoch(), "LeaderEpoch": self.random.choice(
            [0, 0, 1, 2, -1, -2, 2147483647])} for p in self.some(self.partition)]} for n in self.some(self.visible, 2)]
        replica = self.random.choice([-1, -1, -2])
        return "OffsetForLeaderEpoch", lambda side: {"ReplicaId": replica, "Topics": topics}, READ

    def delete_records(self):
        topics = [{"Name": n, "Partitions": [{"PartitionIndex": p, "Offset": self.random.choice([-1, 0, 1, 2, 3, 5, 100, -2, 1 << 62])}
                                             for p in self.unlike(self.partition)]} for n in self.unlike(self.visible, 2)]
        return "DeleteRecords", lambda side: {"TimeoutMs": 20000, "Topics": topics}, WRITE

    WEIGHTS = {"create_topics": 10, "delete_topics": 2.5, "create_partitions": 3, "incremental": 7, "replace": 3, "describe_configs": 5,
               "list_resources": 1, "metadata": 4, "describe_topics": 4, "log_dirs": 2, "cluster": 0.7, "producers": 2, "elect": 1.5,
               "reassign": 1.5, "reassignments": 0.7, "produce": 14, "fetch": 8, "list_offsets": 6, "leader_epochs": 3, "delete_records": 4}
