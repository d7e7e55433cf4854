"""bench/compare does what bench/README.md says of it, without Apache Kafka and without figures.

`--smoke` runs works of every kind against a second Millrace and the bare loop: every load ends without an error and every
row has a ratio; a work that fails would be told and end with exit code 1.
"""
import dataclasses
import json
import os
import subprocess
import sys
import tempfile

from harness import ROOT, Suite
from suite_groupload import program
from suite_raw import expect

SUITE = Suite("compare", "compare")
scenario = SUITE.scenario


def compare(ctx, *arguments, code=0):
    build = os.path.dirname(os.path.dirname(program("kload")))
    with tempfile.TemporaryDirectory(prefix="millrace-compare-") as home:
        done = subprocess.run([sys.executable, os.path.join(ROOT, "bench/compare"), "--smoke", "--build", build, "--millrace", ctx.broker.binary, "--dir", home, *arguments],
                              capture_output=True, text=True, timeout=180)
    expect(code, done.returncode, f"{done.stdout}{done.stderr}")
    return done


@scenario("against itself and the bare loop")
def whole(ctx):
    done = compare(ctx, "--rivals", "twin", "bare")
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ") and "work | metric" not in line and "---" not in line]
    works = {(r[0].removeprefix("| "), r[3]) for r in rows}
    for wanted in (("produce-1k-unsynced", "millrace (A/A)"), ("produce-1k-synced", "bare loop"), ("fetch-1k-hot", "millrace (A/A)"),
                   ("produce-100b-unbatched-synced", "bare loop"), ("produce-keyed-1000p-vs-1p", "millrace (A/A)")):
        assert wanted in works, (wanted, works)


@scenario("an unknown work is refused, the list names the known ones")
def listed(ctx):
    done = compare(ctx, "--only", "produce-1k", code=2)
    assert "no such work: produce-1k" in done.stderr, done.stderr
    text = compare(ctx, "--list").stdout
    assert "e2e-1k-50pct" in text and "nats jetstream" in text and "rabbitmq streams" in text, text


def kload(ctx, *arguments):
    done = subprocess.run([program("kload"), *map(str, arguments), "--bootstrap", ctx.broker.address], capture_output=True,
                          text=True, timeout=60)
    expect(0, done.returncode, f"{arguments}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout) if done.stdout else None


@scenario("kload receives end to end what it sends, each reader all of it")
def end_to_end(ctx):
    kload(ctx, "create", "--topic", "e2e", "--partitions", 4)
    topic = ["--topic", "e2e", "--partitions", 4, "--acks", -1, "--size", 200]
    for rate in ([], ["--rate", 2000]):
        found = kload(ctx, "e2e", *topic, "--records", 3, "--connections", 2, "--fetchers", 8, "--count", 400, *rate)
        expect((400, 1200, 2400, 0), tuple(found[n] for n in ("requests", "messages", "received", "errors")), "counts")
        assert 0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["p999_ms"] <= found["max_ms"], found
        assert 0 < found["ack_p50_ms"] <= found["ack_max_ms"], found
    once = kload(ctx, "fetch", "--topic", "e2e", "--partitions", 4, "--connections", 4, "--in-flight", 1, "--once", "--seconds", 30)
    expect((2400, 0), (once["messages"], once["errors"]), "what was read to the end, once")
    assert once["seconds"] < 20, once


@scenario("kload spreads keyed batches over partitions, in every codec")
def spread(ctx):
    kload(ctx, "create", "--topic", "keyed", "--partitions", 12)
    topic = ["--topic", "keyed", "--partitions", 12]
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        found = kload(ctx, "produce", *topic, "--acks", -1, "--records", 5, "--size", 100, "--key-bytes", 16, "--text", "--codec", codec,
                      "--spread", 4, "--connections", 3, "--count", 30)
        expect((30, 600, 0), tuple(found[n] for n in ("requests", "messages", "errors")), codec)
    once = kload(ctx, "fetch", *topic, "--connections", 12, "--in-flight", 1, "--once", "--seconds", 30)
    expect(3000, once["messages"], "what arrived, in all partitions together")
    with ctx.broker.connect() as c:
        ends = [c.list_offset("keyed", -1, partition=p)["Offset"] for p in range(12)]
    expect(ends[:3] * 4, ends, "what a request brings to its four partitions")
    assert min(ends) > 0, ends


@scenario("idle connections are held and told")
def idle(ctx):
    pid = ["--server-pid", ctx.broker.process.pid] if ctx.broker.kind == "millrace" else []
    found = kload(ctx, "idle", "--connections", 200, "--seconds", 0.2, *pid)
    expect(200, found["connections"], "connections")
    assert not pid or found["server_rss_mb"] > 1, found


@scenario("the loads of unmodified clients send and receive all, with keys, groups and a rate")
def clients(ctx):
    sys.path.insert(0, os.path.join(ROOT, "bench"))
    from comparing import clients as measured
    from comparing.brokers import Millrace, Programs
    from comparing.works import BY_NAME, OURS, SYNCED
    broker = Millrace("millrace", None, Programs(os.path.dirname(os.path.dirname(program("kload"))), ctx.broker.binary))
    broker.address, broker.pid, broker.logs = ctx.broker.address, ctx.broker.process.pid, ctx.broker.data
    for client in ("java", "librdkafka"):
        keyed, groups, paced = (BY_NAME[f"{client}-{name}"] for name in ("keyed-1000p", "groups-3", "e2e-100k-at-10k"))
        keyed = dataclasses.replace(keyed, partitions=20, more={**keyed.more, "producers": 3, "keep": False})
        for work, records, rate in ((keyed, 5000, 0), (groups, 5000, 0), (paced, 1000, 2000)):
            found = measured.load(broker, work, OURS[SYNCED], records, rate)
            expect((records, records * (work.more["size"] + work.more.get("key_bytes", 0))), (found["messages"], found["bytes"]), work.name)
            assert ("p999_ms" in found) == ("groups" in work.more), found
            if rate:
                assert found["seconds"] >= (records - 1) / rate and 0 < found["p50_ms"] <= found["p99_ms"] <= found["p999_ms"], found
