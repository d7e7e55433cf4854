"""`millrace group ...` over the Kafka protocol: the same commands against Millrace, Apache Kafka and any other broker.

Members are raw frames (suite_groups.Member), so that states stand still while the commands look at them.
"""
import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile

import harness
import rawkafka as rk
from harness import Suite, wait_until
from suite_groups import Member, committed, coordinator, simple_commit

OK, FAILED, USAGE, NO_CONNECTION, CONFLICT = 0, 1, 2, 3, 5


def prepare(options):
    options.binary = harness.find_binary(options.binary)


SUITE = Suite("cli_groups", "millrace group", prepare=prepare)
scenario = SUITE.scenario


def group(ctx, *args, expect=OK):
    """Runs `millrace group ARGS`; returns (stdout, stderr) and checks the exit code."""
    done = subprocess.run([ctx.options.binary, "group", *args], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address})
    assert done.returncode == expect, \
        f"millrace group {' '.join(args)}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}"
    assert expect == OK or done.stderr.strip(), f"millrace group {' '.join(args)}: fails without a word"
    return done.stdout, done.stderr


def ask(ctx, *args, expect=OK):
    return json.loads(group(ctx, *args, "-o", "json", expect=expect)[0])


def seek(ctx, name, to, *args):
    """{(topic, partition): (from, to)} of a seek, and the whole answer."""
    answer = ask(ctx, "seek", name, "--to", to, *args)
    return {(p["topic"], p["partition"]): (p["from"], p["to"]) for p in answer["partitions"]}, answer


def filled(ctx, partitions=1, records=10):
    """A topic with `records` in each partition, a second apart."""
    name = ctx.topic(partitions)
    with ctx.broker.connect() as c:
        c.wait_for_topic(name, partitions)
        for p in range(partitions):
            for i in range(records):
                c.produce(name, rk.batch([b"v"], timestamp=1_700_000_000_000 + i * 1000), partition=p)
    return name


def with_offsets(ctx, topic, offsets):
    """A group without members that has committed these."""
    name = ctx.name("g")
    with ctx.broker.connect() as c:
        coordinator(ctx, c, name)
        for p, offset in enumerate(offsets):
            assert simple_commit(c, name, topic, offset, p) == 0
    return name


def stands(ctx, name, topic, partition=0):
    with ctx.broker.connect() as c:
        return committed(c, name, topic, partition)[0]


def assignment(*topics):
    """Of (topic, partitions): version 0 of Kafka's own format."""
    return struct.pack(">hi", 0, len(topics)) + b"".join(
        struct.pack(">h", len(t)) + t.encode() + struct.pack(">i", len(ps)) + struct.pack(f">{len(ps)}i", *ps)
        for t, ps in topics) + struct.pack(">i", -1)


def state_of(ctx, name):
    with ctx.broker.connect() as c:
        return c.call("DescribeGroups", 4, {"Groups": [name]})["Groups"][0]["GroupState"]


@contextlib.contextmanager
def active(ctx, topic, partitions_of, **options):
    """A stable group of raw members that own `partitions_of[i]` each."""
    name = ctx.name("g")
    with ctx.broker.connect() as c:
        coordinator(ctx, c, name)
    members = [Member(ctx, name, topics=(topic,), client_id=f"client-{i}", instance=f"static-{i}" if i == 0 else None,
                      session=60000, **options) for i in range(len(partitions_of))]
    try:
        for i, m in enumerate(members):
            m.begin()
            if i > 0:  # those who are in join again once the group waits for them
                wait_until(lambda: state_of(ctx, name) == "PreparingRebalance", 10, "a new round")
            for other in members[:i]:
                other.begin_join()
            for known in members[:i + 1]:
                answer = known.end_join()
                assert answer["ErrorCode"] == 0, answer
        given = {m.id: assignment((topic, ps)) if ps is not None else b"\xff" for m, ps in zip(members, partitions_of)}
        leader = next(m for m in members if m.leads())
        for m in members:
            m.begin_sync(given if m is leader else None)
        for m in members:
            assert m.end_sync()["ErrorCode"] == 0
        yield name, members
    finally:
        for m in members:
            with contextlib.suppress(OSError, AssertionError):
                m.leave()
            m.c.close()


