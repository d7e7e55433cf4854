"""kcat from Debian (librdkafka 2.0.2): the oldest client we promise, which negotiates old non-flexible versions."""
import hashlib
import json
import os
import random
import re
import subprocess
import tempfile
import time

import rawkafka as rk
from harness import Suite, install_debian, terminate, wait_until


def version():
    out = subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout
    found = re.search(r"Version ([\d.]+).*?librdkafka ([\d.]+)", out, re.S)
    return f"{found.group(1)} (librdkafka {found.group(2)})" if found else ""


SUITE = Suite("kcat", "kcat", version=version, prepare=lambda options: install_debian("kcat"))
scenario = SUITE.scenario


def kcat(ctx, *args, stdin=None, timeout=60, check=True):
    done = subprocess.run(["kcat", "-b", ctx.broker.address, *args], input=stdin, capture_output=True, timeout=timeout)
    assert not check or done.returncode == 0, f"kcat {' '.join(args)}: {done.returncode} {done.stderr.decode()[-500:]}"
    return done.stdout


def consume(ctx, topic, partition=0, start="beginning", *more):
    out = kcat(ctx, "-C", "-q", "-t", topic, "-p", str(partition), "-o", str(start), "-e", "-J", *more)
    return [json.loads(line) for line in out.splitlines()]


def lines(n, seed=0):
    r = random.Random(seed)
    return ["line-%d-%s" % (i, "x" * r.randrange(200)) for i in range(n)]


def check_values(records, values, base):
    assert [r["payload"] for r in records] == values, f"{len(records)} records, expected {len(values)}"
    assert [r["offset"] for r in records] == list(range(base, base + len(values))), "dense offsets"


def codecs(ctx, topic, partition=0):
    with ctx.broker.connect() as c:
        return {b["codec"] for b in c.all_batches(topic, partition)}


@scenario("metadata")
def metadata(ctx):
    topic = ctx.topic(3)
    seen = json.loads(kcat(ctx, "-L", "-J"))
    assert [b["name"] for b in seen["brokers"]] == [ctx.broker.address], seen["brokers"]
    found = {t["topic"]: len(t["partitions"]) for t in seen["topics"]}
    assert found.get(topic) == 3, found
    assert "3 partitions" in kcat(ctx, "-L", "-t", topic).decode()


def produce(ctx, codec, acks, idempotent=False):
    topic = ctx.topic(3)
    for round in range(3):
        values = lines(150, round)
        more = ["-X", "enable.idempotence=true"] if idempotent else ["-X", f"acks={acks}"]
        kcat(ctx, "-P", "-t", topic, "-p", "1", "-z", codec, *more, stdin="\n".join(values).encode() + b"\n")
        if acks == 0:
            with ctx.broker.connect() as c:
                wait_until(lambda: c.list_offset(topic, -1, 1)["Offset"] >= 150 * (round + 1), 10, "records of acks 0")
        check_values(consume(ctx, topic, 1, round * 150), values, round * 150)
    # A batch that would grow by compression goes out without.
    assert codec in codecs(ctx, topic, 1) <= {codec, "none"}, codecs(ctx, topic, 1)
    if idempotent:
        with ctx.broker.connect() as c:
            ids = {b["producer_id"] for b in c.all_batches(topic, 1)}
        assert len(ids) == 3 and min(ids) >= 0, ids


for codec in rk.CODECS:
    for acks in (0, 1, -1):
        scenario(f"produce-{codec}-acks-{'all' if acks < 0 else acks}")(
            lambda ctx, codec=codec, acks=acks: produce(ctx, codec, acks))
    scenario(f"produce-{codec}-idempotent")(lambda ctx, codec=codec: produce(ctx, codec, -1, True))


@scenario("auto-created-topic")
def auto_created(ctx):
    topic = ctx.name("auto")
    kcat(ctx, "-P", "-t", topic, stdin=b"first\nsecond\n")
    check_values(consume(ctx, topic), ["first", "second"], 0)


