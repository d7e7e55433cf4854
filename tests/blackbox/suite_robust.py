"""What is not Kafka does no harm: the connection ends, nothing is allocated for it, everybody else is served."""
import os
import random
import socket
import struct
import threading
import time

import rawkafka as rk
from harness import Suite, metric, wait_until
from suite_groups import UNKNOWN_MEMBER, coordinator
from suite_groups848 import FENCED_EPOCH
from suite_raw import topic_id

SUITE = Suite("robust", "raw frames")
scenario = SUITE.scenario

TLS_HELLO = bytes.fromhex("160301020001000001fc0303") + bytes(range(256)) * 2
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"


def resident_bytes(ctx):
    if ctx.broker.kind != "millrace":
        return 0
    with open(f"/proc/{ctx.broker.process.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def still_serves(ctx, topic):
    with ctx.broker.connect(timeout=10) as c:
        p = c.produce(topic, rk.batch([b"still here"]))
        assert p["ErrorCode"] == 0, f"produce: {p['ErrorCode']}"
        got = rk.batches_of(c.fetch(topic, p["BaseOffset"])["Records"])
        assert rk.records_of(got[0])[0]["value"] == b"still here"
    if ctx.broker.kind == "millrace":
        assert ctx.broker.process.poll() is None, "the broker has died"


def closes(ctx, data, seconds=10):
    with ctx.broker.connect() as c:
        c.send_bytes(data)
        assert c.is_closed_within(seconds), f"the connection stays open after {data[:16]!r}"


@scenario("http-and-tls-hellos")
def hellos(ctx):
    topic = ctx.topic()
    for data in (HTTP, TLS_HELLO):
        closes(ctx, data)
        still_serves(ctx, topic)


@scenario("impossible-lengths")
def lengths(ctx):
    topic = ctx.topic()
    before = resident_bytes(ctx)
    for n in (-1, -2**31, 2**31 - 1, 104857601, 0x7fffff00):
        closes(ctx, struct.pack(">i", n) + b"xxxx")
    still_serves(ctx, topic)
    grown = resident_bytes(ctx) - before
    assert grown < 64 << 20, f"{grown >> 20} MiB for lengths without bytes"


@scenario("announced-but-not-sent", only="millrace")  # Apache Kafka with 1 GiB of heap stops serving here
def announced(ctx):
    """Forty connections announce 100 MiB each and send a few bytes: memory is taken for what came, not for what was said."""
    topic = ctx.topic()
    before = resident_bytes(ctx)
    held = []
    try:
        for _ in range(40):
            c = ctx.broker.connect()
            c.send_bytes(struct.pack(">i", 100 << 20) + b"\x00" * 64)
            held.append(c)
        still_serves(ctx, topic)
        grown = resident_bytes(ctx) - before
        assert grown < 256 << 20, f"{grown >> 20} MiB are held for bytes that never came"
    finally:
        for c in held:
            c.close()


@scenario("short-frames")
def short_frames(ctx):
    topic = ctx.topic()
    for n in range(0, 12):
        with ctx.broker.connect() as c:
            c.send_bytes(struct.pack(">i", n) + bytes(n))
            assert c.is_closed_within(10) or n >= 8, f"a frame of {n} bytes"
    still_serves(ctx, topic)


@scenario("huge-counts-inside")
def huge_counts(ctx):
    """A small frame whose arrays and strings claim to be enormous."""
    topic = ctx.topic()
    before = resident_bytes(ctx)
    huge = struct.pack(">i", 2**31 - 1)
    bodies = [(3, 1, huge), (3, 4, huge + b"\x01"), (3, 12, b"\xff\xff\xff\xff\x0f"), (0, 7, b"\xff\xff\x00\x01" + huge + huge),
              (1, 4, struct.pack(">iiiib", -1, 0, 0, 1000, 0) + huge), (2, 1, struct.pack(">i", -1) + huge),
              (19, 4, huge), (20, 1, huge), (32, 1, huge), (22, 0, b"\x7f\xff"), (3, 1, struct.pack(">ih", 1, 32767)),
              (0, 9, b"\x00\xff\xff\x00\x00\x00\x01\xff\xff\xff\xff\x0f")]
    for key, version, body in bodies:
        with ctx.broker.connect() as c:
            flexible = rk.is_flexible(next(n for n, a in rk.APIS.items() if a["key"] == key), version)
            frame = c.header(key, version, flexible) + body
            c.send_bytes(struct.pack(">i", len(frame)) + frame)
            assert c.is_closed_within(10), f"key {key} version {version}: stays open"
    still_serves(ctx, topic)
    grown = resident_bytes(ctx) - before
    assert grown < 64 << 20, f"{grown >> 20} MiB"


@scenario("random-bodies")
def random_bodies(ctx):
    """Valid headers, random bodies, every key and version we know: an answer or a close, never the end of the broker."""
    topic = ctx.topic()
    r = random.Random(2026)
    with ctx.broker.connect() as c:
        ranges = c.api_versions()
    for name, api in rk.APIS.items():
        if api["key"] not in ranges:
            continue
        low, high = ranges[api["key"]]
        for version in range(low, high + 1):
            for _ in range(4):
                with ctx.broker.connect() as c:
                    frame = c.header(api["key"], version, rk.is_flexible(name, version)) + r.randbytes(r.randrange(1, 120))
                    try:
                        c.send_bytes(struct.pack(">i", len(frame)) + frame)
                        c.socket.settimeout(0.05)
                        c.socket.recv(100)
                    except (rk.Closed, TimeoutError, ConnectionError):
                        pass
        still_serves(ctx, topic)


@scenario("damaged-frames")
def damaged(ctx):
    """A good produce request with one byte changed, at many places."""
    topic = ctx.topic()
    r = random.Random(5)
    with ctx.broker.connect() as c:
        good = bytearray(c.frame("Produce", 9, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [
            {"Name": topic, "PartitionData": [{"Index": 0, "Records": rk.batch([b"a" * 50, b"b" * 50])}]}]}))
    for _ in range(150):
        bad = bytearray(good)
        bad[r.randrange(4, len(bad))] ^= 1 << r.randrange(8)
        with ctx.broker.connect() as c:
            try:
                c.send_bytes(bytes(bad))
                c.socket.settimeout(0.03)
                c.socket.recv(200)
            except (rk.Closed, TimeoutError, ConnectionError):
                pass
    still_serves(ctx, topic)
    with ctx.broker.connect() as c:
        assert all(b["crc_ok"] for b in c.all_batches(topic)), "a damaged batch was stored"


