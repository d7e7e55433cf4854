"""`millrace bench ...`: what it says it did is what the broker has, on Millrace, Apache Kafka and any other broker.

Short loads; how fast they are is nobody's business here.
"""
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time

import harness
import rawkafka as rk
from harness import NEVER_SYNCED, Suite, claim_port, wait_until

OK, FAILED, USAGE, NO_CONNECTION = 0, 1, 2, 3
PERCENTILES = ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "p9999_ms", "max_ms"]


def prepare(options):
    options.binary = harness.find_binary(options.binary)


SUITE = Suite("bench", "millrace bench", prepare=prepare)
scenario = SUITE.scenario


def environment(ctx):
    return {**os.environ, "MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address}


def bench(ctx, *args, expect=OK):
    """Runs `millrace bench ARGS`; returns (stdout, stderr) and checks the exit code."""
    done = subprocess.run([ctx.options.binary, "bench", *args], capture_output=True, text=True, timeout=60,
                          env=environment(ctx))
    assert done.returncode == expect, \
        f"millrace bench {' '.join(args)}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}"
    assert expect == OK or done.stderr.strip(), f"millrace bench {' '.join(args)}: fails without a word"
    return done.stdout, done.stderr


def figures(ctx, *args, expect=OK):
    """The same as JSON, with what must hold of any load."""
    found = json.loads(bench(ctx, *args, "--json", expect=expect)[0])
    assert found["work"] == args[0] and (found["errors"] == 0) == (expect == OK), found
    what = "operations" if args[0] == "groups" else "records"
    if found[what] > 0:
        times = [found[p] for p in PERCENTILES]
        assert times == sorted(times) and times[0] > 0 and found["mean_ms"] <= found["max_ms"], found
        assert found["seconds"] > 0 and found[f"{what}_per_second"] > 0, found
    return found


def ends(ctx, topic, partitions):
    with ctx.broker.connect() as c:
        c.wait_for_topic(topic, partitions)
        return [c.list_offset(topic, -1, partition=p)["Offset"] for p in range(partitions)]


def batches(ctx, topic, partitions):
    with ctx.broker.connect() as c:
        return [b for p in range(partitions) for b in c.all_batches(topic, partition=p)]


@scenario("produce-so-many")
def produce(ctx):
    name = ctx.name("bench")
    found = figures(ctx, "produce", "-t", name, "-p", "3", "-n", "1000", "-s", "200", "--batch-records", "30", "-c", "2")
    assert found["records"] == 1000 and found["partitions"] == 3 and found["bytes"] == 200_000, found
    assert sum(ends(ctx, name, 3)) == 1000 and all(ends(ctx, name, 3)), "exactly so many, in all partitions"
    now = time.time() * 1000
    for batch in batches(ctx, name, 3):
        assert batch["count"] <= 30 and abs(now - batch["max_timestamp"]) < 60_000, batch
    assert "made topic" in bench(ctx, "produce", "-t", ctx.name("bench"), "-n", "1")[1]
    out, err = bench(ctx, "produce", "-t", name, "-n", "10", "-q")
    assert not err and re.search(r"^records +10 in", out, re.M) and re.search(r"^latency +p50 .* p99.99 .* max ", out, re.M), out


@scenario("produce-codecs-and-acks")
def codecs(ctx):
    for codec in rk.CODECS:
        name = ctx.name("bench")
        found = figures(ctx, "produce", "-t", name, "-n", "500", "-z", codec, "--batch-records", "50")
        assert found["codec"] == codec and {b["codec"] for b in batches(ctx, name, 1)} == {codec}
        assert (found["wire_bytes"] < found["bytes"]) == (codec != "none"), found
    name = ctx.name("bench")
    for n, acks in enumerate(("0", "1", "all"), 1):
        assert figures(ctx, "produce", "-t", name, "-n", "300", "-a", acks, "--batch-records", "7")["acks"] == acks
        # Without an answer nobody knows but the last request's connection, which is flushed.
        wait_until(lambda: ends(ctx, name, 1) == [300 * n], 10, f"records of acks {acks}")


@scenario("produce-open-loop")
def open_loop(ctx):
    name = ctx.topic(1, NEVER_SYNCED)
    found = figures(ctx, "produce", "-t", name, "-r", "500", "-d", "1", "--warm-up", "0.5", "-c", "2")
    assert found["records"] == 500 and found["not_sent"] == 0, found
    assert 0.9 < found["seconds"] < 5, found
    assert ends(ctx, name, 1) == [750], "the warm-up is sent, and not counted"
    # Records wait for their batch, and the wait is part of their latency.
    slow = figures(ctx, "produce", "-t", name, "-r", "100", "-n", "100", "--linger", "200")
    assert slow["records"] == 100 and slow["max_ms"] >= 200 and slow["p50_ms"] >= 80, slow
    sizes = [b["count"] for b in batches(ctx, name, 1)][-8:]
    assert max(sizes) >= 10, sizes


@scenario("consume")
def consume(ctx):
    name = ctx.name("bench")
    bench(ctx, "produce", "-t", name, "-p", "4", "-n", "2000", "-s", "500", "--batch-records", "20")
    once = figures(ctx, "consume", "-t", name)
    assert once["records"] == 2000 and once["bytes"] > 1_000_000 and once["partitions"] == 4, once
    assert figures(ctx, "consume", "-t", name, "-c", "3")["records"] == 2000
    part = figures(ctx, "consume", "-t", name, "-n", "100", "--fetch-bytes", "11000")["records"]
    assert 100 <= part < 2000, part
    again = figures(ctx, "consume", "-t", name, "-d", "1", "--warm-up", "0")
    assert again["records"] > 2000 and 0.5 < again["seconds"] < 5, again
    bench(ctx, "consume", "-t", ctx.name("none"), expect=FAILED)
    assert "bench produce" in bench(ctx, "consume", "-t", ctx.topic(1), expect=USAGE)[1]


@scenario("consume-follow")
def follow(ctx):
    name = ctx.name("bench")
    bench(ctx, "produce", "-t", name, "-n", "100")
    reader = subprocess.Popen([ctx.options.binary, "bench", "consume", "-t", name, "-f", "-n", "50", "--json"],
                              stdout=subprocess.PIPE, text=True, env=environment(ctx))
    try:
        def arrived():
            bench(ctx, "produce", "-t", name, "-n", "10", "-q")
            return reader.poll() is not None
        wait_until(arrived, 30, "what comes after the reader")
        found = json.load(reader.stdout)
        assert found["records"] >= 50 and found["follow"], found
    finally:
        reader.kill()
        reader.wait()


@scenario("end-to-end")
def end_to_end(ctx):
    name = ctx.topic(3, NEVER_SYNCED)
    bench(ctx, "produce", "-t", name, "-n", "50")  # somebody else's records are not ours
    found = figures(ctx, "e2e", "-t", name, "-n", "600", "-r", "1000", "-c", "2", "-s", "64")
    assert found["records"] == 600 and found["bytes"] == 600 * 64, found
    assert sum(ends(ctx, name, 3)) == 650
    for codec in ("none", "lz4"):
        found = figures(ctx, "e2e", "-t", name, "-r", "2000", "-d", "0.5", "--warm-up", "0.2", "--linger", "10", "-z", codec)
        assert found["records"] == 1000 and found["p50_ms"] >= 4, found
    assert figures(ctx, "e2e", "-t", name, "-r", "0", "-n", "1000")["records"] == 1000
    for bad in (("-s", "8"), ("-a", "0")):
        bench(ctx, "e2e", "-t", name, *bad, expect=USAGE)


@scenario("errors-are-counted-and-named")
def errors(ctx):
    name = ctx.topic(1, configs={"max.message.bytes": "2000"})
    found = figures(ctx, "produce", "-t", name, "-n", "50", "-s", "1000", "--batch-records", "10", expect=FAILED)
    assert found["records"] == 0 and found["errors_by_name"][0]["name"] == "MESSAGE_TOO_LARGE", found
    assert found["errors"] == sum(e["count"] for e in found["errors_by_name"]), found
    assert "MESSAGE_TOO_LARGE" in bench(ctx, "produce", "-t", name, "-n", "1", "-s", "3000", expect=FAILED)[1]
    out, err = bench(ctx, "produce", "-b", f"127.0.0.1:{claim_port()}", "-n", "1", expect=NO_CONNECTION)
    assert not out and "is the broker running there?" in err, err
    for bad in (["-r", "-1"], ["-z", "rar"], ["-d", "0"], ["-s", "0"], ["-c", "10000", "-i", "1000", "--batch-bytes", "100000000"]):
        bench(ctx, "produce", *bad, expect=USAGE)


@scenario("interrupted")
def interrupted(ctx):
    name = ctx.name("bench")
    bench(ctx, "produce", "-t", name, "-n", "1000")
    for args in (("produce", "-d", "600"), ("produce", "-r", "50", "-d", "600", "--warm-up", "0"), ("consume", "-d", "600"),
                 ("e2e", "-r", "200", "-d", "600"), ("consume", "-f")):
        run = subprocess.Popen([ctx.options.binary, "bench", args[0], "-t", name, *args[1:], "--json", "--progress"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(ctx))
        try:
            if args != ("consume", "-f"):  # which has nothing to tell
                while not re.search(r"^[1-9][\d.]*( [kMG])?: .*/s, ", run.stderr.readline()):
                    assert run.poll() is None, args
            else:
                assert "0: 0/s" in run.stderr.readline()
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=10)
        finally:
            run.kill()
            run.wait()
        found = json.loads(out)
        assert run.returncode == OK and found["interrupted"] and found["errors"] == 0, (args, run.returncode, out, err)
        assert (found["records"] > 0) == (args != ("consume", "-f")) and "figures so far" in err, (args, found, err)


@scenario("progress-only-on-a-terminal")
def progress(ctx):
    name = ctx.name("bench")
    load = ("produce", "-t", name, "-r", "100", "-d", "1.5", "--warm-up", "0.1")
    bench(ctx, "produce", "-t", name, "-n", "1")
    assert bench(ctx, *load)[1] == "", "no terminal, no word"
    assert "/s, " in bench(ctx, *load, "--progress")[1]
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        run = subprocess.Popen([ctx.options.binary, "bench", *load], stdout=subprocess.DEVNULL, stderr=theirs,
                               env=environment(ctx))
        os.close(theirs)
        drawn = b""
        try:
            while piece := screen.read(4096):
                drawn += piece
        except OSError:  # the other side is gone
            pass
        assert run.wait(10) == OK
    assert b"\r\x1b[K" in drawn and b"/s, " in drawn and b"\n" not in drawn, drawn


def groups_left(ctx):
    """Groups of loads that the brokers know."""
    names = subprocess.run([ctx.options.binary, "group", "list", "--names"], capture_output=True, text=True, timeout=60,
                           env=environment(ctx), check=True).stdout.split()
    return [n for n in names if n.startswith("bench-")]


@contextlib.contextmanager
def group_load(ctx, *args):
    """A load on groups that runs until it is told to stop. Its line is there when the groups are made."""
    run = subprocess.Popen([ctx.options.binary, "bench", "groups", *args, "--json", "--progress"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env=environment(ctx))
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def wait_for_line(run, pattern):
    while not re.search(pattern, line := run.stderr.readline()):
        assert run.poll() is None and line, "the load has ended"


def interrupt(run, within=20):
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=within)
    return json.loads(out), err


GROUP_WORKS = [("heartbeat", "classic"), ("commit", "classic"), ("join", "classic"), ("rebalance", "classic"),
               ("heartbeat", "consumer"), ("commit", "consumer"), ("rebalance", "consumer")]
LOAD_GOES_ON = r"^[1-9][\d.]*( [kMG])?: .*/s"


@scenario("groups-every-work")
def groups(ctx):
    name = ctx.topic(7)
    for work, protocol in GROUP_WORKS:
        found = figures(ctx, "groups", work, "--protocol", protocol, "-t", name, "-g", "6", "-m", "3", "-n", "20",
                        "--commit-partitions", "5", "-c", "6")
        assert found["operations"] == 20 and found["not_sent"] == 0 and found["partitions"] == 7, found
        assert (found["operation"], found["protocol"], found["groups"], found["members"]) == (work, protocol, 6, 3), found
        assert not groups_left(ctx), (work, protocol)
    assert figures(ctx, "groups", "join", "-t", name, "-g", "4", "-m", "1", "-n", "30")["operations"] == 30
    out, err = bench(ctx, "groups", "-t", name, "-g", "2", "-n", "10", "-q")
    assert not err and re.search(r"^operations +10 in", out, re.M) and "MB/s" not in out, out
    assert not groups_left(ctx)


@scenario("groups-open-loop")
def groups_open_loop(ctx):
    name = ctx.topic(2)
    for protocol in ("classic", "consumer"):
        found = figures(ctx, "groups", "-t", name, "--protocol", protocol, "-g", "5", "-m", "2", "-r", "300", "-d", "1",
                        "--warm-up", "0.2")
        assert found["operations"] == 300 and found["not_sent"] == 0 and 0.9 < found["seconds"] < 5, found


@scenario("groups-while-they-live")
def groups_live(ctx):
    name = ctx.topic(6)
    for protocol in ("classic", "consumer"):
        with group_load(ctx, "commit", "-t", name, "--protocol", protocol, "-g", "3", "-m", "2", "-d", "600",
                        "--commit-partitions", "6") as run:
            wait_for_line(run, LOAD_GOES_ON)
            there = groups_left(ctx)
            assert len(there) == 3, there
            shown = subprocess.run([ctx.options.binary, "group", "describe", there[0], "-o", "json"], capture_output=True,
                                   text=True, timeout=60, env=environment(ctx), check=True).stdout
            assert json.loads(shown)["state"] == "Stable", shown
            shown = subprocess.run([ctx.options.binary, "group", "members", there[0], "-o", "json"], capture_output=True,
                                   text=True, timeout=60, env=environment(ctx), check=True).stdout
            assert len(json.loads(shown)) == 2 and all(f"{name}" in json.dumps(m) for m in json.loads(shown)), shown
            with ctx.broker.connect() as c:
                topics = c.call("OffsetFetch", 7, {"GroupId": there[0], "Topics": None})["Topics"]
            assert [(t["Name"], len(t["Partitions"])) for t in topics] == [(name, 6)], topics
            found, _ = interrupt(run)
            assert run.returncode == OK and found["interrupted"] and found["operations"] > 0, found
        assert not groups_left(ctx)


@scenario("groups-interrupted")
def groups_interrupted(ctx):
    name = ctx.topic(4)
    for work, protocol in GROUP_WORKS:
        with group_load(ctx, work, "--protocol", protocol, "-t", name, "-g", "20", "-m", "3", "-d", "600", "--warm-up", "0") as run:
            wait_for_line(run, LOAD_GOES_ON)
            found, err = interrupt(run)
            assert run.returncode == OK and found["errors"] == 0 and "figures so far" in err, (work, protocol, found, err)
        assert not groups_left(ctx), (work, protocol)
    # What comes due while a thousand groups are removed was not to be sent.
    with group_load(ctx, "-t", name, "-g", "1000", "-m", "1", "-d", "600", "-r", "50", "--warm-up", "0") as run:
        wait_for_line(run, LOAD_GOES_ON)
        found, err = interrupt(run, 60)
        assert found["not_sent"] <= 5, (found, err)
    assert not groups_left(ctx)
    # While groups are made: so many that it is far from done when the line of the first second is read.
    for protocol in ("classic", "consumer"):
        with group_load(ctx, "--protocol", protocol, "-t", name, "-g", "100000", "-m", "4", "-d", "600") as run:
            wait_for_line(run, r"^making groups: [1-9]\d* of 100000")
            found, err = interrupt(run, 60)
            assert run.returncode == OK and found["interrupted"] and found["operations"] == 0, (found, err)
        assert not groups_left(ctx), protocol


# Groups whose turn comes seldom: somebody sends their heartbeats, or the session of six seconds would end.
@scenario("groups-stay-alive")
def groups_stay(ctx):
    name = ctx.topic(2)
    for args in (("commit", "-m", "2"), ("join", "-m", "1")):
        found = figures(ctx, "groups", *args, "-t", name, "-g", "40", "--session-ms", "6000", "-r", "5", "-d", "8.5",
                        "--warm-up", "0")
        assert found["operations"] in (42, 43), found


@scenario("groups-errors-are-counted-and-mended")
def groups_errors(ctx):
    name = ctx.topic(3)
    with group_load(ctx, "-t", name, "-g", "2", "-m", "2", "-r", "200", "-d", "600", "--warm-up", "0") as run:
        wait_for_line(run, LOAD_GOES_ON)
        group = groups_left(ctx)[0]
        with ctx.broker.connect() as c:
            members = c.call("DescribeGroups", 4, {"Groups": [group]})["Groups"][0]["Members"]
            assert len(members) == 2, members
            left = c.call("LeaveGroup", 3, {"GroupId": group, "Members": [{"MemberId": members[0]["MemberId"]}]})
            assert left["ErrorCode"] == 0, left
        wait_for_line(run, r", [1-9]\d* errors?$")
        # Its members join again, and the load goes on with them.
        with ctx.broker.connect() as c:
            def whole():
                found = c.call("DescribeGroups", 4, {"Groups": [group]})["Groups"][0]
                now = {m["MemberId"] for m in found["Members"]}
                return found["GroupState"] == "Stable" and len(now) == 2 and members[0]["MemberId"] not in now
            wait_until(whole, 20, "the group made anew")
        found, err = interrupt(run)
    names = {e["name"] for e in found["errors_by_name"]}
    assert run.returncode == FAILED and 0 < found["errors"] < 10, found
    assert names <= {"UNKNOWN_MEMBER_ID", "REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION"}, found
    assert any(n in err for n in names) and not groups_left(ctx), err


@scenario("groups-usage")
def groups_usage(ctx):
    name = ctx.topic(2)
    for bad, word in ((["join", "--protocol", "consumer"], "classic"), (["rebalance", "-m", "8", "-c", "7"], "--connections"),
                      (["commit", "--commit-partitions", "3"], "--commit-partitions 3")):
        err = bench(ctx, "groups", *bad, "-t", name, expect=USAGE)[1]
        assert word in err, err
    out, err = bench(ctx, "groups", "-b", f"127.0.0.1:{claim_port()}", expect=NO_CONNECTION)
    assert not out and "is the broker running there?" in err, err
