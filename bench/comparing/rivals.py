"""Rivals from Debian's packages, downloaded and unpacked under the build directory; nothing is installed.

RabbitMQ's streams leave syncing to the operating system and NATS 2.9 syncs every two minutes; neither has a setting to sync
before it answers, so both are only compared where an ack means page cache.
"""
import glob
import os
import subprocess
import sys
import time

from comparing.brokers import Broker
from comparing.machine import ROOT, Failed, say
from comparing.works import CACHED, NATS, RABBITMQ, REDIS, RIVAL_LOAD, RIVAL_READ_BATCH, SYNCED

sys.path.append(os.path.join(ROOT, "tools"))
from claimed_ports import claim_port  # noqa: E402

LEFT_OUT = [
    {"rival": RABBITMQ, "why": "synced rows: its streams leave syncing to the operating system"},
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
    names = {"redis-tools": "redis", "nats-server": "nats", "rabbitmq-server": "rabbitmq", "erlang-base": "erlang"}
    found = {}
    for deb in glob.glob(os.path.join(build, "rivals", "debs", "*.deb")):
        package, version, _ = os.path.basename(deb).split("_")
        if package in names:
            found[names[package]] = version.replace("%3a", ":")
    return found


class Rival(Broker):
    """One that bench/rload publishes to and reads from."""
    batches = False  # it takes several messages at once
    start_seconds_max = 30

    def __init__(self, name, directory, programs, build):
        super().__init__(name, directory, programs)
        self.build = build

    def wait_for(self, command):
        started = time.monotonic()
        os.makedirs(self.directory, exist_ok=True)
        self.process = self.launch(command[0], **command[1])
        self.pid = self.process.pid
        while self.listening() is None:
            if self.process.poll() is not None or time.monotonic() - started > self.start_seconds_max:
                raise Failed(f"{self.name} did not start; see {self.directory}.log")
            time.sleep(0.01)
        self.address = f"127.0.0.1:{self.listening()}"
        self.ready_ms = (time.monotonic() - started) * 1e3
        return self

    def rload(self, stream, load, *args):
        flags = [f for name, value in load.items() for f in (f"--{name.replace('_', '-')}", str(value))]
        return self.load(self.programs.rload, self.protocol, "--port", self.address.rsplit(":", 1)[1], "--stream", stream, *flags,
                         *map(str, args), "--server-pid", str(self.pid))

    def publish(self, work, seconds):
        batch = {"batch": work.more["batch"]} if self.batches else {}
        return self.rload("s1", {**work.more["rival_load"], **batch}, "--seconds", seconds, "--warmup", 0.1)

    def read(self, work, seconds):
        """Again and again the first messages of a stream that is filled once, all of it on each connection."""
        messages, stream = work.more["rival_read"], f"r{work.more['rival_read']}"
        if stream not in self.standing:
            self.rload(stream, {**RIVAL_LOAD, **({"batch": RIVAL_READ_BATCH} if self.batches else {})}, "--count", messages)
            self.standing[stream] = stream
        return self.rload(stream, {"size": RIVAL_LOAD["size"], "connections": RIVAL_LOAD["connections"]}, "--read", messages,
                          "--seconds", seconds, "--warmup", 0.1)

    def listening(self):
        """The port that messages go to, once the process listens on it."""
        return next(iter(ports_of(self.pid)), None)

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
        command = [server, "--bind", "127.0.0.1", "--port", str(claim_port()), "--dir", self.directory, "--save", "",
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


class Rabbit(Rival):
    """RabbitMQ with nothing but its stream plugin, its own epmd beside it; all on loopback."""
    protocol, means, batches, start_seconds_max = "rabbitmq", CACHED, True, 120
    # What Debian's rabbitmq-server depends on, and erlang-asn1, which those depend on.
    ERLANG = ("base", "asn1", "crypto", "eldap", "inets", "mnesia", "os-mon", "parsetools", "public-key", "runtime-tools", "ssl",
              "syntax-tools", "tools", "xmerl")
    epmd = process = None

    def start(self):
        root = unpacked(self.build, "rabbitmq-server", *(f"erlang-{name}" for name in self.ERLANG))
        relocate_erlang(os.path.join(root, "usr/lib/erlang"))
        os.makedirs(self.directory)
        self.port, environment = claim_port(), self.environment(root)
        self.write("rabbitmq.conf", f"listeners.tcp = none\nstream.listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        self.write("enabled_plugins", "[rabbitmq_stream].\n")
        try:
            self.start_epmd(root, environment)
            server, = glob.glob(os.path.join(root, "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
            return self.wait_for(([server], {"env": environment}))
        except BaseException:
            self.stop()
            raise

    def start_epmd(self, root, environment):
        """A node that finds none would start one that outlives it."""
        self.epmd = self.launch([os.path.join(root, "usr/bin/epmd")], env=environment)
        until = time.monotonic() + 10
        while int(environment["ERL_EPMD_PORT"]) not in ports_of(self.epmd.pid):
            if self.epmd.poll() is not None or time.monotonic() > until:
                raise Failed(f"{self.name}: no epmd; see {self.directory}.log")
            time.sleep(0.01)

    def environment(self, root):
        def inside(name=""):
            return os.path.join(os.path.abspath(self.directory), name)

        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return {**kept, "PATH": os.path.join(root, "usr/bin") + ":" + kept["PATH"],
                "HOME": inside(),  # where the cookie goes
                "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(claim_port()), "RABBITMQ_DIST_PORT": str(claim_port()),
                "ERL_ZFLAGS": "-kernel inet_dist_use_interface {127,0,0,1}", "RABBITMQ_NODENAME": "rabbit@localhost",
                "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": inside("rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": inside("enabled_plugins"), "RABBITMQ_MNESIA_BASE": inside("mnesia"),
                "RABBITMQ_LOG_BASE": inside("log"), "ERL_CRASH_DUMP": inside("erl_crash.dump"),
                "RUNNING_UNDER_SYSTEMD": "true"}  # the script becomes the server: its pid is the one to measure

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w") as f:
            f.write(text)

    def listening(self):
        """Besides, it listens to other nodes, and earlier."""
        return self.port if self.port in ports_of(self.pid) else None

    def stop(self):
        for process in (self.process, self.epmd):
            if process is not None:
                process.terminate()
                process.wait()


def relocate_erlang(home):
    """Debian's `erl` knows one place for everything."""
    erl = os.path.join(home, "bin/erl")
    runtime, = glob.glob(os.path.join(home, "erts-*/bin"))
    with open(erl + ".new", "w") as f:
        f.write(f"#!/bin/sh\nexport ROOTDIR='{home}' BINDIR='{runtime}' EMU=beam PROGNAME=erl\nexec '{runtime}/erlexec' \"$@\"\n")
    os.chmod(erl + ".new", 0o755)
    os.rename(erl + ".new", erl)


def ports_of(pid):
    """Those a process listens on, from the kernel's tables; none of one that has ended."""
    inodes, ports = set(), []
    for fd in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{table}") as f:
                lines = f.readlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and fields[9] in inodes:
                ports.append(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def rival_for(name, means):
    """The class that stands for a rival where an ack means this."""
    return {(REDIS, CACHED): RedisEverysec, (REDIS, SYNCED): RedisAlways, (NATS, CACHED): Nats,
            (RABBITMQ, CACHED): Rabbit}[name, means]
