"""The real binary over several log directories: one that cannot be opened, one that comes back."""
import os
import subprocess
import urllib.request

import rawkafka as rk
from harness import Millrace, Suite

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


def metric(b, name):
    with urllib.request.urlopen(f"http://{b.http}/metrics", timeout=10) as r:
        lines = [line for line in r.read().decode().splitlines() if line.startswith(name)]
    assert lines, f"no metric {name}"
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
        assert metric(b, 'millrace_appends_refused_total{reason="disk_reserve"') == 1
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
