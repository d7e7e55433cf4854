"""kill -9 under load: what was acknowledged to acks=all is there, exactly at its offset, round after round."""
import random
import threading
import time

import rawkafka as rk
from harness import Suite

SUITE = Suite("crash", "raw frames")
ROUNDS = 5


class Writer(threading.Thread):
    """Produces to one partition until the broker is gone, several requests in flight; keeps what was acknowledged."""

    def __init__(self, address, topic, partition, start, seed):
        super().__init__(daemon=True)
        self.address, self.topic, self.partition, self.number = address, topic, partition, start
        self.random = random.Random(seed)
        self.acked = {}  # offset -> value
        self.error = None

    def values(self):
        out = []
        for _ in range(self.random.choice((1, 1, 3, 20))):
            out.append(b"%d:%d:" % (self.partition, self.number) + b"v" * self.random.choice((0, 10, 300, 5000)))
            self.number += 1
        return out

    def run(self):
        try:
            with rk.Connection(self.address) as c:
                waiting = []
                while True:
                    values = self.values()
                    data = rk.batch(values, codec=self.random.choice((0, 0, 1)))
                    waiting.append((c.send("Produce", 7, {"Acks": -1, "TimeoutMs": 30000, "TopicData": [
                        {"Name": self.topic, "PartitionData": [{"Index": self.partition, "Records": data}]}]}), values))
                    if len(waiting) == 4:
                        self.take(c, *waiting.pop(0))
        except (rk.Closed, OSError):
            return
        except Exception as e:
            self.error = e

    def take(self, c, correlation, values):
        p = c.receive("Produce", 7, correlation)["Responses"][0]["PartitionResponses"][0]
        assert p["ErrorCode"] == 0, f"error {p['ErrorCode']} under load"
        for i, value in enumerate(values):
            self.acked[p["BaseOffset"] + i] = value


def check(c, topic, partition, acked):
    stored = {}
    order = -1
    expected = 0
    for b in c.all_batches(topic, partition):
        assert b["crc_ok"], f"checksum of the batch at {b['base_offset']}"
        for r in rk.records_of(b):
            assert r["offset"] == expected, f"partition {partition}: offset {r['offset']}, expected {expected}: not dense"
            expected += 1
            number = int(r["value"].split(b":")[1])
            assert number > order, f"partition {partition}: record {number} after {order}"
            order = number
            stored[r["offset"]] = r["value"]
    lost = [o for o, v in acked.items() if stored.get(o) != v]
    assert not lost, f"partition {partition}: {len(lost)} of {len(acked)} acknowledged records are lost or elsewhere, first {min(lost)}"
    return expected, order + 1


def rounds(ctx, partitions, seconds):
    topic = ctx.topic(partitions)
    acked = [{} for _ in range(partitions)]
    next_number = [0] * partitions
    total = 0
    chance = random.Random(7)
    for round in range(ROUNDS):
        writers = [Writer(ctx.broker.address, topic, p, next_number[p], round * 100 + p) for p in range(partitions)]
        for w in writers:
            w.start()
        time.sleep(seconds * (0.5 + chance.random()))  # the load itself; when the kill comes must not matter
        ctx.broker.restart("kill")
        for w in writers:
            w.join(30)
            assert w.error is None, w.error
            acked[w.partition].update(w.acked)
        with ctx.broker.connect() as c:
            c.wait_for_topic(topic, partitions)
            for p in range(partitions):
                _, next_number[p] = check(c, topic, p, acked[p])
        total = sum(len(a) for a in acked)
        assert total > 100 * (round + 1) or ctx.broker.kind != "millrace", f"only {total} records were acknowledged"
    return total


@SUITE.scenario("five-kills-one-partition")
def one_partition(ctx):
    rounds(ctx, 1, 0.6)


@SUITE.scenario("five-kills-eight-partitions")
def eight_partitions(ctx):
    rounds(ctx, 8, 0.8)


@SUITE.scenario("five-kills-while-topics-come-and-go")
def topics(ctx):
    """Topics whose creation was confirmed are there after the kill, those whose deletion was confirmed are not."""
    for round in range(ROUNDS):
        stop = threading.Event()
        created, deleted, unsure = set(), set(), set()

        def churn():
            try:
                with ctx.broker.connect() as c:
                    while not stop.is_set():
                        name = ctx.name("churn")
                        unsure.add(name)
                        if c.create_topic(name, 2, check=False) == 0:
                            unsure.discard(name)
                            created.add(name)
                        if len(created) % 3 == 0:
                            victim = min(created)
                            created.discard(victim)
                            unsure.add(victim)
                            answer = c.call("DeleteTopics", 3, {"TopicNames": [victim], "TimeoutMs": 10000})
                            if answer["Responses"][0]["ErrorCode"] == 0:
                                unsure.discard(victim)
                                deleted.add(victim)
            except (rk.Closed, OSError):
                pass
        thread = threading.Thread(target=churn, daemon=True)
        thread.start()
        time.sleep(0.5)
        ctx.broker.restart("kill")
        stop.set()
        thread.join(30)
        with ctx.broker.connect() as c:
            deadline = time.monotonic() + 20
            while True:
                there = {t["Name"] for t in c.metadata(None)["Topics"]}
                if not created - there and not deleted & there or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
        assert created, "nothing was created"
        assert not created - there, f"round {round}: confirmed topics are gone: {sorted(created - there)[:3]}"
        assert not deleted & there, f"round {round}: deleted topics are back: {sorted(deleted & there)[:3]}"
