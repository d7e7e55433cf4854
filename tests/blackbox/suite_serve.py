"""`millrace serve` as a process: start, stop, data directory, ready.json, HTTP, and files that Kafka's own tool reads."""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import rawkafka as rk
from harness import REFERENCE, Millrace, Suite, Unreachable, install_debian, wait_until

SUITE = Suite("serve", "process", prepare=lambda options: install_debian("curl"))


def scenario(name):
    return SUITE.scenario(name, only="millrace")


class Fresh:
    """A broker of the scenario's own, ended whatever happens."""

    def __init__(self, ctx, **more):
        self.broker = Millrace(ctx.options.binary, **more)

    def __enter__(self):
        return self.broker.start()

    def __exit__(self, *_):
        self.broker.close()


def run(ctx, *args, timeout=20, env=None):
    return subprocess.run([ctx.options.binary, *args], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})


@scenario("ready-file")
def ready_file(ctx):
    """Port 0 is any, and the file says which it became."""
    fresh = Fresh(ctx)
    fresh.broker.address = fresh.broker.http = "127.0.0.1:0"
    with fresh as b:
        assert set(b.ready) == {"kafka", "http"}, b.ready
        for address in b.ready.values():
            host, port = address.split(":")
            assert host == "127.0.0.1" and int(port) > 0, address
            socket.create_connection((host, int(port)), timeout=5).close()


@scenario("stops-on-signals")
def stops(ctx):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Fresh(ctx) as b:
            with b.connect() as idle, b.connect() as waiting:
                idle.create_topic("t")
                # A long poll is open, and a half-sent frame.
                waiting.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 60000, "MinBytes": 1, "MaxBytes": 1000, "SessionEpoch": -1,
                                           "Topics": [{"Topic": "t", "Partitions": [
                                               {"Partition": 0, "FetchOffset": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1000}]}]})
                idle.send_bytes(b"\x00\x00")
                started = time.monotonic()
                b.process.send_signal(number)
                code = b.process.wait(10)
                assert code == 0, f"{number.name}: exit code {code}\n{b.log_tail()}"
                assert time.monotonic() - started < 5, "within seconds"


@scenario("scrub-finds-a-flipped-bit")
def scrub_finds(ctx):
    """A bit rots in a closed segment that nobody reads: an event, a metric, and CORRUPT_MESSAGE for that batch alone."""
    def metric(b, name, label=""):
        lines = [line for line in http(b, "/metrics")[2].splitlines() if line.startswith(name) and label in line]
        assert lines, f"no metric {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    with Fresh(ctx, args=["--set", "log.segment.bytes=1MiB", "--set", "log.scrub.interval.ms=200"]) as b:
        with b.connect() as c:
            c.create_topic("t")
            for i in range(8):
                assert c.produce("t", rk.batch([b"%d" % i + b"x" * 300_000]))["ErrorCode"] == 0
            # A pass over whole files first.
            passes = "millrace_scrub_segments_total"
            wait_until(lambda: metric(b, passes) >= 3 and metric(b, "millrace_scrub_finished_seconds") > 0, 20, "a pass")
            found = ("millrace_corrupt_ranges_total", 'found_by="scrub"')
            assert metric(b, *found) == 0
            with open(os.path.join(b.data, "t-0", "0" * 20 + ".log"), "r+b") as f:
                f.seek(400_000)
                byte = f.read(1)[0]
                f.seek(400_000)
                f.write(bytes([byte ^ 16]))
            wait_until(lambda: metric(b, *found) == 1, 20, "the scrub to find it")
            assert re.search(r"damaged.*first_offset=1 next_offset=2", b.log_tail(200)), b.log_tail(50)
            corrupt_message = 2
            assert c.fetch("t", 1)["ErrorCode"] == corrupt_message
            for good in (0, 2, 7):
                assert c.fetch("t", good)["ErrorCode"] == 0, good
            assert metric(b, "millrace_corrupt_answers_total") >= 1
            assert c.produce("t", rk.batch([b"goes on"]))["ErrorCode"] == 0
        assert metric(b, "millrace_scrub_bytes_total") > 1_000_000


@scenario("second-start-on-the-same-data")
def second_start(ctx):
    with Fresh(ctx) as b:
        with b.connect() as c:
            c.create_topic("kept", 3)
            for i in range(30):
                assert c.produce("kept", rk.batch([b"%d" % i]), partition=i % 3)["ErrorCode"] == 0
            cluster = c.call("DescribeCluster", 0, {})["ClusterId"]
        for how in ("term", "kill", "term"):
            b.restart(how)
            with b.connect() as c:
                assert c.call("DescribeCluster", 0, {})["ClusterId"] == cluster, "cluster id"
                for p in range(3):
                    values = [r["value"] for x in c.all_batches("kept", p) for r in rk.records_of(x)]
                    assert values == [b"%d" % i for i in range(p, 30, 3)], f"partition {p} after {how}"


