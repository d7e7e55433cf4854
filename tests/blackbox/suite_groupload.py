"""The benchmarks of consumer groups (bench/groupload, bench/group_core) do what bench/README.md says of them.

Small sizes, no figures: every work runs against the broker, every answer is without an error, every object that is
printed has the fields that are read from it.
"""
import json
import os
import subprocess

from harness import ROOT, Suite
from suite_raw import expect

SUITE = Suite("groupload", "groupload")
SUITE.settings = ["group.initial.rebalance.delay.ms=0"]
scenario = SUITE.scenario

REQUESTS = 300  # of each run
SMALL = ["--groups", "20", "--members", "3", "--topics", "2", "--partitions", "6", "--connections", "12"]


def program(name):
    for preset in ("release", "dev"):
        path = os.path.join(ROOT, "build", preset, "bench", name)
        if os.access(path, os.X_OK):
            return path
    raise AssertionError(f"no {name} binary: cmake --build build/release --target {name}")


def objects(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    expect(0, done.returncode, f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def load(ctx, *arguments):
    pid = ["--server-pid", str(ctx.broker.process.pid)] if ctx.broker.kind == "millrace" else []
    return objects([program("groupload"), "--bootstrap", ctx.broker.address, *SMALL, *pid, *arguments])


def whole(run, count):
    """A run that did what it was told to do."""
    expect((count, REQUESTS, 0), (run["operations"], run["requests"], run["errors"]), run["work"])
    assert 0 < run["p50_ms"] <= run["p99_ms"] <= run["p999_ms"] <= run["max_ms"], run
    assert run["seconds"] > 0 and run["operations_per_s"] > 0, run


def closed_and_at_half(work, requests_each):
    @scenario(work)
    def both(ctx):
        count = REQUESTS // requests_each
        closed, half = load(ctx, work, "--half", "--count", str(count))
        whole(closed, count)
        whole(half, count)
        expect(("closed", 0, "open"), (closed["load"], closed["rate"], half["load"]), "how they are loaded")
        # Both are printed rounded.
        assert abs(half["rate"] - closed["operations_per_s"] / 2) <= 1, (half, closed)
        if ctx.broker.kind == "millrace":
            assert closed["server_cpu_s"] > 0, closed


closed_and_at_half("join", 1)
closed_and_at_half("new-groups", 4)
closed_and_at_half("heartbeat", 1)
closed_and_at_half("heartbeat848", 1)
closed_and_at_half("commit", 1)
closed_and_at_half("rebalance", 6)


@scenario("setup")
def setup(ctx):
    got, = load(ctx, "setup", "--offsets", "240", "--large-members", "10")
    expect((20, 3, 240, 10, 12), tuple(got[k] for k in ("groups", "members", "offsets", "large_members", "partitions")),
           "what was set up")
    expect((0, True, 0), (got["errors"], got["settled"], got["owned_twice"]), got)
    if ctx.broker.kind == "millrace":
        assert 0 < got["rss_idle_mb"] <= got["peak_rss_mb"], got


@scenario("added")
def added(ctx):
    """12 partitions of 5 members: a sixth gets two, and the other ten stay where they are."""
    got, = load(ctx, "added", "--added-members", "5")
    expect((0, True, 0), (got["errors"], got["settled"], got["owned_twice"]), got)
    expect((2, 2), (got["had_to_move"], got["moved"]), got)
    expect(0, got["pause_of_others_ms"], "nobody else pauses")
    assert got["moving_gap_ms"] > 0, got


@scenario("group-core", only="millrace")
def core(ctx):
    runs = objects([program("group_core"), "all", "--groups", "20", "--members", "3", "--count", str(REQUESTS)])
    expect({"join": 1, "new-groups": 3, "heartbeat": 1, "heartbeat848": 1, "commit": 1, "rebalance": 6},
           {run["work"]: run["events"] // REQUESTS for run in runs}, "events of an operation")
    expect([0] * len(runs), [run["errors"] for run in runs], "errors")


@scenario("a-wrong-command-line")
def wrong(ctx):
    for arguments in (["sleep"], ["join", "--groups", "0"], ["rebalance", "--connections", "1"], ["commit", "--rate"]):
        done = subprocess.run([program("groupload"), *arguments], capture_output=True, text=True, timeout=20)
        expect((2, ""), (done.returncode, done.stdout), arguments)
        assert done.stderr.startswith("groupload: "), done.stderr