@scenario("gzip-bomb")
def bomb(ctx):
    """A small batch that inflates to a gigabyte is refused or stored, at no price in memory."""
    import zlib
    topic = ctx.topic()
    before = resident_bytes(ctx)
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(1 << 20)
    payload = b"".join([z.compress(piece) for _ in range(900)]) + z.flush()
    with ctx.broker.connect(timeout=60) as c:
        try:
            c.produce(topic, rk.batch([], codec=1, count=1, last_offset_delta=0, payload=payload))
        except rk.Closed:
            pass
    still_serves(ctx, topic)
    grown = resident_bytes(ctx) - before
    assert grown < 256 << 20, f"{grown >> 20} MiB"


@scenario("gone-in-the-middle")
def gone(ctx):
    topic = ctx.topic()
    r = random.Random(1)
    with ctx.broker.connect() as c:
        frame = c.frame("Produce", 7, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [
            {"Name": topic, "PartitionData": [{"Index": 0, "Records": rk.batch([b"x" * 20000])}]}]})
        fetch = c.frame("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 30000, "MinBytes": 1 << 30, "MaxBytes": 1 << 30,
                                      "SessionEpoch": -1, "Topics": [{"Topic": topic, "Partitions": [
                                          {"Partition": 0, "FetchOffset": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1 << 30}]}]})
    for i in range(100):
        c = ctx.broker.connect()
        if i % 2:
            c.send_bytes(frame[:r.randrange(1, len(frame))])
        else:
            c.send_bytes(frame + fetch)  # a long poll whose reader goes away
        if i % 3 == 0:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not end
        c.close()
    still_serves(ctx, topic)


