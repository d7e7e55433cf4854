"""kafka-python, newest on PyPI, in a virtual environment of the cache directory; renewed when a day old."""
import os
import shutil
import subprocess
import sys
import time

from harness import ROOT, Suite, Unreachable, cache_dir, fetched, install_debian

VENV = os.path.join(cache_dir(), "venv-kafka-python")
PYTHON = os.path.join(VENV, "bin", "python")
PACKAGE = "kafka-python[crc32c,lz4,snappy,zstd]"


def prepare(options):
    marker = os.path.join(VENV, "complete")
    if os.path.exists(marker) and time.time() - os.path.getmtime(marker) < 86400:
        return
    existed = os.path.exists(marker)
    if not existed:
        install_debian("python3-venv")
        shutil.rmtree(VENV, ignore_errors=True)
        done = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    # What there is will do for another day.
    once = {"pauses": ()} if existed else {}
    done = fetched([PYTHON, "-m", "pip", "install", "-q", "--upgrade", "--disable-pip-version-check", PACKAGE], **once)
    if done.returncode == 0:
        open(marker, "w").close()
    elif not existed:
        raise Unreachable("kafka-python from PyPI: " + done.stderr.strip()[-200:])


def version():
    return subprocess.run([PYTHON, "-c", "import kafka; print(kafka.__version__)"], capture_output=True,
                          text=True).stdout.strip()


SUITE = Suite("python", "kafka-python", version=version, prepare=prepare)
SUITE.child = lambda options: [PYTHON, os.path.join(ROOT, "tests/clients/python/suite.py")]
