"""The real binary over several log directories: one that cannot be opened, one that comes back."""
import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.request

import rawkafka as rk
from harness import Millrace, Suite, wait_until

SUITE = Suite("dirs", "process")
STORAGE_ERROR = 56


def scenario(name):
    return SUITE.scenario(name, only="millrace")


class TwoDirectories(Millrace):
    """data (with the metadata) and more."""

    def __init__(self, ctx, *args):
        super().__init__(ctx.options.binary, args=args)
        self.more = os.path.join(self.home, "more")
        self.args += ["--set", f"log.dirs={self.data},{self.more}"]

    def command(self):
        command = super().command()
        at = command.index("--data-dir")
        return command[:at] + command[at + 2:]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def lies_in_more(self, partition):
        return os.path.isdir(os.path.join(self.more, partition))


@scenario("one-directory-cannot-be-opened")
def one_away(ctx):
    """Its partitions answer KAFKA_STORAGE_ERROR and are made nowhere else; all others serve; it comes back whole."""
    with TwoDirectories(ctx) as b:
        with b.connect() as c:
            c.create_topic("t", 4)
            for p in range(4):
                assert c.produce("t", rk.batch([b"one"]), partition=p)["ErrorCode"] == 0
        away = [p for p in range(4) if b.lies_in_more(f"t-{p}")]
        assert len(away) == 2, f"partitions are spread: {away}"
        assert b.stop() == 0
        os.rename(b.more, b.more + ".away")
        open(b.more, "w").close()
        b.start()
        with b.connect() as c:
            for p in range(4):
                error = c.produce("t", rk.batch([b"two"]), partition=p)["ErrorCode"]
                assert error == (STORAGE_ERROR if p in away else 0), (p, error)
            c.create_topic("later", 2)
            for p in range(2):
                assert c.produce("later", rk.batch([b"x"]), partition=p)["ErrorCode"] == 0
        assert b.more in b.log_tail(100), "the log names the directory"
        assert b.stop() == 0
        assert not any(os.path.isdir(os.path.join(b.data, f"t-{p}")) for p in away), "no empty twin"
        os.unlink(b.more)
        os.rename(b.more + ".away", b.more)
        b.start()
        with b.connect() as c:
            for p in range(4):
                values = [r["value"] for x in c.all_batches("t", p) for r in rk.records_of(x)]
                assert values == ([b"one"] if p in away else [b"one", b"two"]), (p, values)