@scenario("data-directory-in-use")
def in_use(ctx):
    with Fresh(ctx) as b:
        started = time.monotonic()
        done = run(ctx, "serve", "--data-dir", b.data, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
        assert done.returncode == 5, f"exit code {done.returncode} (5 is conflict): {done.stderr}"
        assert time.monotonic() - started < 5
        assert b.data in done.stderr or "in use" in done.stderr or "lock" in done.stderr, f"says why: {done.stderr}"
        with b.connect() as c:
            c.create_topic("still-serving")
        assert os.path.exists(os.path.join(b.data, "ready.json")), "the loser removed the winner's ready.json"


@scenario("address-in-use")
def address_in_use(ctx):
    with Fresh(ctx) as b, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        for flag, other in (("--kafka", "--http"), ("--http", "--kafka")):
            done = run(ctx, "serve", "--data-dir", os.path.join(b.home, "other"), flag, address, other, "127.0.0.1:0")
            assert done.returncode == 5, f"{flag}: exit code {done.returncode}"
            assert str(taken.getsockname()[1]) in done.stderr, f"{flag} says which address: {done.stderr}"


@scenario("impossible-data-directory")
def impossible(ctx):
    with Fresh(ctx) as b:
        blocked = os.path.join(b.home, "file")
        open(blocked, "w").close()
        done = run(ctx, "serve", "--data-dir", blocked, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
        assert done.returncode not in (0, 134, 139), f"exit code {done.returncode}"
        assert done.stderr.strip(), "says why"


@scenario("usage-errors")
def usage(ctx):
    for args in (["serve", "--no-such-flag"], ["serve", "--kafka", "nonsense"], ["nonsense"], ["serve", "--set", "no.such.setting=1"]):
        done = run(ctx, *args)
        assert done.returncode == 2, f"{args}: exit code {done.returncode}\n{done.stderr}"
        assert done.stderr.strip() and not done.stdout.strip(), f"{args}: talk belongs on stderr"
    with tempfile.TemporaryDirectory() as path:
        done = run(ctx, "serve", "--config", path)
        assert done.returncode == 2 and f"{path} is a directory; it takes a file of name=value lines" in done.stderr, done.stderr


def http(b, path, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{b.http}{path}", method=method), timeout=10) as r:
            return r.status, r.headers, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read().decode()


@scenario("health")
def health(ctx):
    with Fresh(ctx) as b:
        done = subprocess.run(["curl", "-sS", "-f", f"http://{b.http}/health"], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, done.stderr
        status, headers, body = http(b, "/health")
        assert status == 200 and body.strip(), (status, body)
        if "json" in (headers.get("Content-Type") or ""):
            json.loads(body)
        assert http(b, "/no-such-page")[0] == 404
        assert http(b, "/health", "DELETE")[0] in (404, 405)
        assert json.loads(http(b, "/version")[2]) == {"name": "millrace", "version": json.loads(body)["version"]}
        assert json.loads(http(b, "/livez")[2]) == {"status": "ok"}
        assert "checks" not in json.loads(http(b, "/readyz")[2])
        checks = json.loads(http(b, "/readyz?verbose")[2])["checks"]
        assert {c["name"]: c["ok"] for c in checks} == {"metadata": True, "logs": True, "kafka": True, f"log_dir {b.data}": True}, checks


@scenario("metrics")
def metrics(ctx):
    """Prometheus text: every line parses, and counters count what was done."""
    def read(b):
        out = {}
        status, headers, body = http(b, "/metrics")
        assert status == 200 and headers.get("Content-Type", "").startswith("text/plain"), (status, headers)
        for line in body.splitlines():
            if line.startswith("#") or not line:
                continue
            found = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?) (\S+)", line)
            assert found, f"no metric line: {line!r}"
            assert found.group(1) not in out, f"twice: {found.group(1)}"
            out[found.group(1)] = float(found.group(2))
        return out
    with Fresh(ctx) as b:
        before = read(b)
        assert len(before) > 10 and all(n.startswith(("millrace_", "process_", "queue_")) for n in before), sorted(before)[:20]
        with b.connect() as c:
            c.create_topic("counted")
            for _ in range(25):
                c.produce("counted", rk.batch([b"x" * 100]))
            c.fetch("counted", 0)
        after = read(b)
        assert any(after[n] - before.get(n, 0) >= 25 for n in after), "something counted 25 produce requests"


@scenario("log-lines")
def log_lines(ctx):
    """JSON lines when asked for, text else; one for each event of a life, none for requests, and no line that a client could forge."""
    stall = "a shard was busy for too long"  # whenever the kernel gives its core to somebody else

    def text_of(b):
        with open(b.log) as f:
            return [line for line in f if stall not in line]

    def live(*args):
        b = Millrace(ctx.options.binary, args=args)
        try:
            b.start()
            with b.connect() as c:
                c.create_topic("t")
                c.produce("t", rk.batch([b"x"]))
                before = text_of(b)
                for _ in range(100):
                    c.produce("t", rk.batch([b"x"]))
                    c.fetch("t", 0)
                    c.metadata(["no-such-topic\n\x1b[2J"])
                    http(b, "/health")
                with b.connect() as other:
                    other.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
                    assert other.is_closed_within(10)
                assert text_of(b) == before, "requests leave no lines"
            b.stop()
            return open(b.log).read().splitlines()
        finally:
            b.close()

    lines = [json.loads(line) for line in live("--log-format", "json")]
    for line in lines:
        assert list(line)[:4] == ["time", "level", "room", "message"], line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) and line["level"] in ("info", "warn", "error"), line
    said = [line["message"] for line in lines]
    for event in ("ready", "topic created", "stopping", "stopped"):
        assert said.count(event) == 1, (event, said)
    ready = lines[said.index("ready")]
    assert ready["shards"] >= 1 and ready["version"] and ready["kafka"].startswith("127.0.0.1:"), ready
    text = live()
    for line in text:
        assert re.fullmatch(r"\S+Z (info |warn |error) [a-z]+: [ -~]+", line), line
    assert sum(" broker: topic created topic=t " in line for line in text) == 1, text


@scenario("http-garbage")
def http_garbage(ctx):
    with Fresh(ctx) as b:
        host, port = b.http.split(":")
        for data in (b"\x00\x01\x02garbage\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                     b"POST /health HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"\x16\x03\x01" + bytes(300)):
            with socket.create_connection((host, int(port)), timeout=5) as s:
                try:
                    s.sendall(data)
                    s.recv(1000)
                except (ConnectionError, TimeoutError):
                    pass
        assert http(b, "/health")[0] == 200


@scenario("kafka-reads-our-files")
def dump_log(ctx):
    """Kafka's DumpLogSegments over our segments and indexes finds nothing wrong."""
    done = subprocess.run([sys.executable, REFERENCE, "fetch"], capture_output=True, text=True)
    if done.returncode == 3:
        raise Unreachable("Apache Kafka from Maven Central")
    with Fresh(ctx) as b:
        with b.connect() as c:
            c.create_topic("files", 1, {"segment.bytes": str(1 << 20)})
            sent = 0
            for i in range(300):
                values = [b"%d-%d-" % (i, j) + b"f" * (i * 37 % 3000) for j in range(1 + i % 7)]
                assert c.produce("files", rk.batch(values, codec=i % 2))["ErrorCode"] == 0
                sent += len(values)
        assert b.stop() == 0
        directory = os.path.join(b.data, "files-0")
        found = directory if os.path.isdir(directory) else next(iter(glob.glob(b.data + "/**/files-0", recursive=True)), None)
        assert found, f"no directory files-0 in {b.data}"
        logs = sorted(glob.glob(found + "/*.log"))
        assert len(logs) >= 1, os.listdir(found)
        out = subprocess.run([sys.executable, REFERENCE, "dump-log", *logs, *glob.glob(found + "/*.index"),
                              *glob.glob(found + "/*.timeindex")], capture_output=True, text=True, timeout=120)
        assert out.returncode == 0, out.stderr[-1000:]
        text = out.stdout + out.stderr
        for bad in ("isvalid: false", "mismatch", "Found", "corrupt", "Exception"):
            assert bad not in text, next(line for line in text.splitlines() if bad in line)
        assert text.count("| offset:") == sent, f"{text.count('| offset:')} records of {sent}"


@scenario("kill-and-disk-usage")
def kill_disk(ctx):
    """Ten kills in a row of an idle broker neither lose a topic nor grow the directory."""
    with Fresh(ctx) as b:
        with b.connect() as c:
            c.create_topic("idle", 4)
        sizes = []
        for _ in range(10):
            b.restart("kill")
            sizes.append(sum(os.path.getsize(f) for f in glob.glob(b.data + "/**", recursive=True) if os.path.isfile(f)))
        with b.connect() as c:
            assert len(c.wait_for_topic("idle", 4)["Partitions"]) == 4
        assert sizes[-1] < sizes[1] + (4 << 20), f"grows with each kill: {sizes}"


@scenario("ready-quickly")
def quickly(ctx):
    """Start-up does little: half a second is far more than it needs, and far less than a user notices."""
    times = []
    for _ in range(3):
        fresh = Fresh(ctx)  # claims its ports, which is not the broker's time
        started = time.monotonic()
        with fresh:
            times.append(time.monotonic() - started)
    assert min(times) < 0.5, f"{times}"


@scenario("stops-while-producing")
def stop_while_producing(ctx):
    with Fresh(ctx) as b:
        with b.connect() as c:
            c.create_topic("t")
            acked = 0
            for _ in range(200):
                c.send("Produce", 7, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
                    {"Name": "t", "PartitionData": [{"Index": 0, "Records": rk.batch([b"x" * 2000])}]}]})
            b.process.terminate()
            first = c.correlation - 199
            try:
                for i in range(200):
                    p = c.receive("Produce", 7, first + i)["Responses"][0]["PartitionResponses"][0]
                    acked += p["ErrorCode"] == 0
            except rk.Closed:
                pass
        assert b.process.wait(10) == 0, b.log_tail()
        b.start()
        with b.connect() as c:
            wait_until(lambda: c.list_offset("t", -1)["Offset"] >= acked, 10, f"{acked} acknowledged records")
