"""Settings of topics and brokers over the wire: IncrementalAlterConfigs, AlterConfigs, DescribeConfigs, ListConfigResources.

Raw frames with one expectation for Apache Kafka and for us, so that what differs shows itself. A change is asked for until it
is seen: Apache Kafka's brokers learn of it a little after the answer, ours before it. What differs on purpose:
- Apache Kafka takes broker options that it has never heard of and calls them sensitive. We refuse what has no effect.
- Client metrics, and the configs of share and streams groups, belong to what is not served yet: refused here (`only` on each
  scenario).
- An operation that does not exist is UNKNOWN_SERVER_ERROR there, INVALID_REQUEST here.
- A resource that stands twice in AlterConfigs is never answered by Apache Kafka 4.3.1.
- Apache Kafka has a cluster-wide min.insync.replicas from the start (its eligible leader replicas).
"""
import rawkafka as rk
from harness import Suite, wait_until
from suite_groups import coordinator
from suite_groups848 import Consumer
from suite_raw import topic_id

SUITE = Suite("configs", "raw frames")
scenario = SUITE.scenario
SET, DELETE, APPEND, SUBTRACT = range(4)
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
OF_TOPIC, OF_BROKER, OF_ALL, STATIC, DEFAULT = 1, 2, 3, 4, 5
INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC = rk.INVALID_CONFIG, rk.INVALID_REQUEST, rk.UNKNOWN_TOPIC_OR_PARTITION


def expect(expected, got, what):
    assert expected == got, f"{what}: expected {expected!r}, got {got!r}"