@scenario("group-list")
def listing(ctx):
    topic = filled(ctx)
    empty = with_offsets(ctx, topic, [3])
    with active(ctx, topic, [[0]]) as (name, _):
        rows = {r["group"]: r for r in ask(ctx, "list")}
        assert rows[empty]["state"] == "Empty" and rows[empty]["protocol_type"] is None, rows[empty]
        assert rows[name]["state"] == "Stable" and rows[name]["protocol_type"] == "consumer", rows[name]
        assert list(rows) == sorted(rows)
        stable = [r["group"] for r in ask(ctx, "list", "--state", "STABLE")]
        assert name in stable and empty not in stable, stable
        both = [r["group"] for r in ask(ctx, "list", "-s", "Stable", "-s", "empty")]
        assert name in both and empty in both, both
        assert name in group(ctx, "list")[0] and name in group(ctx, "list", "-o", "yaml")[0]
        assert name in [json.loads(line)["group"] for line in group(ctx, "list", "-o", "ndjson")[0].splitlines()]


@scenario("group-describe")
def describe(ctx):
    topic = filled(ctx, 4)
    with active(ctx, topic, [[0, 1], [3]]) as (name, members):
        by_client = {m.client_id: m for m in members}
        members[0].commit(topic, 4, 0)
        members[0].commit(topic, 10, 2)
        seen = ask(ctx, "describe", name)
        assert (seen["state"], seen["protocol_type"], seen["protocol"], seen["members"]) == \
            ("Stable", "consumer", "range", 2), seen
        assert seen["coordinator"]["address"] == ctx.broker.address, seen["coordinator"]
        rows = {p["partition"]: p for p in seen["partitions"]}
        assert sorted(rows) == [0, 1, 2, 3], "committed or assigned"
        assert [(rows[p]["committed"], rows[p]["end"], rows[p]["lag"]) for p in range(4)] == \
            [(4, 10, 6), (None, 10, None), (10, 10, 0), (None, 10, None)], rows
        assert rows[0]["member"] == by_client["client-0"].id and rows[3]["client_id"] == "client-1"
        assert rows[2]["member"] is None and "127.0.0.1" in rows[0]["host"]
        assert seen["lag"] == 6 and seen["topics"] == [{"topic": topic, "lag": 6}]
        table = group(ctx, "describe", name)[0]
        assert "Stable" in table and by_client["client-1"].id in table
    wait_until(lambda: ask(ctx, "describe", name)["state"] == "Empty", 10, "all have left")
    _, err = group(ctx, "describe", ctx.name("none"), expect=FAILED)
    assert "GROUP_ID_NOT_FOUND" in err or "does not exist" in err, err


@scenario("group-members")
def members_of(ctx):
    topic = filled(ctx, 4)
    with active(ctx, topic, [[2, 0], [1], []]) as (name, members):
        rows = {r["client_id"]: r for r in ask(ctx, "members", name)}
        assert {r["member"] for r in rows.values()} == {m.id for m in members}
        assert [r["instance"] for r in (rows["client-0"], rows["client-1"])] == ["static-0", None]
        assert rows["client-0"]["assignment"] == [{"topic": topic, "partitions": [0, 2]}], rows["client-0"]
        assert (rows["client-2"]["partitions"], rows["client-2"]["assignment"][0]["partitions"]
                if rows["client-2"]["assignment"] else []) == (0, [])
        assert rows["client-1"]["subscription"] == [topic]
        table = group(ctx, "members", name)[0]
        assert f"{topic}:0,2" in table and "static-0" in table, table
    _, err = group(ctx, "members", name)
    assert "no members" in err, err


