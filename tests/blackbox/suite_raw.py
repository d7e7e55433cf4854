"""Answers byte by byte: every version of every API we serve, and what no real client sends.

What is expected here was seen in answers of Apache Kafka 4.3.1, against which this suite passes too.
"""
import time

import rawkafka as rk
from harness import Skip, Suite, least_seconds

NONE = -2147483648  # operations that nobody asked for
SUITE = Suite("raw", "raw frames")
scenario = SUITE.scenario


def versions(connection, name):
    """The versions both sides know, from the broker's ApiVersions; a key without handler skips the scenario."""
    key = rk.APIS[name]["key"]
    ranges = connection.api_versions()
    if key not in ranges:
        raise Skip(f"{name} is not advertised")
    low, high = rk.api_range(name)
    return range(max(low, ranges[key][0]), min(high, ranges[key][1]) + 1)


def expect(expected, got, what):
    assert got == expected, f"{what}: expected {expected}, got {got}"


# ---- ApiVersions and framing

@scenario("api-versions-every-version")
def api_versions_every(ctx):
    with ctx.broker.connect() as c:
        seen = []
        for v in range(0, 5):
            body = {"ClientSoftwareName": "raw-client", "ClientSoftwareVersion": "1.0.0"} if v >= 3 else {}
            answer = c.call("ApiVersions", v, body)
            expect(0, answer["ErrorCode"], f"v{v}")
            seen.append([(k["ApiKey"], k["MinVersion"], k["MaxVersion"]) for k in answer["ApiKeys"]])
        for one in seen[1:]:
            expect(seen[0], one, "the same ranges in every version")


@scenario("api-versions-match-4.3")
def api_versions_match(ctx):
    """Whatever is advertised has exactly the range of 4.3.1: clients map ranges to releases."""
    with ctx.broker.connect() as c:
        ranges = c.api_versions()
    expect((0, 13), ranges.get(0), "Produce")
    for name, api in rk.APIS.items():
        if api["key"] in ranges:
            expect(rk.api_range(name), ranges[api["key"]], name)
    for key in (4, 5, 6, 7, 71, 72):
        assert key not in ranges, f"key {key} must not be advertised"


@scenario("api-versions-too-new")
def api_versions_too_new(ctx):
    with ctx.broker.connect() as c:
        body = c.header(18, 99, True) + b"\x03ab\x02c\x00"
        c.send_bytes(len(body).to_bytes(4, "big") + body)
        answer = c.receive("ApiVersions", 0)
        expect(rk.UNSUPPORTED_VERSION, answer["ErrorCode"], "error")
        expect([18], [k["ApiKey"] for k in answer["ApiKeys"]], "only its own key")
        expect(0, c.call("ApiVersions", 2)["ErrorCode"], "the lower retry on the same connection")


@scenario("api-versions-bad-software-name")
def api_versions_bad_name(ctx):
    for name in ("", "-x", "a b", "x!"):
        with ctx.broker.connect() as c:
            answer = c.call("ApiVersions", 3, {"ClientSoftwareName": name, "ClientSoftwareVersion": "1"})
            expect(rk.INVALID_REQUEST, answer["ErrorCode"], repr(name))


@scenario("unknown-keys-and-versions-close")
def unknown_keys(ctx):
    for key, version in ((4, 0), (7, 0), (999, 0), (-1, 0), (0, 2), (0, 99), (1, 3), (3, 99), (3, -1), (19, 1)):
        with ctx.broker.connect() as c:
            body = c.header(key, version, False) + bytes(16)
            c.send_bytes(len(body).to_bytes(4, "big") + body)
            assert c.is_closed_within(10), f"key {key} version {version}: the connection stays open"


@scenario("frame-in-pieces")
def pieces(ctx):
    with ctx.broker.connect() as c:
        for b in c.frame("Metadata", 9, {"Topics": []}):
            c.send_bytes(bytes([b]))
        assert c.receive("Metadata", 9)["Brokers"], "brokers"


@scenario("pipelined-in-order")
def pipelined(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        frames, want = b"", []
        for i in range(60):
            if i % 3 == 2:
                frames += c.frame("Metadata", 9, {"Topics": [{"Name": topic}]})
                want.append((c.correlation, "Metadata", 9))
            else:
                frames += c.frame("Produce", 7, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
                    {"Name": topic, "PartitionData": [{"Index": 0, "Records": rk.batch([b"v%d" % i])}]}]})
                want.append((c.correlation, "Produce", 7))
        c.send_bytes(frames)
        offsets = []
        for correlation, name, version in want:
            answer = c.receive(name, version, correlation)
            if name == "Produce":
                offsets.append(answer["Responses"][0]["PartitionResponses"][0]["BaseOffset"])
        expect(list(range(40)), offsets, "appended in the order sent")


@scenario("null-client-id")
def null_client(ctx):
    with ctx.broker.connect() as c:
        assert c.call("Metadata", 12, {"Topics": []}, client_id=None)["Brokers"]
        assert c.call("Metadata", 4, {"Topics": []}, client_id="")["Brokers"]


# ---- Metadata, topics

@scenario("metadata-every-version")
def metadata_every(ctx):
    topic = ctx.topic(3)
    with ctx.broker.connect() as c:
        for v in versions(c, "Metadata"):
            missing = ctx.name("none")
            answer = c.call("Metadata", v, {"Topics": [{"Name": topic}, {"Name": missing}], "AllowAutoTopicCreation": False})
            host, port = ctx.broker.address.split(":")
            expect([(host, int(port))], [(b["Host"], b["Port"]) for b in answer["Brokers"]], f"v{v} address")
            by_name = {t["Name"]: t for t in answer["Topics"]}
            t = by_name[topic]
            expect(0, t["ErrorCode"], f"v{v}")
            expect([0, 1, 2], sorted(p["PartitionIndex"] for p in t["Partitions"]), f"v{v} partitions")
            for p in t["Partitions"]:
                node = answer["Brokers"][0]["NodeId"]
                expect((0, node, [node], [node]), (p["ErrorCode"], p["LeaderId"], p["ReplicaNodes"], p["IsrNodes"]), f"v{v}")
                assert v < 7 or p["LeaderEpoch"] >= 0, "leader epoch"
                assert v < 5 or p["OfflineReplicas"] == [], "offline replicas"
            if v >= 4:  # below, the name would be created
                expect(rk.UNKNOWN_TOPIC_OR_PARTITION, by_name[missing]["ErrorCode"], f"v{v} unknown name")
                expect([], by_name[missing]["Partitions"], f"v{v} unknown name")
            if v >= 1:
                assert answer["ControllerId"] >= 0, "a controller"
                expect([], c.call("Metadata", v, {"Topics": []})["Topics"], f"v{v} empty list")
            if v >= 2:
                assert answer["ClusterId"], "cluster id"
            if v >= 10:
                assert t["TopicId"] != rk.ZERO_UUID, "topic id"
            everything = c.call("Metadata", v, {"Topics": [] if v == 0 else None})
            assert topic in [x["Name"] for x in everything["Topics"]], f"v{v} all topics"


