"""A directory that loses what was not synced: mounts tests/crashfs, a file system of our own.

Contents are durable by fsync of the file, names by fsync of the directory that holds them, and by nothing else.
"""
import contextlib
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading

from harness import ROOT, Skip, in_ci


def find_program():
    for preset in ("release", "dev"):
        path = os.path.join(ROOT, "build", preset, "tests/crashfs/crashfs")
        if os.access(path, os.X_OK):
            return path
    raise AssertionError("no crashfs binary: cmake --build build/release --target crashfs")


def need_mounts():
    """Where there is no /dev/fuse the scenario cannot run; where there is one, a mount that fails is a failure in CI."""
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse on this machine")


class CrashFs:
    """mount(); then work in `mountpoint`; then crash() or stop(), and mount() again to see what is left."""

    def __init__(self, home=None):
        need_mounts()
        self.home = home or tempfile.mkdtemp(prefix="millrace-crashfs-")
        self.owns_home = home is None
        self.backing = os.path.join(self.home, "backing")
        self.mountpoint = os.path.join(self.home, "mount")
        for path in (self.backing, self.mountpoint):
            os.makedirs(path, exist_ok=True)
        self.process = None

    def mount(self):
        self.process = subprocess.Popen([find_program(), self.backing, self.mountpoint], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self._listen, args=(self.process.stdout, self.lines), daemon=True).start()
        if self._line(20) != "ready":
            reason = "cannot mount: " + (self.process.stderr.read().strip() or "no word from crashfs")
            self.process.wait()
            if in_ci():
                raise AssertionError(reason)
            raise Skip(reason)
        return self

    @staticmethod
    def _listen(stream, lines):
        for line in stream:
            lines.put(line.strip())
        lines.put(None)

    def _line(self, seconds):
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def _command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def freeze_after(self, changes):
        """After so many more changes nobody is answered any more: then kill whoever waits, and crash()."""
        self._command(f"freeze {changes}")

    def wait_frozen(self, seconds):
        return self._line(seconds) == "frozen"

    def crash(self, seed=None):
        """Throws away what was not synced (with a seed: a random part of it). Returns the counts of what was lost and kept."""
        return self._end("crash" if seed is None else f"crash {seed}", "crashed")

    def stop(self):
        self._end("stop", "stopped")

    def _end(self, command, answer):
        self._command(command)
        line = self._line(60)
        while line == "frozen":
            line = self._line(60)
        assert line and line.startswith(answer), f"crashfs says {line!r} to {command!r}"
        self.process.wait(30)
        return {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)}

    def close(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                subprocess.run(["umount", "-l", self.mountpoint], stderr=subprocess.DEVNULL)
        if self.owns_home:
            shutil.rmtree(self.home, ignore_errors=True)
