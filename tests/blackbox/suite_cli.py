"""The command line's contract: exit codes, output formats, data on stdout and talk on stderr."""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import rawkafka as rk
from harness import Millrace, Suite, claim_port, least_seconds, wait_until

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
    assert least_seconds(lambda: cli(ctx, "version")) < 0.5, "starts at once"


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
    nobody = f"127.0.0.1:{claim_port()}"
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


@scenario("pub-json")
def pub_json(ctx):
    name, copy = ctx.topic(3), ctx.topic(3)
    lines = [{"value": f"v{i}", "key": f"k{i % 4}", "headers": {"n": str(i)}, "timestamp": 1_700_000_000_000 + i, "partition": i % 3}
             for i in range(30)]
    cli(ctx, "pub", name, "--json", "-H", "all=1", stdin="".join(json.dumps(line) + "\n" for line in lines))
    cli(ctx, "pub", name, "-J", stdin='{"value_base64":"AP/+","key":null}\n{"value":null,"key":"gone"}\n')
    printed, _ = cli(ctx, "sub", name, "--from", "start", "-e", "-o", "ndjson")
    got = rows(printed)
    for line in lines:
        found = [r for r in got if r.get("value") == line["value"]]
        assert len(found) == 1 and all(found[0][f] == line[f] for f in ("key", "timestamp", "partition")), (line, found)
        assert found[0]["headers"] == [{"name": "all", "value": "1"}, {"name": "n", "value": line["headers"]["n"]}], found
    assert any(r.get("value_base64") == "AP/+" for r in got) and any(r["key"] == "gone" and r.get("value", "") is None for r in got)
    cli(ctx, "pub", copy, "--json", stdin=printed)
    again = rows(cli(ctx, "sub", copy, "--from", "start", "-e", "-o", "ndjson")[0])

    def same(records):
        return sorted(json.dumps({k: v for k, v in r.items() if k not in ("topic", "offset")}) for r in records)
    assert same(again) == same(got), "a topic copied through a pipe"
    for line, why in (('{"value":"v","partition":3}', "partition 3"), ('{"valeu":"v"}', "valeu"), ("plain", "no JSON")):
        _, err = cli(ctx, "pub", name, "--json", stdin='{"value":"fine"}\n' + line, expect=FAILED if "partition" in why else USAGE)
        assert "line 2" in err and why in err, err
    cli(ctx, "pub", ctx.topic(1), "--json", "-p", "0", stdin=printed)
    cli(ctx, "pub", name, "v", "--json", expect=USAGE)


@scenario("pub-rate")
def pub_rate(ctx):
    started = time.monotonic()
    cli(ctx, "pub", ctx.topic(1), "v", "-n", "20", "--rate", "20")
    assert 0.9 < time.monotonic() - started, "twenty records at 20/s last a second, less the first one's share"
    name, started = ctx.topic(1), time.monotonic()
    cli(ctx, "pub", name, "--rate", "5000", stdin="x\n" * 5000)
    assert 0.9 < time.monotonic() - started
    with ctx.broker.connect() as c:
        assert c.list_offset(name, -1)["Offset"] == 5000
    cli(ctx, "pub", name, "v", "--rate", "0", expect=USAGE)


@scenario("sub-where-and-topics")
def sub_where(ctx):
    one, two = ctx.topic(2), ctx.topic(1)
    for i in range(6):
        cli(ctx, "pub", one if i % 2 else two, f"order {i}", "-k", f"k{i}", "-H", f"even={i % 2 == 0}")

    def values(*args):
        return sorted(cli(ctx, "sub", one, two, "--from", "start", "-e", *args)[0].splitlines())
    assert values() == [f"order {i}" for i in range(6)]
    assert values("--where", "key=k3") == ["order 3"]
    assert values("-w", "header.even=True", "-w", "value~order", "-w", "key!=k0") == ["order 2", "order 4"]
    assert values("-w", "value!~order") == []
    assert len(values("-n", "2", "-w", "header.even=False")) == 2, "only what is shown counts"
    assert cli(ctx, "sub", one, "--from", "-1h", "-e")[0].count("order") == 3
    cli(ctx, "sub", one, "-w", "colour=red", expect=USAGE)
    cli(ctx, "sub", one, two, "-p", "0", expect=USAGE)