@scenario("metadata-by-id")
def metadata_by_id(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        known = c.metadata([topic], version=12)["Topics"][0]["TopicId"]
        for v in (12, 13):
            if v not in versions(c, "Metadata"):
                continue
            answer = c.call("Metadata", v, {"Topics": [{"TopicId": known, "Name": None},
                                                       {"TopicId": "ab" * 16, "Name": None}]})
            got = {t["TopicId"]: (t["ErrorCode"], t["Name"]) for t in answer["Topics"]}
            expect({known: (0, topic), "ab" * 16: (rk.UNKNOWN_TOPIC_ID, None)}, got, f"v{v}")


@scenario("metadata-bad-name")
def metadata_bad_name(ctx):
    with ctx.broker.connect() as c:
        for name in ("bad name", "..", "a/b", "x" * 250):
            expect(rk.INVALID_TOPIC_EXCEPTION, c.metadata([name], auto=True)["Topics"][0]["ErrorCode"], name[:20])


@scenario("metadata-auto-creation")
def auto_creation(ctx):
    with ctx.broker.connect() as c:
        name = ctx.name("auto")
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.metadata([name], auto=False)["Topics"][0]["ErrorCode"], "not asked for")
        first = c.metadata([name], auto=True)["Topics"][0]["ErrorCode"]
        assert first in (0, 3, 5), f"first answer {first}"
        expect(1, len(c.wait_for_topic(name)["Partitions"]), "partitions")


@scenario("create-topics-every-version")
def create_every(ctx):
    with ctx.broker.connect() as c:
        for v in versions(c, "CreateTopics"):
            name = ctx.name(f"create-v{v}")
            one = {"Name": name, "NumPartitions": 2, "ReplicationFactor": 1,
                   "Configs": [{"Name": "retention.ms", "Value": "60000"}]}
            answer = c.call("CreateTopics", v, {"Topics": [one], "timeoutMs": 10000})["Topics"][0]
            expect((name, 0), (answer["Name"], answer["ErrorCode"]), f"v{v}")
            if v >= 5:
                expect((2, 1), (answer["NumPartitions"], answer["ReplicationFactor"]), f"v{v}")
                configs = {x["Name"]: x["Value"] for x in answer["Configs"]}
                expect("60000", configs.get("retention.ms"), f"v{v} effective config")
            if v >= 7:
                assert answer["TopicId"] != rk.ZERO_UUID, "topic id"
            c.wait_for_topic(name, 2)
            again = c.call("CreateTopics", v, {"Topics": [one], "timeoutMs": 10000})["Topics"][0]
            expect(rk.TOPIC_ALREADY_EXISTS, again["ErrorCode"], f"v{v} twice")


@scenario("create-topics-errors")
def create_errors(ctx):
    def topic(**more):
        return {"Name": ctx.name("e"), "NumPartitions": 1, "ReplicationFactor": 1, **more}

    def manual(*partitions):
        return [{"PartitionIndex": i, "BrokerIds": list(ids)} for i, ids in partitions]
    with ctx.broker.connect() as c:
        node = c.metadata([])["Brokers"][0]["NodeId"]

        def error(*topics, **more):
            return [t["ErrorCode"] for t in c.call("CreateTopics", 5, {"Topics": list(topics), "timeoutMs": 10000,
                                                                       **more})["Topics"]]
        expect([rk.INVALID_PARTITIONS], error(topic(NumPartitions=0)), "0 partitions")
        expect([rk.INVALID_PARTITIONS], error(topic(NumPartitions=-2)), "-2 partitions")
        # Apache Kafka adds up in 32 bits: the last one is UNKNOWN_SERVER_ERROR there.
        for many in (10_001, 100_000, *([2**31 - 1] if ctx.broker.kind == "millrace" else [])):
            expect([rk.POLICY_VIOLATION] * 2, error(topic(), topic(NumPartitions=many)), f"{many} partitions in one request")
        expect([rk.INVALID_REPLICATION_FACTOR], error(topic(ReplicationFactor=2)), "factor 2 of 1 broker")
        expect([rk.INVALID_REPLICATION_FACTOR], error(topic(ReplicationFactor=0)), "factor 0")
        expect([rk.INVALID_TOPIC_EXCEPTION], error(topic(Name="")), "empty name")
        expect([rk.INVALID_TOPIC_EXCEPTION], error(topic(Name="a/b")), "slash")
        expect([rk.INVALID_CONFIG], error(topic(Configs=[{"Name": "nope", "Value": "1"}])), "unknown config")
        expect([rk.INVALID_CONFIG], error(topic(Configs=[{"Name": "retention.ms", "Value": "x"}])), "bad value")
        expect([rk.INVALID_REQUEST], error(topic(Assignments=manual((0, [node])))), "assignment and numbers")
        free = {"NumPartitions": -1, "ReplicationFactor": -1}
        expect([0], error(topic(Assignments=manual((0, [node]), (1, [node])), **free)), "manual assignment")
        expect([rk.INVALID_REPLICA_ASSIGNMENT], error(topic(Assignments=manual((1, [node])), **free)), "gap in ids")
        expect([rk.INVALID_REPLICA_ASSIGNMENT], error(topic(Assignments=manual((0, [node + 7])), **free)), "no such broker")
        expect([0], error(topic(**free)), "broker defaults")
        twice = topic()
        expect([rk.INVALID_REQUEST], error(twice, twice), "twice in one request")
        base = ctx.name("col.li")
        expect([0], error(topic(Name=base)), "with a dot")
        c.wait_for_topic(base)
        expect([rk.INVALID_TOPIC_EXCEPTION], error(topic(Name=base.replace(".", "_"))), "collides in metrics names")
        dry = topic()
        expect([0], error(dry, validateOnly=True), "validate only")
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.metadata([dry["Name"]])["Topics"][0]["ErrorCode"], "nothing created")


