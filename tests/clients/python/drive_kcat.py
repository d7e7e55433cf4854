"""kcat (librdkafka of Debian): see ../README.md. A member is a kcat -G process, which tells rebalances on stderr and commits
by itself, in the background and before it lets go of a partition. Needs nothing but Python's standard library."""
import ctypes
import os
import re
import select
import signal
import subprocess
import sys

import line

LIBC = ctypes.CDLL(None)


def dies_with_us():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: kill -9 of the driver is kill -9 of its members


class Member(line.Thread):
    def __init__(self, name, broker, topic, *, group, session, commit, instance, strategy):
        super().__init__(name)
        settings = {"auto.offset.reset": "earliest", "session.timeout.ms": session, "heartbeat.interval.ms": 300,
                    "auto.commit.interval.ms": 100, "fetch.wait.max.ms": 50, "reconnect.backoff.max.ms": 200,
                    "partition.assignment.strategy": "cooperative-sticky" if strategy == "cooperative" else "range"}
        if instance:
            settings["group.instance.id"] = instance
        self.command = ["kcat", "-b", broker, "-G", group, "-u", "-E", "-f", "%p %o %s\n",
                        *[x for k, v in settings.items() for x in ("-X", f"{k}={v}")], topic]
        self.owned, self.rest = set(), b""

    def open(self):
        # One pipe for both, so that records and rebalances keep their order.
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        preexec_fn=dies_with_us)

    def poll(self):
        if select.select([self.process.stdout], [], [], 0.05)[0]:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise RuntimeError(f"kcat ended with {self.process.wait()}")
            self.take(data)

    def take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        batch = {}

        def tell():
            for p, records in batch.items():
                line.event("records", self.member, p=p, o=[o for o, _ in records], v=[v for _, v in records])
            batch.clear()
        for text in (raw.decode() for raw in lines):
            if text.startswith("%"):
                tell()
                self.rebalanced(text)
            elif text:
                p, o, value = text.split(" ", 2)
                batch.setdefault(int(p), []).append((int(o), value))
        tell()

    def rebalanced(self, text):
        found = re.search(r"rebalanced.*?: (assigned|revoked|incremental assignment|incremental revoke)(.*)", text)
        if found:
            line.event("assigned" if "assign" in found.group(1) else "revoked", self.member,
                       p=[int(p) for p in re.findall(r" \[(\d+)\]", found.group(2))])
        elif "Reached end" not in text:
            print(text, file=sys.stderr)

    def leave(self):
        self.closed = True
        self.process.terminate()
        rest = self.process.stdout.read()
        self.process.wait()
        self.take(rest + b"\n%\n")
        line.event("left", self.member)


class Driver(line.Driver):
    def produce(self, topic, partition, values, codec, acks, idempotent):
        more = ["-X", "enable.idempotence=true"] if idempotent else ["-X", f"acks={acks}"]
        done = subprocess.run(["kcat", "-b", self.broker, "-P", "-E", "-t", topic, "-p", str(partition), "-z", codec,
                               "-X", "reconnect.backoff.max.ms=200", *more], input="\n".join(values) + "\n", text=True,
                              capture_output=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-300:])
        return -1

    def join(self, m, topic, **more):
        self.members[m] = Member(m, self.broker, topic, **more)
        self.members[m].start()


version = re.search(r"Version ([\d.]+).*?librdkafka ([\d.]+)", subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout, re.S)
line.serve(Driver(sys.argv[1]), f"{version.group(1)} (librdkafka {version.group(2)})")