@scenario("tail")
def tail(ctx):
    name = ctx.topic(1)
    cli(ctx, "pub", name, stdin="".join(f"line {i}\n" for i in range(15)))
    cli(ctx, "pub", name, "a\x1b[31mred\x07", "-k", "k\tey", "-H", "h=1")
    shown = cli(ctx, "tail", name, "-e")[0].splitlines()
    assert len(shown) == 10 and shown[0].endswith(f"Z {name}-0@6 line 6"), shown
    assert shown[-1].endswith(f"{name}-0@15 k\\tey: a\\x1b[31mred\\x07 [h=1]"), shown
    assert len(cli(ctx, "tail", name, "-n", "3", "-e")[0].splitlines()) == 3
    assert cli(ctx, "tail", name, "-n", "0", "-e")[0] == ""
    assert json.loads(cli(ctx, "tail", name, "-n", "1", "-e", "-o", "json")[0])["offset"] == 15
    cli(ctx, "tail", ctx.name("none"), expect=FAILED)


@scenario("many-partitions-are-followed-at-once")
def follow_many(ctx):
    """A quiet partition's long poll keeps no other partition waiting."""
    name = ctx.topic(40)
    child = subprocess.Popen([ctx.options.binary, "sub", name, "-n", "3", "--format", "%p\\n", "-b", ctx.broker.address],
                             stdout=subprocess.PIPE, text=True)
    try:
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(int(line) for line in child.stdout), daemon=True)
        reader.start()
        # It begins at the end, whenever that was: until the first one is seen, more are sent.
        wait_until(lambda: cli(ctx, "pub", name, "x", "-p", "39") and seen, 10, "a first record")
        wait_until(lambda: len(seen) == 3 or cli(ctx, "pub", name, "x", "-p", "20") is None, 5, "three records, and soon")
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
@scenario("topic-alter")
def topic_alter(ctx):
    """Shows the difference, with --dry-run too; what is wrong changes nothing."""
    topic = ctx.topic(configs={"retention.ms": "60000"})

    def own():
        return json.loads(cli(ctx, "topic", "describe", topic, "-o", "json")[0])["set"]
    edits = ["--set", "cleanup.policy=compact,delete", "--set", "max.message.bytes=4KiB", "--unset", "retention.ms"]
    out, err = cli(ctx, "topic", "alter", topic, *edits, "--dry-run", "-o", "ndjson")
    expected = [("cleanup.policy", "delete", "compact,delete"), ("max.message.bytes", "1048588", "4KiB"),
                ("retention.ms", "60000", "(inherited)")]
    assert [(r["name"], r["before"], r["after"]) for r in rows(out)] == expected, out
    assert own() == {"retention.ms": "60000"}, "a dry run"
    assert "would alter" in cli(ctx, "topic", "alter", topic, *edits, "--dry-run")[1]
    out, err = cli(ctx, "topic", "alter", topic, *edits, "-o", "ndjson")
    assert [(r["name"], r["after"], r["changed"]) for r in rows(out)] == [
        ("cleanup.policy", "compact,delete", True), ("max.message.bytes", "4096", True), ("retention.ms", "604800000", True)], out
    assert own() == {"cleanup.policy": "compact,delete", "max.message.bytes": "4096"}, own()
    assert "altered topic" in cli(ctx, "topic", "alter", topic, "--unset", "cleanup.policy")[1]
    for bad in (["--set", "retention.ms=soon"], ["--set", "retention.mss=1"], ["--set", "remote.storage.enable=true"]):
        for dry in ([], ["--dry-run"]):
            _, err = cli(ctx, "topic", "alter", topic, *bad, *dry, expect=USAGE)
            assert bad[1].split("=")[0] in err, err
    for bad in ([], ["--set", "retention.ms"], ["--set", "a=b", "--unset", "a"]):
        cli(ctx, "topic", "alter", topic, *bad, expect=USAGE)
    cli(ctx, "topic", "alter", ctx.name("none"), "--set", "retention.ms=1", expect=FAILED)
    assert own() == {"max.message.bytes": "4096"}, own()