@scenario("delete-topics-every-version")
def delete_every(ctx):
    with ctx.broker.connect() as c:
        for v in versions(c, "DeleteTopics"):
            name, missing = ctx.topic(stem=f"delete-v{v}"), ctx.name("none")
            if v >= 6:
                topic_id = c.metadata([name], version=12)["Topics"][0]["TopicId"]
                body = {"Topics": [{"Name": None, "TopicId": topic_id}, {"Name": missing},
                                   {"Name": None, "TopicId": "cd" * 16}], "TimeoutMs": 10000}
                got = [t["ErrorCode"] for t in sorted(c.call("DeleteTopics", v, body)["Responses"], key=lambda t: t["ErrorCode"])]
                expect([0, rk.UNKNOWN_TOPIC_OR_PARTITION, rk.UNKNOWN_TOPIC_ID], got, f"v{v}")
            else:
                answer = c.call("DeleteTopics", v, {"TopicNames": [name, missing], "TimeoutMs": 10000})
                got = {t["Name"]: t["ErrorCode"] for t in answer["Responses"]}
                expect({name: 0, missing: rk.UNKNOWN_TOPIC_OR_PARTITION}, got, f"v{v}")
            deadline = time.monotonic() + 15
            while c.metadata([name])["Topics"][0]["ErrorCode"] != rk.UNKNOWN_TOPIC_OR_PARTITION:
                assert time.monotonic() < deadline, "still there"
                time.sleep(0.02)


# ---- Produce and Fetch

def topic_id(c, topic):
    return c.metadata([topic], version=12)["Topics"][0]["TopicId"]


@scenario("produce-every-version")
def produce_every(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        ident = topic_id(c, topic)
        offset = 0
        for v in versions(c, "Produce"):
            if v < 3:
                continue  # advertised for librdkafka's sake, refused like by Kafka
            for acks in (1, -1):
                p = c.produce(topic, rk.batch([b"a", b"b"]), acks=acks, version=v, topic_id=ident)
                expect((0, offset), (p["ErrorCode"], p["BaseOffset"]), f"v{v} acks {acks}")
                expect(-1, p["LogAppendTimeMs"], f"v{v} LogAppendTimeMs")
                if v >= 5:
                    expect(0, p["LogStartOffset"], f"v{v} LogStartOffset")
                if v >= 8:
                    expect(([], None), (p["RecordErrors"], p["ErrorMessage"]), f"v{v}")
                offset += 2


@scenario("fetch-every-version")
def fetch_every(ctx):
    topic = ctx.topic()
    sent = rk.batch([b"one", b"two"], codec=1) + b""
    with ctx.broker.connect() as c:
        ident = topic_id(c, topic)
        expect(0, c.produce(topic, sent)["ErrorCode"], "produce")
        for v in versions(c, "Fetch"):
            p = c.fetch(topic, 0, version=v, topic_id=ident)
            expect((0, 2), (p["ErrorCode"], p["HighWatermark"]), f"v{v}")
            expect(2, p["LastStableOffset"], f"v{v} last stable offset")
            if v >= 5:
                expect(0, p["LogStartOffset"], f"v{v} log start offset")
            got = rk.batches_of(p["Records"])[0]
            expect(sent[21:], got["raw"][21:], f"v{v} bytes under the checksum")
            assert got["crc_ok"] and got["epoch"] >= 0, f"v{v}"
            expect([(0, b"one"), (1, b"two")], [(r["offset"], r["value"]) for r in rk.records_of(got)], f"v{v}")


@scenario("produce-refused-batches")
def refused(ctx):
    topic = ctx.topic()
    good = rk.batch([b"fine"])
    cut = bytearray(good)
    cut[8:12] = (len(good) + 100).to_bytes(4, "big")
    cases = [
        ("bad checksum", rk.batch([b"x"], crc=1), rk.CORRUPT_MESSAGE),
        ("base offset 5", rk.batch([b"x"], base_offset=5), rk.INVALID_RECORD),
        ("no records in the batch", rk.batch([]), rk.INVALID_RECORD),
        ("count above records", rk.batch([b"x"], count=2, last_offset_delta=1), rk.INVALID_RECORD),
        ("count below records", rk.batch([b"x", b"y"], count=1, last_offset_delta=0), rk.INVALID_RECORD),
        ("last offset delta too large", rk.batch([b"x"], last_offset_delta=3), rk.INVALID_RECORD),
        ("control batch", rk.batch([b"x"], attributes=0x20), rk.INVALID_RECORD),
        ("negative sequence", rk.batch([b"x"], producer=(5, 0, -1)), rk.INVALID_RECORD),
        ("two batches", good + good, rk.INVALID_RECORD),
        ("null records", None, None),  # Apache Kafka 4.3.1 never answers this one
        ("empty records", b"", rk.INVALID_RECORD),
        ("garbage for records", rk.batch([], count=1, last_offset_delta=0, payload=b"\xff" * 40), None),
        ("garbage for gzip", rk.batch([], codec=1, count=1, last_offset_delta=0, payload=b"\xff" * 40), None),
        ("codec 7", rk.batch([b"x"], attributes=7), None),
        ("two hours ahead", rk.batch([b"x"], timestamp=rk.now_ms() + 7200_000), rk.INVALID_TIMESTAMP),
        ("length beyond the end", bytes(cut), None),
        ("cut header", good[:30], None),
        ("magic 1", rk.batch([b"x"], magic=1), None),
        ("magic 3", rk.batch([b"x"], magic=3), None),
    ]
    failures = []
    for what, data, want in cases:
        with ctx.broker.connect(timeout=3) as c:
            try:
                p = c.produce(topic, data, version=8)
                got = p["ErrorCode"]
                if got and p["BaseOffset"] != -1:
                    failures.append(f"{what}: error with base offset {p['BaseOffset']}")
            except rk.Closed:
                got = "closed"
            except TimeoutError:
                got = "silence"
            if got == 0 or (want is not None and got != want):
                failures.append(f"{what}: expected {want}, got {got}")
            if want is None and ctx.broker.kind == "millrace" and got in ("silence", -1):
                failures.append(f"{what}: {got} instead of an error that says something")
            if want is None and ctx.options.verbose:
                print(f"     {what}: {got}")
    with ctx.broker.connect() as c:
        expect(0, c.produce(topic, good)["BaseOffset"], "nothing of them was stored")
    assert not failures, "; ".join(failures)


@scenario("produce-errors")
def produce_errors(ctx):
    topic = ctx.topic()
    good = rk.batch([b"x"])
    with ctx.broker.connect() as c:
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.produce(ctx.name("none"), good)["ErrorCode"], "unknown topic")
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.produce(topic, good, partition=5)["ErrorCode"], "unknown partition")
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.produce(topic, good, partition=-1)["ErrorCode"], "partition -1")
        for acks in (2, -2, 100):
            p = c.produce(topic, good, acks=acks)
            expect((rk.INVALID_REQUIRED_ACKS, -1), (p["ErrorCode"], p["BaseOffset"]), f"acks {acks}")
        for v in range(3, 7):
            expect(rk.UNSUPPORTED_COMPRESSION_TYPE, c.produce(topic, rk.batch([b"x"], codec=4), version=v)["ErrorCode"],
                   f"zstd in v{v}")
        if 13 in versions(c, "Produce"):
            expect(rk.UNKNOWN_TOPIC_ID, c.produce("", good, version=13, topic_id="ef" * 16)["ErrorCode"], "unknown id")
        limit = 1048588
        overhead = len(rk.batch([b"x" * 1_000_000])) - 1_000_000
        expect(0, c.produce(topic, rk.batch([b"x" * (limit - overhead)]))["ErrorCode"], "the largest batch")
        expect(rk.MESSAGE_TOO_LARGE, c.produce(topic, rk.batch([b"x" * (limit - overhead + 1)]))["ErrorCode"], "one byte more")


