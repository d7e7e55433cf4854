"""aiokafka: see ../README.md. Everything lives in one event loop."""
import asyncio
import json
import os
import sys
import traceback

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as E
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

import line


class Member(ConsumerRebalanceListener):
    """The lock keeps rebalances, seeks and pauses out of the time between a fetch and its commit."""

    def __init__(self, broker, m, topic, *, group=None, session=10000, commit="manual", instance=None, strategy=None, start=None):
        self.m, self.topic, self.mode, self.start = m, topic, commit, start
        self.lock, self.closed = asyncio.Lock(), False
        self.consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=group, group_instance_id=instance,
                                         session_timeout_ms=session, heartbeat_interval_ms=300, fetch_max_wait_ms=50,
                                         enable_auto_commit=commit == "auto", auto_commit_interval_ms=100,
                                         auto_offset_reset="earliest", retry_backoff_ms=50,
                                         partition_assignment_strategy=(RangePartitionAssignor,))

    async def open(self):
        if self.start is not None:
            self.consumer.assign([TopicPartition(self.topic, p) for p in self.start])
        else:
            self.consumer.subscribe([self.topic], listener=self)
        # Joining goes on in the background.
        self.task = asyncio.get_running_loop().create_task(self.read())

    async def read(self):
        try:
            await self.consumer.start()
            for p, o in (self.start or {}).items():
                self.consumer.seek(TopicPartition(self.topic, p), o)
            while not self.closed:
                async with self.lock:
                    await self.once()
                await asyncio.sleep(0)
        except Exception as e:
            traceback.print_exc()
            line.say(e="error", m=self.m, text=f"{type(e).__name__}: {e}")

    async def once(self):
        told = {}
        for tp, records in (await self.consumer.getmany(timeout_ms=50)).items():
            line.event("records", self.m, p=tp.partition, o=[r.offset for r in records], v=[r.value.decode() for r in records])
            told[tp.partition] = records[-1].offset + 1
        if self.mode == "each" and told:
            try:
                await self.commit(told)
            except (E.CommitFailedError, E.IllegalStateError, E.KafkaError):
                pass  # not told, so these may come again

    async def on_partitions_assigned(self, assigned):
        line.event("assigned", self.m, p=[t.partition for t in assigned], g=self.consumer._coordinator.generation)

    async def on_partitions_revoked(self, revoked):
        async with self.lock:
            line.event("revoked", self.m, p=[t.partition for t in revoked])

    async def commit(self, offsets):
        await self.consumer.commit({TopicPartition(self.topic, int(p)): o for p, o in offsets.items()})
        line.event("committed", self.m, o=offsets)

    async def seek(self, partition, offset):
        async with self.lock:
            self.consumer.seek(TopicPartition(self.topic, partition), offset)
            line.event("seeked", self.m, p=partition, o=offset)

    async def pause(self, partition):
        async with self.lock:
            self.consumer.pause(TopicPartition(self.topic, partition))
            line.event("paused", self.m, p=partition)

    async def resume(self, partition):
        async with self.lock:
            line.event("resumed", self.m, p=partition)
            self.consumer.resume(TopicPartition(self.topic, partition))

    async def leave(self):
        self.closed = True
        await self.task
        await self.consumer.stop()
        line.event("left", self.m)


class Driver:
    def __init__(self, broker):
        self.broker, self.members, self.producers = broker, {}, {}

    async def with_admin(self, function):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker)
        await admin.start()
        try:
            return await function(admin)
        finally:
            await admin.close()

    async def create(self, topic, partitions):
        await self.with_admin(lambda a: a.create_topics([NewTopic(topic, partitions, 1)]))

    async def delete(self, topic):
        await self.with_admin(lambda a: a.delete_topics([topic]))

    async def grow(self, topic, partitions):
        await self.with_admin(lambda a: a.create_partitions({topic: NewPartitions(partitions)}))

    async def trim(self, topic, offsets):
        before = {TopicPartition(topic, int(p)): RecordsToDelete(o) for p, o in offsets.items()}
        await self.with_admin(lambda a: a.delete_records(before))

    async def list(self):
        return await self.with_admin(lambda a: a.list_topics())

    async def produce(self, topic, partition, values, codec, acks, idempotent):
        key = (codec, acks, idempotent)
        if key not in self.producers:
            self.producers[key] = AIOKafkaProducer(bootstrap_servers=self.broker, acks="all" if acks < 0 else acks, linger_ms=2,
                                                   compression_type=None if codec == "none" else codec, retry_backoff_ms=50,
                                                   enable_idempotence=idempotent)
            await self.producers[key].start()
        p = self.producers[key]
        waiting = [await p.send(topic, v.encode(), partition=partition) for v in values]
        await p.flush()
        answers = await asyncio.gather(*waiting)
        return -1 if acks == 0 else answers[0].offset

    async def assign(self, m, topic, **more):
        self.members[m] = Member(self.broker, m, topic, start={int(p): o for p, o in more["from"].items()})
        await self.members[m].open()

    async def join(self, m, topic, **more):
        self.members[m] = Member(self.broker, m, topic, **more)
        await self.members[m].open()

    async def answer(self, request):
        ident, op = request.pop("id"), request.pop("op")
        try:
            if op in ("commit", "seek", "pause", "resume", "leave"):
                member = self.members[request.pop("m")]
                line.say(id=ident, ok=await getattr(member, op)(**request))
            else:
                line.say(id=ident, ok=await getattr(self, op)(**request))
        except Exception as e:
            traceback.print_exc()
            line.say(id=ident, error=f"{type(e).__name__}: {e}")


async def main():
    driver, loop, tasks = Driver(sys.argv[1]), asyncio.get_running_loop(), set()
    line.say(e="ready", version=aiokafka.__version__)
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        task = loop.create_task(driver.answer(json.loads(text)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    os._exit(0)


asyncio.run(main())
