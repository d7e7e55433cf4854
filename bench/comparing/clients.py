"""Unmodified clients on the load's core, with their defaults: tools of Apache Kafka, kcat, and bench/client_load for what these cannot do."""
import glob
import json
import os
import re
import subprocess
import time

from comparing.machine import LOAD_CORE, NICEST, ROOT, Failed, cpu_seconds, drop_caches
from comparing.works import NEVER

JAVA_RECORDS, KCAT_RECORDS, PARTITIONS = 500_000, 200_000, 4
BATCH_BYTES = 1024  # of a message: what the figures count


def classpath():
    return subprocess.run([os.path.join(ROOT, "tools/reference-kafka"), "classpath"], capture_output=True, text=True,
                          check=True).stdout.strip()


def jars_bytes():
    return sum(os.path.getsize(path) for path in glob.glob(classpath() + ".jar") or glob.glob(classpath()))


def run(broker, command):
    """A client from its start to its end; broker's CPU and time around exactly that."""
    began, before = time.monotonic(), cpu_seconds(broker.pid)
    try:
        ahead = ["nice", "-n", str(NICEST)] if broker.ahead else []
        done = subprocess.run(["taskset", "-c", str(LOAD_CORE), *ahead, *command], capture_output=True, text=True, timeout=180)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{broker.name}: {' '.join(command)[:300]} did not end") from None
    if done.returncode != 0:
        raise Failed(f"{broker.name}: {' '.join(command)[:300]}: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout, time.monotonic() - began, cpu_seconds(broker.pid) - before


def java(tool, *args):
    # What kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh give it.
    return ["java", "-Xmx512M", "-server", "-XX:MaxInlineLevel=15", "-cp", classpath(), f"org.apache.kafka.tools.{tool}", *map(str, args)]


def java_produce(broker, work, configs, seconds, opposite):
    topic = broker.new_topic(configs, PARTITIONS)
    text, _, cpu = run(broker, java("ProducerPerformance", "--bootstrap-server", broker.address, "--topic", topic, "--num-records",
                                    JAVA_RECORDS, "--record-size", 1024, "--throughput", -1, "--command-property", "acks=all"))
    rates = re.findall(r"^(\d+) records sent, ([\d.]+) records/sec", text, re.M)
    if not rates or int(rates[-1][0]) != JAVA_RECORDS:
        raise Failed(f"{broker.name}: ProducerPerformance sent less: {text[-300:]}")
    broker.drop_topic(topic)
    return figures(JAVA_RECORDS, JAVA_RECORDS / float(rates[-1][1]), cpu)


def java_consume(broker, work, configs, seconds, opposite):
    topic = filled(broker, work, JAVA_RECORDS)
    text, _, cpu = run(broker, java("ConsumerPerformance", "--bootstrap-server", broker.address, "--topic", topic, "--num-records",
                                    JAVA_RECORDS, "--group", f"g{time.monotonic_ns()}", "--hide-header", "--timeout", 20000))
    # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
    fields = [f.strip() for f in text.strip().splitlines()[-1].split(",")]
    if len(fields) < 10 or int(fields[4]) < JAVA_RECORDS:
        raise Failed(f"{broker.name}: ConsumerPerformance received less: {text[-300:]}")
    return figures(int(fields[4]), int(fields[7]) / 1e3, cpu)


def filled(broker, work, records):
    key = ("client", records)
    if key not in broker.standing:
        topic = broker.new_topic({"flush.messages": NEVER}, PARTITIONS)
        broker.kload("produce", "--topic", topic, "--acks", -1, "--records", 100, "--size", 1024, "--partitions", PARTITIONS,
                     "--connections", 4, "--in-flight", 5, "--count", records // 100 + 4)
        broker.standing[key] = topic
    if work.more.get("cold"):
        drop_caches(broker.logs)
    return broker.standing[key]


def lines_file(broker):
    """As many lines as there are messages."""
    path = os.path.join(os.path.dirname(broker.directory), "lines")
    if not os.path.exists(path):
        with open(path, "w") as f:
            for i in range(KCAT_RECORDS):
                f.write(f"{i:010d}".ljust(1024, "abcdefghijklmnop"[i % 16]) + "\n")
    return path


def kcat_produce(broker, work, configs, seconds, opposite):
    topic = broker.new_topic(configs, PARTITIONS)
    _, took, cpu = run(broker, ["kcat", "-P", "-q", "-b", broker.address, "-t", topic, "-l", lines_file(broker)])
    broker.drop_topic(topic)
    return figures(KCAT_RECORDS, took, cpu)


def kcat_consume(broker, work, configs, seconds, opposite):
    topic = filled(broker, work, KCAT_RECORDS)
    _, took, cpu = run(broker, ["sh", "-c", f"kcat -C -q -e -o beginning -b {broker.address} -t {topic} > /dev/null"])
    return figures(KCAT_RECORDS, took, cpu)


def figures(records, seconds, cpu):
    return {"messages": records, "bytes": records * BATCH_BYTES, "seconds": seconds, "server_cpu_s": cpu}


# ---- bench/client_load: one program for each client, with the same options ----------------------------------------

def java_load(broker):
    """Compiled when it is first wanted, and again when its source is newer."""
    source, home = os.path.join(ROOT, "bench/client_load/ClientLoad.java"), os.path.join(ROOT, "build/client_load")
    compiled = os.path.join(home, "ClientLoad.class")
    if not os.path.exists(compiled) or os.path.getmtime(compiled) < os.path.getmtime(source):
        try:
            done = subprocess.run(["javac", "-cp", classpath(), "-d", home, source], capture_output=True, text=True)
        except FileNotFoundError:
            raise Failed("javac is not installed") from None
        if done.returncode != 0:
            raise Failed(f"javac {source}: {done.stderr[-500:]}")
    # Fifty producers with their buffers of 32 MB want more than the tools' 512 MB.
    return ["java", "-Xmx4g", "-server", "-cp", f"{home}:{classpath()}", "ClientLoad"]


LOADS = {"java": java_load, "librdkafka": lambda broker: [broker.programs.client_load]}


def load(broker, work, configs, records, rate=0, warm=0):
    """What `records` cost behind a warm-up on the same topic, as the program tells it."""
    more = work.more
    kept = more.get("keep")
    topic = broker.standing_topic(work.name, configs, work.partitions) if kept else broker.new_topic(configs, work.partitions)
    options = {"bootstrap": broker.address, "topic": topic, "records": records, "warmup": warm or records // 5, "rate": rate,
               "size": more["size"], "key-bytes": more.get("key_bytes", 0), "producers": more.get("producers", 1),
               "groups": more.get("groups", 0), "server-pid": broker.pid}
    flags = [str(x) for name, value in options.items() for x in (f"--{name}", value)]
    settings = [x for setting in more.get("settings", ()) for x in ("--client", setting)]
    text, _, _ = run(broker, [*LOADS[more["client"]](broker), *flags, *settings])
    if not kept:
        broker.drop_topic(topic)
    try:
        return json.loads(text.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed(f"{broker.name}: {work.name} ended without figures: {text[-300:]}") from None


def closed(broker, work, configs, seconds, opposite):
    return load(broker, work, configs, work.more["records"])


def latency(broker, work, configs, seconds, rate):
    """Two seconds at that rate before it counts: a JVM of its own begins cold."""
    return load(broker, work, configs, rate * work.more["seconds"], rate, rate * 2)


CAPACITY_RECORDS = 200_000


def capacity(broker, work, configs, seconds):
    """Messages a second with nothing to hold the producer back but its own buffers."""
    found = load(broker, work, configs, CAPACITY_RECORDS)
    return found["messages"] / found["seconds"]


KINDS = {"java-produce": java_produce, "java-consume": java_consume, "librdkafka-produce": kcat_produce,
         "librdkafka-consume": kcat_consume, "client": closed}