@scenario("produce-several-partitions")
def several(ctx):
    """One request, three partitions, one of them bad: each has its own answer, in order."""
    topic = ctx.topic(3)
    with ctx.broker.connect() as c:
        for v in (7, 12):
            parts = [{"Index": 2, "Records": rk.batch([b"c"])}, {"Index": 9, "Records": rk.batch([b"?"])},
                     {"Index": 0, "Records": rk.batch([b"a"])}]
            answer = c.call("Produce", v, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": topic, "PartitionData": parts}]})
            got = {p["Index"]: p["ErrorCode"] for p in answer["Responses"][0]["PartitionResponses"]}
            expect({2: 0, 9: rk.UNKNOWN_TOPIC_OR_PARTITION, 0: 0}, got, f"v{v}")


@scenario("acks-0-says-nothing")
def acks_0(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        for i in range(10):
            c.produce(topic, rk.batch([b"%d" % i]), acks=0)
        # The next answer on the connection is that of the next request.
        assert c.metadata([topic])["Topics"][0]["ErrorCode"] == 0
        deadline = time.monotonic() + 10
        while c.list_offset(topic, -1)["Offset"] < 10:
            assert time.monotonic() < deadline
        c.produce(ctx.name("none"), rk.batch([b"x"]), acks=0)
        assert c.is_closed_within(10), "an error with acks 0 closes the connection"


@scenario("compacted-topic-wants-keys")
def compacted(ctx):
    topic = ctx.topic(configs={"cleanup.policy": "compact"})
    with ctx.broker.connect() as c:
        p = c.produce(topic, rk.batch([b"a", b"b"], keys=[b"k", None]), version=8)
        expect(rk.INVALID_RECORD, p["ErrorCode"], "a record without key")
        expect([1], [e["BatchIndex"] for e in p["RecordErrors"]], "its index")
        keys = [b"k", None, None, b"k", None]
        p = c.produce(topic, rk.batch([b"v"] * 5, keys=keys, codec=1), version=8)
        expect(rk.INVALID_RECORD, p["ErrorCode"], "three records without key")
        expect([1, 2, 4], [e["BatchIndex"] for e in p["RecordErrors"]], "each of them")
        assert p["ErrorMessage"] and all(e["BatchIndexErrorMessage"] for e in p["RecordErrors"]), "each with a sentence"
        ahead = rk.batch([b"v"] * 2, keys=[b"k", b"l"], timestamp=rk.now_ms() + 7200_000)
        p = c.produce(topic, ahead, version=8)
        expect((rk.INVALID_TIMESTAMP, [0, 1]), (p["ErrorCode"], [e["BatchIndex"] for e in p["RecordErrors"]]), "timestamps")
        expect(0, c.produce(topic, rk.batch([b"a", b"b"], keys=[b"k", b"l"]), version=8)["ErrorCode"], "with keys")


@scenario("min-insync-replicas")
def min_insync(ctx):
    """It counts at most as many replicas as the partition has."""
    topic = ctx.topic(configs={"min.insync.replicas": "2"})
    with ctx.broker.connect() as c:
        for acks in (-1, 1):
            expect(0, c.produce(topic, rk.batch([b"x"]), acks=acks)["ErrorCode"], f"acks {acks}")


@scenario("transactional-producers-are-told")
def transactional(ctx):
    """TRANSACTIONAL_ID_AUTHORIZATION_FAILED ends a transactional producer at once, whatever its client, without retries."""
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        batch = rk.batch([b"x"], attributes=0x10, producer=(5, 0, 0))
        expect(53, c.produce(topic, batch, version=8)["ErrorCode"], "a transactional batch of nobody")
        if ctx.broker.kind != "millrace":
            return
        for v in versions(c, "FindCoordinator"):
            if v:  # v0 knows groups only
                a = c.call("FindCoordinator", v, {"KeyType": 1, **({"Key": "t"} if v < 4 else {"CoordinatorKeys": ["t"]})})
                a = a if v < 4 else a["Coordinators"][0]
                expect((53, "transactions are not served yet"), (a["ErrorCode"], a["ErrorMessage"]), f"FindCoordinator v{v}")
        for v in versions(c, "InitProducerId"):
            a = c.call("InitProducerId", v, {"TransactionalId": "t", "TransactionTimeoutMs": 60000})
            expect((53, -1, -1), (a["ErrorCode"], a["ProducerId"], a["ProducerEpoch"]), f"InitProducerId v{v}")
        for v in range(3, 14):
            part = [{"Index": 0, "Records": batch}]
            data = {"TopicId": topic_id(c, topic)} if v >= 13 else {"Name": topic}
            a = c.call("Produce", v, {"TransactionalId": "t", "Acks": -1, "TimeoutMs": 5000,
                                      "TopicData": [{**data, "PartitionData": part}]})
            p = a["Responses"][0]["PartitionResponses"][0]
            expect((53, -1), (p["ErrorCode"], p["BaseOffset"]), f"Produce v{v}")
            assert v < 8 or "not served yet" in p["ErrorMessage"], p
        expect(0, c.produce(topic, rk.batch([b"x"]))["BaseOffset"], "nothing was stored")


@scenario("log-append-time")
def append_time(ctx):
    topic = ctx.topic(configs={"message.timestamp.type": "LogAppendTime"})
    before = rk.now_ms()
    with ctx.broker.connect() as c:
        p = c.produce(topic, rk.batch([b"a", b"b"], timestamp=1000))
        assert before <= p["LogAppendTimeMs"] <= rk.now_ms(), p["LogAppendTimeMs"]
        b = c.all_batches(topic)[0]
        expect((8, p["LogAppendTimeMs"], True), (b["attributes"], b["max_timestamp"], b["crc_ok"]), "stored")


@scenario("compression-type")
def compression_type(ctx):
    """Batches are stored with the topic's codec; what their producer was told of them holds."""
    values = [b"value-%d-" % i + b"x" * 100 for i in range(50)]
    with ctx.broker.connect() as c:
        producer = new_producer(c)
        for kind in ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"):
            topic = ctx.topic(configs={"compression.type": kind})
            sent = [rk.batch(values, codec=codec, timestamp=5000, producer=(producer, 0, 50 * i))
                    for i, codec in enumerate((0, 1, 0))]
            for i, data in enumerate(sent):
                for version in (8, 3):  # the second is a repeat; the first versions know no zstd, the topic may
                    p = c.produce(topic, data, version=version)
                    expect((0, 50 * i), (p["ErrorCode"], p["BaseOffset"]), f"{kind} batch {i}")
            stored = c.all_batches(topic)
            want = {"producer": ["none", "gzip", "none"], "uncompressed": ["none"] * 3}.get(kind, [kind] * 3)
            expect(want, [b["codec"] for b in stored], kind)
            expect([(50 * i, 50 * i + 49, 50, producer, 0, 50 * i, 5000, 5000, True) for i in range(3)],
                   [(b["base_offset"], b["last_offset"], b["count"], b["producer_id"], b["producer_epoch"], b["sequence"],
                     b["timestamp"], b["max_timestamp"], b["crc_ok"]) for b in stored], kind)
            if kind in ("producer", "uncompressed", "gzip"):
                expect([v for _ in range(3) for v in values], [r["value"] for b in stored for r in rk.records_of(b)], kind)
            expect(rk.CORRUPT_MESSAGE, c.produce(topic, rk.batch(values, crc=1, codec=1))["ErrorCode"], f"{kind} bad checksum")


# ---- idempotence

@scenario("init-producer-id")
def init_producer(ctx):
    with ctx.broker.connect() as c:
        seen = set()
        new_producer(c)
        for v in versions(c, "InitProducerId"):
            a = c.call("InitProducerId", v, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
            expect((0, 0), (a["ErrorCode"], a["ProducerEpoch"]), f"v{v}")
            assert a["ProducerId"] >= 0 and a["ProducerId"] not in seen, "a new id"
            seen.add(a["ProducerId"])


def new_producer(c):
    """Apache Kafka answers 14 until its controller has given it a block of ids."""
    deadline = time.monotonic() + 15
    while True:
        a = c.call("InitProducerId", 1, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
        if a["ErrorCode"] == 0:
            return a["ProducerId"]
        assert a["ErrorCode"] == 14 and time.monotonic() < deadline, a
        time.sleep(0.02)


@scenario("idempotent-producer")
def idempotent(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        pid = new_producer(c)

        def put(sequence, n=1, epoch=0, producer=pid):
            p = c.produce(topic, rk.batch([b"s%d" % sequence] * n, producer=(producer, epoch, sequence)))
            return p["ErrorCode"], p["BaseOffset"]
        expect((0, 0), put(0, 3), "first")
        expect((0, 3), put(3, 2), "next")
        expect((0, 0), put(0, 3), "a repeat answers the first offset")
        expect((0, 3), put(3, 2), "a repeat")
        expect((rk.OUT_OF_ORDER_SEQUENCE_NUMBER, -1), put(9), "a gap")
        expect((0, 5), put(5), "the right one after the gap")
        for i in range(6, 12):
            expect((0, i), put(i), f"sequence {i}")
        expect((0, 7), put(7), "the fifth last is still known")
        error, _ = put(5)
        assert error in (rk.OUT_OF_ORDER_SEQUENCE_NUMBER, 46), f"one that is forgotten: error {error}"
        expect((0, 12), put(0, epoch=1), "a new epoch starts at 0")
        expect((rk.INVALID_PRODUCER_EPOCH, -1), put(12, epoch=0), "the old epoch")
        expect(rk.OUT_OF_ORDER_SEQUENCE_NUMBER, put(4, epoch=2)[0], "a new epoch not at 0")
        expect((0, 13), put(1, epoch=1), "goes on")
        other = new_producer(c)
        expect((0, 14), put(77, producer=other), "a producer not known here may start anywhere")


@scenario("idempotent-sequence-wraps")
def wraps(ctx):
    topic = ctx.topic()
    top = 2**31 - 1
    with ctx.broker.connect() as c:
        pid = new_producer(c)
        for sequence, n, base in ((top - 1, 1, 0), (top, 1, 1), (0, 2, 2), (2, 1, 4)):
            p = c.produce(topic, rk.batch([b"w"] * n, producer=(pid, 0, sequence)))
            expect((0, base), (p["ErrorCode"], p["BaseOffset"]), f"sequence {sequence}")


@scenario("idempotent-state-survives-kill")
def survives(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        pid = new_producer(c)
        for i in range(4):
            c.produce(topic, rk.batch([b"x"], producer=(pid, 0, i)))
    ctx.broker.restart("kill")
    with ctx.broker.connect() as c:
        c.wait_for_topic(topic)
        # Apache Kafka keeps only the last batch of a producer over a restart, so of older repeats it knows nothing.
        p = c.produce(topic, rk.batch([b"x"], producer=(pid, 0, 2)))
        assert (p["ErrorCode"], p["BaseOffset"]) in ((0, 2), (rk.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)), p
        for sequence, want in ((3, (0, 3)), (5, (rk.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)), (4, (0, 4))):
            p = c.produce(topic, rk.batch([b"x"], producer=(pid, 0, sequence)))
            expect(want, (p["ErrorCode"], p["BaseOffset"]), f"sequence {sequence}")
        assert new_producer(c) != pid, "producer ids are not given twice"


# ---- Fetch in detail

@scenario("fetch-errors")
def fetch_errors(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        for i in range(5):
            c.produce(topic, rk.batch([b"x"]))
        for v in (4, 7, 11, 12):
            for offset, want in ((-1, 1), (6, 1), (5, 0)):
                p = c.fetch(topic, offset, version=v, wait_ms=50)
                expect(want, p["ErrorCode"], f"v{v} offset {offset}")
                assert not p["Records"], "no records"
                if want:
                    expect(-1, p["HighWatermark"], f"v{v} watermark beside an error")
            expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.fetch(topic, 0, partition=3, version=v)["ErrorCode"], "partition")
            expect(rk.UNKNOWN_TOPIC_OR_PARTITION, c.fetch(ctx.name("none"), 0, version=v)["ErrorCode"], "topic")
        epoch = c.metadata([topic])["Topics"][0]["Partitions"][0]["LeaderEpoch"]
        expect(0, c.fetch(topic, 0, epoch=epoch)["ErrorCode"], "the right leader epoch")
        expect(rk.UNKNOWN_LEADER_EPOCH, c.fetch(topic, 0, epoch=epoch + 1)["ErrorCode"], "a newer leader epoch")
        if epoch > 0:
            expect(rk.FENCED_LEADER_EPOCH, c.fetch(topic, 0, epoch=epoch - 1)["ErrorCode"], "an older leader epoch")
        if 13 in versions(c, "Fetch"):
            expect(rk.UNKNOWN_TOPIC_ID, c.fetch("", 0, version=13, topic_id="ab" * 16)["ErrorCode"], "unknown id")


@scenario("fetch-limits-are-soft")
def soft_limits(ctx):
    topic = ctx.topic(2)
    with ctx.broker.connect() as c:
        for partition in (0, 1):
            for i in range(4):
                c.produce(topic, rk.batch([b"%d" % i * 30000]), partition=partition)
        p = c.fetch(topic, 1, max_bytes=1, partition_bytes=1)
        whole = rk.batches_of(p["Records"])
        expect((1, 1), (len(whole), whole[0]["base_offset"]), "the first batch comes whole")
        p = c.fetch(topic, 0, partition_bytes=65000)
        expect([0, 1], [b["base_offset"] for b in rk.batches_of(p["Records"])], "two fit")
        assert len(p["Records"]) <= 65000, "not more than asked for"
        request = {"ReplicaId": -1, "MaxWaitMs": 500, "MinBytes": 1, "MaxBytes": 1000, "SessionEpoch": -1, "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": i, "FetchOffset": 0, "CurrentLeaderEpoch": -1,
                                             "PartitionMaxBytes": 1000} for i in (1, 0)]}]}
        parts = c.call("Fetch", 11, request)["Responses"][0]["Partitions"]
        expect([1, 0], [x["PartitionIndex"] for x in parts], "request order")
        expect([1, 0], [len(rk.batches_of(x["Records"] or b"")) for x in parts], "only the first is over the limit")


@scenario("fetch-middle-of-batch")
def middle(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        c.produce(topic, rk.batch([b"%d" % i for i in range(10)]))
        c.produce(topic, rk.batch([b"%d" % i for i in range(10, 20)]))
        for offset, bases in ((0, [0, 10]), (7, [0, 10]), (9, [0, 10]), (10, [10]), (19, [10])):
            got = rk.batches_of(c.fetch(topic, offset)["Records"])
            expect(bases, [b["base_offset"] for b in got], f"from {offset}")


@scenario("fetch-long-poll")
def long_poll(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c, ctx.broker.connect() as other:
        started = time.monotonic()
        expect(0, c.fetch(topic, 0, wait_ms=300)["ErrorCode"], "nothing there")
        assert 0.25 < time.monotonic() - started < 3, "waits about as long as asked"
        assert least_seconds(lambda: c.fetch(topic, 0, wait_ms=0)) < 0.25, "a wait of 0 answers at once"
        for i in range(5):
            c.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 15000, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionEpoch": -1,
                                 "Topics": [{"Topic": topic, "Partitions": [
                                     {"Partition": 0, "FetchOffset": i, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1 << 20}]}]})
            other.produce(topic, rk.batch([b"wake"]))
            started = time.monotonic()
            p = c.receive("Fetch", 11)["Responses"][0]["Partitions"][0]
            assert time.monotonic() - started < 5, "woken by the record"
            expect([i], [b["base_offset"] for b in rk.batches_of(p["Records"])], "the record")
        # Below MinBytes the answer waits; two batches together reach it.
        c.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 15000, "MinBytes": 20000, "MaxBytes": 1 << 20, "SessionEpoch": -1,
                             "Topics": [{"Topic": topic, "Partitions": [
                                 {"Partition": 0, "FetchOffset": 5, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1 << 20}]}]})
        other.produce(topic, rk.batch([b"x" * 15000]))
        other.produce(topic, rk.batch([b"x" * 15000]))
        p = c.receive("Fetch", 11)["Responses"][0]["Partitions"][0]
        expect([5, 6], [b["base_offset"] for b in rk.batches_of(p["Records"])], "both batches at once")


