"""Apache Kafka's own console tools, from the packages that tools/reference-kafka fetches: topics, producer, consumer, groups."""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

import rawkafka as rk
from harness import REFERENCE, ROOT, Suite, Unreachable, wait_until
from matrix_clients import built

TOOLS = {"topics": "org.apache.kafka.tools.TopicCommand",
         "producer": "org.apache.kafka.tools.ConsoleProducer",
         "consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
         "groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
         "configs": "kafka.admin.ConfigCommand",
         "offsets": "org.apache.kafka.tools.GetOffsetShell",
         "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
         "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
         "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
         "reassign": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
         "transactions": "org.apache.kafka.tools.TransactionsCommand"}


def reference(*args):
    return subprocess.run([sys.executable, REFERENCE, *args], capture_output=True, text=True)


class Tools:
    """One JVM that runs the tools' main methods in turn: a JVM for each would take most of the time."""

    def __init__(self):
        self.process = None

    def prepare(self, options):
        done = reference("classpath")
        if done.returncode != 0:
            raise Unreachable("Apache Kafka from Maven Central: " + done.stderr.strip()[-200:])
        packages = done.stdout.strip()
        source = os.path.join(ROOT, "tests/clients/console/Tools.java")

        def build(directory):
            done = subprocess.run(["javac", "-cp", packages, "-d", directory, source], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        classes = built("console-tools", ["console/*"], build)
        self.classpath = f"{classes}:{packages}"

    def start(self):
        self.process = subprocess.Popen(["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
                                         "-cp", self.classpath, "Tools"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self, name, args, stdin):
        if not self.process:
            self.start()
        request = [name, str(len(args)), *args, str(len(stdin)), *stdin]
        limit = threading.Timer(90, self.process.kill)
        limit.start()
        try:
            self.process.stdin.write(("\n".join(request) + "\n").encode())
            self.process.stdin.flush()
            head = self.process.stdout.readline().split()
            assert len(head) == 2, f"{name} did not end within 90 s"
            return int(head[0]), self.process.stdout.read(int(head[1])).decode()
        finally:
            limit.cancel()

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class ConsoleSuite(Suite):
    def run(self, broker, options, report):
        try:
            super().run(broker, options, report)
        finally:
            JVM.close()


JVM = Tools()
SUITE = ConsoleSuite("console", "Apache Kafka's console tools", version=lambda: reference("version").stdout.strip(),
                     prepare=JVM.prepare)
scenario = SUITE.scenario


def tool(ctx, name, *args, stdin=(), check=True):
    code, out = JVM.run(TOOLS[name], ["--bootstrap-server", ctx.broker.address, *args], stdin)
    assert not check or code == 0, f"{name} {' '.join(args)}: {code} {out[:600]}"
    return out


def lines(first, n):
    return [f"line-{i}-" + "abcdefghij"[i % 10] * (i % 60) for i in range(first, first + n)]


def produce(ctx, topic, values, *more):
    # The tool sends the rest in a shutdown hook, which the one JVM never comes to.
    tool(ctx, "producer", "--topic", topic, "--sync", "--timeout", "0", *more, stdin=values)


def consume(ctx, topic, group, n):
    """The next n of a group, sorted, as partitions have no order among each other."""
    out = tool(ctx, "consumer", "--topic", topic, "--group", group, "--max-messages", str(n), "--timeout-ms", "30000",
               "--command-property", "auto.offset.reset=earliest")
    return sorted(text for text in out.splitlines() if text.startswith("line-"))


def described(ctx, group):
    """{partition: (committed offset, end offset, lag)} as the groups tool prints it."""
    out = tool(ctx, "groups", "--describe", "--group", group)
    rows = re.findall(r"^\S+ +\S+ +(\d+) +(\S+) +(\d+) +(\S+) ", out, re.M)
    assert rows, out
    return {int(p): (int(at), int(end), int(lag)) for p, at, end, lag in rows}


@scenario("topics")
def topics(ctx):
    name = ctx.name("console")
    tool(ctx, "topics", "--create", "--topic", name, "--partitions", "3", "--config", "retention.ms=3600000")
    assert name in tool(ctx, "topics", "--list").split()
    shown = tool(ctx, "topics", "--describe", "--topic", name)
    assert "PartitionCount: 3" in shown and "retention.ms=3600000" in shown and shown.count("Leader: ") == 3, shown
    tool(ctx, "topics", "--delete", "--topic", name)
    with ctx.broker.connect() as c:
        wait_until(lambda: c.metadata([name])["Topics"][0]["ErrorCode"] == 3, 15, "the topic is gone")


def set_dynamically(ctx, *who):
    """{name: value} of what `--describe` shows; who: --entity-type and kin."""
    out = tool(ctx, "configs", "--describe", *who)
    return dict(re.findall(r"^  (\S+?)=(.*?) sensitive=", out, re.M))


@scenario("configs")
def configs(ctx):
    """kafka-configs.sh: topics, one broker, all brokers, a logger; what is not known or not changeable is refused."""
    topic = ("--entity-type", "topics", "--entity-name", ctx.topic(configs={"retention.ms": "60000"}))
    tool(ctx, "configs", "--alter", *topic, "--add-config", "max.message.bytes=4096,cleanup.policy=[compact,delete]",
         "--delete-config", "retention.ms")
    wanted = {"max.message.bytes": "4096", "cleanup.policy": "compact,delete"}
    wait_until(lambda: set_dynamically(ctx, *topic) == wanted, 20, "what the topic sets")
    assert "segment.bytes=" in tool(ctx, "configs", "--describe", "--all", *topic), "all of them"
    for bad in ("retention.ms=soon", "no.such=1"):
        out = tool(ctx, "configs", "--alter", *topic, "--add-config", bad, check=False)
        assert "InvalidConfigurationException" in out, out
    with ctx.broker.connect() as c:
        node = str(c.call("Metadata", 9, {"Topics": []})["Brokers"][0]["NodeId"])
    for who in (("--entity-name", node), ("--entity-default",)):
        broker = ("--entity-type", "brokers", *who)
        tool(ctx, "configs", "--alter", *broker, "--add-config", "log.retention.ms=77777,message.max.bytes=2000000")
        wait_until(lambda: set_dynamically(ctx, *broker).get("log.retention.ms") == "77777", 20, "what the broker sets")
        tool(ctx, "configs", "--alter", *broker, "--delete-config", "log.retention.ms,message.max.bytes")
        wait_until(lambda: "log.retention.ms" not in set_dynamically(ctx, *broker), 20, "taken back")
        out = tool(ctx, "configs", "--alter", *broker, "--add-config", "node.id=9", check=False)
        assert "InvalidRequestException" in out, out
    logger = ("--entity-type", "broker-loggers", "--entity-name", node)
    tool(ctx, "configs", "--alter", *logger, "--add-config", "root=WARN")
    assert set_dynamically(ctx, *logger)["root"] == "WARN"
    tool(ctx, "configs", "--alter", *logger, "--add-config", "root=INFO")


@scenario("group")
def group(ctx):
    """A group reads on where it stopped; the groups tool shows it, seeks it back to the start and deletes it."""
    topic, group = ctx.topic(2), ctx.name("g")
    first = lines(0, 100)
    produce(ctx, topic, first, "--compression-codec", "zstd")
    assert consume(ctx, topic, group, 100) == sorted(first), "what was produced"
    more = lines(100, 20)
    produce(ctx, topic, more)
    assert sum(lag for _, _, lag in described(ctx, group).values()) == 20, described(ctx, group)
    assert consume(ctx, topic, group, 20) == sorted(more), "only what is new"
    assert group in tool(ctx, "groups", "--list").split()
    assert re.search(r"Empty +0", tool(ctx, "groups", "--describe", "--state", "--group", group))
    tool(ctx, "groups", "--reset-offsets", "--to-earliest", "--execute", "--group", group, "--topic", topic)
    assert consume(ctx, topic, group, 120) == sorted(first + more), "everything again"
    assert {lag for _, _, lag in described(ctx, group).values()} == {0}
    ends = dict(re.findall(r":(\d+):(\d+)", tool(ctx, "offsets", "--topic", topic)))
    assert sum(map(int, ends.values())) == 120, ends
    tool(ctx, "groups", "--delete", "--group", group)
    assert group not in tool(ctx, "groups", "--list").split()


def offsets(ctx, topic, *more):
    """{partition: offset} as the offsets tool prints it."""
    out = tool(ctx, "offsets", "--topic", topic, *more)
    return {int(p): int(o) for p, o in re.findall(rf"^{topic}:(\d+):(\d+)$", out, re.M)}


def json_file(content):
    file = tempfile.NamedTemporaryFile("w", suffix=".json")
    json.dump(content, file)
    file.flush()
    return file


@scenario("topics-partitions-and-records")
def partitions_and_records(ctx):
    """More partitions, fewer records, sizes on disk, offsets by time, elections, reassignments, producers."""
    topic = ctx.topic(2)
    tool(ctx, "topics", "--alter", "--topic", topic, "--partitions", "4")
    assert "PartitionCount: 4" in tool(ctx, "topics", "--describe", "--topic", topic)
    out = tool(ctx, "topics", "--alter", "--topic", topic, "--partitions", "3", check=False)
    assert "4 partition" in out and "Error" in out, out
    produce(ctx, topic, lines(0, 200))
    ends = offsets(ctx, topic, "--time", "-1")
    assert set(ends) == {0, 1, 2, 3} and sum(ends.values()) == 200, ends
    full = max(ends, key=ends.get)
    assert offsets(ctx, topic, "--time", "0")[full] == 0, "the first record at or after a time"
    assert offsets(ctx, topic, "--time", "-3")[full] >= 0, "the record with the largest time"
    with json_file({"version": 1, "partitions": [{"topic": topic, "partition": full, "offset": 1}]}) as wanted:
        out = tool(ctx, "delete-records", "--offset-json-file", wanted.name)
    assert re.search(rf"partition: {topic}-{full}\s+low_watermark: 1", out), out
    assert offsets(ctx, topic, "--time", "-2")[full] == 1, "the start has moved"
    with json_file({"version": 1, "partitions": [{"topic": topic, "partition": full, "offset": 100000}]}) as wanted:
        out = tool(ctx, "delete-records", "--offset-json-file", wanted.name, check=False)
    assert "OffsetOutOfRange" in out or "error" in out.lower(), out
    out = tool(ctx, "log-dirs", "--describe", "--topic-list", topic)
    found = json.loads(next(text for text in out.splitlines() if text.startswith("{")))
    sizes = {p["partition"]: p["size"] for b in found["brokers"] for d in b["logDirs"] for p in d["partitions"]}
    assert set(sizes) == {f"{topic}-{p}" for p in range(4)} and sizes[f"{topic}-{full}"] > 0, sizes
    out = tool(ctx, "leader-election", "--election-type", "preferred", "--topic", topic, "--partition", "0", check=False)
    assert "already leader" in out or "not needed" in out.lower() or "Valid replica already elected" in out, out
    node = found["brokers"][0]["broker"]
    with json_file({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": [node]}]}) as wanted:
        tool(ctx, "reassign", "--reassignment-json-file", wanted.name, "--execute")
        out = tool(ctx, "reassign", "--reassignment-json-file", wanted.name, "--verify", "--preserve-throttles")
    assert "is completed" in out, out
    assert "No partition reassignments found" in tool(ctx, "reassign", "--list")
    out = tool(ctx, "transactions", "describe-producers", "--topic", topic, "--partition", str(full))
    assert re.search(r"^ProducerId\s+ProducerEpoch", out, re.M) and len(out.strip().splitlines()) == 2, out


@scenario("group-sees-new-partitions")
def group_sees_new_partitions(ctx):
    """A member that reads all there is gets the partitions that are added meanwhile, from their first record."""
    topic, group, failures = ctx.topic(1), ctx.name("g"), []

    def grow():
        try:
            with ctx.broker.connect() as c:
                assert c.produce(topic, rk.batch([b"line-0"]))["ErrorCode"] == 0
                wait_until(lambda: [g["GroupState"] for g in c.call("DescribeGroups", 5, {"Groups": [group]})["Groups"]] == ["Stable"],
                           60, "the group is stable")
                done = c.call("CreatePartitions", 3, {"Topics": [{"Name": topic, "Count": 3, "Assignments": None}],
                                                      "TimeoutMs": 10000})
                assert done["Results"][0]["ErrorCode"] == 0, done
                c.wait_for_topic(topic, 3)
                for p in (1, 2):
                    wait_until(lambda: c.produce(topic, rk.batch([b"line-%d" % p]), partition=p)["ErrorCode"] == 0, 10, "leader")
        except Exception as e:
            failures.append(e)
    other = threading.Thread(target=grow)
    other.start()
    out = tool(ctx, "consumer", "--topic", topic, "--group", group, "--max-messages", "3", "--timeout-ms", "60000",
               "--command-property", "auto.offset.reset=earliest", "--command-property", "metadata.max.age.ms=300")
    other.join()
    assert not failures, failures
    assert sorted(text for text in out.splitlines() if text.startswith("line-")) == ["line-0", "line-1", "line-2"], out
    assert set(described(ctx, group)) == {0, 1, 2}, "commits of all partitions"
