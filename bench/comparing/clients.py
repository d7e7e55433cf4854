"""Unmodified clients: the Java tools of Apache Kafka and kcat (librdkafka), on the load's core, with their defaults."""
import glob
import os
import re
import subprocess
import time

from comparing.machine import LOAD_CORE, ROOT, Failed, cpu_seconds
from comparing.works import NEVER

JAVA_RECORDS, KCAT_RECORDS, PARTITIONS = 500_000, 200_000, 4
BATCH_BYTES = 1024  # of a message: what the figures count


def classpath():
    return subprocess.run([os.path.join(ROOT, "tools/reference-kafka"), "classpath"], capture_output=True, text=True,
                          check=True).stdout.strip()


def jars_bytes():
    return sum(os.path.getsize(path) for path in glob.glob(classpath() + ".jar") or glob.glob(classpath()))


def run(broker, command, **more):
    """A client from its start to its end; broker's CPU and time around exactly that."""
    began, before = time.monotonic(), cpu_seconds(broker.pid)
    try:
        done = subprocess.run(["taskset", "-c", str(LOAD_CORE), *command], capture_output=True, text=True, timeout=180, **more)
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
    topic = filled(broker, JAVA_RECORDS)
    text, _, cpu = run(broker, java("ConsumerPerformance", "--bootstrap-server", broker.address, "--topic", topic, "--num-records",
                                    JAVA_RECORDS, "--group", f"g{time.monotonic_ns()}", "--hide-header", "--timeout", 20000))
    # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
    fields = [f.strip() for f in text.strip().splitlines()[-1].split(",")]
    if len(fields) < 10 or int(fields[4]) < JAVA_RECORDS:
        raise Failed(f"{broker.name}: ConsumerPerformance received less: {text[-300:]}")
    return figures(int(fields[4]), int(fields[7]) / 1e3, cpu)


def filled(broker, records):
    key = ("client", records)
    if key not in broker.standing:
        topic = broker.new_topic({"flush.messages": NEVER}, PARTITIONS)
        broker.kload("produce", "--topic", topic, "--acks", -1, "--records", 100, "--size", 1024, "--partitions", PARTITIONS,
                     "--connections", 4, "--in-flight", 5, "--count", records // 100 + 4)
        broker.standing[key] = topic
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
    topic = filled(broker, KCAT_RECORDS)
    _, took, cpu = run(broker, ["sh", "-c", f"kcat -C -q -e -o beginning -b {broker.address} -t {topic} > /dev/null"])
    return figures(KCAT_RECORDS, took, cpu)


def figures(records, seconds, cpu):
    return {"messages": records, "bytes": records * BATCH_BYTES, "seconds": seconds, "server_cpu_s": cpu}


KINDS = {"java-produce": java_produce, "java-consume": java_consume, "librdkafka-produce": kcat_produce,
         "librdkafka-consume": kcat_consume}
