"""`doctor`: what it says of a healthy broker, of one that is not there, and of traps set for them."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

from harness import Millrace, Skip, Suite, free_port

SUITE = Suite("ops", "millrace")
OK, FAILED = 0, 1


def scenario(name):
    return SUITE.scenario(name, only="millrace")


def run(ctx, *args, expect=OK, env=None, cwd=None, timeout=60):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MILLRACE_")}
    done = subprocess.run([ctx.options.binary, *args], capture_output=True, text=True, timeout=timeout, cwd=cwd,
                          env={**environment, **(env or {})})
    assert done.returncode == expect, f"{args}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def doctor(ctx, *args, expect=OK, **more):
    """All checks by name."""
    out, _ = run(ctx, "doctor", "--no-disk-test", "-o", "json", *args, expect=expect, **more)
    checks = json.loads(out)
    for check in checks:
        assert check["state"] in ("ok", "warn", "bad") and check["found"], check
        assert check["fix"] or check["state"] == "ok" or check["check"] == "settings", f"nothing to type: {check}"
    assert (expect == FAILED) == any(c["state"] == "bad" for c in checks), checks
    return {c["check"]: c for c in checks}


@contextlib.contextmanager
def directory():
    path = tempfile.mkdtemp(prefix="millrace-ops-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def broker(ctx, *args, **more):
    one = Millrace(ctx.options.binary, args=args, **more)
    try:
        yield one.start()
    finally:
        one.close()


def nowhere(path):
    """Settings of a broker that does not run, on ports that nobody has."""
    return ["--data-dir", os.path.join(path, "data"), "--kafka", f"127.0.0.1:{free_port()}",
            "--http", f"127.0.0.1:{free_port()}"]


@scenario("doctor-before-the-first-start")
def before(ctx):
    with directory() as path:
        checks = doctor(ctx, *nowhere(path))
        assert "not there yet" in checks[f"directory {path}/data"]["found"]
        assert os.listdir(path) == [], "nothing was made"
        for name in ("open files", "memory", "cores", "clock", "advertised PLAINTEXT", f"free space {path}/data"):
            assert name in checks, name
        out, err = run(ctx, "doctor", *nowhere(path))
        line = next(x for x in out.splitlines() if "sync speed" in x)
        assert re.search(r"median [\d.]+ [um]s, p99 [\d.]+ [um]s", line), line
        assert "checks" in err and os.listdir(path) == [], "nothing stays of the disk test"


@scenario("doctor-of-a-running-broker")
def running(ctx):
    topic = ctx.topic(3)
    b = ctx.broker
    checks = doctor(ctx, "--data-dir", b.data, "--kafka", b.address, "--http", b.http)
    assert str(b.process.pid) in checks[f"directory {b.data}"]["found"], "who has it"
    for name in (f"listener {b.address}", f"http {b.http}"):
        assert "running broker" in checks[name]["found"], checks[name]
    found = checks[f"broker {b.address}"]["found"]
    assert "answers" in found and b.version().split()[-1] in found, found
    assert "answers from here" in checks["address of broker 1"]["found"]
    # Only the directory is known: where the broker is, ready.json says.
    assert f"broker {b.address}" in doctor(ctx, "--data-dir", b.data, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0")
    # Another data directory, the same ports: they are somebody else's.
    with directory() as path:
        checks = doctor(ctx, "--data-dir", path, "--kafka", b.address, "--http", b.http, expect=FAILED)
        for name in (f"listener {b.address}", f"http {b.http}"):
            assert checks[name]["state"] == "bad" and "taken" in checks[name]["found"], checks[name]
    with b.connect() as c:
        c.list_offset(topic, -1)  # it was not disturbed


@scenario("doctor-finds-an-address-that-clients-cannot-reach")
def advertised(ctx):
    nobody = free_port()
    with broker(ctx, "--set", f"advertised.listeners=127.0.0.1:{nobody}") as b:
        checks = doctor(ctx, "-b", b.address, "--data-dir", b.data, "--kafka", b.address, "--http", b.http, expect=FAILED)
        told = checks["address of broker 1"]
        assert told["state"] == "bad" and str(nobody) in told["found"] and b.address in told["fix"], told
    with directory() as path:
        bad = doctor(ctx, *nowhere(path), "--set", "advertised.listeners=no-such-host.invalid:9092", expect=FAILED)
        assert bad["advertised PLAINTEXT"]["state"] == "bad"


@scenario("doctor-of-ports-and-brokers-that-are-not-ours")
def ports(ctx):
    with directory() as path, socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = "127.0.0.1:%d" % s.getsockname()[1]
        settings = nowhere(path)[:2] + ["--kafka", taken, "--http", "127.0.0.1:0", "--timeout-ms", "500"]
        checks = doctor(ctx, *settings, expect=FAILED)
        assert taken.split(":")[1] in checks[f"listener {taken}"]["fix"]
        foreign = doctor(ctx, *nowhere(path)[:2], "--kafka", "192.0.2.1:9092", "--http", "127.0.0.1:0", expect=FAILED)
        assert foreign["listener 192.0.2.1:9092"]["state"] == "bad"
        gone = f"127.0.0.1:{free_port()}"
        assert doctor(ctx, *nowhere(path), "-b", gone, expect=FAILED)[f"broker {gone}"]["state"] == "bad"


@scenario("doctor-of-data-directories")
def directories(ctx):
    with broker(ctx) as b:
        b.stop()
        settings = ["--data-dir", b.data, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        name = f"directory {b.data}"
        assert "free" in doctor(ctx, *settings)[name]["found"]
        assert doctor(ctx, *settings, "--set", "node.id=9", expect=FAILED)[name]["state"] == "bad", "another node's"
        properties = os.path.join(b.data, "meta.properties")
        with open(properties) as f:
            good = f.read()
        with open(properties, "w") as f:
            f.write(good.replace("millrace.format.version=1", "millrace.format.version=99"))
        assert "newer" in doctor(ctx, *settings, expect=FAILED)[name]["found"]
        with open(properties, "w") as f:
            f.write(good)
        assert doctor(ctx, *settings)[name]["state"] == "ok"
        if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
            checks = doctor(ctx, "--data-dir", "/dev/shm/millrace-none", *settings[2:])
            assert checks["file system /dev/shm/millrace-none"]["state"] == "warn", checks
        huge = doctor(ctx, *settings, "--set", "disk.reserve.bytes=900000GiB", expect=FAILED)
        assert huge[f"free space {b.data}"]["state"] == "bad"
        big = doctor(ctx, *settings, "--memory", "100000GiB", expect=FAILED)
        assert big["memory"]["state"] == "bad" and "--memory" in big["memory"]["fix"]


@scenario("doctor-sees-files-of-another-user")
def other_user(ctx):
    if os.geteuid() != 0:
        raise Skip("needs root, to be somebody else")
    with broker(ctx) as b:
        b.stop()
        os.chmod(b.home, 0o755)
        out = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", ctx.options.binary,
                              "doctor", "--no-disk-test", "-o", "json", "--data-dir", b.data, "--kafka", "127.0.0.1:0",
                              "--http", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
        if not out.stdout:
            raise Skip("the binary lies where others may not read it")
        check = next(c for c in json.loads(out.stdout) if c["check"] == f"directory {b.data}")
        assert out.returncode == FAILED and check["state"] == "bad" and b.data in check["fix"], check
