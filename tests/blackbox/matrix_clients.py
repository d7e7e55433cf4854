"""The clients of the matrix: how each is obtained, how its driver is started, what it can do.

Libraries come from their registries in exact versions (lock files beside the drivers) into the cache directory. A client whose
toolchain this machine does not have is skipped, and says so; Debian 12's own go and node are too old for some.
"""
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

import suite_java
from harness import ROOT, Skip, Unreachable, cache_dir, fetched, install_debian

SOURCES = os.path.join(ROOT, "tests/clients")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
EVERYTHING = {"admin", "configs", "partitions", "assign", "idempotent", "seek", "pause", "manual", "auto", "static", "cooperative"}


def built(stem, sources, build):
    """Directory of what `build(directory)` makes from the sources, made once per content of theirs."""
    digest = hashlib.sha256()
    for path in sorted(p for s in sources for p in glob.glob(os.path.join(SOURCES, s), recursive=True) if os.path.isfile(p)):
        with open(path, "rb") as f:
            digest.update(path.encode() + b"\0" + f.read())
    directory = os.path.join(cache_dir(), f"{stem}-{digest.hexdigest()[:16]}")
    with open(directory + ".lock", "w") as lock:  # suites run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(directory, "complete")):
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            build(directory)
            open(os.path.join(directory, "complete"), "w").close()
    return directory


def fetch(what, command, **options):
    done = fetched(["nice", "-n", "5", *command], **options)
    if done.returncode != 0:
        raise Unreachable(f"{what}: {(done.stdout + done.stderr).strip()[-400:]}")


class Client:
    env = None
    repeats = False
    settings = []

    def __init__(self, key, label, *, cannot=(), codecs=CODECS, why=""):
        """`cannot`: what of EVERYTHING the library has no means for, and `why`."""
        self.key, self.label, self.codecs, self.why = key, label, codecs, why
        self.can = EVERYTHING - set(cannot)

    def prepare(self, options):
        pass


class Python(Client):
    def __init__(self, key, label, driver, **more):
        super().__init__(key, label, **more)
        self.driver = os.path.join(SOURCES, "python", driver)

    def prepare(self, options):
        def build(directory):
            install_debian("python3-venv")
            done = subprocess.run([sys.executable, "-m", "venv", directory], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            fetch(f"{self.label} from PyPI", [directory + "/bin/pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                                              "-r", os.path.join(SOURCES, "python/requirements.txt")])
        self.python = built("venv-matrix", ["python/requirements.txt"], build) + "/bin/python"

    def command(self):
        return [self.python, self.driver]


class Kcat(Client):
    def prepare(self, options):
        install_debian("kcat")

    def command(self):
        return [sys.executable, os.path.join(SOURCES, "python/drive_kcat.py")]


def modern(client, *lacks):
    """The same driver in groups of KIP-848, which also goes there from the classic protocol. A static member that is killed comes
    back to UNRELEASED_INSTANCE_ID there, so that scenario is the java suite's, with a clean leave."""
    client.env = {"GROUP_PROTOCOL": "consumer"}
    client.can |= {"rolls", "rolls-cooperative"} - set(lacks)
    client.settings = [f"group.consumer.{least}{name}" for least in ("min.", "") for name in (
        "session.timeout.ms=6000", "heartbeat.interval.ms=300")]
    return client


class Java(Client):
    def prepare(self, options):
        suite_java.prepare(options)

    def command(self):
        build = suite_java.build_dir()
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp",
                f"{build}/classes:{build}/lib/*", "millrace.clients.Drive"]


def tool(name, minimum, flag):
    """Path of a tool of at least this version; skips where there is none."""
    for path in filter(None, [shutil.which(name), shutil.which(name, path="/usr/local/go/bin:/usr/local/bin")]):
        out = subprocess.run([path, flag], capture_output=True, text=True).stdout
        found = re.search(r"(\d+)\.(\d+)", out)
        if found and (int(found.group(1)), int(found.group(2))) >= minimum:
            return path
    raise Skip(f"needs {name} {minimum[0]}.{minimum[1]} or newer on this machine")


class Go(Client):
    """Both drivers are one module, built together."""

    def prepare(self, options):
        go = tool("go", (1, 26), "version")

        def build(directory):
            fetch(f"{self.label} from the Go module proxy", [go, "build", "-mod=readonly", "-o", directory + "/", "./franz", "./sarama"],
                  ours=r"(?m)^# ", cwd=os.path.join(SOURCES, "go"), env={**os.environ, "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"})
        self.binary = os.path.join(built("go-matrix", ["go/**"], build), self.key)

    def command(self):
        return [self.binary]


class Node(Client):
    def prepare(self, options):
        self.node = tool("node", self.minimum, "--version")
        npm = tool("npm", (8, 0), "--version")

        def build(directory):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(SOURCES, "node", name), directory)
            fetch(f"{self.label} from the npm registry", [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=directory)
            for path in glob.glob(os.path.join(SOURCES, "node/*.mjs")):  # beside node_modules, where imports look
                shutil.copy(path, directory)
        self.driver = os.path.join(built("node-matrix", ["node/*"], build), f"drive_{self.key}.mjs")

    def command(self):
        return [self.node, "--no-warnings", self.driver]


class KafkaJs(Node):
    minimum = (14, 0)


class Platformatic(Node):
    minimum = (20, 19)
    repeats = True  # a fetch that is on its way when it joins is told, and its records are fetched again from the last commit


CLIENTS = {c.key: c for c in [
    Java("java", "Java kafka-clients"),
    modern(Java("java848", "Java kafka-clients, group.protocol=consumer", cannot=["static"])),
    # librdkafka's cooperative-sticky leader writes data of its own into assignments: no broker takes such a group over.
    modern(Python("confluent848", "confluent-kafka-python, group.protocol=consumer", "drive_confluent.py", cannot=["static"]),
           "rolls-cooperative"),
    Kcat("kcat", "kcat", cannot=["admin", "configs", "partitions", "assign", "seek", "pause", "manual"]),
    Python("confluent", "confluent-kafka-python", "drive_confluent.py"),
    Python("python", "kafka-python", "drive_kafka_python.py"),
    Python("aiokafka", "aiokafka", "drive_aiokafka.py", cannot=["configs", "cooperative"]),
    KafkaJs("kafkajs", "kafkajs", cannot=["configs", "assign", "static", "cooperative"], codecs=["none", "gzip", "snappy"]),
    Platformatic("platformatic", "@platformatic/kafka", cannot=["configs", "partitions", "assign", "seek", "pause", "cooperative"],
                 codecs=["none", "gzip", "snappy", "lz4"]),
    Go("franz", "franz-go"),
    Go("sarama", "sarama"),
]}