@scenario("config-alter")
def config_alter(ctx):
    """Of all brokers and of one; over what it was started with, and after a restart; precedence of all sources."""
    home = tempfile.mkdtemp(prefix="millrace-config-")
    properties = os.path.join(home, "server.properties")
    with open(properties, "w") as f:
        f.write("message.max.bytes=1000\nlog.segment.bytes=1000000000\nlog.retention.ms=1\nnum.partitions=2\n")
    broker = Millrace(ctx.options.binary, args=["--config", properties, "--set", "log.retention.ms=3", "--num-partitions", "5"],
                      env={"MILLRACE_LOG_RETENTION_MS": "2", "MILLRACE_LOG_SEGMENT_BYTES": "2MiB", "MILLRACE_NUM_PARTITIONS": "3"})
    try:
        broker.start()

        def config(*args, **more):
            return cli(ctx, "config", *args, bootstrap=broker.address, **more)

        def holds(*who):
            return {r["name"]: (r["value"], r["set_by"]) for r in rows(config("describe", *who, "-o", "ndjson")[0])}
        started = {"message.max.bytes": ("1000", "at its start"), "log.segment.bytes": ("2097152", "at its start"),
                   "log.retention.ms": ("3", "at its start"), "num.partitions": ("5", "at its start")}
        assert started.items() <= holds().items(), holds()
        out, _ = config("alter", "--set", "message.max.bytes=2000", "--dry-run", "-o", "ndjson")
        assert rows(out)[0]["after"] == "2000" and holds("--cluster") == {}, out
        config("alter", "--set", "message.max.bytes=2000", "--set", "log.retention.ms=4")
        config("alter", "--broker", "1", "--set", "message.max.bytes=3000")
        for restart in (False, True):
            if restart:
                broker.restart("kill")
            now = holds()
            assert now["message.max.bytes"] == ("3000", "this broker") and now["log.retention.ms"] == ("4", "all brokers"), now
            assert holds("--cluster") == {"message.max.bytes": ("2000", "all brokers"), "log.retention.ms": ("4", "all brokers")}
        out, _ = config("alter", "--broker", "1", "--unset", "message.max.bytes", "-o", "ndjson")
        assert (rows(out)[0]["before"], rows(out)[0]["after"]) == ("3000", "2000"), out
        config("alter", "--unset", "message.max.bytes", "--unset", "log.retention.ms")
        assert started.items() <= holds().items(), holds()
        one = rows(config("describe", "num.partitions", "--broker", "1", "-o", "ndjson")[0])
        assert [(r["value"], r["takes_effect"]) for r in one] == [("5", "at the next start")], one
        for bad in (["--set", "num.partitions=3"], ["--set", "no.such=1"], ["--broker", "7", "--set", "message.max.bytes=1"]):
            config("alter", *bad, expect=USAGE)
        config("alter", expect=USAGE)
        config("describe", "no.such", expect=USAGE)
    finally:
        broker.close()
        shutil.rmtree(home)


