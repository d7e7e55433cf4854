"""The client matrix's machinery: driver processes, and the history that they tell.

A driver (tests/clients/README.md) is a program around one client library that does what it is told and tells what it saw.
Everything that is to be decided is decided here: what was sent, who owned what when, what may be read twice.
"""
import collections
import json
import os
import subprocess
import tempfile
import threading
import time
import zlib

from harness import ROOT, wait_until


def now_us():
    return time.time_ns() // 1000


def make_value(partition, sequence):
    """Says where it belongs, and by its checksum whether it is whole."""
    text = f"{partition}/{sequence}/" + "abcdefghij"[sequence % 10] * (20 + sequence % 50)
    return f"{text}/{zlib.crc32(text.encode()):08x}"


def flaw(value, expected):
    """In words, why a value is not the expected one."""
    text, _, crc = value.rpartition("/")
    if f"{zlib.crc32(text.encode()):08x}" != crc:
        return f"flipped: {value!r} was {expected!r}"
    return f"{value!r} stands where {expected!r} was sent: a record was dropped, doubled or invented"


class Violation(AssertionError):
    pass


class History:
    """What was sent to one topic, and what the members that read it told. Reader threads feed it, check() judges it."""

    def __init__(self, topic, partitions, repeats=False):
        """`repeats`: of a client that may read again what was not committed when it got the partition."""
        self.topic, self.partitions, self.repeats = topic, partitions, repeats
        self.sent = {p: [] for p in range(partitions)}
        self.events = []
        self.members = {}  # name: what stays the same over a restart (the instance id, or the name)
        self.lock = threading.Lock()
        # Of now, for waiting only:
        self.seen = collections.Counter()
        self.owned = collections.defaultdict(set)
        self.starts = {}
        self.errors = []

    def add(self, event):
        with self.lock:
            self.events.append(event)
            e, m = event["e"], event["m"]
            if e == "assigned":
                self.owned[m] |= set(event["p"])
            elif e in ("revoked", "lost"):
                self.owned[m] -= set(event["p"])
            elif e in ("left", "killed"):
                self.owned.pop(m, None)
            elif e == "records" and event["o"]:
                self.seen[event["p"]] = max(self.seen[event["p"]], event["o"][-1] + 1)
                self.starts.setdefault((m, event["p"]), event["o"][0])
            elif e == "error":
                self.errors.append(f"{m}: {event['text']}")

    def told(self, member, *kinds, since=0):
        with self.lock:
            return [e for e in self.events[since:] if e["m"] == member and e["e"] in kinds]

    def healthy(self):
        if self.errors:
            raise Violation("a member died: " + "; ".join(self.errors))
        return True

    def all_read(self):
        return self.healthy() and all(self.seen[p] >= len(values) for p, values in self.sent.items())

    def shared_by(self, *names):
        """Every partition has one owner, and each of these members, and no other, owns some."""
        with self.lock:
            owned = {m: set(ps) for m, ps in self.owned.items() if ps}
        return (self.healthy() and set(owned) == set(names) and sum(map(len, owned.values())) == self.partitions and
                set().union(*owned.values()) == set(range(self.partitions)))

    def judge(self, *, in_group=True, again=False, complete=True):
        """Raises Violation. `again`: records may be read again where a partition begins anew, but from its last commit on."""
        with self.lock:
            events = sorted(self.events, key=lambda e: e["at"])
        judge = Judge(self, in_group, again)
        for e in events:
            judge.see(e)
        self.healthy()
        if complete:
            for p, values in self.sent.items():
                if judge.seen[p] != len(values):
                    raise Violation(f"partition {p}: {judge.seen[p]} of {len(values)} records were read")


