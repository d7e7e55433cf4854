"""Clients under which a broker is killed, and what must hold of its partitions afterwards.

Every value carries its partition and a number that grows within it, so that a log can be judged by itself: nothing lost,
doubled, reordered, invented. `Writer` lives for one life of the broker and keeps what was acknowledged; `Idempotent` lives
through many, and sends again what was not, as a client library does.
"""
import collections
import random
import threading
import time

import rawkafka as rk

# What a broker that has just started or is about to stop may say to a producer, which then tries again.
RETRIABLE = {3, 5, 6, 7, 19, 56, 9, 14, 15, 16}


def value_of(partition, number):
    """Deterministic, so that a checker needs no memory of what was sent."""
    size = (0, 10, 300, 20, 0, 1200, 60, 5000)[(number * 7 + partition * 3) % 8]
    return b"%d:%d:" % (partition, number) + b"v" * size


class Writer(threading.Thread):
    """Produces to one partition until the broker is gone, several requests in flight; keeps what was acknowledged."""

    def __init__(self, address, topic, partition, start, seed, acks=-1):
        super().__init__(daemon=True)
        self.address, self.topic, self.partition, self.number, self.acks = address, topic, partition, start, acks
        self.random = random.Random(seed)
        self.acked = {}  # offset -> value
        self.error = None

    def values(self):
        count = self.random.choice((1, 1, 3, 20))
        self.number += count
        return [value_of(self.partition, n) for n in range(self.number - count, self.number)]

    def run(self):
        try:
            with rk.Connection(self.address) as c:
                waiting = []
                while True:
                    values = self.values()
                    data = rk.batch(values, codec=self.random.choice((0, 0, 1)))
                    waiting.append((c.send("Produce", 7, {"Acks": self.acks, "TimeoutMs": 30000, "TopicData": [
                        {"Name": self.topic, "PartitionData": [{"Index": self.partition, "Records": data}]}]}), values))
                    if len(waiting) == 4:
                        self.take(c, *waiting.pop(0))
        except (rk.Closed, OSError):
            return
        except Exception as e:
            self.error = e

    def take(self, c, correlation, values):
        p = c.receive("Produce", 7, correlation)["Responses"][0]["PartitionResponses"][0]
        if p["ErrorCode"] in (6, 56):  # the broker is on its way out
            raise rk.Closed("not served any more")
        assert p["ErrorCode"] == 0, f"error {p['ErrorCode']} under load"
        for i, value in enumerate(values):
            self.acked[p["BaseOffset"] + i] = value


class Idempotent(threading.Thread):
    """The only producer of its partition: record n has offset n. Up to five batches in flight; after the loss of a
    connection the same bytes are sent again in the same order, whatever became of them."""

    def __init__(self, find_address, topic, partition, seed):
        super().__init__(daemon=True)
        self.find_address, self.topic, self.partition = find_address, topic, partition
        self.random = random.Random(seed)
        self.producer_id = None
        self.epoch = 0
        self.number = 0
        self.acked_end = 0
        self.acked_batches = 0
        self.unacked = collections.deque()  # (first number, count, bytes)
        self.ending = threading.Event()
        self.error = None

    def end(self, seconds=30):
        """Lets everything in flight be acknowledged; fails when that takes too long."""
        self.ending.set()
        self.join(seconds)
        if self.error:
            raise self.error
        assert not self.is_alive() and 0 < self.acked_end == self.number, f"partition {self.partition}: the producer is stuck"

    def run(self):
        try:
            while not (self.ending.is_set() and not self.unacked):
                try:
                    with rk.Connection(self.find_address(), timeout=10) as c:
                        self.produce(c)
                except (rk.Closed, OSError):
                    time.sleep(0.02)  # as a client's reconnect.backoff.ms
        except Exception as e:
            self.error = e

    def produce(self, c):
        if self.producer_id is None:
            answer = c.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
            if answer["ErrorCode"] in RETRIABLE:
                raise rk.Closed("try again")
            assert answer["ErrorCode"] == 0, answer
            self.producer_id, self.epoch = answer["ProducerId"], answer["ProducerEpoch"]
        sent = collections.deque()
        again = list(self.unacked)
        while True:
            if again:
                first, count, data = again.pop(0)
            elif self.ending.is_set():
                if not self.unacked:
                    return
                self.take(c, sent.popleft())
                continue
            else:
                first, count, data = self.next_batch()
            sent.append(c.send("Produce", 7, {"Acks": -1, "TimeoutMs": 30000, "TopicData": [
                {"Name": self.topic, "PartitionData": [{"Index": self.partition, "Records": data}]}]}))
            if len(sent) == 5:
                self.take(c, sent.popleft())

    def next_batch(self):
        first, count = self.number, self.random.choice((1, 1, 2, 10))
        data = rk.batch([value_of(self.partition, first + i) for i in range(count)], codec=self.random.choice((0, 0, 1)),
                        producer=(self.producer_id, self.epoch, first))
        self.number += count
        self.unacked.append((first, count, data))
        return self.unacked[-1]

    def take(self, c, correlation):
        p = c.receive("Produce", 7, correlation)["Responses"][0]["PartitionResponses"][0]
        if p["ErrorCode"] in RETRIABLE:
            raise rk.Closed("try again")
        first, count, _ = self.unacked[0]
        assert p["ErrorCode"] == 0, f"partition {self.partition}: error {p['ErrorCode']} for the batch with sequence {first}"
        assert p["BaseOffset"] == first, f"partition {self.partition}: records {first}... acknowledged at {p['BaseOffset']}"
        self.unacked.popleft()
        self.acked_end = first + count
        self.acked_batches += 1