@scenario("group-members-of-other-kinds")
def other_members(ctx):
    """Bytes that are no assignment, and groups that are not of consumers: shown, with nothing made up."""
    topic = filled(ctx)
    with active(ctx, topic, [None]) as (name, _):
        row = ask(ctx, "members", name)[0]
        assert row["assignment"] is None and row["subscription"] == [topic], row
        assert ask(ctx, "describe", name)["members"] == 1
    with active(ctx, topic, [[0]], kind="connect", protocols=[("sessioned", b"\x00\x01\xff")]) as (name, _):
        assert ask(ctx, "describe", name)["protocol_type"] == "connect"
        row = ask(ctx, "members", name)[0]
        assert row["assignment"] is None and row["subscription"] is None, row
        group(ctx, "members", name)


@scenario("group-lag")
def lag(ctx):
    one, two = filled(ctx, 2), filled(ctx, 1, 5)
    name = with_offsets(ctx, one, [3, 10])
    with ctx.broker.connect() as c:
        assert simple_commit(c, name, two, 1) == 0
    seen = ask(ctx, "lag", name)
    assert seen["lag"] == 11 and {t["topic"]: t["lag"] for t in seen["topics"]} == {one: 7, two: 4}, seen
    assert [(p["committed"], p["end"], p["lag"]) for p in seen["partitions"] if p["topic"] == one] == [(3, 10, 7), (10, 10, 0)]
    only = ask(ctx, "lag", name, "--topic", f"{one}:0")
    assert only["lag"] == 7 and len(only["partitions"]) == 1, only
    assert ask(ctx, "lag", name, "-t", one, "-t", two)["lag"] == 11
    assert "11" in group(ctx, "lag", name)[0]
    assert "no offsets" in group(ctx, "lag", name, "-t", ctx.name("other"))[1]
    group(ctx, "lag", ctx.name("none"), expect=FAILED)


@scenario("group-lag-in-seconds")
def lag_seconds(ctx):
    """Seconds and advice; --watch ends after the looks it was asked for, and tells rates once it has seen enough."""
    topic = ctx.topic(1)
    with ctx.broker.connect() as c:
        for age in (90, 60, 0):
            assert c.produce(topic, rk.batch([b"v"] * 5, timestamp=rk.now_ms() - age * 1000))["ErrorCode"] == 0
    name = with_offsets(ctx, topic, [5])
    seen = ask(ctx, "lag", name)
    assert seen["lag"] == 10 and 59 <= seen["seconds"] <= 75, seen
    assert [one["advice"] for one in seen["advice"]] == ["no_consumer"], seen
    assert "no_consumer: 10 records wait" in group(ctx, "lag", name)[0]
    looks = [json.loads(line) for line in
             group(ctx, "lag", name, "--watch", "--interval", "700", "--looks", "8", "-o", "ndjson")[0].splitlines()]
    assert len(looks) == 8 and all(look["lag"] == 10 for look in looks), looks
    assert looks[0]["produced_per_second"] is None and looks[-1]["produced_per_second"] == 0, looks
    assert looks[-1]["drain_seconds"] is None and looks[-1]["seconds"] > looks[0]["seconds"] + 4, looks
    out = group(ctx, "lag", name, "-w", "--looks", "2", "--interval", "100")[0]
    assert out.count("(all)") == 2 and "\x1b" not in out, out
    group(ctx, "lag", name, "--interval", "5", expect=2)



@scenario("group-seek-dry-run")
def seek_dry(ctx):
    topic = filled(ctx, 2)
    name = with_offsets(ctx, topic, [4, 7])
    for args in ((), ("--dry-run",)):
        moves, answer = seek(ctx, name, "start", *args)
        assert moves == {(topic, 0): (4, 0), (topic, 1): (7, 0)} and answer["executed"] is False, answer
        assert [p["delta"] for p in answer["partitions"]] == [-4, -7]
    out, err = group(ctx, "seek", name, "--to", "end")
    assert "--execute" in err and topic in out, (out, err)
    assert (stands(ctx, name, topic, 0), stands(ctx, name, topic, 1)) == (4, 7), "nothing was moved"