@scenario("many-connections")
def many(ctx):
    topic = ctx.topic()
    held = []
    try:
        for _ in range(400):
            held.append(ctx.broker.connect())
        for c in held[::20]:
            assert c.metadata([topic])["Topics"][0]["ErrorCode"] == 0
        still_serves(ctx, topic)
    finally:
        for c in held:
            c.close()
    still_serves(ctx, topic)
    if ctx.broker.kind == "millrace":
        deadline = time.monotonic() + 10
        while len(os.listdir(f"/proc/{ctx.broker.process.pid}/fd")) > 200:
            assert time.monotonic() < deadline, "descriptors of closed connections are kept"
            time.sleep(0.05)


@scenario("topic-names-are-no-paths", only="millrace")
def names(ctx):
    """Names with slashes, dots, NUL, or too many characters: refused by each API, counted, nothing is made on disk."""
    bad = ["/", "..", ".", "../../evil", "a/b", "a\\b", "a\0b", "\0", "x" * 250, "x" * 30000, "a:b", "gr\u00fc\u00df", "", " "]
    home = ctx.broker.home

    def files():
        return sorted(os.path.join(d, x) for d, below, found in os.walk(home) for x in below + found if not x.startswith("commit-journal"))
    topic = ctx.topic()
    before = files()
    with ctx.broker.connect() as c:
        answer = c.call("CreateTopics", 4, {"Topics": [{"Name": n, "NumPartitions": 1, "ReplicationFactor": 1} for n in bad], "timeoutMs": 5000})
        errors = [t["ErrorCode"] for t in answer["Topics"]]
        assert errors == [rk.INVALID_TOPIC_EXCEPTION] * len(bad), errors
        for name in bad:
            asked = c.metadata([name], auto=True)["Topics"][0]["ErrorCode"]
            assert asked == rk.INVALID_TOPIC_EXCEPTION, (name, asked)
            for got in (c.produce(name, rk.batch([b"x"]))["ErrorCode"], c.fetch(name, 0)["ErrorCode"],
                        c.call("DeleteTopics", 1, {"TopicNames": [name], "TimeoutMs": 5000})["Responses"][0]["ErrorCode"]):
                assert got in (rk.UNKNOWN_TOPIC_OR_PARTITION, rk.INVALID_TOPIC_EXCEPTION), (name, got)
    still_serves(ctx, topic)
    assert files() == before, set(files()) ^ set(before)
    counted = metric(ctx.broker, 'millrace_kafka_errors_total{code="INVALID_TOPIC_EXCEPTION"}')
    assert counted >= 2 * len(bad), counted


@scenario("reader-that-does-not-read")
def slow_reader(ctx):
    """A client asks for a lot many times and reads nothing; others are not held up, memory stays bounded."""
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        for _ in range(16):
            assert c.produce(topic, rk.batch([b"x" * 900_000]))["ErrorCode"] == 0
    before = resident_bytes(ctx)
    held = []
    try:
        for _ in range(10):
            c = ctx.broker.connect(timeout=2)
            frame = c.frame("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 50 << 20,
                                          "SessionEpoch": -1, "Topics": [{"Topic": topic, "Partitions": [
                                              {"Partition": 0, "FetchOffset": 0, "CurrentLeaderEpoch": -1,
                                               "PartitionMaxBytes": 50 << 20}]}]})
            try:
                c.send_bytes(frame * 200)
            except TimeoutError:
                pass
            held.append(c)
        still_serves(ctx, topic)
        grown = resident_bytes(ctx) - before
        assert grown < 512 << 20, f"{grown >> 20} MiB are held for readers that do not read"
    finally:
        for c in held:
            c.close()
    still_serves(ctx, topic)


