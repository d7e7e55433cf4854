"""kafka-python against a broker: --broker HOST:PORT [--filter REGEX]. Speaks JSON lines with tests/blackbox/harness.py."""
import argparse
import json
import os
import random
import re
import sys
import time
import traceback

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as E

BROKER = None
SCENARIOS = []
T0 = int(time.time() * 1000) - 600_000
count = 0


def scenario(name, *args):
    def keep(function):
        SCENARIOS.append((name, function, args))
        return function
    return keep


def ask(**request):
    print(json.dumps(request), flush=True)
    answer = json.loads(sys.stdin.readline())
    if "error" in answer:
        raise AssertionError("harness: " + answer["error"])
    return answer


def same(expected, got, what):
    assert expected == got, f"{what}: expected {expected!r}, got {got!r}"


def name(stem):
    global count
    count += 1
    return f"py-{stem}-{os.getpid()}-{count}"


def admin():
    return KafkaAdminClient(bootstrap_servers=BROKER)


def create(stem, partitions=1, configs=None):
    topic = name(stem)
    a = admin()
    a.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs or {}}},
                    wait_for_metadata=True)
    a.close()
    return topic


def producer(**extra):
    return KafkaProducer(bootstrap_servers=BROKER, reconnect_backoff_max_ms=200, max_request_size=4 << 20, **extra)


def consumer(*partitions, **extra):
    c = KafkaConsumer(bootstrap_servers=BROKER, auto_offset_reset="none", enable_auto_commit=False,
                      fetch_max_wait_ms=50, reconnect_backoff_max_ms=200, **extra)
    c.assign([TopicPartition(t, p) for t, p in partitions])
    return c


def shapes(n, seed):
    """(key, value, headers, timestamp) of every shape: null, empty and longer; repeated, empty and unicode headers.

    kafka-python sends neither null header values nor records that are null in key and value."""
    r = random.Random(seed)
    out = []
    for i in range(n):
        key = None if i % 5 == 0 else b"" if i % 5 == 1 else b"key-%d" % (i % 17)
        value = None if i % 11 == 3 and key is not None else r.randbytes(r.randrange(300)) if i % 2 else b"x" * r.randrange(300)
        headers = [("h0" if h == 2 else f"h{h}", b"" if h == 1 else b"v%d" % i) for h in range(i % 4)]
        if i % 13 == 0:
            headers.append(("größe-尺寸", b""))
        out.append((key, value, headers, T0 + seed * 1000 + i * 10))
    return out


def send(p, topic, partition, records):
    waiting = [p.send(topic, value=v, key=k, headers=h, partition=partition, timestamp_ms=t) for k, v, h, t in records]
    p.flush(60)
    return [f.get(60) for f in waiting]


def poll(c, n, seconds=30):
    out = []
    deadline = time.monotonic() + seconds
    while len(out) < n:
        assert time.monotonic() < deadline, f"only {len(out)} of {n} records came within {seconds} s"
        for records in c.poll(timeout_ms=500).values():
            out += records
    return out


def compare(sent, got, base):
    same(len(sent), len(got), "records")
    for i, ((key, value, headers, timestamp), g) in enumerate(zip(sent, got)):
        same(base + i, g.offset, f"record {i} offset")
        same(key, g.key, f"record {i} key")
        same(value, g.value, f"record {i} value")
        same([tuple(h) for h in headers], [tuple(h) for h in g.headers], f"record {i} headers")
        same(timestamp, g.timestamp, f"record {i} timestamp")


def read_back(sent, topic, partition, base):
    c = consumer((topic, partition))
    c.seek(TopicPartition(topic, partition), base)
    compare(sent, poll(c, len(sent)), base)
    c.close()


def raises(kind, function):
    try:
        function()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


# ---- topics

@scenario("create-topic")
def create_topic():
    topic = create("create", 5)
    a = admin()
    described = a.describe_topics([topic])[0]
    same(5, len(described["partitions"]), "partitions")
    assert topic in [t if isinstance(t, str) else t["name"] for t in a.list_topics()], "listed"
    raises(E.TopicAlreadyExistsError, lambda: a.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}))
    raises(E.InvalidTopicError, lambda: a.create_topics({"no spaces": {"num_partitions": 1, "replication_factor": 1}}))
    a.close()
    c = consumer()
    same(set(range(5)), c.partitions_for_topic(topic), "partitions seen by the consumer")
    c.close()


@scenario("describe-cluster")
def describe_cluster():
    a = admin()
    cluster = a.describe_cluster()
    node = cluster["brokers"][0]
    same(BROKER, f"{node['host']}:{node['port']}", "advertised address")
    assert cluster["cluster_id"], "cluster id"
    a.close()


@scenario("delete-topic")
def delete_topic():
    topic = create("delete", 2)
    p = producer()
    send(p, topic, 1, shapes(20, 1))
    a = admin()
    a.delete_topics([topic])
    deadline = time.monotonic() + 15
    while topic in [t if isinstance(t, str) else t["name"] for t in a.list_topics()]:
        assert time.monotonic() < deadline, "still listed"
        time.sleep(0.02)
    a.close()
    p.close()