class Admin:
    """A connection with the calls of this suite; answers as lists of error codes."""

    def __init__(self, ctx):
        self.ctx, self.c = ctx, ctx.broker.connect()
        self.node = str(self.c.call("Metadata", 9, {"Topics": []})["Brokers"][0]["NodeId"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.c.close()

    def incremental(self, resources, validate=False, version=1):
        """[(type, name, [(key, operation, value)])] -> {(type, name): codes}"""
        answer = self.c.call("IncrementalAlterConfigs", version, {"ValidateOnly": validate, "Resources": [
            {"ResourceType": t, "ResourceName": n, "Configs": [
                {"Name": k, "ConfigOperation": op, "Value": v} for k, op, v in changes]} for t, n, changes in resources]})
        return codes(answer)

    def replace(self, resources, validate=False, version=2):
        answer = self.c.call("AlterConfigs", version, {"ValidateOnly": validate, "Resources": [
            {"ResourceType": t, "ResourceName": n, "Configs": [{"Name": k, "Value": v} for k, v in values]}
            for t, n, values in resources]})
        return codes(answer)

    def alter(self, topic, *changes, **more):
        return self.incremental([(TOPIC, topic, changes)], **more)[(TOPIC, topic)][0]

    def describe(self, kind, name, keys=None, version=4, synonyms=True):
        answer = self.c.call("DescribeConfigs", version, {"IncludeSynonyms": synonyms, "Resources": [
            {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}]})["Results"][0]
        return answer["ErrorCode"], {e["Name"]: e for e in answer["Configs"]}

    def own(self, topic):
        return {k: e["Value"] for k, e in self.describe(TOPIC, topic)[1].items() if e["ConfigSource"] == OF_TOPIC}

    def dynamic(self, name):
        """What was set for a broker, or for all, but for what Apache Kafka sets itself."""
        wanted = OF_ALL if name == "" else OF_BROKER
        return {k: e["Value"] for k, e in self.describe(BROKER, name)[1].items()
                if e["ConfigSource"] == wanted and k != "min.insync.replicas"}

    def becomes(self, expected, look, what):
        wait_until(lambda: look() == expected, 10, f"{what}: {expected!r}, not {look()!r}")


def codes(answer):
    found = {}
    for one in answer["Responses"]:
        found.setdefault((one["ResourceType"], one["ResourceName"]), []).append(one["ErrorCode"])
    return found


@scenario("every-version")
def every_version(ctx):
    with Admin(ctx) as a:
        offered = {k["ApiKey"]: (k["MinVersion"], k["MaxVersion"]) for k in a.c.call("ApiVersions", 3, {
            "ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})["ApiKeys"]}
        expect([(1, 4), (0, 2), (0, 1), (0, 1)], [offered.get(k) for k in (32, 33, 44, 74)], "ranges")
        topic = ctx.topic()
        for v in (0, 1):
            expect(0, a.alter(topic, ("retention.ms", SET, str(1000 + v)), version=v), f"v{v}")
            a.becomes({"retention.ms": str(1000 + v)}, lambda: a.own(topic), f"incremental v{v}")
        for v in (0, 1, 2):
            expect({(TOPIC, topic): [0]}, a.replace([(TOPIC, topic, [("flush.ms", str(10 + v))])], version=v), f"v{v}")
            a.becomes({"flush.ms": str(10 + v)}, lambda: a.own(topic), f"replaced v{v}")
        for v in (1, 2, 3, 4):
            code, entries = a.describe(TOPIC, topic, ["flush.ms"], version=v)
            expect((0, "12", OF_TOPIC), (code, entries["flush.ms"]["Value"], entries["flush.ms"]["ConfigSource"]), f"v{v}")


# In order, each on top of what the one before left: changes, error, what the topic then sets itself.
STEPS = [
    ([("retention.ms", SET, " 1001 ")], 0, {"retention.ms": "1001"}),
    ([("retention.ms", SET, "x")], INVALID_CONFIG, {"retention.ms": "1001"}),
    ([("retention.ms", SET, "-2")], INVALID_CONFIG, {"retention.ms": "1001"}),
    ([("retention.ms", SET, None)], INVALID_REQUEST, {"retention.ms": "1001"}),
    ([("nope", SET, "1")], INVALID_CONFIG, {"retention.ms": "1001"}),
    ([("nope", DELETE, None)], 0, {"retention.ms": "1001"}),
    ([("retention.ms", SET, "5"), ("retention.ms", DELETE, None)], INVALID_REQUEST, {"retention.ms": "1001"}),
    ([], 0, {"retention.ms": "1001"}),
    ([("retention.ms", APPEND, "1")], INVALID_CONFIG, {"retention.ms": "1001"}),
    ([("retention.ms", SUBTRACT, "1")], INVALID_CONFIG, {"retention.ms": "1001"}),
    ([("retention.ms", SET, "77"), ("segment.bytes", SET, "x")], INVALID_CONFIG, {"retention.ms": "1001"}),
    ([("retention.ms", DELETE, "junk")], 0, {}),
    ([("retention.ms", DELETE, None)], 0, {}),
    ([("cleanup.policy", APPEND, None)], INVALID_REQUEST, {}),
    ([("cleanup.policy", APPEND, "compact")], 0, {"cleanup.policy": "delete,compact"}),
    ([("cleanup.policy", APPEND, "delete,compact")], 0, {"cleanup.policy": "delete,compact"}),
    ([("cleanup.policy", SUBTRACT, "compact")], 0, {"cleanup.policy": "delete"}),
    ([("cleanup.policy", SUBTRACT, "compact")], 0, {"cleanup.policy": "delete"}),
    ([("cleanup.policy", SUBTRACT, "delete")], 0, {"cleanup.policy": ""}),
    ([("cleanup.policy", APPEND, "foo")], INVALID_CONFIG, {"cleanup.policy": ""}),
    ([("cleanup.policy", SUBTRACT, "foo")], 0, {"cleanup.policy": ""}),
    ([("cleanup.policy", SET, "delete,delete")], 0, {"cleanup.policy": "delete"}),
    ([("cleanup.policy", SET, "")], 0, {"cleanup.policy": ""}),
    ([("cleanup.policy", APPEND, "")], 0, {"cleanup.policy": ""}),
    ([("cleanup.policy", APPEND, "delete")], 0, {"cleanup.policy": "delete"}),
    ([("cleanup.policy", DELETE, None)], 0, {}),
    ([("cleanup.policy", SUBTRACT, "delete")], 0, {"cleanup.policy": ""}),
    ([("cleanup.policy", DELETE, None)], 0, {}),
    ([("leader.replication.throttled.replicas", APPEND, "0:1")], 0, {"leader.replication.throttled.replicas": "0:1"}),
    ([("leader.replication.throttled.replicas", APPEND, "zz")], INVALID_CONFIG, {"leader.replication.throttled.replicas": "0:1"}),
    ([("leader.replication.throttled.replicas", DELETE, None)], 0, {}),
    ([("segment.bytes", SET, "100")], INVALID_CONFIG, {}),
    ([("min.compaction.lag.ms", SET, "100"), ("max.compaction.lag.ms", SET, "10")], INVALID_CONFIG, {}),
    ([("min.compaction.lag.ms", SET, "100")], 0, {"min.compaction.lag.ms": "100"}),
    ([("max.compaction.lag.ms", SET, "10")], INVALID_CONFIG, {"min.compaction.lag.ms": "100"}),
    ([("remote.storage.enable", SET, "true")], INVALID_CONFIG, {"min.compaction.lag.ms": "100"}),
    ([("message.format.version", SET, "2.8")], INVALID_CONFIG, {"min.compaction.lag.ms": "100"}),
]


@scenario("set-delete-append-subtract")
def operations(ctx):
    topic = ctx.topic()
    with Admin(ctx) as a:
        for n, (changes, error, after) in enumerate(STEPS):
            expect(error, a.alter(topic, *changes, validate=True), f"step {n} {changes}, looked at only")
            expect(error, a.alter(topic, *changes), f"step {n} {changes}")
            a.becomes(after, lambda after=after: a.own(topic), f"step {n} {changes}")


@scenario("validate-only-changes-nothing")
def validate_only(ctx):
    topic = ctx.topic(configs={"flush.ms": "5"})
    with Admin(ctx) as a:
        expect(0, a.alter(topic, ("retention.ms", SET, "9"), validate=True), "incremental")
        expect([0], a.replace([(TOPIC, topic, [("retention.ms", "9")])], validate=True)[(TOPIC, topic)], "replace")
        # Something that is seen afterwards has overtaken nothing.
        expect(0, a.alter(topic, ("flush.messages", SET, "7")), "set")
        a.becomes({"flush.ms": "5", "flush.messages": "7"}, lambda: a.own(topic), "what is set")


@scenario("replace-the-whole-set")
def replace(ctx):
    topic = ctx.topic(configs={"retention.ms": "5"})
    with Admin(ctx) as a:
        def ask(*values):
            return a.replace([(TOPIC, topic, values)])[(TOPIC, topic)][0]
        expect(0, ask(("flush.ms", "123")), "one")
        a.becomes({"flush.ms": "123"}, lambda: a.own(topic), "one")
        for values, error in (((("flush.ms", "x"),), INVALID_CONFIG), ((("zz", "x"),), INVALID_CONFIG),
                              ((("flush.ms", None),), INVALID_REQUEST),
                              ((("flush.ms", "1"), ("flush.ms", "2")), INVALID_REQUEST)):
            expect(error, ask(*values), f"{values}")
        expect(0, ask(), "nothing")
        a.becomes({}, lambda: a.own(topic), "nothing")


@scenario("an-error-for-each-resource")
def per_resource(ctx):
    first, second, none = ctx.topic(), ctx.topic(), ctx.name("none")
    with Admin(ctx) as a:
        got = a.incremental([(TOPIC, first, [("retention.ms", SET, "bad")]), (TOPIC, second, [("retention.ms", SET, "7")]),
                             (TOPIC, none, [("retention.ms", SET, "7")]), (TOPIC, "a b", [("retention.ms", SET, "7")]),
                             (TOPIC, "", [("retention.ms", SET, "7")]), (3, "x", [("a", SET, "b")]),
                             (64, "x", [("a", SET, "b")]), (0, "x", [("a", SET, "b")])])
        expect({(TOPIC, first): [INVALID_CONFIG], (TOPIC, second): [0], (TOPIC, none): [UNKNOWN_TOPIC],
                (TOPIC, "a b"): [rk.INVALID_TOPIC_EXCEPTION], (TOPIC, ""): [INVALID_REQUEST], (3, "x"): [INVALID_REQUEST],
                (64, "x"): [INVALID_REQUEST], (0, "x"): [INVALID_REQUEST]}, got, "errors")
        a.becomes({"retention.ms": "7"}, lambda: a.own(second), "the others apply")
        expect({}, a.own(first), "the wrong one")
        twice = a.incremental([(TOPIC, first, [("retention.ms", SET, "1")]), (TOPIC, first, [("retention.ms", SET, "2")]),
                               (TOPIC, second, [("retention.ms", SET, "3")])])
        expect({(TOPIC, first): [INVALID_REQUEST] * 2, (TOPIC, second): [0]}, twice, "one that stands there twice")
        a.becomes({"retention.ms": "3"}, lambda: a.own(second), "the others apply")
        expect({}, a.own(first), "the one that stood there twice")
        expect({(TOPIC, none): [UNKNOWN_TOPIC]}, a.replace([(TOPIC, none, [("flush.ms", "7")])]), "replace an unknown one")
        if ctx.broker.kind == "millrace":
            got = a.replace([(TOPIC, first, [("flush.ms", "1")]), (TOPIC, first, [("flush.ms", "2")])])
            expect({(TOPIC, first): [INVALID_REQUEST] * 2}, got, "replaced twice")
            expect({(TOPIC, first): [INVALID_REQUEST]}, a.incremental([(TOPIC, first, [("flush.ms", 9, "1")])]), "operation 9")


def produce(c, topic, key=b"k"):
    return c.produce(topic, rk.batch([b"v" * 500], keys=[key]), version=8)


@scenario("hold-for-the-next-append")
def live(ctx):
    """What is open obeys a change: the size limit, whose clock stamps, whether keys are needed."""
    topic = ctx.topic()
    with Admin(ctx) as a:
        def outcome(**more):
            return produce(a.c, topic, **more)
        expect(0, outcome()["ErrorCode"], "before")
        expect(0, a.alter(topic, ("max.message.bytes", SET, "300")), "smaller")
        wait_until(lambda: outcome()["ErrorCode"] == rk.MESSAGE_TOO_LARGE, 10, "the limit holds")
        expect(0, a.alter(topic, ("max.message.bytes", DELETE, None), ("message.timestamp.type", SET, "LogAppendTime")), "time")
        wait_until(lambda: outcome()["LogAppendTimeMs"] > 0, 10, "the broker stamps")
        expect(0, a.alter(topic, ("message.timestamp.type", DELETE, None), ("cleanup.policy", SET, "compact")), "compact")
        wait_until(lambda: outcome(key=None)["ErrorCode"] == rk.INVALID_RECORD, 10, "keys are needed")
        expect(0, outcome()["ErrorCode"], "with a key")
        expect(0, a.alter(topic, ("cleanup.policy", DELETE, None)), "as before")
        wait_until(lambda: outcome(key=None)["ErrorCode"] == 0, 10, "keys are not needed")


@scenario("stay-over-restarts")
def stay(ctx):
    topic = ctx.topic(2)
    with Admin(ctx) as a:
        expect(0, a.alter(topic, ("max.message.bytes", SET, "300"), ("cleanup.policy", SET, "compact,delete")), "set")
        expect({(BROKER, ""): [0]}, a.incremental([(BROKER, "", [("log.retention.ms", SET, "222")])]), "all")
        expect({(BROKER, a.node): [0]}, a.incremental([(BROKER, a.node, [("log.retention.ms", SET, "333")])]), "one")
        a.becomes({"log.retention.ms": "333"}, lambda: a.dynamic(a.node), "one")
    for how in ("kill", "term"):
        ctx.broker.restart(how)
        with Admin(ctx) as a:
            a.becomes({"max.message.bytes": "300", "cleanup.policy": "compact,delete"}, lambda: a.own(topic), f"after {how}")
            a.becomes({"log.retention.ms": "333"}, lambda: a.dynamic(a.node), f"after {how}")
            a.becomes({"log.retention.ms": "222"}, lambda: a.dynamic(""), f"after {how}")
            expect("333", a.describe(TOPIC, topic, ["retention.ms"])[1]["retention.ms"]["Value"], "the topic inherits it")
            wait_until(lambda: produce(a.c, topic)["ErrorCode"] == rk.MESSAGE_TOO_LARGE, 10, f"holds after {how}")
    with Admin(ctx) as a:
        for name in ("", a.node):
            expect({(BROKER, name): [0]}, a.incremental([(BROKER, name, [("log.retention.ms", DELETE, None)])]), "taken back")
            a.becomes({}, lambda name=name: a.dynamic(name), "taken back")


@scenario("broker-sources-and-synonyms")
def broker_sources(ctx):
    topic = ctx.topic()
    with Admin(ctx) as a:
        def chain(kind, name, key):
            return [(s["Name"], s["Value"], s["Source"]) for s in a.describe(kind, name, [key])[1][key]["Synonyms"]]
        expect({(BROKER, ""): [0]}, a.incremental([(BROKER, "", [("message.max.bytes", SET, "999999"),
                                                                 ("log.retention.ms", SET, "222")])]), "all")
        expect({(BROKER, a.node): [0]}, a.incremental([(BROKER, a.node, [("log.retention.ms", SET, "123456")])]), "one")
        a.becomes({"log.retention.ms": "123456"}, lambda: a.dynamic(a.node), "one")
        a.becomes({"log.retention.ms": "222", "message.max.bytes": "999999"}, lambda: a.dynamic(""), "all")
        expect([("log.retention.ms", "123456", OF_BROKER), ("log.retention.ms", "222", OF_ALL),
                ("log.retention.hours", "168", DEFAULT)], chain(BROKER, a.node, "log.retention.ms"), "of the option")
        expect([("log.retention.ms", "123456", OF_BROKER), ("log.retention.ms", "222", OF_ALL),
                ("log.retention.hours", "168", DEFAULT)], chain(TOPIC, topic, "retention.ms"), "of the topic")
        expect([("log.retention.ms", "222", OF_ALL)], chain(BROKER, "", "log.retention.ms"), "of all")
        expect([("message.max.bytes", "999999", OF_ALL), ("message.max.bytes", "1048588", DEFAULT)],
               chain(TOPIC, topic, "max.message.bytes"), "of the topic's size limit")
        expect(0, a.alter(topic, ("retention.ms", SET, "9")), "its own")
        a.becomes([("retention.ms", "9", OF_TOPIC), ("log.retention.ms", "123456", OF_BROKER), ("log.retention.ms", "222", OF_ALL),
                   ("log.retention.hours", "168", DEFAULT)], lambda: chain(TOPIC, topic, "retention.ms"), "its own")
        expect({(BROKER, a.node): [0]}, a.incremental([(BROKER, a.node, [("log.retention.ms", DELETE, None)])]), "taken back")
        a.becomes({}, lambda: a.dynamic(a.node), "taken back")
        expect({(BROKER, ""): [0]}, a.incremental([(BROKER, "", [("log.retention.ms", DELETE, None),
                                                                 ("message.max.bytes", DELETE, None)])]), "all taken back")
        a.becomes({}, lambda: a.dynamic(""), "all taken back")
        expect([], chain(BROKER, a.node, "log.retention.ms"), "not set")
        value = a.describe(BROKER, a.node, ["log.retention.ms"])[1]["log.retention.ms"]["Value"]
        expect(None, value, "not set")


@scenario("broker-limit-holds-at-once")
def broker_live(ctx):
    topic, own = ctx.topic(), ctx.topic(configs={"max.message.bytes": "100000"})
    with Admin(ctx) as a:
        def size_error(name):
            return produce(a.c, name)["ErrorCode"]
        a.incremental([(BROKER, a.node, [("message.max.bytes", SET, "300")])])
        wait_until(lambda: size_error(topic) == rk.MESSAGE_TOO_LARGE, 10, "the broker's limit holds")
        expect(0, size_error(own), "a topic's own is stronger")
        a.incremental([(BROKER, a.node, [("message.max.bytes", DELETE, None)])])
        wait_until(lambda: size_error(topic) == 0, 10, "taken back")


@scenario("broker-errors")
def broker_errors(ctx):
    with Admin(ctx) as a:
        def error(name, *changes, **more):
            return a.incremental([(BROKER, name, changes)], **more)[(BROKER, name)][0]
        for key, value in (("node.id", "3"), ("num.partitions", "3"), ("auto.create.topics.enable", "false"),
                           ("log.retention.hours", "3"), ("message.max.bytes", "x"), ("message.max.bytes", "-5")):
            for name in (a.node, ""):
                expect(INVALID_REQUEST, error(name, (key, SET, value)), f"{key}={value} of '{name}'")
        for name in ("77", "abc"):
            expect(INVALID_REQUEST, error(name, ("message.max.bytes", SET, "5")), f"broker {name}")
            expect(INVALID_REQUEST, a.describe(BROKER, name)[0], f"broker {name}")
        expect(INVALID_REQUEST, error(a.node, ("message.max.bytes", SET, "5"), ("message.max.bytes", SET, "6")), "twice")
        expect(INVALID_REQUEST, error(a.node, ("message.max.bytes", SET, None)), "null")
        expect(0, error(a.node, ("message.max.bytes", SET, "5555"), validate=True), "validate only")
        expect(0, error(a.node, ("message.max.bytes", DELETE, None)), "absent")
        expect({}, a.dynamic(a.node), "nothing is set")
        if ctx.broker.kind == "millrace":
            for key in ("no.such.option", "num.io.threads", "sasl.enabled.mechanisms"):
                expect(INVALID_REQUEST, error(a.node, (key, SET, "1")), f"{key} has no effect")
        entries = a.describe(BROKER, a.node)[1]
        for key, read_only in (("node.id", True), ("num.partitions", True), ("message.max.bytes", False),
                               ("log.retention.ms", False), ("log.retention.hours", True), ("max.connections", False),
                               ("min.insync.replicas", False), ("log.cleanup.policy", False), ("group.max.size", True)):
            expect(read_only, entries[key]["ReadOnly"], f"{key} is read-only")
            expect(False, entries[key]["IsSensitive"], f"{key} is sensitive")
        expect(STATIC, entries["log.dirs"]["ConfigSource"], "given at the start")


@scenario("broker-logger")
def loggers(ctx):
    with Admin(ctx) as a:
        def error(name, *changes, **more):
            return a.incremental([(LOGGER, name, changes)], **more)[(LOGGER, name)][0]
        code, entries = a.describe(LOGGER, a.node, ["root"])
        expect((0, ["root"], 6, "INFO"), (code, list(entries), entries["root"]["ConfigSource"], entries["root"]["Value"]), "root")
        for name in ("", "77"):
            expect(INVALID_REQUEST, a.describe(LOGGER, name)[0], f"loggers of '{name}'")
        expect(INVALID_CONFIG, error(a.node, ("no.such.logger", SET, "DEBUG")), "unknown logger")
        expect(INVALID_CONFIG, error(a.node, ("root", SET, "LOUD")), "unknown level")
        expect(INVALID_REQUEST, error(a.node, ("root", APPEND, "INFO")), "append")
        expect(INVALID_REQUEST, error(a.node, ("root", DELETE, None)), "delete")
        expect(INVALID_REQUEST, error("77", ("root", SET, "INFO")), "another broker")
        expect({(LOGGER, a.node): [INVALID_REQUEST]}, a.replace([(LOGGER, a.node, [("root", "INFO")])]), "AlterConfigs")
        expect(0, error(a.node, ("root", SET, "WARN"), validate=True), "looked at only")
        expect("INFO", a.describe(LOGGER, a.node, ["root"])[1]["root"]["Value"], "looked at only")
        expect(0, error(a.node, ("root", SET, "WARN")), "set")
        expect("WARN", a.describe(LOGGER, a.node, ["root"])[1]["root"]["Value"], "set")
        expect(0, error(a.node, ("root", SET, "INFO")), "set back")


SESSION, HEARTBEAT, ASSIGNMENT = (f"consumer.{name}.ms" for name in ("session.timeout", "heartbeat.interval", "assignment.interval"))
CONSUMER = (SESSION, HEARTBEAT, ASSIGNMENT)


@scenario("groups")
def groups(ctx):
    group = ctx.name("g")
    with Admin(ctx) as a:
        def error(*changes, **more):
            return a.incremental([(GROUP, group, changes)], **more)[(GROUP, group)][0]

        def values():
            return [a.describe(GROUP, group)[1][name]["Value"] for name in CONSUMER]

        def listed():
            found = a.c.call("ListConfigResources", 1, {"ResourceTypes": [GROUP]})["ConfigResources"]
            return group in [one["ResourceName"] for one in found]
        expect(["45000", "5000", "1000"], values(), "a group that is not there")
        expect(False, listed(), "sets nothing")
        expect(0, error((SESSION, SET, "50000"), validate=True), "looked at only")
        expect(0, error((SESSION, SET, "50000")), "set")
        a.becomes(["50000", "5000", "1000"], values, "set, not only looked at")
        a.becomes(True, listed, "sets something")
        entry = a.describe(GROUP, group, [SESSION])[1][SESSION]
        expect((8, 3, False, [(SESSION, "50000", 8), ("group." + SESSION, "45000", DEFAULT)]), (
            entry["ConfigSource"], entry["ConfigType"], entry["ReadOnly"],
            [(s["Name"], s["Value"], s["Source"]) for s in entry["Synonyms"]]), "where it comes from")
        for name, value in ((SESSION, "1"), (SESSION, "70000"), (SESSION, "x"), (HEARTBEAT, "1000"), (HEARTBEAT, "16000"),
                            (HEARTBEAT, "-1"), (ASSIGNMENT, "-1"), (ASSIGNMENT, "99999999"), ("nope", "1"), ("group." + SESSION, "50000")):
            expect(INVALID_CONFIG, error((name, SET, value)), f"{name}={value}")
        for operation in (APPEND, SUBTRACT):
            expect(INVALID_CONFIG, error((SESSION, operation, "1")), "no list")
        expect(INVALID_REQUEST, error((SESSION, SET, None)), "null")
        expect(INVALID_REQUEST, error((SESSION, SET, "50000"), (SESSION, SET, "51000")), "named twice")
        expect(0, error(("nope", DELETE, None)), "what is not set may be removed")
        expect({(GROUP, ""): [INVALID_REQUEST]}, a.incremental([(GROUP, "", [(SESSION, SET, "50000")])]), "all groups")
        expect(INVALID_REQUEST, a.describe(GROUP, "")[0], "no name")
        expect({(GROUP, group): [0]}, a.replace([(GROUP, group, [(HEARTBEAT, "6000")])]), "replaced")
        a.becomes(["45000", "6000", "1000"], values, "replaced")
        ctx.broker.restart("kill")
    with Admin(ctx) as a:
        a.becomes(["45000", "6000", "1000"], values, "after a crash")
        expect({(GROUP, group): [0]}, a.replace([(GROUP, group, [])]), "everything removed")
        a.becomes(False, listed, "sets nothing any more")


@scenario("what-is-not-served", only="millrace")
def not_served(ctx):
    with Admin(ctx) as a:
        expect((0, {}), a.describe(METRICS, "m"), "nothing is subscribed to")
        expect(INVALID_REQUEST, a.describe(METRICS, "")[0], "no name")
        expect(set(CONSUMER), set(a.describe(GROUP, "g")[1]), "of consumer groups only")
        expect({(GROUP, "g"): [INVALID_CONFIG], (METRICS, "m"): [INVALID_REQUEST]}, a.incremental(
            [(GROUP, "g", [("share.session.timeout.ms", SET, "45000")]), (METRICS, "m", [("interval.ms", SET, "1000")])]),
            "refused")
        expect({(GROUP, "g" * 1025): [rk.INVALID_GROUP_ID]}, a.incremental(
            [(GROUP, "g" * 1025, [(SESSION, SET, "50000")])]), "a name that is too long")


@scenario("groups-obey-at-once")
def groups_obey(ctx):
    """What a group sets is told with the next heartbeat."""
    topic, group = ctx.topic(), ctx.name("g")
    with Admin(ctx) as a:
        coordinator(ctx, a.c, group)
        consumer = Consumer(a.c, group, "m", topic, topic_id(a.c, topic))
        consumer.join()
        consumer.until_has(1)

        def interval():
            return consumer.send(TopicPartitions=consumer.parts(consumer.has))["HeartbeatIntervalMs"]
        expect(5000, interval(), "the broker's")
        expect({(GROUP, group): [0]}, a.replace([(GROUP, group, [(HEARTBEAT, "7000")])]), "set")
        a.becomes(7000, interval, "the group's")
        expect({(GROUP, group): [0]}, a.replace([(GROUP, group, [])]), "removed")
        a.becomes(5000, interval, "the broker's again")


@scenario("describe-edges")
def describe_edges(ctx):
    topic = ctx.topic()
    with Admin(ctx) as a:
        everything = a.describe(TOPIC, topic)[1]
        expect(set(everything), set(a.describe(TOPIC, topic, [])[1]), "an empty list of keys means all")
        expect({"flush.ms"}, set(a.describe(TOPIC, topic, ["flush.ms", "nope"])[1]), "chosen keys")
        expect(UNKNOWN_TOPIC, a.describe(TOPIC, ctx.name("none"))[0], "unknown topic")
        for name in ("a b", ""):
            expect(rk.INVALID_TOPIC_EXCEPTION, a.describe(TOPIC, name)[0], f"'{name}'")
        for kind in (0, 1, 64):
            expect(INVALID_REQUEST, a.describe(kind, "x")[0], f"type {kind}")
        answer = a.c.call("DescribeConfigs", 4, {"Resources": [
            {"ResourceType": TOPIC, "ResourceName": topic, "ConfigurationKeys": ["flush.ms"]}] * 2})["Results"]
        expect([(0, 1), (0, 1)], [(r["ErrorCode"], len(r["Configs"])) for r in answer], "one that is asked for twice")


@scenario("topic-configs-are-kafkas")
def all_topic_configs(ctx):
    """Every topic config there is, with its type and flags."""
    topic = ctx.topic()
    kinds = {1: "boolean", 2: "string", 3: "int", 5: "long", 6: "double", 7: "list"}
    with Admin(ctx) as a:
        got = {k: kinds[e["ConfigType"]] for k, e in a.describe(TOPIC, topic)[1].items()}
        assert not any(e["ReadOnly"] or e["IsSensitive"] for e in a.describe(TOPIC, topic)[1].values())
    for key, kind in {"cleanup.policy": "list", "compression.type": "string", "flush.messages": "long", "preallocate": "boolean",
                      "max.message.bytes": "int", "min.cleanable.dirty.ratio": "double", "retention.bytes": "long",
                      "leader.replication.throttled.replicas": "list", "segment.jitter.ms": "long"}.items():
        expect(kind, got.get(key), key)


@scenario("list-config-resources")
def list_resources(ctx):
    topic = ctx.topic()
    with Admin(ctx) as a:
        def ask(version, *types):
            answer = a.c.call("ListConfigResources", version, {"ResourceTypes": list(types)} if version else {})
            return answer["ErrorCode"], {(r.get("ResourceType", METRICS), r["ResourceName"]) for r in answer["ConfigResources"]}
        expect((0, set()), ask(0), "v0: client metrics, of which there are none")
        code, everything = ask(1)
        expect(0, code, "everything")
        assert {(TOPIC, topic), (BROKER, a.node), (LOGGER, a.node)} <= everything, everything
        expect((0, {(BROKER, a.node)}), ask(1, BROKER), "brokers")
        expect((0, {(LOGGER, a.node), (BROKER, a.node)}), ask(1, LOGGER, BROKER, BROKER), "loggers and brokers")
        expect((0, {one for one in everything if one[0] == TOPIC}), ask(1, TOPIC), "topics")
        expect((0, set()), ask(1, METRICS), "no client metrics")
        for wrong in (0, 1, 3, 64, -1):
            expect((rk.UNSUPPORTED_VERSION, set()), ask(1, wrong), f"type {wrong}")