class Heartbeats:
    """ConsumerGroupHeartbeat as nobody means it; every answer is an error with a text, or the end of the connection."""

    def __init__(self, ctx, topic):
        self.ctx, self.topic, self.c = ctx, topic, ctx.broker.connect(timeout=60)

    def ask(self, group, **over):
        """(error code, text); None where the connection was closed."""
        ask = {"GroupId": group, "MemberId": "m", "MemberEpoch": 0, "RebalanceTimeoutMs": 30000, "SubscribedTopicNames": [self.topic],
               "TopicPartitions": [], **over}
        try:
            answer = self.c.call("ConsumerGroupHeartbeat", 1, ask)
            return answer["ErrorCode"], answer["ErrorMessage"] or ""
        except rk.Closed:
            self.c.close()
            self.c = self.ctx.broker.connect(timeout=60)
            return None

    def refused(self, code, group, what, **over):
        got = self.ask(group, **over)
        assert got is not None and got[0] == code and got[1], f"{what}: {got}, expected error {code} and a text"


class Neighbour(threading.Thread):
    """Who lives beside it: a member of a group of its own, and how long the longest of its heartbeats took."""

    def __init__(self, ctx, topic):
        super().__init__(daemon=True)
        self.calls, self.slowest, self.error, self.ended = Heartbeats(ctx, topic), 0, None, threading.Event()
        self.group = coordinator(ctx, self.calls.c, ctx.name("neighbour"))
        assert self.calls.ask(self.group) == (0, ""), "it joins"

    def run(self):
        try:
            while not self.ended.wait(0.005):
                began = time.monotonic()
                answer = self.calls.ask(self.group)
                assert answer == (0, ""), answer
                self.slowest = max(self.slowest, time.monotonic() - began)
        except Exception as e:
            self.error = e

    def end(self, seconds):
        self.ended.set()
        self.join(20)
        if self.error:
            raise self.error
        assert self.slowest < seconds, f"a heartbeat beside it took {self.slowest:.2f} s"


BAD_REGEX, RECORD_TOO_LARGE_HERE = 128, -1


@scenario("heartbeats-with-bad-patterns", only="millrace")
def bad_patterns(ctx):
    """What does not compile, or only to too much, is refused with RE2's own words; what would take backtracking engines forever
    is matched in no time."""
    topic = ctx.topic()
    calls, neighbour = Heartbeats(ctx, topic), Neighbour(ctx, topic)
    neighbour.start()
    for pattern in ("(", "[", "*a", "a{1001}", "(?<=a)b", "\\1", "(?P<n", "((a{100}){100}){100}", "x" * 4097, "x" * 30000,
                    "(?i)" + "[a-z]" * 3000, b"\xff\xfe", b"a\xc3"):
        if isinstance(pattern, bytes):
            got = calls.ask(ctx.name("pattern"), SubscribedTopicNames=None, SubscribedTopicRegex=pattern)
            assert got is None or got[0] == BAD_REGEX, f"{pattern}: {got}"
        else:
            calls.refused(BAD_REGEX, ctx.name("pattern"), pattern[:20], SubscribedTopicNames=None, SubscribedTopicRegex=pattern)
    long = ctx.topic(stem="a" * 200)
    for pattern in ("(a+)+$", "(a|aa)+b?.*", "(.*)*", "(a+a+)+-.*", ".*" * 2000, "(" * 900 + "a" + ")" * 900 + ".*", "(((a|b)?){100}){9}.*"):
        group = ctx.name("pattern")
        assert calls.ask(group, SubscribedTopicNames=[], SubscribedTopicRegex=pattern) == (0, ""), pattern[:20]

        def matched(group=group):
            got = calls.c.call("ConsumerGroupDescribe", 1, {"GroupIds": [group]})["Groups"][0]
            return [t["TopicName"] for t in got["Members"][0]["TargetAssignment"]["TopicPartitions"]]
        wait_until(lambda: pattern == "(a+)+$" or long in matched(), 10, f"what {pattern[:20]} matches")
    neighbour.end(3)
    still_serves(ctx, topic)


