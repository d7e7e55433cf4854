"""Limits of one broker, each reached: what happens at them, that others notice nothing, and that it passes.

  tests/blackbox/run.py limits --filter idle --rounds 10000       by hand: so many idle connections
"""
import resource
import socket
import struct
import time

import rawkafka as rk
from harness import Millrace, Suite, metric, wait_until

SUITE = Suite("limits", "raw frames")


def scenario(name):
    return SUITE.scenario(name, only="millrace")


class Limited:
    """A broker of one's own; `file_limit`: descriptors it may have."""

    def __init__(self, ctx, *settings, file_limit=None):
        prefix = ["prlimit", f"--nofile={file_limit}:{file_limit}"] if file_limit else []

        class Started(Millrace):
            def command(self):
                return [*prefix, *super().command(), *(word for s in settings for word in ("--set", s))]
        self.broker = Started(ctx.options.binary)

    def __enter__(self):
        return self.broker.start()

    def __exit__(self, *_):
        self.broker.close()


def dial(broker):
    host, port = broker.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


def resident_kib(broker):
    with open(f"/proc/{broker.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


def cpu_seconds(broker):
    with open(f"/proc/{broker.process.pid}/stat") as f:
        ticks = f.read().rsplit(")", 1)[1].split()
    return (int(ticks[11]) + int(ticks[12])) / 100


@scenario("silent-connections-are-closed")
def silent(ctx):
    with Limited(ctx, "connections.max.idle.ms=400") as broker:
        quiet = dial(broker)
        begun = dial(broker)
        begun.sendall(b"\0\0")
        for one in (quiet, begun):
            assert one.recv(1) == b"", "closed, without a word"
        assert metric(broker, 'millrace_kafka_connections_closed_total{reason="idle"}') == 2
        with broker.connect() as busy:
            until = time.monotonic() + 1
            wait_until(lambda: busy.api_versions() and time.monotonic() > until, 10, "whoever asks in time stays")


@scenario("slow-senders-give-way")
def slow_senders(ctx):
    """Somebody announces all the memory there is for requests and stalls. Who has a real request gets his turn; the staller is dropped."""
    dropped = 'millrace_kafka_connections_closed_total{reason="memory"}'
    with Limited(ctx, "socket.request.max.bytes=8MiB", "queued.max.request.bytes=1MiB", "message.max.bytes=4MiB") as b:
        with b.connect() as c, b.connect() as staller, b.connect() as trickle:
            c.create_topic("t")
            assert metric(b, dropped) == 0
            frame = struct.pack(">i", 8 << 20)
            staller.send_bytes(frame + bytes(5000))
            trickle.send_bytes(frame[:3])  # not even a size: holds nothing, so it may stay
            assert c.produce("t", rk.batch([b"x" * (3 << 20)]))["ErrorCode"] == 0, "the real request"
            assert staller.is_closed_within(10), "the staller stays"
            assert metric(b, dropped) == 1
            trickle.send_bytes(frame[3:] + bytes(5000))
            assert c.produce("t", rk.batch([b"y" * (3 << 20)]))["ErrorCode"] == 0, "again"


@scenario("max-connections")
def max_connections(ctx):
    """Those above are closed and counted; those that are there are served, and who leaves makes room."""
    with Limited(ctx, "max.connections=20") as b:
        held = [b.connect() for _ in range(20)]
        for c in held:
            c.metadata([])
        for _ in range(5):
            with b.connect() as c:
                assert c.is_closed_within(10), "one too many"
        assert metric(b, "millrace_kafka_connections_refused_total") == 5
        assert metric(b, "millrace_kafka_connections") == 20
        held.pop().close()
        wait_until(lambda: metric(b, "millrace_kafka_connections") == 19, 10, "the broker sees it go")
        held.append(b.connect())
        for c in held:
            c.metadata([])
            c.close()


@scenario("file-limit")
def file_limit(ctx):
    """More clients than descriptors: the log keeps its share, the rest are refused at the door."""
    with Limited(ctx, file_limit=80) as broker, broker.connect() as first:
        topic = ctx.name("t")
        first.create_topic(topic, 4)
        first.wait_for_topic(topic, 4)
        crowd, refused = [], 0
        for _ in range(150):
            one = dial(broker)
            try:
                one.sendall(rk.Connection.frame(first, "ApiVersions", 0, {}))
                refused += one.recv(4) == b""
            except ConnectionError:
                refused += 1
            crowd.append(one)
        assert 50 < refused < 150, refused
        for partition in range(4):
            answer = first.produce(topic, rk.batch([b"x"]), partition=partition)
            assert answer["ErrorCode"] == 0, f"partition {partition}, with a crowd at the door: {answer}"
        for one in crowd:
            one.close()

        def served():
            try:
                with broker.connect() as again:
                    return again.api_versions()
            except (rk.Closed, OSError):
                return None
        wait_until(served, 10, "room again")
        assert broker.log_tail(1000).count("connections") < 10, "not a line for each"


@scenario("idle-connections")
def idle(ctx):
    count = ctx.options.rounds or 1000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Limited(ctx) as broker:
        before = resident_kib(broker)
        crowd = [broker.connect() for _ in range(count)]
        for one in crowd:
            one.api_versions()
        each = (resident_kib(broker) - before) / count
        used, started = cpu_seconds(broker), time.monotonic()
        wait_until(lambda: time.monotonic() - started > 1, 5, "a second")
        used = cpu_seconds(broker) - used
        print(f"     {count} idle connections: {each:.1f} KiB each, {used:.2f} s of CPU in a second", flush=True)
        assert each < 20, f"{each} KiB of memory each"
        assert used < 0.05, f"{used} s of CPU in a second"
        started = time.monotonic()
        assert broker.stop() == 0 and time.monotonic() - started < 10, "stops with all of them open"
        for one in crowd:
            one.close()
