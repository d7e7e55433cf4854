"""Compaction as clients see it: each key's newest value is there, offsets never change, and what stays is what Apache
Kafka's cleaner leaves of the same batches."""
import os
import re
import subprocess
import sys
import urllib.request

import rawkafka as rk
from harness import REFERENCE, Millrace, ReferenceKafka, Suite, Unreachable, install_debian, wait_until
from suite_kcat import consume, kcat

SUITE = Suite("compaction", "kcat", prepare=lambda options: install_debian("kcat"))
SEGMENT_BYTES = 1 << 20
COMPACTED = {"cleanup.policy": "compact", "segment.bytes": str(SEGMENT_BYTES), "min.cleanable.dirty.ratio": "0.01",
             "file.delete.delay.ms": "500"}
ROUNDS, KEYS = 5, 90


def scenario(name):
    return SUITE.scenario(name, only="millrace")


def quick_cleaner(ctx):
    return Millrace(ctx.options.binary, args=["--set", "log.cleaner.backoff.ms=100"])


def metric(broker, name):
    """Sum over the shards."""
    with urllib.request.urlopen(f"http://{broker.http}/metrics", timeout=10) as r:
        text = r.read().decode()
    return sum(float(n) for n in re.findall(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.M))


class Here:
    """What kcat() of the other suite wants."""
    def __init__(self, broker):
        self.broker = broker


def newest(records):
    values, last = {}, -1
    for r in records:
        assert r["offset"] > last, f"offset {r['offset']} after {last}"
        last = r["offset"]
        values[r["key"]] = r["payload"]
    return values


@scenario("newest-value-of-each-key")
def newest_values(ctx):
    """Written by librdkafka in batches of its own making, tombstones among them; then the broker is killed, then stopped."""
    broker = quick_cleaner(ctx)
    try:
        broker.start()
        here, topic = Here(broker), ctx.name("compacted")
        with broker.connect() as c:
            c.create_topic(topic, 1, COMPACTED)
        model = {}
        for n in range(ROUNDS):
            lines = []
            for k in range(KEYS):
                gone = n >= 2 and k % 9 == n
                value = "" if gone else f"{n}-{k}-" + "v" * 9_000
                lines.append(f"key {k}:{value}")
                model[f"key {k}"] = None if gone else value
            kcat(here, "-P", "-t", topic, "-p", "0", "-K:", "-Z", "-X", "batch.size=100000", stdin="\n".join(lines).encode())
        wait_until(lambda: metric(broker, "millrace_cleaner_removed_records_total") > KEYS, 60, "compaction")
        assert metric(broker, "millrace_cleaner_failures_total") == 0, broker.log_tail()

        def check(when):
            seen = consume(here, topic)
            assert newest(seen) == model, f"{when}: {len(seen)} records"
            assert len(seen) < ROUNDS * KEYS - KEYS, f"{when}: {len(seen)} records, nothing was removed"
            with broker.connect() as c:
                ends = [c.list_offset(topic, t)["Offset"] for t in (-2, -1)]
                inside = c.list_offset(topic, 0)
            assert ends == [0, ROUNDS * KEYS], f"{when}: {ends}"
            later = consume(here, topic)[0]["offset"]  # the cleaner may be at work between the questions
            assert seen[0]["offset"] <= inside["Offset"] <= later, f"{when}: {inside}"
        check("compacted")
        for how in ("kill", "term"):
            broker.restart(how)
            check(f"after {how}")
        broker.stop()
        done = subprocess.run([broker.binary, "log", "verify", broker.data], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-500:]
    finally:
        broker.close()


# ---- beside Apache Kafka --------------------------------------------------------------------------------------------

def write_both(connections, topic):
    """The same batches to each: several records of a batch, keys that come again in it, tombstones, codecs."""
    for n in range(700):
        keys = [b"key %d" % ((n * 7 + i * i) % 61) for i in range(4)]
        values = [None if (n + i) % 13 == 0 else b"%d %d " % (n, i) + bytes([65 + n % 26]) * 2_000 for i in range(4)]
        data = rk.batch(values, keys=keys, codec=1 if n % 50 == 0 else 0, timestamp=1_760_000_000_000 + n)
        for c in connections:
            answer = c.produce(topic, data)
            assert answer["ErrorCode"] == 0, answer


def records(broker, topic):
    with broker.connect() as c:
        return [(r["offset"], r["timestamp"], r["key"], r["value"])
                for b in c.all_batches(topic) for r in rk.records_of(b)]


@scenario("as-apache-kafka-does")
def as_kafka(ctx):
    done = subprocess.run([sys.executable, REFERENCE, "fetch"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unreachable("Apache Kafka from Maven Central: " + done.stderr.strip()[-200:])
    kafka = ReferenceKafka(["log.cleaner.backoff.ms=100", "log.initial.task.delay.ms=100"])
    ours = quick_cleaner(ctx)
    try:
        topic = ctx.name("both")
        for broker in (kafka, ours):
            broker.start()
            with broker.connect() as c:
                c.create_topic(topic, 1, COMPACTED)
        with kafka.connect() as first, ours.connect() as second:
            write_both([first, second], topic)
        seen = {}

        def equal():
            seen["kafka"], seen["ours"] = records(kafka, topic), records(ours, topic)
            return len(seen["kafka"]) < 2_000 and seen["kafka"] == seen["ours"]
        try:
            wait_until(equal, 60, "both to be compacted alike")
        except AssertionError:
            a, b = set(seen["kafka"]), set(seen["ours"])
            raise AssertionError(f"only Apache Kafka kept {sorted(r[0] for r in a - b)[:20]}, only we "
                                 f"{sorted(r[0] for r in b - a)[:20]} of {len(a)} and {len(b)}") from None
        ours.stop()
        directory = os.path.join(ours.data, topic + "-0")
        logs = sorted(os.path.join(directory, f) for f in os.listdir(directory) if f.endswith(".log"))
        dump = subprocess.run([sys.executable, REFERENCE, "tool", "org.apache.kafka.tools.DumpLogSegments",
                               "--deep-iteration", "--files", ",".join(logs)], capture_output=True, text=True, timeout=120)
        assert dump.returncode == 0 and "isvalid: false" not in dump.stdout, (dump.stdout + dump.stderr)[-2000:]
        stored = [int(n) for n in re.findall(r"^\| offset: (\d+)", dump.stdout, re.M)]
        assert stored == [r[0] for r in seen["ours"]], f"{len(stored)} records in the dump, {len(seen['ours'])} in the log"
    finally:
        kafka.close()
        ours.close()