@scenario("heartbeats-with-huge-lists", only="millrace")
def huge_lists(ctx):
    """Subscriptions of 100,000 topics that are there and that are not, as many partitions owned: an answer each, memory bounded,
    and whoever lives beside them is heard in time."""
    topics = [ctx.topic(2) for _ in range(20)]
    calls, neighbour = Heartbeats(ctx, topics[0]), Neighbour(ctx, topics[0])
    neighbour.start()
    before = resident_bytes(ctx)
    calls.refused(rk.INVALID_REQUEST, ctx.name("huge"), "too many names", SubscribedTopicNames=topics[:1] * 100_001)
    calls.refused(RECORD_TOO_LARGE_HERE, ctx.name("huge"), "more than a record holds", SubscribedTopicNames=[f"not-there-{n:020}" for n in range(100_000)])
    for names in ([f"{n:06}" for n in range(100_000)], topics * 5_000, [""]):
        group = ctx.name("huge")
        assert calls.ask(group, SubscribedTopicNames=names) == (0, ""), f"{len(names)} names of topics"
        assert calls.ask(group, MemberEpoch=-1) == (0, ""), "it leaves"
    group, tid = ctx.name("huge"), topic_id(calls.c, topics[0])
    assert calls.ask(group) == (0, "")
    for owned in ([{"TopicId": tid, "Partitions": list(range(100_001))}], [{"TopicId": f"{n:032x}", "Partitions": []} for n in range(100_001)]):
        calls.refused(rk.INVALID_REQUEST, group, "too many partitions", MemberEpoch=2, TopicPartitions=owned)
    for owned in ([{"TopicId": tid, "Partitions": list(range(100_000))}], [{"TopicId": f"{n:032x}", "Partitions": [0]} for n in range(100_000)],
                  [{"TopicId": tid, "Partitions": [-1, -2**31, 2**31 - 1, 0, 0]}], [{"TopicId": tid, "Partitions": [0]}] * 1000):
        assert calls.ask(group, MemberEpoch=2, RebalanceTimeoutMs=-1, SubscribedTopicNames=None, TopicPartitions=owned) == (0, ""), "far too many, but a list"
    neighbour.end(3)
    grown = resident_bytes(ctx) - before
    assert grown < 512 << 20, f"{grown >> 20} MiB"
    still_serves(ctx, topics[0])


@scenario("heartbeats-with-nulls-and-odd-numbers", only="millrace")
def odd_heartbeats(ctx):
    topic = ctx.topic()
    calls = Heartbeats(ctx, topic)
    group = coordinator(ctx, calls.c, ctx.name("odd"))
    assert calls.ask(None) is None, "a group without a name is no request"
    for over in ({"MemberId": None}, {"SubscribedTopicNames": [None]}, {"TopicPartitions": [{"TopicId": rk.ZERO_UUID, "Partitions": None}]}):
        assert calls.ask(group, **over) is None, f"{over} is no request"
    for over in ({"MemberEpoch": -2**31}, {"MemberEpoch": -3}, {"MemberEpoch": -2}, {"RebalanceTimeoutMs": -2**31}, {"RebalanceTimeoutMs": -2},
                 {"SubscribedTopicNames": None, "SubscribedTopicRegex": None}, {"SubscribedTopicNames": None, "SubscribedTopicRegex": ""}):
        calls.refused(rk.INVALID_REQUEST, group, over, **over)
    assert calls.ask(group) == (0, "")
    epoch = calls.c.call("ConsumerGroupDescribe", 1, {"GroupIds": [group]})["Groups"][0]["Members"][0]["MemberEpoch"]
    for wrong in (epoch + 1, epoch - 1, 2**31 - 1):
        calls.refused(FENCED_EPOCH, group, f"epoch {wrong}", MemberEpoch=wrong, TopicPartitions=[{"TopicId": rk.ZERO_UUID, "Partitions": [0]}])
    calls.refused(UNKNOWN_MEMBER, group, "somebody else", MemberEpoch=epoch, MemberId="n")
    assert calls.ask(group, MemberEpoch=epoch) == (0, ""), "whose epoch is right is still in"
    still_serves(ctx, topic)
