"""Rivals from Debian's packages, downloaded and unpacked under the build directory; nothing is installed.

RabbitMQ's streams are left out: its package wants an installed Erlang of some twenty packages with absolute paths.
NATS 2.9 syncs every two minutes and has no setting to sync before it answers: only compared where an ack means page cache.
"""
import glob
import os
import socket
import subprocess
import time

from comparing.brokers import Broker
from comparing.machine import Failed, say
from comparing.works import CACHED, NATS, REDIS, SYNCED

LEFT_OUT = [
    {"rival": "rabbitmq streams", "why": "Debian's package wants an installed Erlang of some twenty packages with absolute paths"},
    {"rival": NATS, "why": "synced rows: NATS 2.9 syncs every two minutes and cannot be told to sync before it answers"},
]


def unpacked(build, *packages):
    """Directory that holds what the packages hold."""
    home = os.path.join(build, "rivals")
    root = os.path.join(home, packages[0])
    if os.path.isdir(root):
        return root
    download = os.path.join(home, "debs")
    os.makedirs(download, exist_ok=True)
    done = subprocess.run(["apt-get", "download", *packages], cwd=download, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"apt-get download {' '.join(packages)}: {done.stderr.strip()[-300:]}")
    for package in packages:
        for deb in glob.glob(f"{download}/{package}_*.deb"):
            if subprocess.run(["dpkg", "-x", deb, root + ".new"]).returncode != 0:
                raise Failed(f"dpkg -x {deb} failed")
    os.rename(root + ".new", root)
    say(f"unpacked {', '.join(packages)} under {root}")
    return root


def versions(build):
    """Of what was unpacked, as Debian numbers it."""
    names = {"redis-tools": "redis", "nats-server": "nats"}
    found = {}
    for deb in glob.glob(os.path.join(build, "rivals", "debs", "*.deb")):
        package, version, _ = os.path.basename(deb).split("_")
        if package in names:
            found[names[package]] = version.replace("%3a", ":")
    return found


class Rival(Broker):
    """One that is published to by bench/rload."""

    def __init__(self, name, directory, programs, build):
        super().__init__(name, directory, programs)
        self.build = build

    def wait_for(self, command):
        started = time.monotonic()
        os.makedirs(self.directory)
        self.process = self.launch(command[0], **command[1])
        self.pid = self.process.pid
        while self.listening() is None:
            if self.process.poll() is not None or time.monotonic() - started > 30:
                raise Failed(f"{self.name} did not start; see {self.directory}.log")
            time.sleep(0.01)
        self.address = f"127.0.0.1:{self.listening()}"
        self.ready_ms = (time.monotonic() - started) * 1e3
        return self

    def publish(self, work, seconds):
        load = work.more["rival_load"]
        args = [f for name, value in load.items() for f in (f"--{name.replace('_', '-')}", str(value))]
        return self.load(self.programs.rload, self.protocol, "--port", self.address.rsplit(":", 1)[1], "--stream", "s1", *args,
                         "--seconds", str(seconds), "--warmup", "0.1", "--server-pid", str(self.pid))

    def listening(self):
        """The port the process listens on, from the kernel's tables; none is asked for by number."""
        inodes = set()
        for fd in glob.glob(f"/proc/{self.pid}/fd/*"):
            try:
                target = os.readlink(fd)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{self.pid}/net/{table}") as f:
                for line in f.readlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and fields[9] in inodes:
                        return int(fields[1].rsplit(":", 1)[1], 16)
        return None

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Redis(Rival):
    protocol = "redis"

    def start(self):
        root = unpacked(self.build, "redis-tools", "libjemalloc2", "liblzf1")
        # redis-check-rdb and redis-server are one program that looks at its name.
        server = os.path.join(root, "usr/bin/redis-server")
        if not os.path.exists(server):
            os.symlink("redis-check-rdb", server)
        libraries = ":".join(glob.glob(root + "/usr/lib/*-linux-gnu"))
        command = [server, "--bind", "127.0.0.1", "--port", str(free_port()), "--dir", self.directory, "--save", "",
                   "--appendonly", "yes", "--appendfsync", self.fsync]
        return self.wait_for((command, {"env": dict(os.environ, LD_LIBRARY_PATH=libraries)}))


class RedisEverysec(Redis):
    fsync, means = "everysec", CACHED


class RedisAlways(Redis):
    fsync, means = "always", SYNCED


class Nats(Rival):
    protocol, means = "nats", CACHED

    def start(self):
        root = unpacked(self.build, "nats-server")
        command = [os.path.join(root, "usr/sbin/nats-server"), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", self.directory]
        return self.wait_for((command, {}))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def rival_for(name, means):
    """The class that stands for a rival where an ack means this."""
    return {(REDIS, CACHED): RedisEverysec, (REDIS, SYNCED): RedisAlways, (NATS, CACHED): Nats}[name, means]
