"""The processes on the broker's core."""
import glob
import json
import os
import subprocess
import time

from comparing.machine import BROKER_CORE, LOAD_CORE, NICEST, ROOT, Failed, rss_mb, set_ahead


class Programs:
    """Where the built programs lie."""

    def __init__(self, build, millrace=None):
        self.millrace = os.path.abspath(millrace or os.path.join(build, "millrace"))
        self.kload = os.path.join(build, "bench/kload")
        self.bare = os.path.join(build, "bench/bare")
        self.rload = os.path.join(build, "bench/rload")
        self.client_load = os.path.join(build, "bench/client_load")


class Broker:
    """One broker process on the broker's core, from start() to stop(). Data in a directory of its own."""

    def __init__(self, name, directory, programs):
        self.name, self.directory, self.programs = name, directory, programs
        self.logs = directory
        self.topics = 0
        self.standing = {}  # what a work filled once, by its key
        self.ahead = False

    def wait_ready(self, process, started, limit):
        path = os.path.join(self.directory, "ready.json")
        while not os.path.exists(path):
            if process.poll() is not None or time.monotonic() - started > limit:
                raise Failed(f"{self.name} did not start; see {self.directory}.log")
            time.sleep(0.001)
        ready = time.monotonic()
        with open(path) as f:
            self.address = json.load(f)["kafka"]
        return ready

    def launch(self, command, **more):
        with open(self.directory + ".log", "a") as log:
            return subprocess.Popen(["taskset", "-c", str(BROKER_CORE), *command], stdout=log, stderr=log, **more)

    def rss_mb(self):
        return rss_mb(self.pid)

    def set_ahead(self, on):
        set_ahead(self.pid, on)
        self.ahead = on

    def load(self, program, *args, may_fail=False):
        """Runs a load program on the other core; its figures."""
        ahead = ["nice", "-n", str(NICEST)] if self.ahead else []
        command = ["taskset", "-c", str(LOAD_CORE), *ahead, program, *args]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: {' '.join(command)} did not end") from None
        if done.returncode != 0 and not (may_fail and done.stdout):
            raise Failed(f"{self.name}: {' '.join(command)}: {done.stderr}{done.stdout}")
        figures = json.loads(done.stdout) if done.stdout else {}
        if figures and "bytes" in figures and not figures["bytes"] and not may_fail:
            raise Failed(f"{self.name}: {' '.join(command)} moved nothing: {done.stdout}")
        return figures

    def kload(self, mode, *args, may_fail=False):
        return self.load(self.programs.kload, mode, "--bootstrap", self.address, *map(str, args), may_fail=may_fail)

    def new_topic(self, configs, partitions):
        self.topics += 1
        topic = f"t{self.topics}"
        flags = [f for name, value in configs.items() for f in ("--config", f"{name}={value}")]
        self.kload("create", "--topic", topic, "--partitions", partitions, *flags)
        # Kafka announces a leader a moment before the leader takes anything.
        tiny = ["--topic", topic, "--records", 1, "--size", 10, "--count", partitions, "--partitions", partitions,
                "--connections", 1, "--in-flight", 1, "--acks", -1]
        until = time.monotonic() + 60
        while self.kload("produce", *tiny, may_fail=True).get("errors", 1):
            if time.monotonic() > until:
                raise Failed(f"{self.name}: a new topic takes no records")
            time.sleep(0.02)
        return topic

    def standing_topic(self, key, configs, partitions):
        """Made when it is first wanted, there until the sitting ends."""
        if key not in self.standing:
            self.standing[key] = self.new_topic(configs, partitions)
        return self.standing[key]

    def drop_topic(self, topic):
        """Returns when the files are gone: what comes next must not pay for deleting them."""
        self.kload("delete", "--topic", topic)
        until = time.monotonic() + 10
        while time.monotonic() < until and (glob.glob(f"{self.logs}/{topic}-*")
                                            + glob.glob(f"{self.logs}/*{topic}-*delete*")):
            time.sleep(0.02)


class Millrace(Broker):
    settings = ("log.segment.delete.delay.ms=200",)

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        self.forget_ready()
        started = time.monotonic()
        settings = [f for setting in self.settings for f in ("--set", setting)]
        self.process = self.launch([self.programs.millrace, "serve", "--data-dir", self.directory, "--kafka", "127.0.0.1:0",
                                    "--http", "127.0.0.1:0", *settings])
        self.ready_ms = (self.wait_ready(self.process, started, 120) - started) * 1e3
        self.pid = self.process.pid
        return self

    def forget_ready(self):
        path = os.path.join(self.directory, "ready.json")
        if os.path.exists(path):
            os.unlink(path)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Bare(Millrace):
    """The bare loop, bench/bare."""

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        self.forget_ready()
        started = time.monotonic()
        self.process = self.launch([self.programs.bare, "--dir", self.directory])
        self.ready_ms = (self.wait_ready(self.process, started, 30) - started) * 1e3
        self.pid = self.process.pid
        return self


class Kafka(Broker):
    def __init__(self, name, directory, programs):
        super().__init__(name, directory, programs)
        self.logs = os.path.join(directory, "logs")

    def start(self):
        # Its own defaults: 8 request threads, 3 network threads. A heap of 1 GiB.
        command = [os.path.join(ROOT, "tools/reference-kafka"), "start", "--dir", self.directory, "--heap", "1g"]
        for setting in ("num.io.threads=8", "num.network.threads=3", "log.segment.delete.delay.ms=200"):
            command += ["--set", setting]
        pid_file = os.path.join(self.directory, "pid")
        if os.path.exists(pid_file):
            os.unlink(pid_file)
        self.process = self.launch(command)
        until = time.monotonic() + 120
        while not (os.path.exists(pid_file) and open(pid_file).read()):  # formatting its directory does not count
            if self.process.poll() is not None or time.monotonic() > until:
                raise Failed(f"{self.name} did not start; see {self.directory}.log")
            time.sleep(0.005)
        started = time.monotonic()
        self.ready_ms = (self.wait_ready(self.process, started, 120) - started) * 1e3
        with open(pid_file) as f:
            self.pid = int(f.read())
        return self

    def stop(self):
        subprocess.run([os.path.join(ROOT, "tools/reference-kafka"), "stop", "--dir", self.directory])
        self.process.wait()
