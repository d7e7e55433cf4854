"""Directories both ways: Apache Kafka's tools and broker read ours, and we take over what Apache Kafka wrote.

Needs Apache Kafka's published packages (tools/reference-kafka). All comparisons are of whole batches, byte for byte; what
librdkafka makes of them (offsets, times, headers, keys) and look-ups by time are compared too.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

import rawkafka as rk
import suite_groups
from harness import REFERENCE, Context, Millrace, ReferenceKafka, Suite, Unreachable, install_debian, wait_until
from load import Idempotent, check_idempotent


def prepare(options):
    install_debian("kcat")
    done = subprocess.run([sys.executable, REFERENCE, "fetch"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unreachable("Apache Kafka from Maven Central: " + done.stderr.strip()[-200:])


SUITE = Suite("kafkadir", "Apache Kafka", prepare=prepare, version=lambda: subprocess.run(
    [sys.executable, REFERENCE, "version"], capture_output=True, text=True).stdout.strip())
TOPIC_BYTES = {"segment.bytes": str(1 << 20)}


def scenario(name):
    return SUITE.scenario(name, only="millrace")


def fill(broker, topic):
    """Partition 0: every codec, written by librdkafka. 1: one idempotent producer, several segments. 2: a producer whose
    last batch is returned, to be sent again: (producer id, epoch, the batch's bytes, its offset)."""
    for i, codec in enumerate(rk.CODECS):
        lines = "\n".join(f"key {n}:{codec} line {n} " + "x" * (n % 200) for n in range(400))
        subprocess.run(["kcat", "-b", broker.address, "-P", "-t", topic, "-p", "0", "-z", codec, "-X", f"linger.ms={5 * i}",
                        "-K:", "-H", f"codec={codec}", "-H", "empty="], input=lines.encode(), check=True, timeout=60)
    producer = Idempotent(lambda: broker.address, topic, 1, 5)
    producer.start()
    wait_until(lambda: producer.acked_end > 4000 or producer.error, 60, "four thousand records")
    producer.end()
    with broker.connect() as c:
        answer = c.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
        identity = (answer["ProducerId"], answer["ProducerEpoch"])
        for n in range(7):
            last = rk.batch([b"batch %d record %d" % (n, i) for i in range(3)], producer=(*identity, 3 * n))
            stored = c.produce(topic, last, partition=2)
            assert stored["ErrorCode"] == 0, stored
    return (*identity, last, stored["BaseOffset"])


def contents(broker, topic, partitions=3):
    with broker.connect() as c:
        c.wait_for_topic(topic, partitions, seconds=60)
        return [c.all_batches(topic, p) for p in range(partitions)]


def same_batches(expected, got):
    for p, (before, after) in enumerate(zip(expected, got)):
        assert before, f"partition {p}: nothing was written"
        assert len(before) == len(after), f"partition {p}: {len(before)} batches, now {len(after)}"
        for a, b in zip(before, after):
            assert a["raw"] == b["raw"], f"partition {p}: the batch at {a['base_offset']} differs"


def seen_by_client(broker, topic, partitions):
    """Offset, time, headers, key and value of every record, as librdkafka reads them."""
    out = []
    for p in range(partitions):
        done = subprocess.run(["kcat", "-b", broker.address, "-C", "-e", "-q", "-t", topic, "-p", str(p), "-o", "beginning",
                               "-f", "%o %T [%h] %k %S %s\n"], capture_output=True, timeout=120, check=True)
        out.append(done.stdout)
    return out


def found_by_time(broker, topic, batches):
    """What ListOffsets answers for times from before the first batch to behind the last one."""
    out = []
    with broker.connect() as c:
        for p, stored in enumerate(batches):
            times = sorted({b["max_timestamp"] for b in stored})
            chosen = [times[0] - 1, *times[::max(1, len(times) // 12)], times[-1], times[-1] + 1]
            for t in chosen:
                answer = c.list_offset(topic, t, p)
                assert answer["ErrorCode"] == 0, answer
                out.append((p, t, answer["Offset"], answer["Timestamp"]))
    return out


def goes_on(broker, topic, identity):
    """A repeat of the producer's last batch is recognised, a gap refused, the next sequence accepted."""
    producer_id, epoch, last, offset = identity
    with broker.connect() as c:
        repeat = c.produce(topic, last, partition=2)
        assert (repeat["ErrorCode"], repeat["BaseOffset"]) == (0, offset), f"a repeated batch: {repeat}"
        gap = c.produce(topic, rk.batch([b"gap"], producer=(producer_id, epoch, 50)), partition=2)
        assert gap["ErrorCode"] == rk.OUT_OF_ORDER_SEQUENCE_NUMBER, gap
        following = c.produce(topic, rk.batch([b"next"], producer=(producer_id, epoch, 21)), partition=2)
        assert (following["ErrorCode"], following["BaseOffset"]) == (0, offset + 3), following


# ---- ours, read by Apache Kafka -----------------------------------------------------------------------------------

def dump(*flags_and_files):
    done = subprocess.run([sys.executable, REFERENCE, "tool", "org.apache.kafka.tools.DumpLogSegments", *flags_and_files],
                          capture_output=True, text=True, timeout=120)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-2000:]
    # It says so of every segment that does not begin at 0, Apache Kafka's own too.
    text = re.sub(r"Non-consecutive offsets in \S*/0*(\d+)\.log\n  -1 is followed by \1\n", "", text)
    for complaint in ("Mismatches in", "Non-consecutive", "mismatch", "out of order", "Exception", "isvalid: false",
                      "trailing bytes", "corrupt", "Could not"):
        assert complaint.lower() not in text.lower(), f"{complaint!r}: {text[-3000:]}"
    return done.stdout


def check_epochs(directory, batches):
    """leader-epoch-checkpoint says of every epoch that wrote something where it began. No tool of Kafka's looks at it."""
    with open(directory + "/leader-epoch-checkpoint") as f:
        version, count, *lines = f.read().splitlines()
    stored = [tuple(map(int, line.split())) for line in lines]
    assert (version, int(count)) == ("0", len(stored)) and stored == sorted(stored), f"{directory}: {lines}"
    first = {}
    for b in batches:
        first.setdefault(b["epoch"], b["base_offset"])
    known = [line for line in stored if line[1] <= batches[-1]["last_offset"]]
    assert known == sorted(first.items()), f"{directory}: epochs {known}, in the batches {sorted(first.items())}"


def check_with_kafkas_tools(directory, batches):
    """Deep iteration over the records, indexes against the log, producer snapshots. One process for each kind."""
    logs = sorted(glob.glob(directory + "/*.log"))
    text = dump("--deep-iteration", "--files", ",".join(logs))
    stored = [int(n) for n in re.findall(r"^\| offset: (\d+)", text, re.M)]
    records = batches[-1]["last_offset"] + 1
    assert stored == list(range(records)), f"{directory}: {len(stored)} of {records} records in the dump"
    indexes = sorted(glob.glob(directory + "/*.index") + glob.glob(directory + "/*.timeindex"))
    assert len(indexes) == 2 * len(logs), f"{directory}: {indexes}"
    checked = dump("--verify-index-only", "--files", ",".join(indexes))
    assert checked.count("Dumping") == len(indexes), checked
    sane = dump("--index-sanity-check", "--files", ",".join(i for i in indexes if i.endswith(".index")))
    assert sane.count("passed sanity check") + sane.count("is empty") == len(logs), sane
    check_epochs(directory, batches)
    snapshots = sorted(glob.glob(directory + "/*.snapshot"))
    assert snapshots, f"{directory}: no producer snapshot"
    return dump("--files", ",".join(snapshots))


def partition_directories(broker, topic, partitions=3):
    return [os.path.join(broker.data, f"{topic}-{p}") for p in range(partitions)]


@scenario("kafkas-dump-tool-reads-ours")
def dump_tool(ctx):
    """After a clean stop; then killed under load, recovered, and stopped."""
    topic, live = ctx.topic(3, TOPIC_BYTES), ctx.topic(1, TOPIC_BYTES)
    identity = fill(ctx.broker, topic)
    producer = Idempotent(lambda: ctx.broker.address, live, 0, 6)
    for how in ("term", "kill"):
        if how == "kill":
            producer.start()
            wait_until(lambda: producer.acked_end > 3000 or producer.error, 60, "three thousand records")
            ctx.broker.restart("kill")
            producer.end()
            with ctx.broker.connect() as c:
                check_idempotent(c, live, 0, producer.acked_end)
        looked_at = [*partitions_of(ctx.broker, topic, 3), *(partitions_of(ctx.broker, live, 1) if how == "kill" else [])]
        ctx.broker.stop()
        try:
            for directory, batches in looked_at:
                producers = check_with_kafkas_tools(directory, batches)
                if directory.endswith(topic + "-2"):
                    assert f"producerId: {identity[0]} producerEpoch: {identity[1]}" in producers, producers
            for directory in (looked_at[1][0], looked_at[-1][0]) if how == "kill" else (looked_at[1][0],):
                assert len(glob.glob(directory + "/*.log")) > 1, f"{directory}: several segments"
        finally:
            ctx.broker.start()


def partitions_of(broker, topic, partitions):
    """[(directory, batches)]"""
    return list(zip(partition_directories(broker, topic, partitions), contents(broker, topic, partitions)))


@scenario("kafka-loads-ours")
def kafka_loads(ctx):
    """A partition's directories of ours, in the place of those that Apache Kafka made for a topic of that name. Only the
    topic's id is its own. Once with the marker of a clean stop, once without: then it looks through every segment."""
    topic = ctx.topic(3, TOPIC_BYTES)
    identity = fill(ctx.broker, topic)
    ours = contents(ctx.broker, topic)
    ctx.broker.stop()
    kafka = ReferenceKafka()
    try:
        kafka.start()
        with kafka.connect() as c:
            c.create_topic(topic, 3, TOPIC_BYTES)
        for clean in (True, False):
            kafka.stop()
            logs = os.path.join(kafka.home, "logs")
            for directory in partition_directories(ctx.broker, topic):
                theirs = os.path.join(logs, os.path.basename(directory))
                with open(theirs + "/partition.metadata") as f:
                    metadata = f.read()
                shutil.rmtree(theirs)
                shutil.copytree(directory, theirs)
                with open(theirs + "/partition.metadata", "w") as f:
                    f.write(metadata)
            if not clean:
                os.remove(logs + "/.kafka_cleanshutdown")
            kafka.start()
            same_batches(ours, contents(kafka, topic))
        goes_on(kafka, topic, identity)
    finally:
        kafka.close()
        ctx.broker.start()


@scenario("committed-offsets-read-by-kafkas-tool")
def offsets_read(ctx):
    """__consumer_offsets, by the decoder of Apache Kafka's dump tool: what groups committed, and who was in them."""
    b = Millrace(ctx.options.binary)
    try:
        b.start()
        own = Context(b, ctx.options)
        topic = own.topic(2)
        with b.connect() as c, suite_groups.Member(own, suite_groups.coordinator(own, c, "orders"), instance="i1",
                                                   topics=[topic]) as m:
            suite_groups.rounds(m)
            assert m.commit(topic, 41, metadata="h\u00e9llo") == 0
            assert suite_groups.simple_commit(c, "simple", topic, 7, 1) == 0
            member, generation = m.id, m.generation
        assert b.stop() == 0
        files = [f for f in glob.glob(f"{b.data}/__consumer_offsets-*/*.log") if os.path.getsize(f)]
        text = dump("--deep-iteration", "--offsets-decoder", "--files", ",".join(files))
        found = {}
        for key, value in re.findall(r"key: (\{.*?\}) payload: (\{.*\})$", text, re.M):
            key = json.loads(key)
            found[key["type"], *map(str, key["data"].values())] = json.loads(value)
        orders, simple = found["1", "orders", topic, "0"], found["1", "simple", topic, "1"]
        assert (orders["data"]["offset"], orders["data"]["metadata"]) == (41, "h\u00e9llo"), orders
        assert (simple["data"]["offset"], simple["data"]["leaderEpoch"]) == (7, -1), simple
        group = found["2", "orders"]["data"]
        assert (group["protocolType"], group["generation"], group["leader"]) == ("consumer", generation, member), group
        one = group["members"][0]
        assert (one["memberId"], one["groupInstanceId"], one["subscription"]["topics"]) == (member, "i1", [topic]), one
    finally:
        b.close()


# ---- Apache Kafka's, taken over by us -------------------------------------------------------------------------------

def has_holes(batches):
    return sum(b["count"] for b in batches) < batches[-1]["last_offset"] + 1 - 100


def write_compacted(kafka):
    """A topic whose cleaner has been at work."""
    with kafka.connect() as c:
        c.create_topic("compacted", 1, {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
                                        **TOPIC_BYTES})

        def write_and_look():
            for n in range(5):
                keys = [b"key %d" % (i % 7) for i in range(20)]
                assert c.produce("compacted", rk.batch([b"value %d" % n] * 20, keys=keys))["ErrorCode"] == 0
            return has_holes(c.all_batches("compacted"))
        wait_until(write_and_look, 60, "compaction")


def epoch_of(broker, topic, partition):
    with broker.connect() as c:
        return c.metadata([topic])["Topics"][0]["Partitions"][partition]["LeaderEpoch"]


def stored_batches(directory):
    """What lies in a partition's directory, read from its files."""
    out = []
    for path in sorted(glob.glob(directory + "/*.log")):
        with open(path, "rb") as f:
            out += rk.batches_of(f.read())
    return out


def written_by_kafka(how):
    """A directory of Apache Kafka's with several leader epochs. Returns its broker, stopped, the identity of fill(), the
    last leader epochs, and what clients saw in it: records, and what was found by time."""
    kafka = ReferenceKafka(["log.cleaner.backoff.ms=100", "log.initial.task.delay.ms=100"])
    try:
        kafka.start()
        with kafka.connect() as c:
            c.create_topic("orders", 3, TOPIC_BYTES)
        write_compacted(kafka)
        for n in range(2):
            with kafka.connect() as c:
                for p in (0, 2):
                    assert c.produce("orders", rk.batch([b"epoch %d" % n]), partition=p)["ErrorCode"] == 0
            kafka.restart(how)
            with kafka.connect() as c:
                c.wait_for_topic("orders", 3, seconds=60)
        identity = fill(kafka, "orders")
        epochs = [epoch_of(kafka, "orders", p) for p in range(3)]
        seen = (seen_by_client(kafka, "orders", 3), found_by_time(kafka, "orders", contents(kafka, "orders")))
        kafka.kill() if how == "kill" else kafka.stop()
    except BaseException:
        kafka.close()
        raise
    return kafka, identity, epochs, seen


def take_over(ctx, how):
    kafka, identity, epochs, seen = written_by_kafka(how)
    logs = os.path.join(kafka.home, "logs")
    # What is adopted has to stay as it is: byte for byte.
    broker = Millrace(ctx.options.binary, directory=kafka.home,
                      args=["--adopt-topics", "true", "--set", "log.cleaner.enable=false"])
    broker.data = logs
    try:
        theirs = {t: [stored_batches(f"{logs}/{t}-{p}") for p in range(n)] for t, n in (("orders", 3), ("compacted", 1))}
        assert {b["codec"] for b in theirs["orders"][0]} == set(rk.CODECS)
        assert len({b["epoch"] for b in theirs["orders"][0]}) >= 3, "several leader epochs"
        assert has_holes(theirs["compacted"][0])
        broker.start()
        for topic, expected in theirs.items():
            same_batches(expected, contents(broker, topic, len(expected)))
        assert seen_by_client(broker, "orders", 3) == seen[0] and seen[0][0].count(b"codec=") == 400 * len(rk.CODECS)
        assert found_by_time(broker, "orders", theirs["orders"]) == seen[1]
        assert len(glob.glob(logs + "/orders-1/*.log")) > 1, "several segments"
        for p in range(3):
            assert epoch_of(broker, "orders", p) > epochs[p], "the leader epoch goes on from the last one"
        goes_on(broker, "orders", identity)
        fresh = new_producer_id(broker)
        assert fresh > identity[0], f"a new producer got the id {fresh}: an old one has that"
        assert broker.stop() == 0, broker.log_tail()
        assert re.search(r"topic adopted.*topic=orders", broker.log_tail(200)), broker.log_tail(200)
        # The next start needs no flag.
        broker.args = []
        broker.start()
        with broker.connect() as c:
            c.wait_for_topic("orders", 3)
            assert c.all_batches("orders", 2)[-1]["last_offset"] == identity[3] + 3
        broker.stop()
        for p, directory in enumerate(partition_directories(broker, "orders")):
            if p != 2:
                check_with_kafkas_tools(directory, theirs["orders"][p])
    except BaseException:
        print("".join(f"     | {line}\n" for line in broker.log_tail(40).splitlines()))
        raise
    finally:
        broker.close()
        kafka.close()


def new_producer_id(broker):
    with broker.connect() as c:
        return c.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 60000})["ProducerId"]


@scenario("kafkas-directory-after-a-clean-stop")
def after_stop(ctx):
    take_over(ctx, "term")


@scenario("kafkas-directory-after-kill-9")
def after_kill(ctx):
    take_over(ctx, "kill")


@scenario("nothing-is-adopted-unasked")
def unasked(ctx):
    """Partition directories of nobody stay as they are, and so does a directory of another cluster."""
    topic = ctx.topic(1)
    with ctx.broker.connect() as c:
        c.produce(topic, rk.batch([b"mine"]))
    ctx.broker.stop()
    home = ctx.broker.home + "-copy"
    shutil.copytree(ctx.broker.home, home)
    ctx.broker.start()
    for name in glob.glob(home + "/data/metadata.db*"):
        os.remove(name)
    broker = Millrace(ctx.options.binary, directory=home)
    try:
        broker.launch()
        assert broker.process.wait(20) == 5 and "belongs to cluster" in broker.log_tail(), broker.log_tail()
        os.remove(home + "/data/meta.properties")
        broker.start()
        with broker.connect() as c:
            assert topic not in {t["Name"] for t in c.metadata(None)["Topics"]}
        broker.stop()
        assert os.path.exists(f"{home}/data/{topic}-0/00000000000000000000.log")
        broker.args = ["--adopt-topics", "true"]
        broker.start()
        assert [r["value"] for b in contents(broker, topic, 1)[0] for r in rk.records_of(b)] == [b"mine"]
    finally:
        broker.close()
        shutil.rmtree(home, ignore_errors=True)