@scenario("group-seek")
def seeks(ctx):
    topic = filled(ctx, 2)
    name = with_offsets(ctx, topic, [4, 7])

    def moved(to, *args):
        moves, answer = seek(ctx, name, to, *args, "--execute")
        assert answer["executed"] is True
        for (t, p), (_, target) in moves.items():
            assert stands(ctx, name, t, p) == target, (to, t, p)
        return {p: target for (_, p), (_, target) in moves.items()}, answer
    assert moved("end")[0] == {0: 10, 1: 10}
    assert moved("start")[0] == {0: 0, 1: 0}
    assert moved("offset:6", "-t", f"{topic}:1")[0] == {1: 6}
    assert stands(ctx, name, topic, 0) == 0, "the other partition stays"
    assert moved("@1700000003500")[0] == {0: 4, 1: 4}
    assert moved("@2023-11-14T22:13:25Z")[0] == {0: 5, 1: 5}
    assert moved("-52w")[0] == {0: 10, 1: 10}, "nothing is that young"
    targets, answer = moved("offset:99")
    assert targets == {0: 10, 1: 10} and all("beyond the end" in p["note"] for p in answer["partitions"]), answer
    fresh = filled(ctx, 1)
    assert moved("offset:2", "--topic", fresh)[0] == {0: 2}, "a topic it has not read yet"
    with ctx.broker.connect() as c:
        c.produce(fresh, rk.batch([b"now"], timestamp=rk.now_ms()))
    assert moved("-5m", "--topic", fresh)[0] == {0: 10}


@scenario("group-seek-to-a-group-or-file")
def seek_sources(ctx):
    topic, other = filled(ctx, 2), filled(ctx, 1)
    model = with_offsets(ctx, topic, [3, 8])
    name = ctx.name("g")
    _, err = group(ctx, "seek", name, "--to", f"group:{model}")
    assert "does not exist yet" in err, err
    moves, _ = seek(ctx, name, f"group:{model}", "--execute")
    assert moves == {(topic, 0): (None, 3), (topic, 1): (None, 8)}, "a new group is made"
    with tempfile.TemporaryDirectory() as home:
        backup, table = os.path.join(home, "backup.json"), os.path.join(home, "export.csv")
        with open(backup, "w") as f:
            f.write(group(ctx, "lag", name, "-o", "json")[0])
        seek(ctx, name, "end", "--execute")
        moves, _ = seek(ctx, name, f"file:{backup}", "--execute")
        assert moves == {(topic, 0): (10, 3), (topic, 1): (10, 8)}, "what lag printed brings the offsets back"
        with open(table, "w") as f:
            f.write(f"{topic},0,1\n\"{other}\",0,2\n")
        moves, _ = seek(ctx, name, f"file:{table}", "-t", topic)
        assert moves == {(topic, 0): (3, 1)}, "--topic chooses from the file"
        seek(ctx, name, f"file:{table}", "--execute")
        assert (stands(ctx, name, topic), stands(ctx, name, other), stands(ctx, name, topic, 1)) == (1, 2, 8)
        with open(table, "w") as f:
            f.write(f"{topic},0,1\n{topic},9,1\n")
        _, err = group(ctx, "seek", name, "--to", f"file:{table}", "--execute", expect=FAILED)
        assert "9" in err and stands(ctx, name, topic) == 1, "all or nothing when the file is wrong"
        with open(table, "w") as f:
            f.write(f"{topic},0,1\n{topic},one,1\n")
        _, err = group(ctx, "seek", name, "--to", f"file:{table}", expect=USAGE)
        assert "line 2" in err, err
    group(ctx, "seek", name, "--to", f"file:{table}", expect=USAGE)
    group(ctx, "seek", name, "--to", f"group:{ctx.name('none')}", expect=FAILED)


@scenario("group-seek-of-an-active-group")
def seek_active(ctx):
    topic = filled(ctx)
    with active(ctx, topic, [[0]]) as (name, members):
        members[0].commit(topic, 4)
        for to in ("start", f"group:{name}"):
            _, err = group(ctx, "seek", name, "--to", to, "--execute", expect=CONFLICT)
            assert "stop" in err and "1 member" in err, err
        out, err = group(ctx, "seek", name, "--to", "start")
        assert topic in out and "stop" in err, "a dry run shows, and says what is in the way"
        assert stands(ctx, name, topic) == 4
    wait_until(lambda: ask(ctx, "describe", name)["state"] == "Empty", 10, "the member has left")
    seek(ctx, name, "start", "--execute")
    assert stands(ctx, name, topic) == 0


