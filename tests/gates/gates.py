#!/usr/bin/env python3
"""Clockless gates: counts that must not grow, whatever the machine's mood. Usage: gates.py [--build DIR] [--self-test]

System calls per request of the real binary (strace -c), allocations per request (gate_allocations), instructions per
batch (callgrind over gate_instructions). The bounds stand in bounds.json, a little above what was measured when they
were set; lower them when the code gets better. --self-test holds the measured counts against bounds of half their size
and wants every gate to fail.
"""
import argparse
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NEVER = "9223372036854775807"
REQUESTS = 1000


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stdout[-500:]}{done.stderr[-1000:]}")
    return done


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            raise RuntimeError("waited too long")
        time.sleep(0.01)


class SystemCalls:
    """The release binary on one core, one connection. One request at a time: nothing coalesces, so the count is steady. With
    sixteen, what was read together or what one group commit made durable is answered together: one sendmsg for several, how
    many is the disk's mood."""

    def __init__(self, build, work):
        self.build, self.data = build, os.path.join(work, "data")
        self.table = os.path.join(work, "strace")

    def kload(self, *args):
        return run([os.path.join(self.build, "bench/kload"), *args[:1], "--bootstrap", self.address, *args[1:]])

    def heartbeats(self, *args):
        """Sixteen groups of one; that they are made and left counts too."""
        return run([os.path.join(self.build, "bench/groupload"), "heartbeat", "--bootstrap", self.address, "--groups", "16",
                    "--members", "1", "--topics", "1", "--partitions", "1", "--connections", "1", "--warmup", "0", *args])

    def count(self, load, requests=REQUESTS):
        """Calls per request while `load` runs with strace attached."""
        load("--count", str(requests))  # warm
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", self.table, "-p", str(self.broker.pid)],
                                  stderr=subprocess.PIPE, text=True)
        try:
            def attached():
                tasks = os.listdir(f"/proc/{self.broker.pid}/task")
                return all("TracerPid:\t0\n" not in open(f"/proc/{self.broker.pid}/task/{t}/status").read() for t in tasks)
            wait_for(lambda: tracer.poll() is not None or attached())
            if tracer.poll() is not None:
                raise RuntimeError(f"strace cannot attach: {tracer.stderr.read()}")
            load("--count", str(requests))
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)
            tracer.wait()
        calls = {}
        for line in open(self.table):
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", line)
            # A clock is a system call only while the guest's clock source is in doubt: the machine's mood, not ours.
            if found and found.group(2) not in ("total", "clock_gettime"):
                calls[found.group(2)] = int(found.group(1))
        if not calls:
            raise RuntimeError(f"strace counted nothing: {open(self.table).read()}")
        self.detail = ", ".join(f"{name} {n / requests:.2f}" for name, n in sorted(calls.items(), key=lambda c: -c[1])
                                if n >= requests / 20)
        return sum(calls.values()) / requests

    def measure(self):
        log = open(self.data + ".log", "w")
        self.broker = subprocess.Popen(["taskset", "-c", "0", os.path.join(self.build, "millrace"), "serve", "--data-dir",
                                        self.data, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"], stdout=log, stderr=log)
        try:
            ready = os.path.join(self.data, "ready.json")
            wait_for(lambda: os.path.exists(ready) or self.broker.poll() is not None)
            self.address = json.load(open(ready))["kafka"]
            self.kload("create", "--topic", "synced")
            self.kload("create", "--topic", "cached", "--config", f"flush.messages={NEVER}")
            produce = ["--acks", "-1", "--size", "100", "--in-flight"]
            for name, load in (("produce synced, one at a time", ["produce", "--topic", "synced", *produce, "1"]),
                               ("produce synced, 16 in flight", ["produce", "--topic", "synced", *produce, "16"]),
                               ("produce unsynced, one at a time", ["produce", "--topic", "cached", *produce, "1"]),
                               ("fetch 64 KiB, one at a time",
                                ["fetch", "--topic", "synced", "--in-flight", "1", "--fetch-bytes", "65536"])):
                value = self.count(functools.partial(self.kload, *load))
                yield name, value, self.detail
            value = self.count(functools.partial(self.heartbeats, "--in-flight", "16"), 5 * REQUESTS)
            yield "heartbeat, 16 in flight", value, self.detail
        finally:
            self.broker.terminate()
            self.broker.wait()


def allocations(build, work):
    done = run([os.path.join(build, "tests/gates/gate_allocations"), os.path.join(work, "allocations")])
    for name, value in json.loads(done.stdout).items():
        yield name, value, ""


def instructions(build, work):
    for size in (1024, 100):
        # tmpfs: the path of a slow disk would make the same instructions, but the gate is about ours.
        directory = tempfile.mkdtemp(prefix="gate-", dir="/dev/shm" if os.path.isdir("/dev/shm") else work)
        try:
            batches = 200
            done = run(["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=gate_step",
                        f"--callgrind-out-file={work}/callgrind.{size}", os.path.join(build, "tests/gates/gate_instructions"),
                        directory, str(size), str(batches)])
            total = int(re.search(r"Collected : (\d+)", done.stderr).group(1))
            yield f"decode, validate, append 100 x {size} B", total / batches, ""
        finally:
            shutil.rmtree(directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    bounds = json.load(open(os.path.join(HERE, "bounds.json")))
    work = tempfile.mkdtemp(prefix="gates-")
    passed, failed = [], []

    def judge(kind, name, value, bound, detail):
        good = value <= bound
        (passed if good else failed).append(name)
        print(f"{'ok  ' if good else 'FAIL'} {kind}: {name}: {value:.2f}, bound {bound}{' (' + detail + ')' if detail else ''}",
              flush=True)

    kinds = (("system calls per request", SystemCalls(args.build, work).measure),
             ("allocations per request", lambda: allocations(args.build, work)),
             ("instructions per batch", lambda: instructions(args.build, work)))
    try:
        for kind, measure in kinds:
            expected = dict(bounds[kind])
            try:
                for name, value, detail in measure():
                    bound = expected.pop(name)
                    if args.self_test:
                        # Zero cannot be halved: there the gate must see one count too many.
                        value, bound = (value, value / 2) if value > 0 else (value + 1, bound)
                    judge(kind, name, value, bound, detail)
            except (RuntimeError, OSError, KeyError, subprocess.TimeoutExpired) as error:
                print(f"FAIL {kind}: {error}", flush=True)
                failed.append(kind)
            for name in expected:
                if kind not in failed:
                    print(f"FAIL {kind}: {name}: not measured", flush=True)
                    failed.append(name)
    finally:
        shutil.rmtree(work)
    if args.self_test:
        broken = [kind for kind, _ in kinds if kind in failed]
        ok = not passed and not broken
        print(f"self-test: every gate can fail: {'yes' if ok else 'no: ' + ', '.join(passed + broken)}")
        return 0 if ok else 1
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