class Judge:
    """One pass over a history in order of time; a method for each kind of event."""

    def __init__(self, history, in_group, again):
        self.history, self.in_group, self.again, self.repeats = history, in_group, again or history.repeats, history.repeats
        self.owner, self.of_generation, self.next, self.paused = {}, {}, {}, set()
        self.held = collections.defaultdict(set)
        self.committed = collections.Counter()
        self.seen = collections.Counter()
        self.floor = collections.Counter()  # committed when the owner began
        self.kinds = {"assigned": self.on_assigned, "revoked": self.on_revoked, "lost": self.on_revoked, "left": self.on_end,
                      "killed": self.on_end, "records": self.on_records, "committed": self.on_committed,
                      "seeked": self.on_seeked, "paused": self.on_paused, "resumed": self.on_resumed, "error": lambda e: None}

    def see(self, e):
        self.kinds[e["e"]](e)

    def on_assigned(self, e):
        m = e["m"]
        for p in e["p"]:
            if self.owner.get(p, m) != m:
                raise Violation(f"partition {p} was given to {m} while {self.owner[p]} owned it")
            self.owner[p] = m
            self.held[m].add(p)
            self.next.pop((m, p), None)
            self.floor[p] = self.committed[p]
        if e.get("g") is not None:
            who = self.history.members.get(m, m)
            for p in self.held[m]:
                other = self.of_generation.setdefault((e["g"], p), who)
                if other != who:
                    raise Violation(f"partition {p} has two owners in generation {e['g']}: {other} and {who}")

    def on_revoked(self, e):
        for p in e["p"]:
            self.held[e["m"]].discard(p)
            self.paused.discard((e["m"], p))
            if self.owner.get(p) == e["m"]:
                del self.owner[p]

    def on_end(self, e):
        self.on_revoked({"m": e["m"], "p": list(self.held[e["m"]])})

    def on_seeked(self, e):
        self.next[e["m"], e["p"]] = e["o"]

    def on_paused(self, e):
        self.paused.add((e["m"], e["p"]))

    def on_resumed(self, e):
        self.paused.discard((e["m"], e["p"]))

    def on_committed(self, e):
        for p, offset in e["o"].items():
            self.committed[int(p)] = offset

    def on_records(self, e):
        m, p = e["m"], e["p"]
        if self.in_group and self.owner.get(p) != m:
            raise Violation(f"{m} read offset {e['o'][0]} of partition {p}, which {self.owner.get(p, 'nobody')} owned")
        if (m, p) in self.paused:
            raise Violation(f"{m} read from partition {p}, which is paused")
        for offset, value in zip(e["o"], e["v"], strict=True):
            self.record(m, p, offset, value)

    def record(self, m, p, offset, value):
        sent, expected = self.history.sent[p], self.next.get((m, p))
        if offset >= len(sent):
            raise Violation(f"partition {p} offset {offset}: {value!r} was never sent ({len(sent)} were)")
        if value != sent[offset]:
            raise Violation(f"partition {p} offset {offset}: {flaw(value, sent[offset])}")
        if expected is None and self.in_group:
            low = self.committed[p] if self.again else self.seen[p]
            if not low <= offset <= self.seen[p]:
                raise Violation(f"{m} began partition {p} at {offset}, committed {self.committed[p]}, read up to {self.seen[p]}")
        elif expected is not None and offset != expected and not (self.repeats and self.floor[p] <= offset < expected):
            raise Violation(f"{m} read offset {offset} of partition {p}, expected {expected}")
        self.next[m, p] = offset + 1
        self.seen[p] = max(self.seen[p], offset + 1)


class Driver:
    """One driver process. Requests may come from several threads; each waits for its own answer."""

    def __init__(self, command, address, env=None):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*command, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True, bufsize=1, cwd=ROOT, env={**os.environ, **(env or {}), "TZ": "UTC"})
        self.histories = {}  # of the members that live here
        self.answers, self.count, self.version = {}, 0, None
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a library that prints
            if "id" in message:
                with self.changed:
                    self.answers[message["id"]] = message
                    self.changed.notify_all()
            elif message["e"] == "ready":
                with self.changed:
                    self.version = message["version"]
                    self.changed.notify_all()
            elif message["m"] in self.histories:
                message.setdefault("at", now_us())
                self.histories[message["m"]].add(message)
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, test, seconds, what):
        with self.changed:
            self.changed.wait_for(lambda: test() or not self.reader.is_alive() or self.process.poll() is not None, seconds)
            if not test():
                raise AssertionError(f"{what}: no answer within {seconds} s (driver: {self.process.poll()}) {self.words()}")

    def ready(self):
        self.wait_for(lambda: self.version is not None, 60, "start of the driver")
        return self

    def call(self, op, seconds=60, **fields):
        with self.changed:
            self.count += 1
            ident = self.count
            self.process.stdin.write(json.dumps({"id": ident, "op": op, **fields}) + "\n")
            self.process.stdin.flush()
        self.wait_for(lambda: ident in self.answers, seconds, op)
        answer = self.answers.pop(ident)
        if "error" in answer:
            raise AssertionError(f"{op} {fields.get('m', '')}: {answer['error']}")
        return answer.get("ok")

    def words(self):
        self.log.flush()
        with open(f"/proc/self/fd/{self.log.fileno()}", errors="replace") as f:
            return "".join(f.readlines()[-5:])[-600:]

    def kill(self):
        """SIGKILL. Members that lived here own nothing from the moment when the process has ended."""
        self.process.kill()
        self.process.wait()
        self.reader.join(10)
        at = now_us()
        for name, history in self.histories.items():
            history.add({"e": "killed", "m": name, "at": at})
        self.histories = {}

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        self.log.close()


