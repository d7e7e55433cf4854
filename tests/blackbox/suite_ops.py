"""`doctor` and `bundle`: what they say of a healthy broker, of one that is not there, and of traps set for them. And what a
start says that fails."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile

from harness import Millrace, Skip, Suite, claim_port

SUITE = Suite("ops", "millrace")
OK, FAILED, CONFLICT = 0, 1, 5
SECRET = "hunter2-not-for-others"


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
    return ["--data-dir", os.path.join(path, "data"), "--kafka", f"127.0.0.1:{claim_port()}",
            "--http", f"127.0.0.1:{claim_port()}"]


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
    nobody = claim_port()
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
        gone = f"127.0.0.1:{claim_port()}"
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


def unpack(archive):
    """Files by name, with Debian's own tar."""
    with directory() as path:
        subprocess.run(["tar", "xzf", archive, "-C", path], check=True, capture_output=True)
        (top,) = os.listdir(path)
        names = subprocess.run(["tar", "tzf", archive], check=True, capture_output=True, text=True).stdout.splitlines()
        files = {}
        for name in names:
            assert name.startswith(top + "/"), name
            with open(os.path.join(path, name)) as f:
                files[name[len(top) + 1:]] = f.read()
        return files


@scenario("bundle-of-a-running-broker")
def bundle(ctx):
    b = ctx.broker
    topic = ctx.topic(2, {"retention.ms": "98765432"})
    run(ctx, "pub", topic, f"{SECRET}-record", "-b", b.address)
    with directory() as path:
        log = os.path.join(path, "broker.log")
        with open(log, "w") as f:
            f.write("x" * (9 << 20) + f"\nconnect password={SECRET} ok\nlast line\n")
        properties = os.path.join(path, "server.properties")
        with open(properties, "w") as f:
            f.write(f"# {SECRET} in a comment\nmy.api.token={SECRET}\nlog.dirs={b.data}\nlog.retention.hours=167\n")
        archive = os.path.join(path, "b.tar.gz")
        settings = ["--config", properties, "--data-dir", b.data, "--log-file", log, "--no-disk-test"]
        out, _ = run(ctx, "bundle", *settings, "--to", archive, "--dry-run")
        assert "topics.json" in out and not os.path.exists(archive), "a dry run writes nothing"
        out, err = run(ctx, "bundle", *settings, "--to", archive)
        assert "metrics.txt" in out and archive in err
        run(ctx, "bundle", *settings, "--to", archive, expect=CONFLICT)
        files = unpack(archive)
        with tarfile.open(archive) as t:
            assert all(m.isfile() for m in t.getmembers())
    manifest = json.loads(files["manifest.json"])
    assert {p["file"] for p in manifest["parts"]} | {"manifest.json"} == set(files)
    for name, text in files.items():
        assert SECRET not in text, f"a secret or a record in {name}"
    assert "[redacted]" in files["log.txt"] and files["log.txt"].endswith("last line\n") and "xxx" not in files["log.txt"]
    given = {s["name"]: s for s in json.loads(files["settings-given.json"])}
    assert given["my.api.token"]["value"] == "[redacted]"
    assert given["log.retention.hours"]["value"] == "167" and "server.properties" in given["log.retention.hours"]["where"]
    assert json.loads(files["ready.json"])["kafka"] == b.address
    assert "# TYPE" in files["http/metrics.txt"]
    assert json.loads(files["http/health.json"])["status"] == "ok"
    topics = {t["name"]: t for t in json.loads(files["topics.json"])}
    assert topics[topic]["configs"]["retention.ms"] == "98765432" and sum(p["end"] for p in topics[topic]["partitions"]) == 1
    paths = [json.loads(line)["path"] for line in files["files.ndjson"].splitlines()]
    assert f"{b.data}/{topic}-0/00000000000000000000.log" in paths
    assert "in use by process" in files["doctor.txt"] and json.loads(files["doctor.json"])
    assert isinstance(json.loads(files["groups.json"]), list)


@scenario("bundle-when-nothing-is-there")
def alone(ctx):
    with directory() as path:
        run(ctx, "bundle", *nowhere(path), "--config", os.path.join(path, "none"), "--no-disk-test", cwd=path)
        (archive,) = os.listdir(path)
        assert re.fullmatch(r"millrace-bundle-\d{8}-\d{6}\.tar\.gz", archive), archive
        files = unpack(os.path.join(path, archive))
        missing = {m["missing"]: m["why"] for m in json.loads(files["manifest.json"])["missing"]}
        for what in ("settings of --config", "ready.json", "topics.json", "groups.json", "http/metrics.txt", "log.txt"):
            assert missing.get(what), f"{what} is not said to be missing: {missing}"
        assert {"version.json", "doctor.txt", "settings.json"} <= set(files)
        out, _ = run(ctx, "bundle", *nowhere(path), "--no-disk-test", "--set", "log.segment.bytes=12", "--dry-run", "-o", "json")
        report = json.loads(out)
        assert report["archive"] is None and any(m["missing"] == "settings.json" for m in report["missing"]), report


def refused(ctx, *args, expect, saying):
    """A start that fails says, in its last line, what to do."""
    done = subprocess.run([ctx.options.binary, "serve", *args], capture_output=True, text=True, timeout=30)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == expect and last.startswith("millrace: "), f"{args}: {done.returncode}\n{done.stderr}"
    for part in saying:
        assert part in last, f"{part!r} is not in: {last}"


@scenario("starts-that-fail-say-what-to-do")
def start_errors(ctx):
    ports = ["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    b = ctx.broker
    refused(ctx, "--data-dir", b.data, *ports, expect=CONFLICT, saying=["used by another Millrace", "--data-dir"])
    with directory() as path, broker(ctx) as other:
        fresh = ["--data-dir", os.path.join(path, "fresh")]
        refused(ctx, *fresh, "--kafka", b.address, "--http", "127.0.0.1:0", expect=CONFLICT, saying=["taken", "--kafka"])
        refused(ctx, *fresh, "--kafka", "192.0.2.1:9092", "--http", "127.0.0.1:0", expect=FAILED,
                saying=["no address of this machine", "0.0.0.0:9092"])
        blocker = os.path.join(path, "file")
        open(blocker, "w").close()
        refused(ctx, "--data-dir", blocker, *ports, expect=FAILED, saying=["no directory", "--data-dir"])
        other.stop()
        refused(ctx, "--data-dir", other.data, "--set", "node.id=9", *ports, expect=CONFLICT, saying=["--set node.id=1"])
        for name, text, saying in (("meta.properties", "version=9\n", ["newer version"]),
                                   ("meta.properties", "nonsense", ["from a copy"]),
                                   ("metadata.db", "nonsense" * 100, ["from a copy", "--adopt-topics true"])):
            copy = os.path.join(path, "copy")
            shutil.copytree(other.data, copy)
            with open(os.path.join(copy, name), "w") as f:
                f.write(text)
            refused(ctx, "--data-dir", copy, *ports, expect=FAILED, saying=saying)
            shutil.rmtree(copy)
