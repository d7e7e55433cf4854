"""The file system of the power-cut tests is honest: it loses what was not synced, all of it, and keeps what was."""
import contextlib
import fcntl
import mmap
import os
import sqlite3

from crashfs import CrashFs
from harness import Suite

SUITE = Suite("crashfs", "POSIX calls")
scenario = SUITE.scenario


@contextlib.contextmanager
def mounted():
    fs = CrashFs()
    try:
        yield fs.mount()
    finally:
        fs.close()


def write(path, data, at=0, sync=False):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        assert os.pwritev(descriptor, [data[:1], data[1:]], at) == len(data)
        if sync:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def read(path):
    with open(path, "rb") as f:
        return f.read()


@scenario("contents-need-a-sync-of-the-file", only="millrace")
def contents(ctx):
    with mounted() as fs:
        path = fs.mountpoint + "/file"
        write(path, b"a" * 5000, sync=True)
        sync_directory(fs.mountpoint)
        write(path, b"b" * 100, at=2500)
        write(path, b"c" * 100, at=9000)
        assert read(path) == b"a" * 2500 + b"b" * 100 + b"a" * 2400 + bytes(4000) + b"c" * 100, "seen before the crash"
        lost = fs.crash()
        assert lost["writes_lost"] >= 2 and not lost["writes_kept"], lost
        fs.mount()
        assert read(path) == b"a" * 5000, "the synced contents, and nothing else"
        os.truncate(path, 10)
        assert read(path) == b"a" * 10
        fs.crash()
        fs.mount()
        assert len(read(path)) == 5000, "a truncation is lost too"
        with open(path, "r+b") as f:
            f.truncate(10)
            f.seek(4096)
            f.write(b"end")
            f.flush()
            os.fsync(f.fileno())
        fs.crash()
        fs.mount()
        assert read(path) == b"a" * 10 + bytes(4086) + b"end"


@scenario("names-need-a-sync-of-the-directory", only="millrace")
def names(ctx):
    with mounted() as fs:
        top = fs.mountpoint
        os.mkdir(top + "/d")
        write(top + "/d/kept", b"kept", sync=True)
        write(top + "/d/other", b"other", sync=True)
        sync_directory(top + "/d")
        fs.crash()
        fs.mount()
        assert os.listdir(top) == [], "a synced file in a directory whose own name was not"
        os.mkdir(top + "/d")
        sync_directory(top)
        write(top + "/d/kept", b"kept", sync=True)
        sync_directory(top + "/d")
        write(top + "/d/unnamed", b"x", sync=True)
        os.rename(top + "/d/kept", top + "/d/renamed")
        fs.crash()
        fs.mount()
        assert os.listdir(top + "/d") == ["kept"], "neither the creation nor the rename"
        os.rename(top + "/d/kept", top + "/d/renamed")
        sync_directory(top + "/d")
        os.remove(top + "/d/renamed")
        assert os.listdir(top + "/d") == []
        fs.crash()
        fs.mount()
        assert read(top + "/d/renamed") == b"kept", "the removal was not synced, the rename was"
        write(top + "/d/new", b"new", sync=True)
        os.rename(top + "/d/new", top + "/d/renamed")
        fs.crash()
        fs.mount()
        assert read(top + "/d/renamed") == b"kept", "the file under the name is the old one"
        write(top + "/d/new", b"new", sync=True)
        os.rename(top + "/d/new", top + "/d/renamed")
        sync_directory(top + "/d")
        os.rename(top + "/d", top + "/e")
        sync_directory(top)
        fs.crash()
        fs.mount()
        assert os.listdir(top) == ["e"] and read(top + "/e/renamed") == b"new"


@scenario("an-orderly-stop-keeps-all", only="millrace")
def stop(ctx):
    with mounted() as fs:
        os.makedirs(fs.mountpoint + "/a/b")
        write(fs.mountpoint + "/a/b/c", b"never synced")
        fs.stop()
        fs.mount()
        assert read(fs.mountpoint + "/a/b/c") == b"never synced"