@scenario("group-delete")
def delete(ctx):
    topic = filled(ctx)
    one, two = with_offsets(ctx, topic, [3]), with_offsets(ctx, topic, [3])
    names = lambda: [r["group"] for r in ask(ctx, "list")]
    group(ctx, "delete", one, two, "--dry-run")
    assert one in names() and two in names(), "a dry run deletes nothing"
    none = ctx.name("none")
    answer = ask(ctx, "delete", one, none, two, expect=FAILED)
    assert [(r["group"], r["deleted"]) for r in answer] == [(one, True), (none, False), (two, True)], answer
    assert one not in names() and two not in names(), "the others are deleted all the same"
    group(ctx, "delete", none, expect=FAILED)
    group(ctx, "delete", none, "--dry-run", expect=FAILED)
    group(ctx, "delete", none, "--if-exists")
    with active(ctx, topic, [[0]]) as (name, _):
        for args in ((), ("--dry-run",)):
            _, err = group(ctx, "delete", name, *args, expect=CONFLICT)
            assert "stop" in err, err


@scenario("group-delete-offsets")
def delete_offsets(ctx):
    topic, other = filled(ctx, 3), filled(ctx, 1)
    name = with_offsets(ctx, topic, [1, 2, 3])
    group(ctx, "delete-offsets", name, "-t", f"{topic}:0,2", "--dry-run")
    assert len(ask(ctx, "lag", name)["partitions"]) == 3, "a dry run deletes nothing"
    answer = ask(ctx, "delete-offsets", name, "-t", f"{topic}:0,2")
    assert [(r["partition"], r["committed"], r["deleted"]) for r in answer] == [(0, 1, True), (2, 3, True)], answer
    assert [p["partition"] for p in ask(ctx, "lag", name)["partitions"]] == [1]
    group(ctx, "delete-offsets", name, "-t", f"{topic}:0", expect=FAILED)
    group(ctx, "delete-offsets", ctx.name("none"), "-t", topic, expect=FAILED)
    with active(ctx, topic, [[0]]) as (name, members):
        members[0].commit(topic, 4)
        members[0].commit(other, 5)
        for args in (("--dry-run",), ()):
            _, err = group(ctx, "delete-offsets", name, "-t", topic, *args, expect=CONFLICT)
            assert "reads it" in err and topic in err, err
        assert stands(ctx, name, topic) == 4
        group(ctx, "delete-offsets", name, "-t", other)
        assert [p["topic"] for p in ask(ctx, "lag", name)["partitions"]] == [topic]


@scenario("group-topic-that-is-gone")
def gone_topic(ctx):
    """Offsets of a deleted topic: looked at, left out, never in the way of the others. Brokers forget them sooner or later."""
    topic, gone = filled(ctx), filled(ctx)
    name = with_offsets(ctx, topic, [4])
    with ctx.broker.connect() as c:
        assert simple_commit(c, name, gone, 2) == 0
        c.call("DeleteTopics", 5, {"TopicNames": [gone], "TimeoutMs": 5000})
        wait_until(lambda: c.metadata([gone])["Topics"][0]["ErrorCode"] == 3, 15, "the topic is gone")
    rows = {p["topic"]: p for p in ask(ctx, "lag", name)["partitions"]}
    assert rows[topic]["lag"] == 6 and rows.get(gone, {"lag": None})["lag"] is None, rows
    moves, _ = seek(ctx, name, "start", "--execute")
    assert moves == {(topic, 0): (4, 0)}, moves
    group(ctx, "seek", name, "--to", "start", "-t", gone, expect=FAILED)