class Play:
    """One scenario's topic, group, members and drivers of one client."""

    def __init__(self, ctx, stage, partitions=4, stem="m"):
        self.ctx, self.stage, self.client = ctx, stage, stage.client
        self.main = stage.main(ctx.broker.address)
        self.topic, self.group = ctx.topic(partitions, stem=stem), ctx.name("g")
        self.history = History(self.topic, partitions, self.client.repeats)
        self.where, self.drivers = {}, []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            for name in list(self.where):
                if kind is None and self.where[name].process.poll() is None:
                    self.leave(name)
        finally:
            for d in self.drivers:
                d.close()
            if kind is not None:
                self.stage.drop()  # whatever state it is in, the next scenario gets a fresh one

    def spawn(self, env=None):
        """A second process, for a member that is to be killed, or for members with another environment."""
        self.drivers.append(self.stage.launch(self.ctx.broker.address, env))
        return self.drivers[-1].ready()

    def send(self, *partitions, n=25, codec="none", acks=-1, idempotent=None):
        """Sends n more records to each partition (all when none is named) and waits for the acks."""
        if idempotent is None:
            idempotent = acks < 0 and "idempotent" in self.client.can
        for p in partitions or range(self.history.partitions):
            first = len(self.history.sent[p])
            values = [make_value(p, i) for i in range(first, first + n)]
            self.history.sent[p] += values
            got = self.main.call("produce", topic=self.topic, partition=p, values=values, codec=codec, acks=acks,
                                 idempotent=idempotent)
            if got is not None and got >= 0 and got != first:
                raise Violation(f"partition {p}: {n} records were acknowledged at {got}, expected {first}")
        if acks == 0:
            with self.ctx.broker.connect() as c:
                wait_until(lambda: all(c.list_offset(self.topic, -1, p)["Offset"] >= len(v)
                                       for p, v in self.history.sent.items()), 20, "records sent with acks 0")

    def member(self, name, driver, identity=None):
        driver = driver or self.main
        driver.histories[name] = self.history
        self.history.members[name] = identity or name
        self.where[name] = driver
        return driver

    def join(self, name, *, on=None, commit="each", session=10000, instance=None, strategy="range"):
        self.member(name, on, instance).call("join", m=name, group=self.group, topic=self.topic, session=session, commit=commit,
                                             instance=instance and f"{self.group}-{instance}", strategy=strategy)

    def assign(self, name, **starts):
        self.member(name, None).call("assign", m=name, topic=self.topic, **{"from": {k[1:]: v for k, v in starts.items()}})

    def tell(self, op, name, **fields):
        return self.where[name].call(op, m=name, **fields)

    def leave(self, name):
        self.where.pop(name).call("leave", m=name)

    def kill(self, driver):
        for name in [n for n, d in self.where.items() if d is driver]:
            del self.where[name]
        driver.kill()

    def until(self, test, what, seconds=30):
        try:
            wait_until(test, seconds, what)
        except AssertionError as e:
            if isinstance(e, Violation):
                raise
            self.history.judge(again=True, in_group=False, complete=False)  # often says why it takes so long
            h = self.history
            raise AssertionError(f"{e}; read {dict(h.seen)} of { {p: len(v) for p, v in h.sent.items()} }, owned "
                                 f"{ {m: sorted(ps) for m, ps in h.owned.items()} } {self.main.words()}") from None

    def until_shared_by(self, *names, seconds=30):
        self.until(lambda: self.history.shared_by(*names), f"partitions shared by {' and '.join(names)}", seconds)

    def until_read(self, seconds=30):
        self.until(self.history.all_read, "all that was sent is read", seconds)

    def committed(self):
        """{partition: offset} as the broker has it."""
        with self.ctx.broker.connect() as c:
            answer = c.call("OffsetFetch", 5, {"GroupId": self.group, "Topics": [
                {"Name": self.topic, "PartitionIndexes": list(range(self.history.partitions))}]})
        return {p["PartitionIndex"]: p["CommittedOffset"] for t in answer["Topics"] for p in t["Partitions"]}


class Stage:
    """A client's main driver process, kept from scenario to scenario."""

    def __init__(self, client):
        self.client, self.driver, self.version = client, None, ""

    def launch(self, address, env=None):
        return Driver(self.client.command(), address, {**(self.client.env or {}), **(env or {})})

    def main(self, address):
        if self.driver and self.driver.process.poll() is not None:
            self.drop()
        if not self.driver:
            self.driver = self.launch(address).ready()
            self.version = self.driver.version
        return self.driver

    def drop(self):
        if self.driver:
            self.driver.close()
            self.driver = None