@scenario("random-crashes-tear-at-512-bytes", only="millrace")
def torn(ctx):
    """Over forty seeds every byte is the old or the new one, in whole sectors; some writes stay, some go, some are torn."""
    total = {}
    shapes = set()
    with mounted() as fs:
        path = fs.mountpoint + "/file"
        write(path, b"." * 4096, sync=True)
        sync_directory(fs.mountpoint)
        for seed in range(40):
            write(path, b"." * 4096, sync=True)
            write(path, b"1" * 1536, at=256)
            write(path, b"2" * 1000, at=3000)
            write(fs.mountpoint + "/name", b"n")
            for name, n in fs.crash(seed).items():
                total[name] = total.get(name, 0) + n
            fs.mount()
            got = read(path)
            assert len(got) == 4096 and not got[:256].strip(b".") and not got[1792:3000].strip(b".")
            for at, end, value in ((256, 512, b"1"), (512, 1024, b"1"), (1024, 1536, b"1"), (1536, 1792, b"1"),
                                   (3000, 3072, b"2"), (3072, 3584, b"2"), (3584, 4000, b"2")):
                assert got[at:end] in (value * (end - at), b"." * (end - at)), f"seed {seed}: torn inside a sector at {at}"
            shapes.add(got)
            if os.path.exists(fs.mountpoint + "/name"):
                os.remove(fs.mountpoint + "/name")
                sync_directory(fs.mountpoint)
    assert len(shapes) > 8, f"only {len(shapes)} outcomes"
    assert all(total[k] > 3 for k in ("names_lost", "names_kept", "writes_lost", "writes_torn", "writes_kept")), total


@scenario("frozen-at-an-operation", only="millrace")
def frozen(ctx):
    """After the n-th change nothing is answered; the crash ends those who wait."""
    with mounted() as fs:
        fs.freeze_after(50)
        child = os.fork()
        if child == 0:
            try:
                for i in range(100):
                    write(f"{fs.mountpoint}/{i}", b"x", sync=True)
                    sync_directory(fs.mountpoint)
            finally:
                os._exit(0)
        assert fs.wait_frozen(20)
        os.kill(child, 9)
        fs.crash()
        os.waitpid(child, 0)
        fs.mount()
        # open, write, sync, sync of the directory: the fiftieth change is the write to the thirteenth file.
        assert len(os.listdir(fs.mountpoint)) == 12, os.listdir(fs.mountpoint)


@scenario("what-the-broker-uses-works", only="millrace")
def used_calls(ctx):
    """sendfile, O_DIRECT, flock, fallocate, a read of a removed file, SQLite's journal without mmap."""
    with mounted() as fs:
        path = fs.mountpoint + "/file"
        data = os.urandom(1 << 20)
        write(path, data)
        source = os.open(path, os.O_RDWR)
        sink = os.open(fs.home + "/copy", os.O_RDWR | os.O_CREAT, 0o644)
        sent = 0
        while sent < len(data):
            sent += os.sendfile(sink, source, sent, len(data) - sent)
        assert read(fs.home + "/copy") == data
        page = mmap.mmap(-1, 65536)
        direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
        assert os.preadv(direct, [page], 8192) == 65536 and page[:] == data[8192:8192 + 65536]
        os.close(direct)
        fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
        second = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise AssertionError("two locks on one file")
        except BlockingIOError:
            pass
        os.remove(path)
        assert os.pread(source, 100, 5000) == data[5000:5100]
        for descriptor in (source, second, sink):
            os.close(descriptor)
        db = sqlite3.connect(fs.mountpoint + "/db")
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        assert db.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE t (n INTEGER)")
        for n in range(20):
            db.execute("INSERT INTO t VALUES (?)", (n,))
            db.commit()
        sync_directory(fs.mountpoint)
        db.execute("INSERT INTO t VALUES (100)")
        fs.crash()
        db = None
        fs.mount()
        with contextlib.closing(sqlite3.connect(fs.mountpoint + "/db")) as again:
            again.execute("PRAGMA locking_mode=EXCLUSIVE")
            assert again.execute("SELECT COUNT(*), MAX(n) FROM t").fetchone() == (20, 19)