@scenario("group-usage")
def usage(ctx):
    for args in ([], ["list", "--state", "Happy"], ["describe"], ["members"], ["lag"], ["lag", "g", "-t", "t:x"], ["seek", "g"],
                 ["seek", "--to", "start"], ["seek", "g", "--to", "soon"], ["seek", "g", "--to", "-5"], ["seek", "g", "--to", "42"],
                 ["seek", "g", "--to", "start", "--execute", "--dry-run"], ["seek", "g", "--to", "offset:-1"],
                 ["seek", "g", "--to", "start", "-t", ":1"], ["delete"], ["delete-offsets", "g"], ["nonsense"]):
        out, _ = group(ctx, *args, expect=USAGE)
        assert not out, f"{args}: talk on stdout"
    for command in ("list", "describe", "members", "lag", "seek", "delete", "delete-offsets"):
        out, _ = group(ctx, command, "--help")
        assert "Examples:" in out, command
    _, err = group(ctx, "seek", ctx.name("none"), "--to", "start", expect=FAILED)
    assert "--topic" in err, "says what to do"
    script = subprocess.run([ctx.options.binary, "completion", "bash"], capture_output=True, text=True).stdout
    assert "'group seek'" in script and "--execute" in script


@scenario("group-cannot-connect")
def cannot_connect(ctx):
    nobody = f"127.0.0.1:{harness.claim_port()}"
    for args in (["list"], ["describe", "g"], ["seek", "g", "--to", "end"], ["delete", "g", "h"]):
        _, err = group(ctx, *args, "-b", nobody, "--timeout-ms", "3000", expect=NO_CONNECTION)
        assert nobody in err and len(err.splitlines()) == 1, f"said once: {err}"


@scenario("group-tool-of-kafka-agrees", only="kafka")
def kafka_tool(ctx):
    """What Apache Kafka's own tool exports is a file to seek to, and it shows what a seek did."""
    topic = filled(ctx, 2)
    name = with_offsets(ctx, topic, [3, 8])

    def tool(*args):
        done = subprocess.run([sys.executable, harness.REFERENCE, "tool",
                               "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                               ctx.broker.address, "--group", name, *args], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout
    export = tool("--reset-offsets", "--all-topics", "--to-current", "--export", "--dry-run")
    assert topic in export, export
    seek(ctx, name, "end", "--execute")
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        f.write(export)
        f.flush()
        moves, _ = seek(ctx, name, f"file:{f.name}", "--execute")
    assert moves == {(topic, 0): (10, 3), (topic, 1): (10, 8)}, (export, moves)
    rows = [line.split() for line in tool("--describe").splitlines() if topic in line]
    shown = {int(r[2]): (int(r[3]), int(r[4]), int(r[5])) for r in rows}
    ours = {p["partition"]: (p["committed"], p["end"], p["lag"]) for p in ask(ctx, "lag", name)["partitions"]}
    assert shown == ours, (shown, ours)


@scenario("group-configs")
def group_configs(ctx):
    name = ctx.name("g")

    def config(*args, expect=OK):
        done = subprocess.run([ctx.options.binary, "config", *args], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "MILLRACE_BOOTSTRAP_SERVER": ctx.broker.address})
        assert done.returncode == expect, f"{args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout, done.stderr

    def own():
        return {row["name"]: (row["value"], row["set_by"]) for row in json.loads(
            config("describe", "--group", name, "-o", "json")[0])}
    assert own() == {}, own()
    out, _ = config("alter", "--group", name, "--set", "consumer.session.timeout.ms=60000", "--dry-run", "-o", "json")
    assert json.loads(out)[0]["changed"] and own() == {}, (out, own())
    _, err = config("alter", "--group", name, "--set", "consumer.session.timeout.ms=60000")
    assert f"altered group '{name}'" in err, err
    wait_until(lambda: own() == {"consumer.session.timeout.ms": ("60000", "the group")}, 10, "the group's own")
    _, err = config("alter", "--group", name, "--set", "consumer.session.timeout.ms=1", expect=USAGE)
    assert "group.consumer.min.session.timeout.ms" in err, err
    config("describe", "--group", "", expect=USAGE)
    config("alter", "--group", name, "--broker", "1", "--set", "a=b", expect=USAGE)
    config("alter", "--group", name, "--unset", "consumer.session.timeout.ms")
    wait_until(lambda: own() == {}, 10, "as the broker says")