# ---- produce and read back

def produce(codec, acks, idempotent):
    topic = create("produce", 3)
    p = producer(compression_type=codec, acks=acks, linger_ms=5, enable_idempotence=idempotent)
    for partition in (0, 2):
        for round in range(3):
            records = shapes(100, round)
            acked = send(p, topic, partition, records)
            if acks != 0:
                same([round * 100 + i for i in range(100)], [m.offset for m in acked], "acked offsets")
            read_back(records, topic, partition, round * 100)
        stored = ask(request="batches", topic=topic, partition=partition)
        codecs = set(stored["codecs"].split(","))
        # A batch that would grow by compression goes out without.
        assert (codec or "none") in codecs <= {codec or "none", "none"}, f"stored codecs {codecs}"
        if idempotent:
            assert re.fullmatch("[0-9]+", stored["producer_ids"]), f"one producer id: {stored['producer_ids']}"
    p.close()


for codec in (None, "gzip", "snappy", "lz4", "zstd"):
    for acks in (0, 1, "all"):
        scenario(f"produce-{codec or 'none'}-acks-{acks}", codec, acks, False)(produce)
    scenario(f"produce-{codec or 'none'}-idempotent", codec, "all", True)(produce)


@scenario("value-sizes")
def value_sizes():
    topic = create("sizes")
    p = producer(acks="all")
    r = random.Random(1)
    # The last one fills a batch of 1 MiB + 12 bytes to the byte: batch 61, record length 3, attributes and two deltas 3,
    # null key 1, value length 3, header count 1.
    largest = (1 << 20) + 12 - 72
    sizes = [1, 2, 63, 64, 127, 128, 1000, 4095, 4096, 4097, 65535, 65536, 262144, 1000000, largest]
    records = [(None, r.randbytes(n), [], T0 + n) for n in sizes]
    send(p, topic, 0, records)
    read_back(records, topic, 0, 0)
    raises(E.MessageSizeTooLargeError, lambda: send(p, topic, 0, [(None, r.randbytes(largest + 1), [], T0)]))
    p.close()


@scenario("auto-created-topic")
def auto_created():
    topic = name("auto")
    p = producer(acks="all")
    same(0, p.send(topic, b"first").get(30).offset, "offset")
    p.close()


# ---- where to begin

def fetch_from(codec):
    topic = create("from")
    tp = TopicPartition(topic, 0)
    records = shapes(600, 3)
    p = producer(acks="all", compression_type=codec)
    for i in range(0, 600, 20):
        send(p, topic, 0, records[i:i + 20])
    p.close()
    c = consumer((topic, 0))
    for start in (0, 1, 19, 20, 21, 333, 599):
        c.seek(tp, start)
        compare(records[start:], poll(c, 600 - start), start)
    c.seek_to_end(tp)
    same(600, c.position(tp), "end")
    c.seek_to_beginning(tp)
    same(0, c.position(tp), "start")
    for i in (0, 3, 20, 399):
        found = c.offsets_for_times({tp: records[i][3] - 5})[tp]
        same((i, records[i][3]), (found.offset, found.timestamp), "offset by time")
    same(None, c.offsets_for_times({tp: records[-1][3] + 1})[tp], "after the last")
    same({tp: 0}, c.beginning_offsets([tp]), "beginning")
    same({tp: 600}, c.end_offsets([tp]), "end")
    c.close()


for codec in (None, "snappy", "zstd"):
    scenario(f"fetch-from-everywhere-{codec or 'none'}", codec)(fetch_from)


@scenario("fetch-out-of-range")
def out_of_range():
    topic = create("range")
    c = consumer((topic, 0))
    c.seek(TopicPartition(topic, 0), 7)

    def until_error():
        for _ in range(100):
            c.poll(timeout_ms=100)
    raises(E.OffsetOutOfRangeError, until_error)
    c.close()


# ---- restarts

def restart(how):
    topic = create("restart", 2)
    p = producer(acks="all", compression_type="gzip", enable_idempotence=True)
    c = consumer((topic, 1))
    c.seek(TopicPartition(topic, 1), 0)
    sent = []
    for round in range(3):
        if round:
            ask(request="restart", how=how)
        records = shapes(100, round)
        same(round * 100, send(p, topic, 1, records)[0].offset, f"the producer goes on where it was, round {round}")
        compare(records, poll(c, 100), round * 100)
        sent += records
    p.close()
    c.close()
    read_back(sent, topic, 1, 0)


scenario("restart-clean", "term")(restart)
scenario("restart-kill", "kill")(restart)


def main():
    global BROKER
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    BROKER = options.broker
    for title, function, args in SCENARIOS:
        if not re.search(options.filter, title):
            continue
        try:
            function(*args)
            status, detail = "passed", ""
        except Exception as e:
            frames = [f"suite.py:{f.lineno}" for f in traceback.extract_tb(e.__traceback__) if f.filename == __file__]
            status, detail = "failed", f"{type(e).__name__}: {e} {frames}"
        print(json.dumps({"scenario": title, "status": status, "detail": detail}), flush=True)
    os._exit(0)  # clients of failed scenarios may still have threads


main()
