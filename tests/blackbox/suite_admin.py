"""Admin calls byte by byte: what Apache Kafka 4.3.1 answers to the same questions, against which this suite passes too.

Where one broker of ours answers another way than Kafka on purpose the scenario says so (docs/differences.md).
"""
import random
import threading

import rawkafka as rk
from harness import Suite, wait_until
from suite_groups import LOADING, NOT_AVAILABLE, NOT_COORDINATOR
from suite_raw import expect, versions

SUITE = Suite("admin", "raw frames")
scenario = SUITE.scenario

UNKNOWN, POLICY, LOG_DIR_NOT_FOUND, NOT_NEEDED, NO_REASSIGNMENT = rk.UNKNOWN_TOPIC_OR_PARTITION, 44, 57, 84, 85
ALL_TOPIC_OPERATIONS, NO_OPERATIONS = 3576, -2147483648


def offsets_topic(c):
    """__consumer_offsets is there from here on."""
    def ready():
        code = c.call("FindCoordinator", 3, {"Key": "someone", "KeyType": 0})["ErrorCode"]
        assert code in (0, LOADING, NOT_AVAILABLE, NOT_COORDINATOR), code
        return code == 0 and c.metadata(["__consumer_offsets"])["Topics"][0]["ErrorCode"] == 0
    wait_until(ready, 30, "__consumer_offsets")
    return "__consumer_offsets"


# ---- DeleteRecords

