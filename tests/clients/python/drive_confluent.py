"""confluent-kafka-python, which brings its own librdkafka: see ../README.md."""
import os
import sys

import confluent_kafka as ck
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions,
                                   NewTopic, ResourceType)

import line

BASE = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "log_level": 3}


class Member(line.Thread):
    def __init__(self, name, broker, topic, *, start=None, group=None, session=10000, commit="manual", instance=None,
                 strategy="range"):
        super().__init__(name)
        self.topic, self.start_at, self.mode = topic, start, commit
        self.next, self.waiting = {}, {}
        self.config = {**BASE, "bootstrap.servers": broker, "group.id": group or "assigned", "auto.offset.reset": "earliest",
                       "enable.auto.commit": commit == "auto", "auto.commit.interval.ms": 100, "fetch.wait.max.ms": 50,
                       "session.timeout.ms": session, "heartbeat.interval.ms": 300, "check.crcs": True,
                       "partition.assignment.strategy": "cooperative-sticky" if strategy == "cooperative" else "range"}
        if os.environ.get("GROUP_PROTOCOL") == "consumer" and start is None:
            for ours in ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"):
                del self.config[ours]  # the broker's to say
            self.config["group.protocol"] = "consumer"
        if instance:
            self.config["group.instance.id"] = instance

    def parts(self, offsets):
        return [ck.TopicPartition(self.topic, p, o) for p, o in offsets.items()]

    def open(self):
        self.consumer = ck.Consumer(self.config)
        if self.start_at is not None:
            self.consumer.assign(self.parts(self.start_at))
        else:
            self.consumer.subscribe([self.topic], on_assign=self.on("assigned"), on_revoke=self.on("revoked"),
                                    on_lost=self.on("lost"))

    def on(self, what):
        def tell(_, partitions):
            self.flush()
            line.event(what, self.member, p=[t.partition for t in partitions])
            for t in partitions:
                self.next.pop(t.partition, None)
        return tell

    def poll(self):
        for i in range(200):
            message = self.consumer.poll(0 if i else 0.05)
            if message is None:
                break
            if message.error():
                if message.error().fatal():
                    raise ck.KafkaException(message.error())
            else:
                self.waiting.setdefault(message.partition(), []).append((message.offset(), message.value().decode()))
        self.flush()

    def flush(self):
        """Tells what was read, then commits it."""
        told, self.waiting = self.waiting, {}
        for p, records in told.items():
            line.event("records", self.member, p=p, o=[o for o, _ in records], v=[v for _, v in records])
            self.next[p] = records[-1][0] + 1
        if self.mode == "each" and told:
            try:
                self.commit({p: self.next[p] for p in told})
            except ck.KafkaException:
                pass

    def commit(self, offsets):
        for t in self.consumer.commit(offsets=self.parts(offsets), asynchronous=False):
            if t.error:
                raise ck.KafkaException(t.error)
        line.event("committed", self.member, o=offsets)

    def seek(self, partition, offset):
        self.consumer.seek(ck.TopicPartition(self.topic, partition, offset))
        line.event("seeked", self.member, p=partition, o=offset)

    def pause(self, partition):
        self.consumer.pause([ck.TopicPartition(self.topic, partition)])
        line.event("paused", self.member, p=partition)

    def resume(self, partition):
        line.event("resumed", self.member, p=partition)
        self.consumer.resume([ck.TopicPartition(self.topic, partition)])

    def leave(self):
        self.closed = True
        self.consumer.close()
        del self.consumer  # each holds one of the process's 1024 thread keys, and its callbacks hold this member
        line.event("left", self.member)


class Driver(line.Driver):
    def __init__(self, broker):
        super().__init__(broker)
        self.admin = AdminClient({**BASE, "bootstrap.servers": broker})

    def create(self, topic, partitions):
        self.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)

    def delete(self, topic):
        self.admin.delete_topics([topic])[topic].result(30)

    def grow(self, topic, partitions):
        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)

    def trim(self, topic, offsets):
        before = [ck.TopicPartition(topic, int(p), o) for p, o in offsets.items()]
        for done in self.admin.delete_records(before).values():
            done.result(30)

    def list(self):
        return sorted(self.admin.list_topics(timeout=30).topics)

    def configs(self, topic):
        resource = ConfigResource(ResourceType.TOPIC, topic)
        found = self.admin.describe_configs([resource])[resource].result(30)
        return {e.name: e.value for e in found.values() if ConfigSource(e.source) == ConfigSource.DYNAMIC_TOPIC_CONFIG}

    def alter(self, topic, set, unset):
        edits = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in set.items()]
        edits += [ConfigEntry(k, None, incremental_operation=AlterConfigOpType.DELETE) for k in unset]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=edits)
        self.admin.incremental_alter_configs([resource])[resource].result(30)

    def produce(self, topic, partition, values, codec, acks, idempotent):
        key = (codec, acks, idempotent)
        if key not in self.producers:
            self.producers[key] = ck.Producer({**BASE, "bootstrap.servers": self.broker, "compression.type": codec, "acks": acks,
                                               "enable.idempotence": idempotent,
                                               "linger.ms": 100})  # flush() does not wait for it: one call, one batch
        p, acked = self.producers[key], []

        def done(error, message):
            acked.append((error, message.offset()))
        for v in values:
            p.produce(topic, v.encode(), partition=partition, on_delivery=done)
        p.flush(60)
        errors = [e for e, _ in acked if e]
        if errors or len(acked) != len(values):
            raise RuntimeError(f"{len(acked)} of {len(values)} answered: {errors[:1]}")
        return -1 if acks == 0 else acked[0][1]

    def assign(self, m, topic, **more):
        self.members[m] = Member(m, self.broker, topic, start={int(p): o for p, o in more["from"].items()})
        self.members[m].start()

    def join(self, m, topic, **more):
        self.members[m] = Member(m, self.broker, topic, **more)
        self.members[m].start()


line.serve(Driver(sys.argv[1]), f"{ck.version()} (librdkafka {ck.libversion()[0]})")
