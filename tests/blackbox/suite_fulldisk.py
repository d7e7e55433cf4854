"""A real ext4 (a loop-mounted image) filled to the brim and freed again: errors are truthful, nothing acknowledged is lost.

Twice: with the reserve that is the default, where appends stop early and everything else still has room, and with none, where
every write of the broker's may meet ENOSPC.
"""
import contextlib
import glob
import os
import shutil
import subprocess
import tempfile

import rawkafka as rk
from harness import Context, Millrace, Skip, Suite, in_ci, wait_until
from load import Idempotent, check_idempotent

SUITE = Suite("fulldisk", "raw frames")
DISK = 600 << 20
RESERVE = 256 << 20
VICTIM = 80_000_000  # what its deletion gives back: well above the eighth of the reserve at which a low disk has healed
STORAGE_ERROR = 56
SMALL = {"segment.bytes": str(1 << 20)}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def small_disk():
    """A mounted ext4 of its own; yields its directory."""
    if os.geteuid() != 0:
        raise Skip("mounting an image needs root")
    if not os.path.exists("/dev/loop-control") or not shutil.which("mkfs.ext4"):
        raise Skip("no loop devices, or no mkfs.ext4, on this machine")
    home = tempfile.mkdtemp(prefix="millrace-fulldisk-")
    mounted = False
    try:
        mountpoint = home + "/disk"
        os.mkdir(mountpoint)
        with open(home + "/image", "wb") as f:
            f.truncate(DISK)
        try:
            run("mkfs.ext4", "-q", "-m", "0", home + "/image")
            run("mount", "-o", "loop", home + "/image", mountpoint)
            mounted = True
        except OSError as e:
            if in_ci():
                raise
            raise Skip(str(e)) from None
        yield mountpoint
    finally:
        if mounted:
            run("umount", "-l", home + "/disk")
        shutil.rmtree(home, ignore_errors=True)


class Filler:
    """A file that takes room away."""

    def __init__(self, directory):
        self.path = directory + "/filler"

    def leave(self, free):
        """Leaves about so much: takes what is there beyond it, or gives back."""
        st = os.statvfs(os.path.dirname(self.path))
        with open(self.path, "ab") as f:
            size = max(0, os.path.getsize(self.path) + st.f_bavail * st.f_frsize - free)
            f.truncate(size)
            if size > 0:
                os.posix_fallocate(f.fileno(), 0, size)

    def brim(self):
        """Leaves nothing: takes what is left block by block."""
        with open(self.path, "ab", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"f" * 4096)

    def free(self):
        os.unlink(self.path)


def produce_until_refused(c, topic):
    """Batches to partition 2 until the first error; the next record's number, and the error."""
    value = b"z" * 100_000
    for n in range(3000):
        p = c.produce(topic, rk.batch([b"%d:" % n + value]), partition=2, timeout=30000)
        if p["ErrorCode"] != 0:
            return n, p["ErrorCode"]
        assert p["BaseOffset"] == n, p
    raise AssertionError("300 MB and no refusal")


def check_acked(ctx, topic, producers, numbers):
    with ctx.broker.connect() as c:
        c.wait_for_topic(topic, 3)
        for p in producers:
            if p.error:
                raise p.error
            check_idempotent(c, topic, p.partition, p.acked_end)
        stored = [r["value"].split(b":")[0] for b in c.all_batches(topic, 2) for r in rk.records_of(b)]
        assert stored[:numbers] == [b"%d" % n for n in range(numbers)], f"partition 2: {len(stored)} of {numbers} records"


def serves(ctx, topic, partition):
    """True when an append works; an error must be one that tells the client to try again."""
    with ctx.broker.connect() as c:
        code = c.produce(topic, rk.batch([b"-1:later"]), partition=partition)["ErrorCode"]
    assert code in (0, STORAGE_ERROR), f"error {code}"
    return code == 0


def start_without_ready_file(broker):
    """There is no room for it: the same ports as before are open, for those who know them."""
    broker.launch()

    def answers():
        assert broker.process.poll() is None, broker.log_tail()
        with contextlib.suppress(OSError, rk.Closed), broker.connect(timeout=5) as c:
            return c.api_versions()
    wait_until(answers, 30, "an answer")


def stays_truthful(ctx, filler, brim):
    """The whole story on one disk."""
    topic, victim = ctx.topic(3, SMALL), ctx.topic(1, SMALL)
    with ctx.broker.connect() as c:
        for _ in range(VICTIM // 500_000):
            assert c.produce(victim, rk.batch([b"v" * 500_000]))["ErrorCode"] == 0
    filler.leave((0 if brim else RESERVE) + (24 << 20))
    producers = [Idempotent(lambda: ctx.broker.address, topic, p, p) for p in range(2)]
    for p in producers:
        p.start()
    with ctx.broker.connect() as c:
        numbers, error = produce_until_refused(c, topic)
    assert error == STORAGE_ERROR and numbers > 50, f"error {error} after {numbers} records"
    if brim:
        filler.brim()
    check_acked(ctx, topic, producers, numbers)  # reads go on
    assert ctx.broker.process.poll() is None

    # A machine that was full when the broker died is still full when it comes back.
    ctx.broker.kill()
    if brim:
        filler.brim()
        start_without_ready_file(ctx.broker)
        filler.brim()
    else:
        # A start gives back its commit journals; how much they have depends on how long nobody looked.
        journals = sum(map(os.path.getsize, glob.glob(os.path.join(ctx.broker.data, "commit-journal-*"))))
        filler.leave(RESERVE - (8 << 20) - journals)
        ctx.broker.start()
        check_acked(ctx, topic, producers, numbers)
        assert not serves(ctx, topic, 2), "below the reserve nothing is appended"

    if brim:
        filler.free()
    else:
        # Deletes go on, and give back what heals it.
        with ctx.broker.connect() as c:
            answer = c.call("DeleteTopics", 3, {"TopicNames": [victim], "TimeoutMs": 10000})
            assert answer["Responses"][0]["ErrorCode"] == 0, answer
    wait_until(lambda: serves(ctx, topic, 2), 30, "appends once there is room, without a restart")
    if not brim:
        filler.free()
    for p in producers:
        p.end(60)
    check_acked(ctx, topic, producers, numbers)
    ctx.broker.restart("kill")
    check_acked(ctx, topic, producers, numbers)
    assert ctx.broker.stop() == 0
    done = subprocess.run([ctx.options.binary, "log", "verify", ctx.broker.data], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def on_full_disk(ctx, brim):
    with small_disk() as directory:
        broker = Millrace(ctx.options.binary, args=["--set", f"disk.reserve.bytes={0 if brim else RESERVE}"])
        broker.data = directory + "/data"
        try:
            stays_truthful(Context(broker.start(), ctx.options), Filler(directory), brim)
        except BaseException:
            print("".join(f"     | {line}\n" for line in broker.log_tail(40).splitlines()))
            raise
        finally:
            broker.close()


@SUITE.scenario("to-the-brim", only="millrace")
def to_the_brim(ctx):
    on_full_disk(ctx, True)


@SUITE.scenario("down-to-the-reserve", only="millrace")
def down_to_the_reserve(ctx):
    on_full_disk(ctx, False)
