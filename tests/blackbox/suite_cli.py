"""The command line's contract: exit codes, output formats, data on stdout and talk on stderr."""
import glob
import json
import os
import re
import socket
import subprocess
import time

import rawkafka as rk
from harness import Suite, free_port, wait_until

SUITE = Suite("cli", "millrace")
OK, FAILED, USAGE, NO_CONNECTION, CONFLICT, TIMEOUT = 0, 1, 2, 3, 5, 124


def scenario(name):
    return SUITE.scenario(name, only="millrace")


def cli(ctx, *args, stdin="", expect=OK, bootstrap=True, timeout=30, env=None):
    """Runs `millrace ARGS` against the suite's broker; returns (stdout, stderr) and checks the exit code."""
    environment = {**os.environ, "MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address if bootstrap is True else bootstrap or ""}
    if not bootstrap:
        del environment["MILLRACE_BOOTSTRAP_SERVER"]
    environment.update(env or {})
    done = subprocess.run([ctx.options.binary, *args], input=stdin.encode() if isinstance(stdin, str) else stdin,
                          capture_output=True, timeout=timeout, env=environment)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert done.returncode == expect, f"millrace {' '.join(args)}: exit {done.returncode}, expected {expect}\n{out}{err}"
    if expect in (USAGE, NO_CONNECTION, CONFLICT, TIMEOUT):
        assert err.strip(), f"millrace {' '.join(args)}: fails without a word"
    return out, err


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


@scenario("version-and-help")
def version(ctx):
    out, _ = cli(ctx, "version")
    assert re.fullmatch(r"millrace \d+\.\d+\.\d+\S*\n", out), out
    assert json.loads(cli(ctx, "version", "-o", "json")[0])["version"] in out
    for args in (["--help"], ["serve", "--help"], ["topic", "create", "--help"], ["pub", "--help"], ["sub", "--help"]):
        out, _ = cli(ctx, *args)
        assert len(out) > 100, args
    started = time.monotonic()
    cli(ctx, "version")
    assert time.monotonic() - started < 0.5, "starts at once"


@scenario("usage-errors")
def usage(ctx):
    for args in ([], ["nonsense"], ["topic"], ["topic", "create"], ["pub"], ["sub", "t", "--no-such"],
                 ["topic", "list", "-o", "xml"], ["pub", "t", "v", "-z", "rar"], ["completion", "tcsh"], ["sub", "t", "--from", "soon"],
                 ["topic", "create", "x", "-p", "0"]):
        out, err = cli(ctx, *args, expect=USAGE)
        assert not out, f"{args}: talk on stdout"


@scenario("topic-life")
def topic_life(ctx):
    name = ctx.name("cli")
    cli(ctx, "topic", "create", name, "--dry-run", "-p", "4")
    assert name not in cli(ctx, "topic", "list")[0], "a dry run creates nothing"
    cli(ctx, "topic", "create", name, "-p", "4", "-c", "retention.ms=98765")
    cli(ctx, "topic", "create", name, expect=CONFLICT)
    cli(ctx, "topic", "create", name, "--if-not-exists")
    listed = json.loads(cli(ctx, "topic", "list", "-o", "json")[0])
    assert name in [t["name"] if isinstance(t, dict) else t for t in listed], listed
    assert name in [t["name"] for t in rows(cli(ctx, "topic", "list", "-o", "ndjson")[0])]
    assert name in cli(ctx, "topic", "list")[0] and name in cli(ctx, "topic", "list", "-o", "yaml")[0]
    described = json.dumps(json.loads(cli(ctx, "topic", "describe", name, "-o", "json")[0]))
    assert "98765" in described and name in described
    assert "retention.ms" in cli(ctx, "topic", "describe", name)[0]
    cli(ctx, "topic", "describe", ctx.name("none"), expect=FAILED)
    cli(ctx, "topic", "delete", name, "--dry-run")
    assert name in cli(ctx, "topic", "list")[0], "a dry run deletes nothing"
    cli(ctx, "topic", "delete", name)
    assert name not in cli(ctx, "topic", "list")[0]
    cli(ctx, "topic", "delete", name, expect=FAILED)
    cli(ctx, "topic", "delete", name, "--if-exists")
    cli(ctx, "topic", "create", "no spaces", expect=FAILED)
    cli(ctx, "topic", "create", ctx.name("bad"), "-c", "no.such=1", expect=USAGE)


@scenario("pub-and-sub")
def pub_sub(ctx):
    name = ctx.topic(3)
    lines = [f"line {i}" for i in range(500)]
    cli(ctx, "pub", name, stdin="\n".join(lines) + "\n", bootstrap=False, env={"MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address})
    out, _ = cli(ctx, "sub", name, "--from", "start", "-e", "--format", "%s\\n")
    assert sorted(out.splitlines()) == sorted(lines), "every line once"
    got = rows(cli(ctx, "sub", name, "--from", "start", "-e", "-o", "ndjson", "--bootstrap-server", ctx.broker.address)[0])
    assert sorted(r["value"] for r in got) == sorted(lines)
    assert {r["topic"] for r in got} == {name} and all(r["key"] is None and r["timestamp"] > 0 for r in got)
    per = {}
    for r in got:
        per.setdefault(r["partition"], []).append(r["offset"])
    assert all(v == list(range(len(v))) for v in per.values()), "offsets of each partition"
    assert len(rows(cli(ctx, "sub", name, "--from", "start", "-n", "7", "-o", "json")[0])) == 7


@scenario("pub-codecs-keys-headers")
def pub_options(ctx):
    name = ctx.topic(1)
    for codec in rk.CODECS:
        cli(ctx, "pub", name, "x" * 300, "-n", "20", "-z", codec, "-k", f"key-{codec}", "-H", "a=1", "-H", "b=")
    for acks in ("0", "1", "all"):
        cli(ctx, "pub", name, "acks", "-a", acks)
    with ctx.broker.connect() as c:
        wait_until(lambda: c.list_offset(name, -1)["Offset"] == 103, 10, "records of acks 0")
        assert {b["codec"] for b in c.all_batches(name)} == set(rk.CODECS)
    cli(ctx, "pub", name, "-K", ":", stdin="k1:v:1\nk2:v2\n")
    cli(ctx, "pub", name, "-k", "gone", "--tombstone")
    got = rows(cli(ctx, "sub", name, "--from", "-3", "-e", "-o", "ndjson")[0])
    assert [(r["key"], r["value"]) for r in got] == [("k1", "v:1"), ("k2", "v2"), ("gone", None)], got
    first = rows(cli(ctx, "sub", name, "--from", "start", "-n", "1", "-o", "ndjson")[0])[0]
    assert [(h["name"], h["value"]) for h in first["headers"]] == [("a", "1"), ("b", "")], first
    assert first["key"] == "key-none"


@scenario("pub-bytes-and-large-values")
def pub_bytes(ctx):
    name = ctx.topic(1)
    cli(ctx, "pub", name, stdin=b"\xff\xfe\x00binary\n")
    got = rows(cli(ctx, "sub", name, "--from", "start", "-n", "1", "-o", "ndjson")[0])[0]
    assert got["value_base64"] == "//4AYmluYXJ5", got
    large = "y" * 1_000_000
    cli(ctx, "pub", name, stdin=large + "\n")
    assert cli(ctx, "sub", name, "--from", "1", "-n", "1", "--format", "%s")[0] == large
    cli(ctx, "pub", name, stdin="z" * 1_200_000 + "\n", expect=FAILED)


@scenario("sub-positions")
def positions(ctx):
    name = ctx.topic(1)
    with ctx.broker.connect() as c:
        for i in range(10):
            c.produce(name, rk.batch([b"v%d" % i], timestamp=1_700_000_000_000 + i * 1000))

    def values(*args):
        return cli(ctx, "sub", name, *args, "-e", "--format", "%s ")[0].split()
    everything = [f"v{i}" for i in range(10)]
    assert values("--from", "start") == everything
    assert values("--from", "4") == everything[4:]
    assert values("--from", "-2") == everything[8:]
    assert values("--from", "@1700000003500") == everything[4:]
    assert values("--from", "@2023-11-14T22:13:25Z") == everything[5:]
    assert values("--from", "end") == []


@scenario("sub-follows")
def follows(ctx):
    name = ctx.topic(1)
    reader = subprocess.Popen([ctx.options.binary, "sub", name, "--from", "start", "-n", "10", "--format", "%s\\n", "-b",
                               ctx.broker.address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for i in range(10):
            cli(ctx, "pub", name, f"n{i}")
            assert reader.stdout.readline() == f"n{i}\n", "each record as it comes"
        assert reader.wait(10) == 0
    finally:
        reader.kill()
        reader.wait()


@scenario("reader-that-goes-away")
def broken_pipe(ctx):
    name = ctx.topic(1)
    cli(ctx, "pub", name, "x" * 100, "-n", "20000")
    reader = subprocess.Popen([ctx.options.binary, "sub", name, "--from", "start", "-b", ctx.broker.address],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reader.stdout.read(100)
    reader.stdout.close()
    assert reader.wait(10) == 0, f"like head: {reader.returncode} {reader.stderr.read()}"


@scenario("cannot-connect")
def cannot_connect(ctx):
    nobody = f"127.0.0.1:{free_port()}"
    for args in (["topic", "list"], ["pub", "t", "v"], ["sub", "t", "-e"], ["topic", "create", "t"]):
        started = time.monotonic()
        out, err = cli(ctx, *args, "-b", nobody, "--timeout-ms", "3000", expect=NO_CONNECTION)
        assert nobody in err and not out, err
        assert time.monotonic() - started < 6


@scenario("timeout")
def timeout(ctx):
    """A listener that accepts and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        for args in (["topic", "list"], ["pub", "t", "v"]):
            cli(ctx, *args, "-b", address, "--timeout-ms", "700", expect=TIMEOUT)


@scenario("not-a-broker")
def not_a_broker(ctx):
    """The HTTP door: no Kafka answers there, and the command ends by itself."""
    done = subprocess.run([ctx.options.binary, "topic", "list", "-b", ctx.broker.http, "--timeout-ms", "3000"],
                          capture_output=True, timeout=15)
    assert done.returncode in (FAILED, NO_CONNECTION, TIMEOUT) and done.stderr, done


@scenario("config-explain")
def config_explain(ctx):
    out, _ = cli(ctx, "config", "explain", "log.segment.bytes", bootstrap=False)
    assert "log.segment.bytes" in out
    one = json.loads(cli(ctx, "config", "explain", "log.segment.bytes", "-o", "json", bootstrap=False,
                         env={"MILLRACE_LOG_SEGMENT_BYTES": "2MiB"})[0])
    assert "MILLRACE_LOG_SEGMENT_BYTES" in json.dumps(one), one
    everything = json.loads(cli(ctx, "config", "explain", "--all", "-o", "json", bootstrap=False)[0])
    assert len(everything) > 20
    _, err = cli(ctx, "config", "explain", "log.segmnt.bytes", bootstrap=False, expect=USAGE)
    assert "log.segment.bytes" in err, f"a suggestion: {err}"
    cli(ctx, "config", "explain", "--set", "log.segment.bytes=soon", bootstrap=False, expect=USAGE)


@scenario("completion")
def completion(ctx):
    for shell in ("bash", "zsh", "fish"):
        out, _ = cli(ctx, "completion", shell, bootstrap=False)
        assert "topic" in out and "serve" in out, shell
    script, _ = cli(ctx, "completion", "bash", bootstrap=False)
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@scenario("log-verify-and-dump")
def log_verify(ctx):
    name = ctx.topic(1)
    for i in range(20):
        cli(ctx, "pub", name, f"value {i} " + "x" * 500, "-n", "5", "-z", rk.CODECS[i % 5])
    ctx.broker.stop()
    try:
        directory = next(iter(glob.glob(f"{ctx.broker.data}/**/{name}-0", recursive=True)), None)
        assert directory, "the partition's directory"
        out, _ = cli(ctx, "log", "verify", ctx.broker.data, bootstrap=False)
        found = json.loads(cli(ctx, "log", "verify", directory, "-o", "json", bootstrap=False)[0])
        text = json.dumps(found)
        assert '"healthy": true' in text and '"records": 100' in text, found
        segment = sorted(glob.glob(directory + "/*.log"))[0]
        batches = rows(cli(ctx, "log", "dump", segment, "-o", "ndjson", bootstrap=False)[0])
        assert sum(b["records"] for b in batches) == 100 and all(b["crc_ok"] for b in batches)
        assert {b["codec"] for b in batches} == set(rk.CODECS)
        records = rows(cli(ctx, "log", "dump", "-r", segment, "-o", "ndjson", bootstrap=False)[0])
        assert [r["offset"] for r in records] == list(range(100))
        assert len(cli(ctx, "log", "dump", segment, bootstrap=False)[0].splitlines()) > len(batches)
        for side in glob.glob(directory + "/*.index") + glob.glob(directory + "/*.timeindex"):
            cli(ctx, "log", "dump", side, bootstrap=False)
        cli(ctx, "log", "verify", "/no/such/directory", bootstrap=False, expect=FAILED)
        # One flipped bit in the middle of a value is found, and named.
        copy = os.path.join(ctx.broker.home, "damaged", f"{name}-0")
        os.makedirs(copy)
        for f in os.listdir(directory):
            with open(os.path.join(directory, f), "rb") as source, open(os.path.join(copy, f), "wb") as target:
                data = bytearray(source.read())
                if f.endswith(".log"):
                    data[200] ^= 4
                target.write(data)
        out, _ = cli(ctx, "log", "verify", copy, bootstrap=False, expect=FAILED)
        assert "crc" in out.lower() or "checksum" in out.lower(), out
        # What could be done is told, the loss with it, and not a byte is changed.
        def content():
            return {f: open(os.path.join(copy, f), "rb").read() for f in os.listdir(copy)}
        before = content()
        cli(ctx, "log", "repair", copy, bootstrap=False, expect=USAGE)
        plan = json.loads(cli(ctx, "log", "repair", "--dry-run", copy, "-o", "json", bootstrap=False, expect=FAILED)[0])
        assert any("offsets" in row["lost"] and "CORRUPT_MESSAGE" in row["remedy"] for row in plan), plan
        assert content() == before
        _, err = cli(ctx, "log", "repair", "--dry-run", directory, bootstrap=False)
        assert "nothing to repair" in err, err
        # A file that is missing is missed.
        os.remove(glob.glob(copy + "/*.timeindex")[0])
        out, _ = cli(ctx, "log", "verify", copy, bootstrap=False, expect=FAILED)
        assert re.search(r"\.timeindex.*missing", out), out
    finally:
        ctx.broker.start()


@scenario("dev")
def dev(ctx):
    log = os.path.join(ctx.broker.home, "dev.log")
    with open(log, "w") as f:
        broker = subprocess.Popen([ctx.options.binary, "dev"], stdout=f, stderr=f)
    try:
        def hinted():
            with open(log) as f:
                return re.search(r"(?:-b|--bootstrap-server|bootstrap\.servers=)[ =]*(127\.0\.0\.1:\d+)", f.read())
        address = wait_until(hinted, 10, "lines for a first message with the address in use")
        cli(ctx, "pub", "hello", "world", "-b", address.group(1))
        assert cli(ctx, "sub", "hello", "--from", "start", "-n", "1", "--format", "%s", "-b", address.group(1))[0] == "world"
        broker.terminate()
        assert broker.wait(10) == 0
    finally:
        broker.kill()
        broker.wait()