@scenario("keys-headers-nulls")
def keys(ctx):
    topic = ctx.topic()
    before = rk.now_ms()
    kcat(ctx, "-P", "-t", topic, "-p", "0", "-K", ":", "-H", "a=1", "-H", "b=two words", "-H", "a=again", stdin=b"k1:v1\n")
    kcat(ctx, "-P", "-t", topic, "-p", "0", "-K", ":", "-Z", stdin=b"gone:\n:keyless\n")
    got = consume(ctx, topic)
    assert [(r["key"], r["payload"]) for r in got] == [("k1", "v1"), ("gone", None), (None, "keyless")], got
    assert got[0]["headers"] == ["a", "1", "b", "two words", "a", "again"], got[0]
    assert all(r["tstype"] == "create" and before <= r["ts"] <= rk.now_ms() for r in got), "timestamps"


@scenario("value-sizes")
def value_sizes(ctx):
    topic = ctx.topic()
    r = random.Random(3)
    # librdkafka allows message.max.bytes for all that it puts beside the value too; the broker's limit is 1 MiB + 12.
    sizes = [1, 2, 127, 128, 1000, 4095, 4096, 65535, 65536, 262144, 1000000, (1 << 20) + 12 - 61 - 11]
    with tempfile.TemporaryDirectory() as d:
        digests = []
        for n in sizes:
            data = r.randbytes(n)
            digests.append((n, hashlib.sha256(data).hexdigest()))
            path = os.path.join(d, "value")
            with open(path, "wb") as f:
                f.write(data)
            kcat(ctx, "-P", "-t", topic, "-p", "0", "-X", "message.max.bytes=2000000", path)
        for i, (n, digest) in enumerate(digests):
            value = kcat(ctx, "-C", "-q", "-t", topic, "-p", "0", "-o", str(i), "-c", "1", "-f", "%s")
            assert (len(value), hashlib.sha256(value).hexdigest()) == (n, digest), f"value of {n} bytes"
        with open(path, "wb") as f:
            f.write(bytes(1_100_000))
        done = subprocess.run(["kcat", "-b", ctx.broker.address, "-P", "-t", topic, "-p", "0", "-X",
                               "message.max.bytes=2000000", path], capture_output=True, text=True, timeout=60)
        assert "too large" in done.stderr.lower(), done.stderr


@scenario("compression-type-of-the-topic")
def compression_type(ctx):
    values = lines(400)
    text = ("\n".join(values) + "\n").encode()
    for kind in ("uncompressed", "gzip", "snappy", "lz4", "zstd"):
        topic = ctx.topic(configs={"compression.type": kind})
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            kcat(ctx, "-P", "-t", topic, "-p", "0", "-z", codec, stdin=text)
        expected = {"none" if kind == "uncompressed" else kind}
        assert codecs(ctx, topic) == expected, f"{kind}: {codecs(ctx, topic)}"
        check_values(consume(ctx, topic), values * 5, 0)


@scenario("fetch-from-everywhere")
def fetch_from(ctx):
    topic = ctx.topic()
    values = lines(500)
    for i in range(0, 500, 50):
        kcat(ctx, "-P", "-t", topic, "-p", "0", "-z", "lz4", stdin="\n".join(values[i:i + 50]).encode() + b"\n")
    for start in (0, 1, 49, 50, 51, 300, 499):
        check_values(consume(ctx, topic, 0, start), values[start:], start)
    check_values(consume(ctx, topic, 0, -10), values[-10:], 490)
    assert consume(ctx, topic, 0, "end") == []
    everything = consume(ctx, topic)
    stamp = everything[250]["ts"]
    first = next(r["offset"] for r in everything if r["ts"] >= stamp)
    check_values(consume(ctx, topic, 0, f"s@{stamp}"), values[first:], first)
    last = next((r["offset"] for r in everything if r["ts"] >= stamp + 1), 500)
    check_values(consume(ctx, topic, 0, "beginning", "-o", f"e@{stamp + 1}"), values[:last], 0)


