"""The real binary over several log directories: one that cannot be opened, one that comes back."""
import os
import subprocess

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