def delete_records(c, topic, *partitions, version=2, timeout=5000):
    """{partition: (error, low watermark)}"""
    answer = c.call("DeleteRecords", version, {"TimeoutMs": timeout, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": p, "Offset": o} for p, o in partitions]}]})
    found = {}
    for t in answer["Topics"]:
        expect(topic, t["Name"], "topic")
        for p in t["Partitions"]:
            assert p["PartitionIndex"] not in found, "a partition is answered twice"
            found[p["PartitionIndex"]] = p["ErrorCode"], p["LowWatermark"]
    return found


@scenario("delete-records-every-version")
def delete_records_every(ctx):
    topic = ctx.topic(partitions=2)
    with ctx.broker.connect() as c:
        for _ in range(5):
            expect(0, c.produce(topic, rk.batch([b"a", b"b"]))["ErrorCode"], "produce")
        for v in versions(c, "DeleteRecords"):
            expect({0: (0, v + 1)}, delete_records(c, topic, (0, v + 1), version=v), f"v{v}, in the middle of batches too")
            expect((0, -1, v + 1), found_at(c, topic, -2), f"v{v} log start")
        expect({0: (0, 3)}, delete_records(c, topic, (0, 1)), "a start that has passed stays")
        expect({0: (0, 10), 1: (0, 0), 9: (UNKNOWN, -1)}, delete_records(c, topic, (0, -1), (1, -1), (9, 0)), "watermarks")
        expect({0: (0, 10)}, delete_records(c, topic, (0, 0), timeout=-1), "a timeout that is over")
        expect(rk.OFFSET_OUT_OF_RANGE, c.fetch(topic, 9)["ErrorCode"], "what is deleted is not read")
        expect((0, 10), (c.fetch(topic, 10)["ErrorCode"], c.fetch(topic, 10)["LogStartOffset"]), "what is left")


@scenario("delete-records-errors")
def delete_records_errors(ctx):
    topic, compacted = ctx.topic(), ctx.topic(configs={"cleanup.policy": "compact"})
    both, neither = ctx.topic(configs={"cleanup.policy": "compact,delete"}), ctx.topic(configs={"cleanup.policy": ""})
    with ctx.broker.connect() as c:
        for t in (topic, compacted, both, neither):
            expect(0, c.produce(t, rk.batch([b"a", b"b"], keys=[b"k", b"l"]))["ErrorCode"], "produce")
        for offset in (3, -2, 1 << 62, -(1 << 62)):
            expect({0: (rk.OFFSET_OUT_OF_RANGE, -1)}, delete_records(c, topic, (0, offset)), offset)
        expect({0: (POLICY, -1)}, delete_records(c, compacted, (0, 0)), "never deletes")
        expect({7: (UNKNOWN, -1)}, delete_records(c, compacted, (7, 0)), "no partition of it")
        expect({0: (0, 1)}, delete_records(c, both, (0, 1)), "compact,delete")
        expect({0: (0, 2)}, delete_records(c, neither, (0, -1)), "an empty policy forbids nothing")
        expect({0: (UNKNOWN, -1)}, delete_records(c, ctx.name("none"), (0, 0)), "no such topic")
        expect({0: (UNKNOWN, -1)}, delete_records(c, "a/b", (0, 0)), "no name of a topic")
        internal = offsets_topic(c)
        expect({0: (rk.INVALID_TOPIC_EXCEPTION, -1), 99: (UNKNOWN, -1)}, delete_records(c, internal, (0, -1), (99, -1)), internal)
        expect({0: (0, 1)}, delete_records(c, topic, (0, 2), (0, 1)), "said twice: the last counts")
        twice = {"Name": topic, "Partitions": [{"PartitionIndex": 0, "Offset": 2}]}
        answer = c.call("DeleteRecords", 1, {"TimeoutMs": 1000, "Topics": [twice, twice]})
        expect([(topic, 1)], [(t["Name"], len(t["Partitions"])) for t in answer["Topics"]], "a topic twice")
        empty = {"TimeoutMs": 1000, "Topics": [{"Name": topic, "Partitions": []}]}
        expect([], c.call("DeleteRecords", 1, empty)["Topics"], "no partitions")


@scenario("delete-records-survive-kill")
def delete_records_survive(ctx):
    topic = ctx.topic(partitions=20)
    with ctx.broker.connect() as c:
        for p in range(20):
            expect(0, c.produce(topic, rk.batch([b"a", b"b", b"c"]), partition=p)["ErrorCode"], "produce")
        answered = delete_records(c, topic, *((p, p % 4) for p in range(20)))
        expect({p: (0, p % 4) for p in range(20)}, answered, "answers")
    ctx.broker.restart("kill")
    with ctx.broker.connect() as c:
        c.wait_for_topic(topic, 20)
        starts = {p: found_at(c, topic, -2, p)[2] for p in range(20)}
        if ctx.broker.kind == "millrace":  # Kafka writes its checkpoint once a minute: some may have come back there
            expect({p: p % 4 for p in range(20)}, starts, "log starts after kill -9")


# ---- CreatePartitions

def create_partitions(c, *wanted, version=3, validate=False):
    """{topic: error} of (topic, count[, assignments])"""
    answer = c.call("CreatePartitions", version, {"TimeoutMs": 10000, "ValidateOnly": validate, "Topics": [
        {"Name": name, "Count": count, "Assignments": None if not by_hand else [{"BrokerIds": b} for b in by_hand[0]]}
        for name, count, *by_hand in wanted]})
    assert len({r["Name"] for r in answer["Results"]}) == len(answer["Results"]), "a topic is answered twice"
    for r in answer["Results"]:
        if r["ErrorCode"] == 0:
            expect(None, r["ErrorMessage"], "message")
    return {r["Name"]: r["ErrorCode"] for r in answer["Results"]}


@scenario("create-partitions-every-version")
def create_partitions_every(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        expect(0, c.produce(topic, rk.batch([b"before"]))["ErrorCode"], "produce")
        count = 1
        for v in versions(c, "CreatePartitions"):
            expect({topic: 0}, create_partitions(c, (topic, count + 3), version=v, validate=True), f"v{v} validate only")
            expect({topic: 0}, create_partitions(c, (topic, count + 2), version=v), f"v{v}")
            count += 2
            partitions = c.wait_for_topic(topic, count)["Partitions"]
            expect(count, len(partitions), f"v{v} partitions")
            for p in range(count - 2, count):
                wait_until(lambda: c.produce(topic, rk.batch([b"x"]), partition=p)["ErrorCode"] == 0, 10, "a new partition")
        expect(b"before", rk.records_of(rk.batches_of(c.fetch(topic, 0)["Records"])[0])[0]["value"], "the old one is as it was")
    ctx.broker.restart("kill")
    with ctx.broker.connect() as c:
        expect(count, len(c.wait_for_topic(topic, count)["Partitions"]), "after kill -9")
        for p in range(count):
            assert found_at(c, topic, -1, p) == (0, -1, 1), f"partition {p} after kill -9"


@scenario("create-partitions-errors")
def create_partitions_errors(ctx):
    topic, other = ctx.topic(partitions=5), ctx.topic(partitions=2)
    with ctx.broker.connect() as c:
        node = c.metadata([])["Brokers"][0]["NodeId"]
        for count in (5, 3, 0, -1, -(1 << 31)):
            expect({topic: rk.INVALID_PARTITIONS}, create_partitions(c, (topic, count)), f"{count} instead of 5")
        for name in (ctx.name("none"), "a/b", ""):
            expect({name: UNKNOWN}, create_partitions(c, (name, 3)), repr(name))
        for count, by_hand in ((6, [[node], [node]]), (7, [[node]]), (6, [[node + 7]]), (6, [[node, node]]), (6, [[]]),
                               (6, [[node, node + 1]]), (6, []), (6, [[-1]])):
            got = create_partitions(c, (topic, count, by_hand))
            expect({topic: rk.INVALID_REPLICA_ASSIGNMENT}, got, f"{count} by {by_hand}")
        expect({topic: rk.INVALID_PARTITIONS}, create_partitions(c, (topic, 3, [[99]])), "the number comes first")
        expect({topic: rk.INVALID_REQUEST}, create_partitions(c, (topic, 6), (topic, 7)), "twice in one request")
        missing = ctx.name("none")
        expect({topic: 0, missing: UNKNOWN, other: rk.INVALID_PARTITIONS},
               create_partitions(c, (topic, 6, [[node]]), (missing, 3), (other, 1)), "each topic for itself")
        expect({}, create_partitions(c), "nothing")
        expect(6, len(c.wait_for_topic(topic, 6)["Partitions"]), "only what succeeded")
        if ctx.broker.kind == "millrace":
            # Kafka says UNKNOWN_SERVER_ERROR to more than 10,000 at once, and has made them; it lets __consumer_offsets
            # grow, after which groups look for their offsets elsewhere.
            expect({topic: rk.INVALID_PARTITIONS}, create_partitions(c, (topic, 2_000_000_000)), "too many")
            expect({topic: POLICY}, create_partitions(c, (topic, 10_007)), "too many at once")
            internal = offsets_topic(c)
            expect({internal: POLICY}, create_partitions(c, (internal, 51)), internal)


@scenario("create-partitions-under-load")
def create_partitions_load(ctx):
    """Producers and a long poll go on while partitions are added around them."""
    topic = ctx.topic()
    done, failures = threading.Event(), []

    def produce():
        with ctx.broker.connect() as c:
            while not done.is_set():
                error = c.produce(topic, rk.batch([b"x"]))["ErrorCode"]
                if error:
                    failures.append(error)
    writers = [threading.Thread(target=produce) for _ in range(2)]
    for w in writers:
        w.start()
    try:
        with ctx.broker.connect() as c:
            for count in range(2, 12):
                expect({topic: 0}, create_partitions(c, (topic, count)), count)
                c.wait_for_topic(topic, count)
    finally:
        done.set()
        for w in writers:
            w.join()
    expect([], failures, "errors of producers meanwhile")


# ---- DescribeTopicPartitions

@scenario("describe-topic-partitions")
def describe_partitions(ctx):
    stem = ctx.name("dtp")
    one, many, two, none = f"{stem}-a", f"{stem}-m", f"{stem}-t", f"{stem}-n"
    with ctx.broker.connect() as c:
        for name, partitions in ((one, 1), (many, 5), (two, 2)):
            c.create_topic(name, partitions)
            c.wait_for_topic(name, partitions)

        def ask(topics, limit=2000, cursor=None):
            answer = c.call("DescribeTopicPartitions", 0, {
                "Topics": [{"Name": t} for t in topics], "ResponsePartitionLimit": limit,
                "Cursor": cursor and {"TopicName": cursor[0], "PartitionIndex": cursor[1]}})
            found = [(t["Name"], t["ErrorCode"], [p["PartitionIndex"] for p in t["Partitions"]]) for t in answer["Topics"]]
            end = answer["NextCursor"]
            return found, end and (end["TopicName"], end["PartitionIndex"]), answer["Topics"]

        def got(*args, **more):
            return ask(*args, **more)[:2]
        whole = ask([two])[2][0]
        node = c.metadata([])["Brokers"][0]["NodeId"]
        p = whole["Partitions"][1]
        expect((c.metadata([two], version=12)["Topics"][0]["TopicId"], False, ALL_TOPIC_OPERATIONS),
               (whole["TopicId"], whole["IsInternal"], whole["TopicAuthorizedOperations"]), "topic")
        expect((0, 1, node, [node], [node], [], [], []),
               (p["ErrorCode"], p["PartitionIndex"], p["LeaderId"], p["ReplicaNodes"], p["IsrNodes"], p["EligibleLeaderReplicas"],
                p["LastKnownElr"], p["OfflineReplicas"]), "partition")
        asked = [two, none, one]
        expect(([(one, 0, [0])], (none, 0)), got(asked, 1), "in order of names, and the page is full")
        expect(([(one, 0, [0]), (none, UNKNOWN, []), (two, 0, [0])], (two, 1)), got(asked, 2), "unknown ones take no room")
        expect(([(one, 0, [0]), (none, UNKNOWN, []), (two, 0, [0, 1])], None), got(asked, 3), "all of it")
        expect(([(many, 0, [0, 1])], (many, 2)), got([many], 2), "first page")
        expect(([(many, 0, [2, 3])], (many, 4)), got([many, two], 2, (many, 2)), "second page")
        expect(([(many, 0, [4]), (two, 0, [0, 1])], None), got([many, two], 5, (many, 4)), "last page")
        expect(([(many, 0, [])], None), got([many], 5, (many, 9)), "a cursor behind the end")
        expect(([(none, UNKNOWN, [])], None), got([many, none], 5, (none, 1)), "a cursor at what is gone")
        for limit in (0, -1, -(1 << 31)):
            expect(([(many, 0, [0])], (many, 1)), got([many], limit), f"limit {limit}")
        expect(([(two, 0, [0, 1])], None), got([two, two]), "twice is once")
        refused = [(many, rk.INVALID_REQUEST, []), (two, rk.INVALID_REQUEST, [])]
        for cursor in ((many, -1), (stem + "-nn", 0), (stem + "-zz", 0), ("", 0)):
            expect((refused, None), got([many, two], 5, cursor), f"cursor {cursor}")
        expect(NO_OPERATIONS, ask([many], 5, (many, -1))[2][0]["TopicAuthorizedOperations"], "refused")
        found, end = got([], 2, (many, 3))
        expect([(many, 0, [3, 4])], found, "of all topics")
        assert end is not None and end > (many, 0), end
        seen, end, pages = {}, None, 0
        while pages == 0 or end:
            found, end = got([], 3, end)
            for name, error, partitions in found:
                expect(0, error, name)
                seen.setdefault(name, []).extend(partitions)
            pages += 1
        expect([0, 1, 2, 3, 4], seen[many], "all topics by pages")
        expect(sorted(seen), list(seen), "in order")
        expect(len(c.metadata(None)["Topics"]), len(seen), "all topics are there")


# ---- DescribeLogDirs, AlterReplicaLogDirs

def log_dirs(c, topics, version=5):
    answer = c.call("DescribeLogDirs", version, {"Topics": topics})
    expect(0, answer.get("ErrorCode", 0), "error")
    return answer["Results"]


@scenario("describe-log-dirs-every-version")
def describe_log_dirs(ctx):
    topic = ctx.topic(partitions=2)
    with ctx.broker.connect() as c:
        sent = rk.batch([b"x" * 1000])
        expect(0, c.produce(topic, sent)["ErrorCode"], "produce")
        for v in versions(c, "DescribeLogDirs"):
            results = log_dirs(c, [{"Topic": topic, "Partitions": [0, 1]}], v)
            found = {}
            for r in results:
                expect(0, r["ErrorCode"], f"v{v}")
                assert r["LogDir"].startswith("/"), r["LogDir"]
                if v >= 4:
                    assert r["TotalBytes"] >= r["UsableBytes"] > 0, (r["TotalBytes"], r["UsableBytes"])
                if v >= 5:
                    expect(False, r["IsCordoned"], f"v{v} cordoned")
                for t in r["Topics"]:
                    expect(topic, t["Name"], f"v{v}")
                    for p in t["Partitions"]:
                        found[p["PartitionIndex"]] = p["PartitionSize"], p["OffsetLag"], p["IsFutureKey"]
            expect({0: (len(sent), 0, False), 1: (0, 0, False)}, found, f"v{v}")
        for nothing in ([], [{"Topic": topic, "Partitions": []}],
                        [{"Topic": topic, "Partitions": [9]}, {"Topic": ctx.name("none"), "Partitions": [0]}]):
            expect([], [t for r in log_dirs(c, nothing) for t in r["Topics"]], nothing)
        twice = [t for r in log_dirs(c, [{"Topic": topic, "Partitions": [0, 0]}]) for t in r["Topics"]]
        expect([1], [len(t["Partitions"]) for t in twice], "twice is once")
        everything = {t["Name"] for r in log_dirs(c, None) for t in r["Topics"]}
        assert topic in everything, everything
        expect(sum(len(t["Partitions"]) for t in c.metadata(None)["Topics"]),
               sum(len(t["Partitions"]) for r in log_dirs(c, None) for t in r["Topics"]), "all partitions of all topics")


@scenario("alter-replica-log-dirs")
def alter_log_dirs(ctx):
    topic, missing = ctx.topic(), ctx.name("none")
    with ctx.broker.connect() as c:
        here = [r["LogDir"] for r in log_dirs(c, [{"Topic": topic, "Partitions": [0]}]) if r["Topics"]][0]

        def move(*wanted, version=2):
            answer = c.call("AlterReplicaLogDirs", version, {"Dirs": [
                {"Path": path, "Topics": [{"Name": t, "Partitions": [p]}]} for path, t, p in wanted]})
            return {(t["TopicName"], p["PartitionIndex"]): p["ErrorCode"] for t in answer["Results"] for p in t["Partitions"]}
        for v in versions(c, "AlterReplicaLogDirs"):
            expect({(topic, 0): 0}, move((here, topic, 0), version=v), f"v{v}: it lies there")
        for path in ("/nope", "relative", here + "/", ""):
            expect({(topic, 0): LOG_DIR_NOT_FOUND}, move((path, topic, 0)), path)
        expect({(missing, 0): LOG_DIR_NOT_FOUND}, move(("/nope", missing, 0)), "the directory comes first")
        expect({(missing, 0): UNKNOWN, (topic, 9): UNKNOWN}, move((here, missing, 0), (here, topic, 9)), "unknown")
        expect({(topic, 0): 0}, move(("/nope", topic, 0), (here, topic, 0)), "said twice: the last counts")
        expect({}, move(), "nothing")


# ---- DescribeProducers

@scenario("describe-producers")
def describe_producers(ctx):
    topic = ctx.topic(partitions=2)
    with ctx.broker.connect() as c:
        def ask(name, *partitions):
            answer = c.call("DescribeProducers", 0, {"Topics": [{"Name": name, "PartitionIndexes": list(partitions)}]})
            return answer["Topics"][0]["Partitions"]

        def producer():
            ids = []

            def made():
                answer = c.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": -1,
                                                      "ProducerEpoch": -1})
                ids.append(answer["ProducerId"])
                return answer["ErrorCode"] == 0
            wait_until(made, 30, "a producer id")
            return ids[-1]
        first, second, now = producer(), producer(), rk.now_ms()
        expect(0, c.produce(topic, rk.batch([b"a", b"b"], timestamp=now + 5, producer=(first, 0, 0)))["ErrorCode"], "produce")
        expect(0, c.produce(topic, rk.batch([b"c"], timestamp=now + 6, producer=(first, 0, 2)))["ErrorCode"], "produce")
        expect(0, c.produce(topic, rk.batch([b"d"], timestamp=now + 7, producer=(second, 3, 0)))["ErrorCode"], "produce")
        known = ask(topic, 0, 1)
        expect([(0, 0), (1, 0)], [(p["PartitionIndex"], p["ErrorCode"]) for p in known], "partitions")
        states = {(s["ProducerId"], s["ProducerEpoch"], s["LastSequence"], s["LastTimestamp"], s["CoordinatorEpoch"],
                   s["CurrentTxnStartOffset"]) for s in known[0]["ActiveProducers"]}
        expect({(first, 0, 2, now + 6, -1, -1), (second, 3, 0, now + 7, -1, -1)}, states, "producers")
        expect([], known[1]["ActiveProducers"], "nobody wrote there")
        expect([1, 1], [p["PartitionIndex"] for p in ask(topic, 1, 1)], "twice is twice")
        expect([], ask(topic), "no partitions")
        expect(UNKNOWN, ask(topic, 9)[0]["ErrorCode"], "partition")
        expect(UNKNOWN, ask(ctx.name("none"), 0)[0]["ErrorCode"], "topic")
        for name in ("a/b", ""):
            expect(rk.INVALID_TOPIC_EXCEPTION, ask(name, 0)[0]["ErrorCode"], repr(name))
        expect(0, ask(offsets_topic(c), 0)[0]["ErrorCode"], "internal topics are no secret")
    ctx.broker.restart("kill")
    with ctx.broker.connect() as c:
        c.wait_for_topic(topic, 2)
        again = {(s["ProducerId"], s["ProducerEpoch"], s["LastSequence"]) for s in ask(topic, 0)[0]["ActiveProducers"]}
        expect({(first, 0, 2), (second, 3, 0)}, again, "after kill -9")


# ---- ElectLeaders and reassignments

@scenario("elect-leaders-every-version")
def elect_leaders(ctx):
    topic, missing = ctx.topic(partitions=2), ctx.name("none")
    with ctx.broker.connect() as c:
        def ask(wanted, kind=0, version=2):
            body = {"TimeoutMs": 5000, "TopicPartitions": wanted and [{"Topic": t, "Partitions": p} for t, p in wanted]}
            if wanted == []:
                body["TopicPartitions"] = []
            if version >= 1:
                body["ElectionType"] = kind
            answer = c.call("ElectLeaders", version, body)
            return answer.get("ErrorCode", 0), [(r["Topic"], [(p["PartitionId"], p["ErrorCode"]) for p in r["PartitionResult"]])
                                                for r in answer["ReplicaElectionResults"]]
        for v in versions(c, "ElectLeaders"):
            expect((0, [(topic, [(0, NOT_NEEDED)])]), ask([(topic, [0])], version=v), f"v{v} preferred")
            error, all_topics = ask(None, version=v)
            expect(0, error, f"v{v} all")
            assert (topic, []) in all_topics and all(not p for _, p in all_topics), all_topics
        expect((0, [(topic, [(0, NOT_NEEDED), (1, NOT_NEEDED)])]), ask([(topic, [0, 1])], 1), "unclean")
        expect((0, [(topic, [(9, UNKNOWN)]), (missing, [(0, UNKNOWN)])]), ask([(topic, [9]), (missing, [0])]), "unknown")
        for kind in (2, -1, 127):
            expect((rk.INVALID_REQUEST, [(topic, [(0, rk.INVALID_REQUEST)])]), ask([(topic, [0])], kind), f"type {kind}")
        expect((0, []), ask([]), "nothing")
        expect((0, [(topic, [])]), ask([(topic, [])]), "no partitions")
        expect((0, [(topic, [(0, NOT_NEEDED), (0, NOT_NEEDED)])]), ask([(topic, [0, 0])]), "twice is twice")


@scenario("reassignments-every-version")
def reassignments(ctx):
    topic, missing = ctx.topic(partitions=2), ctx.name("none")
    with ctx.broker.connect() as c:
        node = c.metadata([])["Brokers"][0]["NodeId"]

        def ask(*wanted, version=1, **more):
            answer = c.call("AlterPartitionReassignments", version, {"TimeoutMs": 5000, **more, "Topics": [
                {"Name": t, "Partitions": [{"PartitionIndex": p, "Replicas": r} for p, r in ps]} for t, ps in wanted]})
            expect(0, answer["ErrorCode"], "error of the whole")
            if version >= 1:
                expect(more.get("AllowReplicationFactorChange", True), answer["AllowReplicationFactorChange"], "said again")
            return [(r["Name"], [(p["PartitionIndex"], p["ErrorCode"]) for p in r["Partitions"]]) for r in answer["Responses"]]
        for v in versions(c, "AlterPartitionReassignments"):
            expect([(topic, [(0, 0)])], ask((topic, [(0, [node])]), version=v), f"v{v}: as it is")
            expect([(topic, [(1, NO_REASSIGNMENT)])], ask((topic, [(1, None)]), version=v), f"v{v}: nothing to cancel")
        expect([(topic, [(0, 0)])], ask((topic, [(0, [node])]), AllowReplicationFactorChange=False), "the same number")
        for replicas in ([], [node + 7], [node, node], [-1], [node, node + 7]):
            expect([(topic, [(0, rk.INVALID_REPLICA_ASSIGNMENT)])], ask((topic, [(0, replicas)])), replicas)
        expect([(topic, [(9, UNKNOWN)]), (missing, [(0, UNKNOWN), (1, UNKNOWN)])],
               ask((topic, [(9, [node])]), (missing, [(0, [node]), (1, None)])), "unknown")
        expect([], ask(), "nothing")
        expect([(topic, [])], ask((topic, [])), "no partitions")
        for topics in (None, [], [{"Name": topic, "PartitionIndexes": [0, 9]}], [{"Name": missing, "PartitionIndexes": [0]}]):
            answer = c.call("ListPartitionReassignments", 0, {"TimeoutMs": 5000, "Topics": topics})
            expect((0, []), (answer["ErrorCode"], answer["Topics"]), f"under way, of {topics}")


# ---- ListOffsets by a generated log

def found_at(c, topic, timestamp, partition=0, version=7):
    p = c.list_offset(topic, timestamp, partition, version=version)
    return p["ErrorCode"], p["Timestamp"], p["Offset"]


def timed_batch(times, codec):
    """A batch whose records have these times; the first record's is the base, so deltas may be below 0."""
    body = b"".join(rk.record(b"v%d" % i, key=b"k", offset_delta=i, timestamp_delta=t - times[0]) for i, t in enumerate(times))
    if codec == 1:
        body = rk.gzip.compress(body)
    return rk.batch([b""] * len(times), codec=codec, payload=body, timestamp=times[0], max_timestamp=max(times))


@scenario("list-offsets-exact")
def list_offsets_exact(ctx):
    """Times out of order, equal, in plain and compressed batches, over many segments: each answer is the record's own."""
    draw = random.Random(20261122)
    topic = ctx.topic(configs={"segment.bytes": "1048576", "index.interval.bytes": "100"})
    log = []  # (offset, timestamp)
    with ctx.broker.connect() as c:
        base = rk.now_ms() - 1_000_000
        for _ in range(150):
            times = [base + draw.randrange(600_000) // 7 * 7 for _ in range(draw.randrange(1, 8))]
            expect(0, c.produce(topic, timed_batch(times, draw.randrange(2)))["ErrorCode"], "produce")
            log += [(len(log) + i, t) for i, t in enumerate(times)]

        def model(timestamp, start):
            found = [(offset, t) for offset, t in log if t >= timestamp and offset >= start]
            return (0, found[0][1], found[0][0]) if found else (0, -1, -1)

        def compare(start):
            questions = {0, base - 1, base + 600_000, base + 599_999, rk.now_ms()}
            for _, t in draw.sample(log, 120):
                questions |= {t, t + 1, t - 1}
            for timestamp in sorted(questions):
                expect(model(timestamp, start), found_at(c, topic, timestamp), f"{timestamp - base} from {start}")
        compare(0)
        largest = max(t for _, t in log)
        expect((0, largest, next(o for o, t in log if t == largest)), found_at(c, topic, -3), "the largest time")
        for start in (3, 100, 101, 102, 103, len(log) - 2):
            expect({0: (0, start)}, delete_records(c, topic, (0, start)), "delete records")
            compare(start)


@scenario("list-offsets-largest-time-behind-the-start")
def list_offsets_largest_behind(ctx):
    """A batch that the log start lies in counts with its deleted records, here and there. One that is deleted as a whole counts for
    Apache Kafka until its segment goes, which leads readers out of range; here what can be read counts."""
    with ctx.broker.connect() as c:
        for codec in (0, 1):
            topic = ctx.topic()
            base = rk.now_ms() - 100_000
            for times in ((300, 500, 200), (50, 400), (60, 70)):
                expect(0, c.produce(topic, timed_batch([base + t for t in times], codec))["ErrorCode"], "produce")
            for start in range(8):
                expect({0: (0, start)}, delete_records(c, topic, (0, start)), "delete records")
                want = (500, 1) if start < 3 or ctx.broker.kind == "kafka" else (400, 4) if start < 5 else (70, 6)
                want = (0, -1, -1) if start == 7 and ctx.broker.kind != "kafka" else (0, base + want[0], want[1])
                expect(want, found_at(c, topic, -3), f"start {start}, codec {codec}")


@scenario("list-offsets-log-append-time")
def list_offsets_append_time(ctx):
    topic = ctx.topic(configs={"message.timestamp.type": "LogAppendTime"})
    with ctx.broker.connect() as c:
        times = []
        for codec in (0, 1, 0):
            p = c.produce(topic, rk.batch([b"a", b"b", b"c"], timestamp=1000, codec=codec))
            expect(0, p["ErrorCode"], "produce")
            times.append(p["LogAppendTimeMs"])
            wait_until(lambda: rk.now_ms() > times[-1] + 1, 5, "the next millisecond")
        for i, t in enumerate(times):
            expect((0, t, 3 * i), found_at(c, topic, t), f"batch {i}")
            after = (0, times[i + 1], 3 * i + 3) if i < 2 else (0, -1, -1)
            expect(after, found_at(c, topic, t + 1), f"behind batch {i}")
        expect((0, times[2], 6), found_at(c, topic, -3), "the largest time is the last batch's, at its first record")
        expect({0: (0, 1)}, delete_records(c, topic, (0, 1)), "delete records")
        expect((0, times[0], 1), found_at(c, topic, 0), "the first that is left")


@scenario("list-offsets-epochs-and-empty-logs")
def list_offsets_epochs(ctx):
    topic, empty = ctx.topic(), ctx.topic()
    with ctx.broker.connect() as c:
        first = c.wait_for_topic(topic)["Partitions"][0]["LeaderEpoch"]
        now = c.wait_for_topic(empty)["Partitions"][0]["LeaderEpoch"]
        expect(0, c.produce(topic, rk.batch([b"a", b"b"], timestamp=1000))["ErrorCode"], "produce")

        def ask(name, timestamp, version=7):
            p = c.list_offset(name, timestamp, 0, version=version)
            return p["ErrorCode"], p["Timestamp"], p["Offset"], p["LeaderEpoch"]
        expect((0, -1, 2, first), ask(topic, -1), "latest")
        expect((0, -1, 0, first), ask(topic, -2), "earliest")
        expect((0, 1000, 0, first), ask(topic, 0), "by time")
        expect((0, 1000, 0, first), ask(topic, -3), "largest time")
        expect((0, -1, -1, -1), ask(topic, 2000), "nothing")
        expect((0, -1, 0, now), ask(empty, -1), "latest of nothing")
        expect((0, -1, -1, -1), ask(empty, 0), "by time of nothing")
        expect((0, -1, -1, -1), ask(empty, -3), "largest time of nothing")
        expect((0, -1, 0), ask(empty, -2)[:3], "earliest of nothing")
        for version, special in ((8, -4), (9, -5), (11, -6)):
            got = ask(topic, special, version)
            expect((0, -1, 0, first) if special == -4 else (0, -1, -1, -1), got, f"{special}")
        for unknown in (-7, -100, -(1 << 63)):
            expect(rk.UNSUPPORTED_VERSION, ask(topic, unknown, 11)[0], unknown)
    ctx.broker.restart("kill")
    with ctx.broker.connect() as c:
        second = c.wait_for_topic(topic)["Partitions"][0]["LeaderEpoch"]
        expect((0, -1, 2, second), ask(topic, -1), "latest, in the epoch of now")
        expect((0, -1, 0, first), ask(topic, -2), "earliest, in the epoch it was written in")
        expect(0, c.produce(topic, rk.batch([b"c"], timestamp=5000))["ErrorCode"], "produce")
        expect((0, 1000, 0, first), ask(topic, 1), "an old record")
        expect((0, 5000, 2, second), ask(topic, 1001), "a new one")
        expect((0, 5000, 2, second), ask(topic, -3), "largest time")
        expect({0: (0, 3)}, delete_records(c, topic, (0, -1)), "delete all")
        expect((0, -1, -1, -1), ask(topic, 0), "nothing is left")
        expect((0, -1, 3, second), ask(topic, -2), "earliest")