@scenario("query-offsets")
def query(ctx):
    topic = ctx.topic()
    kcat(ctx, "-P", "-t", topic, "-p", "0", stdin=b"a\nb\nc\n")
    stamps = [r["ts"] for r in consume(ctx, topic)]

    def ask(timestamp):
        out = kcat(ctx, "-Q", "-t", f"{topic}:0:{timestamp}").decode()
        return int(re.search(r"offset (-?\d+)", out).group(1))
    assert (ask(-1), ask(-2)) == (3, 0), (ask(-1), ask(-2))
    assert ask(stamps[0] - 5) == 0
    assert ask(stamps[-1] + 1) in (-1, 3), ask(stamps[-1] + 1)


@scenario("follow-the-end")
def follow(ctx):
    topic = ctx.topic()
    reader = subprocess.Popen(["kcat", "-b", ctx.broker.address, "-C", "-q", "-u", "-t", topic, "-p", "0", "-o", "beginning",
                               "-c", "20", "-f", "%s %o\n"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for i in range(20):
            kcat(ctx, "-P", "-t", topic, "-p", "0", stdin=b"n%d\n" % i)
        out, _ = reader.communicate(timeout=20)
        assert out.split("\n")[:20] == [f"n{i} {i}" for i in range(20)], out
    finally:
        terminate(reader)


@scenario("many-records")
def many(ctx):
    topic = ctx.topic()
    values = ["%07d-%s" % (i, "y" * 80) for i in range(50_000)]
    kcat(ctx, "-P", "-t", topic, "-p", "0", "-X", "linger.ms=5", stdin="\n".join(values).encode() + b"\n")
    out = kcat(ctx, "-C", "-q", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-f", "%o %s\n").decode()
    assert out.split("\n")[:-1] == ["%d %s" % (i, v) for i, v in enumerate(values)], "values or offsets"


def restart(ctx, how):
    """A producer that lives through the restart: what it read from its pipe is there, each record once."""
    def line(i):
        return f"r{i}-" + "z" * 1000
    topic = ctx.topic()
    producer = subprocess.Popen(["kcat", "-b", ctx.broker.address, "-P", "-E", "-t", topic, "-p", "0", "-X",
                                 "enable.idempotence=true", "-X", "linger.ms=0", "-X", "reconnect.backoff.max.ms=200"],
                                stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        total = 0
        for round in range(3):
            if round:
                ctx.broker.restart(how)
            producer.stdin.write("".join(line(i) + "\n" for i in range(total, total + 400)).encode())
            producer.stdin.flush()
            total += 400
            with ctx.broker.connect() as c:
                c.wait_for_topic(topic)
                # kcat reads its input in blocks, so the last records stay in its buffer until there is more.
                wait_until(lambda: c.list_offset(topic, -1)["Offset"] >= total - 100, 30, f"nearly {total} records")
        producer.stdin.close()
        assert producer.wait(30) == 0
        check_values(consume(ctx, topic), [line(i) for i in range(total)], 0)
    finally:
        terminate(producer)


scenario("restart-clean")(lambda ctx: restart(ctx, "term"))
scenario("restart-kill")(lambda ctx: restart(ctx, "kill"))


@scenario("delete-topic")
def delete(ctx):
    topic = ctx.topic()
    kcat(ctx, "-P", "-t", topic, stdin=b"x\n")
    with ctx.broker.connect() as c:
        c.call("DeleteTopics", 3, {"TopicNames": [topic], "TimeoutMs": 10000})

    def gone():
        return topic not in [t["topic"] for t in json.loads(kcat(ctx, "-L", "-J"))["topics"]]
    deadline = time.monotonic() + 10
    while not gone():
        assert time.monotonic() < deadline, "still listed"
