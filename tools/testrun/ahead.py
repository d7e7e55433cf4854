"""Builds what later parts need while parts that mostly wait for servers and clients run."""
import os
import signal
import subprocess
import sys


class Ahead:
    """Builds for the named parts one after the other, in a process of its own that gets only what the tests leave over. What it
    has not done when stopped, the parts build themselves: ninja goes on where it was. Its failures are theirs to tell."""

    def __init__(self, parts):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), *parts], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
                                        preexec_fn=lambda: os.nice(19))

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait()


if __name__ == "__main__":
    import parts
    for part in sys.argv[1:]:
        parts.BUILDS[part]()