@scenario("fetch-read-committed")
def read_committed(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        c.produce(topic, rk.batch([b"x"]))
        p = c.fetch(topic, 0, isolation=1)
        expect((0, 1, []), (p["ErrorCode"], p["LastStableOffset"], p["AbortedTransactions"]), "read committed")
        expect(None, c.fetch(topic, 0)["AbortedTransactions"], "read uncommitted has null")


class Session:
    """A fetch session as a client has it: what is asked, what is heard."""

    def __init__(self, c, version, topics):
        self.c, self.version, self.ident, self.epoch = c, version, 0, 0
        self.ids = {t: topic_id(c, t) for t in topics} if version >= 13 else {}

    def named(self, name):
        return {"TopicId": self.ids[name]} if self.version >= 13 else {"Topic": name}

    def call(self, offsets, forget=(), wait=0, ident=None, epoch=None, c=None, bytes_max=1 << 20, advance=True):
        """offsets: {(topic, partition): offset}. The answer, with `told`: {(topic, partition): base offsets, or an error}."""
        topics = {}
        for (name, index), offset in offsets.items():
            topics.setdefault(name, []).append({"Partition": index, "FetchOffset": offset, "CurrentLeaderEpoch": -1,
                                                "PartitionMaxBytes": bytes_max})
        gone = {}
        for name, index in forget:
            gone.setdefault(name, []).append(index)
        answer = (c or self.c).call("Fetch", self.version, {
            "ReplicaId": -1, "MaxWaitMs": wait, "MinBytes": 1, "MaxBytes": bytes_max,
            "SessionId": self.ident if ident is None else ident, "SessionEpoch": self.epoch if epoch is None else epoch,
            "Topics": [{**self.named(n), "Partitions": p} for n, p in topics.items()],
            "ForgottenTopicsData": [{**self.named(n), "Partitions": p} for n, p in gone.items()]})
        names = {v: k for k, v in self.ids.items()}
        answer["told"] = {(names[t["TopicId"]] if self.version >= 13 else t["Topic"], p["PartitionIndex"]):
                          p["ErrorCode"] or [b["base_offset"] for b in rk.batches_of(p["Records"] or b"")]
                          for t in answer["Responses"] for p in t["Partitions"]}
        if answer["ErrorCode"] == 0 and advance:
            self.ident, self.epoch = answer["SessionId"], self.epoch + 1
        return answer


@scenario("fetch-session-every-version")
def session(ctx):
    """What changes is said, what is not news is left out, and no record is missed."""
    a, b = ctx.topic(2), ctx.topic()
    with ctx.broker.connect() as c:
        sent = {(a, 0): 0, (a, 1): 0, (b, 0): 0}
        for (topic, index) in sent:
            c.produce(topic, rk.batch([b"x"]), partition=index)
        for v in versions(c, "Fetch"):
            ends = {key: c.list_offset(key[0], -1, key[1])["Offset"] for key in sent}
            if v < 7:
                continue
            s = Session(c, v, (a, b))
            # Some reads are checked on the disk first, and with no time for that are empty.
            first = s.call({key: end - 1 for key, end in ends.items()}, wait=1000)
            expect({key: [end - 1] for key, end in ends.items()}, first["told"], f"v{v} a full fetch")
            assert first["SessionId"] > 0, f"v{v} a session"
            expect({}, s.call(ends)["told"], f"v{v} nothing new")
            expect({}, s.call({}, wait=50)["told"], f"v{v} nothing new after a while")
            c.produce(a, rk.batch([b"y"]), partition=1)
            third = s.call({}, wait=5000)
            expect({(a, 1): [ends[a, 1]]}, third["told"], f"v{v} only what is new")
            expect(s.ident, third["SessionId"], f"v{v} the same session")
            expect({(a, 1): [ends[a, 1]]}, s.call({}, wait=1000)["told"], f"v{v} as long as it is asked for")
            ends[a, 1] += 1
            expect({}, s.call({(a, 1): ends[a, 1]})["told"], f"v{v} moved on")
            # What is forgotten is not told any more.
            expect({}, s.call({}, forget=[(b, 0), (a, 0)])["told"], f"v{v} forget")
            for topic, index in sent:
                c.produce(topic, rk.batch([b"z"]), partition=index)
            expect({(a, 1): [ends[a, 1]]}, s.call({}, wait=1000)["told"], f"v{v} two are forgotten")
            again = s.call({(b, 0): ends[b, 0]}, wait=1000)
            expect({(a, 1): [ends[a, 1]], (b, 0): [ends[b, 0]]}, again["told"], f"v{v} asked again")
            # Nothing is left: the session ends.
            last = s.call({}, forget=[(a, 1), (b, 0)])
            expect((0, 0, {}), (last["ErrorCode"], last["SessionId"], last["told"]), f"v{v} an empty session")
            expect(70, s.call({}, ident=third["SessionId"])["ErrorCode"], f"v{v} has ended")


@scenario("fetch-session-errors")
def session_errors(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        c.produce(topic, rk.batch([b"x"]))
        for v in (11, 12, 13):
            s = Session(c, v, [topic])
            s.call({(topic, 0): 0})
            wrong = s.call({}, epoch=9)
            expect((71, 0, {}), (wrong["ErrorCode"], wrong["SessionId"], wrong["told"]), f"v{v} wrong epoch")
            unknown = s.call({}, ident=s.ident ^ 1)
            expect((70, 0, {}), (unknown["ErrorCode"], unknown["SessionId"], unknown["told"]), f"v{v} unknown")
            extremes = [-2147483648, 2147483647] if ctx.broker.kind == "millrace" else []  # Apache Kafka 4.3.1 answers -1
            for ident in [-5] + extremes:
                expect(70, s.call({}, ident=ident)["ErrorCode"], f"v{v} id {ident}")
            expect(70, s.call({}, ident=0, epoch=1)["ErrorCode"], f"v{v} id 0 goes on")
            expect(71, s.call({}, epoch=-2)["ErrorCode"], f"v{v} epoch -2")
            expect({(topic, 0): [0]}, s.call({})["told"], f"v{v} it has suffered none of it")
            # One that reads by name cannot go on by id, nor the other way round.
            other = Session(c, 12 if v == 13 else 13, [topic])
            other.ident, other.epoch = s.ident, s.epoch
            expect(106, other.call({})["ErrorCode"], f"v{v} the other way of naming")
            # A new one in the place of the old one, and one that wants none any more.
            old = s.ident
            s.epoch = 0
            fresh = s.call({(topic, 0): 1})
            assert fresh["ErrorCode"] == 0 and fresh["SessionId"] not in (0, old), fresh["SessionId"]
            expect(70, s.call({}, ident=old, epoch=3)["ErrorCode"], f"v{v} the old one has ended")
            bye = s.call({(topic, 0): 0}, epoch=-1, advance=False)
            expect((0, 0, {(topic, 0): [0]}), (bye["ErrorCode"], bye["SessionId"], bye["told"]), f"v{v} a last full fetch")
            expect(70, s.call({}, epoch=1)["ErrorCode"], f"v{v} it has ended")


@scenario("fetch-session-partition-errors")
def session_partition_errors(ctx):
    """A partition with an error is told each time, keeps nobody else from being read, and comes back when it can."""
    topic, late = ctx.topic(), ctx.name("late")
    with ctx.broker.connect() as c:
        c.produce(topic, rk.batch([b"x"]))
        for v in (7, 11, 12):
            s = Session(c, v, ())
            missing = late if v == 12 else ctx.name("none")
            expect({(topic, 0): [0], (topic, 7): 3, (missing, 0): 3},
                   s.call({(topic, 0): 0, (topic, 7): 0, (missing, 0): 0})["told"], f"v{v}")
            assert s.ident > 0, "a session"
            expect({(topic, 7): 3, (missing, 0): 3}, s.call({(topic, 0): 1})["told"], f"v{v} again, at once")
            expect({(topic, 0): 1, (topic, 7): 3, (missing, 0): 3}, s.call({(topic, 0): 99})["told"], f"v{v} out of range")
            expect({(topic, 0): [], (missing, 0): 3}, s.call({(topic, 0): 1}, forget=[(topic, 7)])["told"], f"v{v} well again")
            expect({(missing, 0): 3}, s.call({})["told"], f"v{v} and that was the news")
        c.create_topic(late)
        c.wait_for_topic(late)
        expect({(late, 0): []}, s.call({})["told"], "the topic is there now")
        expect({}, s.call({})["told"], "and there is nothing in it")


@scenario("fetch-session-is-fair")
def session_fair(ctx):
    """With room for one partition in an answer each of them has its turn."""
    topic = ctx.topic(4)
    with ctx.broker.connect() as c:
        for i in range(4):
            c.produce(topic, rk.batch([b"x" * 1000]), partition=i)
        s = Session(c, 12, ())
        offsets = {(topic, i): 0 for i in range(4)}
        s.call(offsets, bytes_max=1000)
        seen = []
        for _ in range(4):
            seen += [key for key, told in s.call({}, bytes_max=1000)["told"].items() if told]
        expect(sorted(offsets), sorted(seen), "each once")


# ---- ListOffsets, configs, cluster

@scenario("list-offsets-every-version")
def list_offsets_every(ctx):
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        for i in range(3):
            c.produce(topic, rk.batch([b"a", b"b"], timestamp=1000 + i * 100))
        for v in versions(c, "ListOffsets"):
            def ask(timestamp, partition=0):
                p = c.list_offset(topic, timestamp, partition, version=v)
                return p["ErrorCode"], p["Timestamp"], p["Offset"]
            expect((0, -1, 6), ask(-1), f"v{v} latest")
            expect((0, -1, 0), ask(-2), f"v{v} earliest")
            expect((0, 1100, 2), ask(1100), f"v{v} exact")
            expect((0, 1200, 4), ask(1101), f"v{v} next")
            expect((0, 1000, 0), ask(0), f"v{v} before all")
            expect((0, -1, -1), ask(1201), f"v{v} after all")
            expect(rk.UNKNOWN_TOPIC_OR_PARTITION, ask(-1, 8)[0], f"v{v} partition")
            for special, since in ((-3, 7), (-4, 8), (-5, 9), (-6, 11)):
                error, timestamp, offset = ask(special)
                if v < since:
                    expect(rk.UNSUPPORTED_VERSION, error, f"v{v} {special}")
                elif special == -3:
                    expect((0, 1200, 4), (error, timestamp, offset), f"v{v} max timestamp")
                elif special == -4:
                    expect((0, 0), (error, offset), f"v{v} local start")
        twice = {"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}
        answer = c.call("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": 0,
                                           "Topics": [{"Name": topic, "Partitions": [twice, twice]}]})
        expect({rk.INVALID_REQUEST}, {p["ErrorCode"] for p in answer["Topics"][0]["Partitions"]}, "the same partition twice")


@scenario("describe-cluster-every-version")
def describe_cluster(ctx):
    with ctx.broker.connect() as c:
        for v in versions(c, "DescribeCluster"):
            a = c.call("DescribeCluster", v, {})
            host, port = ctx.broker.address.split(":")
            expect((0, [(host, int(port))]), (a["ErrorCode"], [(b["Host"], b["Port"]) for b in a["Brokers"]]), f"v{v}")
            assert a["ClusterId"] and a["ControllerId"] >= 0


@scenario("authorized-operations")
def operations(ctx):
    """Where nobody forbids anything everything is allowed; told only to those who ask."""
    topic = ctx.topic()
    with ctx.broker.connect() as c:
        def metadata(v, **more):
            return c.call("Metadata", v, {"Topics": [{"Name": topic}, {"Name": ctx.name("none")}], "AllowAutoTopicCreation": False, **more})
        for asked, expected in ((True, {"topic": 3576, "none": 3576, "cluster": 8096}), (False, dict.fromkeys(("topic", "none", "cluster"), NONE))):
            for v in range(8, 14):
                flags = {"IncludeTopicAuthorizedOperations": asked, **({"IncludeClusterAuthorizedOperations": asked} if v < 11 else {})}
                a = metadata(v, **flags)
                got = {"topic" if t["Name"] == topic else "none": t["TopicAuthorizedOperations"] for t in a["Topics"]}
                expect({**expected, **({} if v < 11 else {"cluster": None})},
                       {**got, "cluster": a["ClusterAuthorizedOperations"] if v < 11 else None}, f"Metadata v{v}, asked: {asked}")
            for v in versions(c, "DescribeCluster"):
                a = c.call("DescribeCluster", v, {"IncludeClusterAuthorizedOperations": asked})
                expect(expected["cluster"], a["ClusterAuthorizedOperations"], f"DescribeCluster v{v}, asked: {asked}")


@scenario("describe-configs-every-version")
def describe_configs(ctx):
    topic = ctx.topic(configs={"retention.ms": "5000"})
    with ctx.broker.connect() as c:
        for v in versions(c, "DescribeConfigs"):
            def ask(name, keys, **more):
                return c.call("DescribeConfigs", v, {"Resources": [
                    {"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": keys}], **more})["Results"][0]
            everything = ask(topic, None)
            expect(0, everything["ErrorCode"], f"v{v}")
            values = {x["Name"]: x for x in everything["Configs"]}
            expect("5000", values["retention.ms"]["Value"], f"v{v}")
            assert len(values) > 20, f"only {len(values)} configs"
            expect({"retention.ms"}, {x["Name"] for x in ask(topic, ["retention.ms", "no.such"])["Configs"]}, f"v{v} chosen keys")
            expect(rk.UNKNOWN_TOPIC_OR_PARTITION, ask(ctx.name("none"), None)["ErrorCode"], f"v{v} unknown topic")
            expect((1, 5), (values["retention.ms"]["ConfigSource"], values["flush.ms"]["ConfigSource"]), f"v{v} sources")
            chain = {x["Name"]: x for x in ask(topic, ["retention.ms"], IncludeSynonyms=True)["Configs"]}
            expect("retention.ms", chain["retention.ms"]["Synonyms"][0]["Name"], f"v{v} synonyms")


@scenario("offset-for-leader-epoch")
def leader_epochs(ctx):
    """Where an epoch ends, before and after a restart; a consumer asks this before it goes on."""
    topic = ctx.topic()

    def ask(c, epoch, current=-1, partition=0, version=3):
        answer = c.call("OffsetForLeaderEpoch", version, {"ReplicaId": -1, "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": partition, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]}]})
        p = answer["Topics"][0]["Partitions"][0]
        return p["ErrorCode"], p["LeaderEpoch"], p["EndOffset"]

    def now(c):
        return c.wait_for_topic(topic)["Partitions"][0]["LeaderEpoch"]
    with ctx.broker.connect() as c:
        first = now(c)
        for _ in range(3):
            c.produce(topic, rk.batch([b"x"]))
        for v in versions(c, "OffsetForLeaderEpoch"):
            expect((0, first, 3), ask(c, first, version=v), f"v{v}")
        expect((0, -1, -1), ask(c, first + 5), "an epoch to come")
        expect(rk.UNKNOWN_TOPIC_OR_PARTITION, ask(c, first, partition=9)[0], "partition")
        expect(rk.UNKNOWN_LEADER_EPOCH, ask(c, first, current=first + 1)[0], "newer than ours")
    ctx.broker.restart("kill")
    with ctx.broker.connect() as c:
        second = now(c)
        assert second > first, "a restart is a new epoch"
        expect((0, first, 3), ask(c, first, current=second), "the old epoch ends where it ended")
        expect(3, ask(c, second, current=second)[2], "the new one is empty")
        expect(rk.FENCED_LEADER_EPOCH, ask(c, first, current=first)[0], "asked with the old epoch")
        for _ in range(2):
            expect(0, c.produce(topic, rk.batch([b"y"]))["ErrorCode"], "produce")
        expect((0, first, 3), ask(c, first), "the old epoch still ends there")
        expect((0, second, 5), ask(c, second), "the new one has grown")


@scenario("produce-to-internal-topic")
def internal(ctx):
    with ctx.broker.connect() as c:
        code = c.create_topic("__consumer_offsets", check=False)
        if code == 0:
            c.wait_for_topic("__consumer_offsets")
        p = c.produce("__consumer_offsets", rk.batch([b"x"], keys=[b"k"]))
        assert code != 0 or p["ErrorCode"] == rk.INVALID_TOPIC_EXCEPTION, (code, p["ErrorCode"])
        assert p["ErrorCode"] != 0, "a client wrote to an internal topic"