@scenario("the-metadata-directory-must-open")
def metadata_directory(ctx):
    with TwoDirectories(ctx) as b:
        assert b.stop() == 0
        os.rename(b.data, b.data + ".away")
        open(b.data, "w").close()
        done = subprocess.run(b.command(), capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and b.data in done.stderr, (done.returncode, done.stderr)


def metric(b, name, label=""):
    with urllib.request.urlopen(f"http://{b.http}/metrics", timeout=10) as r:
        lines = [line for line in r.read().decode().splitlines() if line.startswith(name) and label in line]
    assert lines, f"no metric {name} {label}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@scenario("disk-below-its-reserve")
def below_reserve(ctx):
    """A reserve larger than the disk: appends and new topics are refused, reads and deletes go on."""
    b = Millrace(ctx.options.binary)
    try:
        b.start()
        with b.connect() as c:
            c.create_topic("t")
            c.create_topic("old")
            assert c.produce("t", rk.batch([b"one"]))["ErrorCode"] == 0
        assert b.stop() == 0
        b.args = ["--set", "disk.reserve.bytes=1000000GiB"]
        b.start()
        with b.connect() as c:
            assert c.produce("t", rk.batch([b"no"]))["ErrorCode"] == STORAGE_ERROR
            assert [r["value"] for x in c.all_batches("t") for r in rk.records_of(x)] == [b"one"]
            assert c.call("DeleteTopics", 1, {"TopicNames": ["old"], "TimeoutMs": 5000})["Responses"][0]["ErrorCode"] == 0
            assert c.create_topic("new", check=False) == STORAGE_ERROR
        assert metric(b, "millrace_appends_refused_total{", 'reason="disk_reserve"') == 1
        assert metric(b, "millrace_log_dir_online{") == 1 and metric(b, "millrace_log_dir_full{") == 1
        assert metric(b, "millrace_log_dir_free_bytes{") > 0
        assert "disk is full" in b.log_tail(100)
        assert b.stop() == 0
        b.args = []
        b.start()
        with b.connect() as c:
            assert c.produce("t", rk.batch([b"two"]))["ErrorCode"] == 0
    finally:
        b.close()


@scenario("recovery-tells-how-far-it-is")
def recovery_progress(ctx):
    """A start with much to look through (here: one that may read a byte a second) answers probes, and can be stopped."""
    def probe(b, path):
        try:
            with urllib.request.urlopen(f"http://{b.http}{path}", timeout=10) as r:
                return r.status, json.load(r)
        except urllib.error.HTTPError as e:
            return e.code, json.load(e)
        except OSError:
            return None, {}

    with contextlib.closing(Millrace(ctx.options.binary).start()) as b:
        with b.connect() as c:
            c.create_topic("t", 4)
            for p in range(4):
                assert c.produce("t", rk.batch([b"x" * 1000] * 50), partition=p)["ErrorCode"] == 0
        assert probe(b, "/readyz")[0] == 200 and probe(b, "/livez")[0] == 200
        b.kill()
        args = list(b.args)
        b.args += ["--set", "recovery.io.max.bytes.per.second=1", "--set", "num.recovery.threads.per.data.dir=1"]
        b.launch()
        def first_log_done():
            found = probe(b, "/readyz")[1].get("recovery", {})
            return found.get("partitions") == 1 and found["seconds_left"] > 0  # rounded to tenths

        wait_until(first_log_done, 20, "the first log")
        status, body = probe(b, "/readyz")
        recovery = body["recovery"]
        assert status == 503 and body["status"] == "recovering", (status, body)
        assert recovery["of_partitions"] == 4 and 50000 < recovery["bytes"] < recovery["of_bytes"], recovery
        assert recovery["seconds_left"] > 0, recovery
        assert probe(b, "/health")[0] == 503 and probe(b, "/livez")[0] == 200
        try:
            b.connect(timeout=5)
            raise AssertionError("the Kafka door is open before the logs are there")
        except OSError:
            pass
        wait_until(lambda: "recovering logs" in b.log_tail(50), 20, "a line in the log")
        assert b.stop() == 0, b.log_tail()
        b.args = args
        b.start()
        assert probe(b, "/readyz")[1]["status"] == "ok"
        with b.connect() as c:
            for p in range(4):
                assert sum(len(rk.records_of(x)) for x in c.all_batches("t", p)) == 50


@scenario("offsets-far-from-zero")
def far_from_zero(ctx):
    """A log whose start is 2^62: produced to, killed, fetched, listed."""
    far = 1 << 62
    with contextlib.closing(Millrace(ctx.options.binary).start()) as b:
        with b.connect() as c:
            c.create_topic("t", 1, {"segment.ms": "1"})
        assert b.stop() == 0
        path = os.path.join(b.data, "t-0")
        for name in os.listdir(path):
            if name != "partition.metadata":
                os.unlink(os.path.join(path, name))
        with open(os.path.join(b.data, "log-start-offset-checkpoint"), "w") as f:
            f.write(f"0\n1\nt 0 {far}\n")
        b.start()
        with b.connect() as c:
            for i in range(5):
                answer = c.produce("t", rk.batch([b"%d" % i] * 3, timestamp=1000 * i))
                assert (answer["ErrorCode"], answer["BaseOffset"]) == (0, far + 3 * i), answer
        b.restart("kill")
        with b.connect() as c:
            assert c.list_offset("t", -2)["Offset"] == far and c.list_offset("t", -1)["Offset"] == far + 15
            values = [r["value"] for x in c.all_batches("t", 0, far) for r in rk.records_of(x)]
            assert values == [b"%d" % i for i in range(5) for _ in range(3)], values
            assert c.list_offset("t", 3000)["Offset"] == far + 9
            assert c.fetch("t", far - 1)["ErrorCode"] == 1, "OFFSET_OUT_OF_RANGE"
            assert c.produce("t", rk.batch([b"on"]))["BaseOffset"] == far + 15
        assert b.stop() == 0
