"""The commands of README.md do what they say: every block fenced as ```sh run is run against a started broker.

Blocks run in order in one directory of their own, with bash -euo pipefail. The README speaks of the default addresses;
here they are those of the broker under test, and `build/release/millrace` is the binary under test.
"""
import os
import re
import shutil
import subprocess
import tempfile

from harness import ROOT, Suite, install_debian

SUITE = Suite("readme", "README.md", prepare=lambda options: install_debian("kcat", "curl"))


def blocks(text):
    """[(line number, commands)] of the fences tagged `sh run`."""
    out = []
    for found in re.finditer(r"^```sh run\n(.*?)^```$", text, re.S | re.M):
        out.append((text.count("\n", 0, found.start()) + 2, found.group(1)))
    return out


@SUITE.scenario("commands-work", only="millrace")
def commands(ctx):
    with open(os.path.join(ROOT, "README.md")) as f:
        found = blocks(f.read())
    assert found, "README.md has no block fenced as ```sh run"
    directory = tempfile.mkdtemp(prefix="millrace-readme-")
    try:
        os.makedirs(os.path.join(directory, "build/release"))
        os.symlink(ctx.options.binary, os.path.join(directory, "build/release/millrace"))
        environment = {**os.environ, "MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address}
        for line, script in found:
            script = script.replace("127.0.0.1:9092", ctx.broker.address).replace("127.0.0.1:8080", ctx.broker.http)
            script = script.replace("localhost:9092", ctx.broker.address).replace("localhost:8080", ctx.broker.http)
            try:
                # No -o pipefail: `curl ... | head` ends its writer early on purpose.
                done = subprocess.run(["bash", "-eu", "-c", script], cwd=directory, env=environment, capture_output=True,
                                      text=True, timeout=60, stdin=subprocess.DEVNULL)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"README.md:{line}: not done after 60 s:\n{script}") from None
            assert done.returncode == 0, f"README.md:{line}: exit code {done.returncode}\n{script}\n{done.stdout}{done.stderr}"
            assert done.stdout.strip(), f"README.md:{line}: prints nothing\n{script}"
    finally:
        shutil.rmtree(directory)
