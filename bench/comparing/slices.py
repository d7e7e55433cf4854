"""One measured stretch of each kind of work, on one broker; its figures."""
import os
import shutil
import subprocess
import tempfile
import time

from comparing import clients
from comparing.machine import Failed, drop_caches
from comparing.works import NEVER

BYTES_MAX = 10**9  # written by a slice: past that the page cache's patience is measured


def produce(broker, work, configs, seconds, opposite):
    if hasattr(broker, "publish"):
        return broker.publish(work, seconds)
    partitions = work.more.get("theirs_partitions", work.partitions) if opposite else work.partitions
    kept = work.more.get("keep")
    topic = broker.standing_topic((work.name, partitions), configs, partitions) if kept else broker.new_topic(configs, partitions)
    args = [*work.load, "--partitions", partitions, "--server-pid", broker.pid]
    if not work.more.get("counted"):
        args += ["--seconds", seconds, "--warmup", 0.1]
    if not work.more.get("unbounded"):
        args += ["--bytes-max", BYTES_MAX]
    figures = broker.kload("produce", "--topic", topic, *args)
    if not kept:
        broker.drop_topic(topic)
    return figures


def filled_topic(broker, work, size=1024):
    """A topic with so many batches of 100 records, in the page cache and on the disk."""
    key = ("filled", work.partitions, work.more["fill"])
    if key not in broker.standing:
        topic = broker.new_topic({"flush.messages": NEVER}, work.partitions)
        broker.kload("produce", "--topic", topic, "--acks", -1, "--records", 100, "--size", size, "--partitions", work.partitions,
                     "--connections", 4, "--in-flight", 5, "--count", work.more["fill"])
        broker.standing[key] = topic
    return broker.standing[key]


def fetch(broker, work, configs, seconds, opposite):
    if hasattr(broker, "read"):
        return broker.read(work, seconds)
    topic = filled_topic(broker, work)
    if work.more.get("cold"):
        drop_caches(broker.logs)
    return broker.kload("fetch", "--topic", topic, *work.load, "--partitions", work.partitions, "--seconds",
                        seconds if "--once" not in work.load else 120, "--server-pid", broker.pid)


def end_to_end(broker, work, configs, *args):
    topic = broker.new_topic(configs, work.partitions)
    figures = broker.kload("e2e", "--topic", topic, *work.load, "--partitions", work.partitions, "--server-pid", broker.pid, *args)
    broker.drop_topic(topic)
    return figures


def mixed(broker, work, configs, seconds, opposite):
    return end_to_end(broker, work, configs, "--seconds", seconds, "--bytes-max", BYTES_MAX, "--warmup", 0.1)


def latency(broker, work, configs, seconds, rate):
    return end_to_end(broker, work, configs, "--rate", rate, "--seconds", seconds, "--warmup", 0.2)


def capacity(broker, work, configs, seconds):
    """Messages a second in a closed window."""
    figures = end_to_end(broker, work, configs, "--seconds", seconds, "--warmup", 0.2)
    return figures["messages"] / figures["seconds"]


def start(broker, *_):
    return {"ready_ms": broker.first_ready_ms}


def idle(broker, *_):
    return {"rss_mb": broker.first_rss_mb}


def opened(broker, work, *_):
    """Ready with a large log after a clean stop. `broker` was started for this alone."""
    filled_topic(broker, work)
    broker.stop()
    broker.start()
    time.sleep(1)
    return {"ready_ms": broker.ready_ms, "rss_mb": broker.rss_mb()}


def many(broker, work, *_):
    """`broker` was started for this alone."""
    for _ in range(work.more["topics"]):
        topic = f"m{broker.topics}"
        broker.topics += 1
        broker.kload("create", "--topic", topic, "--partitions", 5000 // work.more["topics"])
    time.sleep(2)
    found = broker.kload("idle", "--connections", work.more["connections"], "--seconds", 5, "--server-pid", broker.pid)
    return {"rss_mb": found["server_rss_mb"], "core_percent": 100 * found["server_cpu_s"] / found["seconds"]}


def binary(broker, *_):
    if broker.name == "apache-kafka":
        return {"mb_on_disk": clients.jars_bytes() / 1e6}
    with tempfile.TemporaryDirectory() as home:
        copy = os.path.join(home, "millrace")
        shutil.copy(broker.programs.millrace, copy)
        if subprocess.run(["strip", copy]).returncode != 0:
            raise Failed("no strip")
        return {"mb_on_disk": os.path.getsize(copy) / 1e6}


KINDS = {"produce": produce, "fetch": fetch, "mixed": mixed, "latency": latency, "client-latency": clients.latency, "start": start, "idle": idle, "open": opened,
         "many": many, "binary": binary, **clients.KINDS}
CAPACITIES = {"latency": capacity, "client-latency": clients.capacity}  # of what is measured at a share of it, or at a rate
ALONE = ("open", "many")  # with brokers of their own
ONCE = ("start", "idle", "binary", "open", "many")  # one pair a sitting says it