def records(c, topic, partition, start=0):
    """(offset, value) of all stored records, with dense offsets and good checksums."""
    expected = start
    for b in c.all_batches(topic, partition, start):
        assert b["crc_ok"], f"checksum of the batch at {b['base_offset']}"
        for r in rk.records_of(b):
            if r["offset"] < start:
                continue
            assert r["offset"] == expected, f"partition {partition}: offset {r['offset']}, expected {expected}: not dense"
            expected += 1
            yield r["offset"], r["value"]


def check(c, topic, partition, acked):
    """Of a partition written by Writers, one after the other. Returns its end and the next number."""
    stored = {}
    order = -1
    for offset, value in records(c, topic, partition):
        number = int(value.split(b":")[1])
        assert number > order, f"partition {partition}: record {number} after {order}"
        assert value == value_of(partition, number), f"partition {partition}: a value nobody sent at {offset}"
        order = number
        stored[offset] = value
    lost = [o for o, v in acked.items() if stored.get(o) != v]
    assert not lost, f"partition {partition}: {len(lost)} of {len(acked)} acknowledged records are lost or elsewhere, first {min(lost)}"
    return len(stored), order + 1


def check_idempotent(c, topic, partition, acked_end, start=0):
    """Of a partition written by one Idempotent: every record exactly once, at its number. Returns the end."""
    end = start
    for offset, value in records(c, topic, partition, start):
        assert value == value_of(partition, offset), f"partition {partition}: {value[:30]!r} at offset {offset}"
        end = offset + 1
    assert end >= acked_end, f"partition {partition}: ends at {end}, but records up to {acked_end} were acknowledged"
    return end


class Churn(threading.Thread):
    """Creates and deletes topics until the broker is gone; what was neither confirmed nor refused is `unsure`."""

    def __init__(self, ctx):
        super().__init__(daemon=True)
        self.ctx = ctx
        self.created, self.deleted, self.unsure = set(), set(), set()
        self.stopped = threading.Event()

    def run(self):
        try:
            with self.ctx.broker.connect() as c:
                while not self.stopped.is_set():
                    self.create(c)
                    if len(self.created) % 3 == 0:
                        self.delete(c)
        except (rk.Closed, OSError):
            pass

    def create(self, c):
        name = self.ctx.name("churn")
        self.unsure.add(name)
        if c.create_topic(name, 2, check=False) == 0:
            self.unsure.discard(name)
            self.created.add(name)

    def delete(self, c):
        victim = min(self.created)
        self.created.discard(victim)
        self.unsure.add(victim)
        answer = c.call("DeleteTopics", 3, {"TopicNames": [victim], "TimeoutMs": 10000})
        if answer["Responses"][0]["ErrorCode"] == 0:
            self.unsure.discard(victim)
            self.deleted.add(victim)

    def check(self, c, what=""):
        deadline = time.monotonic() + 20
        while True:
            there = {t["Name"] for t in c.metadata(None)["Topics"]}
            if not self.created - there and not self.deleted & there or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert not self.created - there, f"{what}: confirmed topics are gone: {sorted(self.created - there)[:3]}"
        assert not self.deleted & there, f"{what}: deleted topics are back: {sorted(self.deleted & there)[:3]}"
