"""kafka-python: see ../README.md."""
import sys

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as E
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

import line


class Member(line.Thread, ConsumerRebalanceListener):
    def __init__(self, name, broker, topic, *, start=None, group=None, session=10000, commit="manual", instance=None,
                 strategy="range"):
        super().__init__(name)
        self.topic, self.start_at, self.mode = topic, start, commit
        # A join that takes longer than one poll and is overtaken by the next rebalance leaves 3.0.12 without partitions.
        self.patience = 1000 if group else 50
        self.config = dict(bootstrap_servers=broker, group_id=group, auto_offset_reset="earliest", fetch_max_wait_ms=50,
                           enable_auto_commit=commit == "auto", auto_commit_interval_ms=100, session_timeout_ms=session,
                           heartbeat_interval_ms=300, reconnect_backoff_max_ms=200, group_instance_id=instance,
                           partition_assignment_strategy=[
                               CooperativeStickyAssignor if strategy == "cooperative" else RangePartitionAssignor])

    def open(self):
        self.consumer = KafkaConsumer(**self.config)
        # A leader that has no metadata yet assigns nothing, and may not look again.
        self.consumer.partitions_for_topic(self.topic)
        if self.start_at is not None:
            self.consumer.assign([TopicPartition(self.topic, p) for p in self.start_at])
            for p, o in self.start_at.items():
                self.consumer.seek(TopicPartition(self.topic, p), o)
        else:
            self.consumer.subscribe([self.topic], listener=self)

    def on_partitions_assigned(self, assigned):
        generation = self.consumer._coordinator._generation.generation_id
        line.event("assigned", self.member, p=[t.partition for t in assigned], g=generation)

    def on_partitions_revoked(self, revoked):
        line.event("revoked", self.member, p=[t.partition for t in revoked])

    def on_partitions_lost(self, lost):
        line.event("lost", self.member, p=[t.partition for t in lost])

    def poll(self):
        told = {}
        try:
            polled = self.consumer.poll(timeout_ms=self.patience)
        except E.KafkaConnectionError:  # the broker is away; who polls again gets over it
            return
        for tp, records in polled.items():
            line.event("records", self.member, p=tp.partition, o=[r.offset for r in records],
                       v=[r.value.decode() for r in records])
            told[tp.partition] = records[-1].offset + 1
        if self.mode == "each" and told:
            try:
                self.commit(told)
            except E.KafkaError:
                pass  # not told, so these may come again

    def commit(self, offsets):
        self.consumer.commit({TopicPartition(self.topic, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()})
        line.event("committed", self.member, o=offsets)

    def seek(self, partition, offset):
        self.consumer.seek(TopicPartition(self.topic, partition), offset)
        line.event("seeked", self.member, p=partition, o=offset)

    def pause(self, partition):
        self.consumer.pause(TopicPartition(self.topic, partition))
        line.event("paused", self.member, p=partition)

    def resume(self, partition):
        line.event("resumed", self.member, p=partition)
        self.consumer.resume(TopicPartition(self.topic, partition))

    def leave(self):
        self.closed = True
        self.consumer.close()
        line.event("left", self.member)


class Driver(line.Driver):
    def admin(self):
        return KafkaAdminClient(bootstrap_servers=self.broker)

    def create(self, topic, partitions):
        a = self.admin()
        a.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}}, wait_for_metadata=True)
        a.close()

    def delete(self, topic):
        a = self.admin()
        a.delete_topics([topic])
        a.close()

    def grow(self, topic, partitions):
        a = self.admin()
        a.create_partitions({topic: partitions})
        a.close()

    def trim(self, topic, offsets):
        a = self.admin()
        a.delete_records({TopicPartition(topic, int(p)): o for p, o in offsets.items()})
        a.close()

    def list(self):
        a = self.admin()
        names = [t if isinstance(t, str) else t["name"] for t in a.list_topics()]
        a.close()
        return names

    def configs(self, topic):
        a = self.admin()
        found = a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])["topic"][topic]
        a.close()
        return {k: e["value"] for k, e in found.items() if e["config_source"] == "DYNAMIC_TOPIC_CONFIG"}

    def alter(self, topic, set, unset):
        a = self.admin()
        edits = {**{k: ("SET", v) for k, v in set.items()}, **{k: ("DELETE", None) for k in unset}}
        answer = a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, edits)], incremental=True)["topic"][topic]
        a.close()
        if answer != "OK":
            raise ValueError(answer)

    def produce(self, topic, partition, values, codec, acks, idempotent):
        key = (codec, acks, idempotent)
        if key not in self.producers:
            self.producers[key] = KafkaProducer(bootstrap_servers=self.broker, acks="all" if acks < 0 else acks, linger_ms=2,
                                                compression_type=None if codec == "none" else codec,
                                                enable_idempotence=idempotent, reconnect_backoff_max_ms=200)
        p = self.producers[key]
        waiting = [p.send(topic, v.encode(), partition=partition) for v in values]
        p.flush(60)
        offsets = [f.get(60).offset for f in waiting]
        return -1 if acks == 0 else offsets[0]

    def assign(self, m, topic, **more):
        self.members[m] = Member(m, self.broker, topic, start={int(p): o for p, o in more["from"].items()})
        self.members[m].start()

    def join(self, m, topic, **more):
        self.members[m] = Member(m, self.broker, topic, **more)
        self.members[m].start()


line.serve(Driver(sys.argv[1]), kafka.__version__)