@scenario("completion")
def completion(ctx):
    for shell in ("bash", "zsh", "fish"):
        out, _ = cli(ctx, "completion", shell, bootstrap=False)
        assert "topic" in out and "serve" in out, shell
    topic, group = ctx.topic(1), ctx.name("group")
    with ctx.broker.connect() as c:
        wait_until(lambda: c.call("FindCoordinator", 1, {"Key": group, "KeyType": 0})["ErrorCode"] == 0, 20, "coordinator")
        wait_until(lambda: c.call("OffsetCommit", 5, {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 0}]}]})["Topics"][0]["Partitions"][0]["ErrorCode"] == 0,
            20, "a group")
    asked = [(["topic", "describe", ""], topic), (["topic", "describe", topic[:-1]], topic), (["sub", ""], topic),
             (["group", "describe", ""], group), (["group", "lag", group, "-t", ""], topic), (["topic", "desc"], "describe"),
             (["pub", "--comp"], "--compression")]
    with tempfile.TemporaryDirectory() as home:
        os.symlink(os.path.abspath(ctx.options.binary), os.path.join(home, "millrace"))
        env = {"PATH": home + ":" + os.environ["PATH"], "HOME": home, "TERM": "dumb"}
        for shell in ("bash", "zsh", "fish"):
            script, _ = cli(ctx, "completion", shell, bootstrap=False)
            for words, wanted in asked:
                offered = ask_shell(shell, script, ["millrace", *words], {**env, "MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address})
                assert wanted in offered, (shell, words, offered)
            # The server that the line names, and silence when it cannot be asked.
            far = ["millrace", "sub", "-b", ctx.broker.address, ""]
            assert topic in ask_shell(shell, script, far, {**env, "MILLRACE_BOOTSTRAP_SERVER": "127.0.0.1:1"}), shell
            assert topic not in ask_shell(shell, script, ["millrace", "sub", ""], {**env, "MILLRACE_BOOTSTRAP_SERVER": "127.0.0.1:1"})


def ask_shell(shell, script, words, env):
    """What the shell's completion offers for the last word."""
    if shell == "bash":
        quoted = " ".join(f"'{w}'" for w in words)
        ask = f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{' '.join(words)}'\n" \
              "_millrace; printf '%s\\n' \"${COMPREPLY[@]}\""
        command = ["bash", "-c", ask]
    elif shell == "zsh":
        quoted = " ".join(f"'{w}'" for w in words)
        ask = "compdef() {}; _files() {}; compadd() { shift; print -rl -- ${(M)@:#${words[CURRENT]}*} }\n" \
              f"{script}\nwords=({quoted}); CURRENT={len(words)}; _millrace"
        command = ["zsh", "-f", "-c", ask]
    else:
        command = ["fish", "--no-config", "-c", f"{script}\ncomplete -C '{' '.join(words)}'"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=env)
    assert done.returncode in (0, 1) and not done.stderr.strip(), (shell, words, done.stderr)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


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


@scenario("topic-add-partitions")
def add_partitions(ctx):
    topic = ctx.topic(partitions=2)
    out, err = cli(ctx, "topic", "add-partitions", topic, "3", "--dry-run")
    assert not out and "would add 3 partitions" in err and "would have 5" in err, err
    assert rows(cli(ctx, "topic", "describe", topic, "-o", "ndjson")[0])[0]["partitions"][-1]["partition"] == 1
    out, _ = cli(ctx, "topic", "add-partitions", topic, "3", "-o", "json")
    assert json.loads(out) == {"name": topic, "partitions_before": 2, "partitions": 5}, out
    assert "it has 6" in cli(ctx, "topic", "add-partitions", topic, "1")[1]
    assert len(rows(cli(ctx, "topic", "describe", topic, "-o", "ndjson")[0])[0]["partitions"]) == 6
    cli(ctx, "topic", "add-partitions", topic, "0", expect=USAGE)
    cli(ctx, "topic", "add-partitions", ctx.name("none"), "1", expect=FAILED)
    _, err = cli(ctx, "topic", "add-partitions", topic, "900000", expect=FAILED)
    assert "limit" in err, err


@scenario("topic-delete-records")
def delete_records(ctx):
    one, two = ctx.topic(), ctx.topic(partitions=2)
    with ctx.broker.connect() as c:
        for i in range(10):
            assert c.produce(one, rk.batch([b"v"], timestamp=1_000_000 + i * 1000))["ErrorCode"] == 0
            assert c.produce(two, rk.batch([b"v"], timestamp=1_000_000 + i * 1000), partition=i % 2)["ErrorCode"] == 0

    def cut(topic, before, *more, **kinds):
        out, err = cli(ctx, "topic", "delete-records", topic, "--before", before, *more, "-o", "ndjson", **kinds)
        return [(r["partition"], r["start_before"], r["start"], r["end"]) for r in rows(out)]
    assert cut(one, "4", "--dry-run") == [(0, 0, 4, 10)]
    assert cut(one, "4") == [(0, 0, 4, 10)], "the dry run has changed nothing, and told the truth"
    assert cut(one, "2") == [(0, 4, 4, 10)], "a start does not go back"
    assert cut(one, "@1006500", "--dry-run") == cut(one, "@1006500") == [(0, 4, 7, 10)]
    for dry in (["--dry-run"], []):
        _, err = cli(ctx, "topic", "delete-records", one, "--before", "11", *dry, expect=FAILED)
        assert f"{one}-0" in err, err
    assert cut(two, "@1005000") == [(0, 0, 3, 5), (1, 0, 2, 5)]
    assert cut(two, "end", "--partition", "1") == [(1, 2, 5, 5)]
    assert cut(two, "@9000000") == [(0, 3, 5, 5), (1, 5, 5, 5)], "all are older"
    out, err = cli(ctx, "topic", "delete-records", one, "--before", "end")
    assert "deleted 3 offsets" in err and "PARTITION" in out, out + err
    for bad in (["--before", "start"], ["--before", "-3"], ["--before", "soon"], []):
        cli(ctx, "topic", "delete-records", one, *bad, expect=USAGE)
    _, err = cli(ctx, "topic", "delete-records", two, "--before", "1", expect=USAGE)
    assert "--partition" in err, err
    cli(ctx, "topic", "delete-records", two, "--before", "end", "--partition", "7", expect=FAILED)
    compacted = ctx.topic(configs={"cleanup.policy": "compact"})
    cli(ctx, "topic", "delete-records", compacted, "--before", "end", expect=FAILED)
