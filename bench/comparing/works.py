"""What is measured: a table. A work has a shape, what an ack means on both sides, and who it is compared with."""
from dataclasses import dataclass, field

NEVER = "9223372036854775807"
SYNCED = "synced before ack"
CACHED = "page cache"
KAFKA, TWIN, BARE = "apache-kafka", "millrace (A/A)", "bare loop"
REDIS, NATS, RABBITMQ = "redis streams", "nats jetstream", "rabbitmq streams"

# Settings of a topic that make an ack mean that, on our side (and the bare loop's) and on Kafka's.
OURS = {SYNCED: {}, CACHED: {"flush.messages": NEVER}}
KAFKAS = {SYNCED: {"flush.messages": "1"}, CACHED: {}}


@dataclass(frozen=True)
class Work:
    name: str
    kind: str                      # which function of slices.py does it
    shape: str
    metrics: tuple
    load: tuple = ()               # arguments of the load
    partitions: int = 4
    ours: str = "n/a"              # what an ack means
    theirs: str = "n/a"
    configs: dict = field(default_factory=dict)  # of the topic, on both sides
    rivals: tuple = (KAFKA,)
    seconds: float = 0             # of a slice; 0: as told on the command line
    pairs: float = 1               # times what the command line tells
    quick: bool = False            # in --quick
    headline: bool = False         # in the README
    like: str = ""                 # the headline work that this one does with an unmodified client
    more: dict = field(default_factory=dict)

    def side(self, rival):
        """Topic settings and the meaning of an ack of what stands opposite."""
        meaning = self.ours if rival in (TWIN, BARE) else self.theirs
        settings = KAFKAS if rival == KAFKA else OURS
        return {**self.configs, **settings.get(meaning, {})}, meaning

    def own_side(self):
        return {**self.configs, **OURS.get(self.ours, {})}, self.ours


def load(records, size, connections=4, in_flight=5, **more):
    flags = [x for name, value in more.items() for x in (f"--{name.replace('_', '-')}", value)]
    return ("--acks", -1, "--records", records, "--size", size, "--connections", connections, "--in-flight", in_flight, *flags)


MOVED = ("cpu_s_per_gb", "mb_per_s")
SMALL = ("cpu_s_per_m_msgs", "msg_per_s")
ARRIVAL = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "cpu_s_per_m_msgs")
BY_4 = "4 partitions, 4 connections, 5 requests in flight each, acks=all"
LATENCY = "1 KiB records, one a request, 4 partitions, 4 producing and 4 long-polling connections, acks=all"


def produce(name, ours, theirs=None, **more):
    defaults = {"shape": f"100 x 1 KiB per batch, {BY_4}", "metrics": MOVED, "load": load(100, 1024)}
    return Work(name, "produce", ours=ours, theirs=theirs or ours, **{**defaults, **more})


def arrival(name, what, **more):
    return Work(name, "latency", f"{LATENCY}; {what}", ARRIVAL, load(1, 1024, fetchers=4, wait_ms=500), ours=SYNCED,
                theirs=CACHED, more=more.pop("more"), **more)


def by_clients():
    """The headline works again, by clients as they are published, with the same metrics and the same meaning of an ack."""
    for name in ("java", "librdkafka"):
        own = CLIENTS[name]
        for suffix, like, kind, shape, more in (
            ("produce", "produce-1k-synced-vs-unsynced", f"{name}-produce", own["produce"], {}),
            ("produce-unsynced", "produce-1k-unsynced", f"{name}-produce", own["produce"], {}),
            ("produce-synced", "produce-1k-synced", f"{name}-produce", own["produce"], {}),
            ("consume", "fetch-1k-hot", f"{name}-consume", own["consume"], {}),
            ("consume-cold", "fetch-1k-cold", f"{name}-consume", f"{own['consume']}, after the page cache was dropped", {"cold": True}),
            ("unbatched-synced", "produce-100b-unbatched-synced", "client",
             f"32 producers, {own['single']}, linger.ms=0, 8 partitions, 200,000 x 100 B",
             {"producers": 32, "records": 200_000, "size": 100, "settings": (own["single"], "linger.ms=0"), "partitions": 8}),
            ("keyed-1000p", "produce-keyed-1000p-synced-vs-unsynced", "client", "50 producers, 1,000 partitions, 200,000 x 100 B with keys of 16 B",
             {"producers": 50, "records": 200_000, "size": 100, "key_bytes": 16, "partitions": 1000, "keep": True}),
            ("groups-3", "groups-3-unsynced", "client", "one producer, 3 groups of one consumer, 4 partitions, 600,000 x 1 KiB; messages as produced",
             {"groups": 3, "records": 600_000, "size": 1024}),
            ("e2e-50pct", "e2e-1k-50pct", "client-latency", f"{OWN_E2E}; 50 % of what the slower one can do",
             {"groups": 1, "seconds": 4, "size": 1024, "share": 0.5, "settings": ("linger.ms=0",)}),
            ("e2e-100k-at-10k", "e2e-1k-100k-at-10k", "client-latency", f"{OWN_E2E}; 100,000 messages at 10,000/s",
             {"groups": 1, "seconds": 10, "size": 1024, "rate": 10000, "settings": ("linger.ms=0",)}),
            ("produce-sustained", "produce-1k-sustained", "client", f"one producer, 4 partitions, {own['sustained']:,} x 1 KiB without a break",
             {"records": own["sustained"], "size": 1024}),
        ):
            yield like_a_headline(like, f"{name}-{suffix}", kind, f"{own['named']}: {shape}", {"client": name, **more})


def like_a_headline(like, name, kind, shape, more):
    model = next(w for w in KLOADED if w.name == like)
    return Work(name, kind, shape, model.metrics, partitions=more.pop("partitions", 4), ours=model.ours, theirs=model.theirs, like=like,
                pairs=0.5, more=more)


def publish(name, means, shape, batch, rivals):
    """Against rivals that do not speak Kafka: bench/rload publishes to them, in batches to those that know any."""
    return Work(name, "produce", shape, SMALL, load(batch, 1024, 4, RIVAL_LOAD["in_flight"] // batch), ours=means, theirs=means,
                rivals=rivals, pairs=0.5, more={"rival_load": RIVAL_LOAD, "batch": batch})


def codec(name):
    return produce(f"produce-{name}", CACHED, shape=f"100 x 1 KiB of JSON per batch, {name}; {BY_4}; GB of compressed batches",
                   metrics=("cpu_s_per_gb", "cpu_s_per_m_msgs"), load=(*load(100, 1024, codec=name), "--text"), pairs=0.5)


MANY = "100 B, one a batch, one batch a request, 8 partitions, 128 connections, {} in flight each, acks=all"
KEYED = "5 x 100 B with keys of 16 B per batch, {} of 1,000 partitions a request, 50 connections, 5 in flight each, acks=all"
RIVAL_BATCHED = ("1 KiB messages, 1,000 unacknowledged over 4 connections; Millrace and RabbitMQ: 50 per batch (RabbitMQ: frame) and "
                 "5 of them in flight each; Redis and NATS: each message for itself, pipelined")
RIVAL_EACH = "1 KiB messages, 1,000 unacknowledged over 4 connections, each a request of its own on both sides"
RIVAL_READ = ("1 KiB messages from the page cache, 4 connections; Millrace: 260,000 in 4 partitions, batches of 100, one 1 MiB fetch at a "
              "time each; theirs: 80,000 in one stream, read whole by each, 1,000 asked for at a time (RabbitMQ: ten chunks)")
CLIENTS = {
    "java": {"named": "Apache Kafka's Java client 4.3.1 with its defaults", "column": "Java 4.3.1", "produce": "ProducerPerformance, 500,000 x 1 KiB, acks=all",
             "consume": "ConsumerPerformance, 500,000 x 1 KiB", "single": "batch.size=0", "sustained": 1_500_000},
    "librdkafka": {"named": "librdkafka 2.0.2 with its defaults", "column": "librdkafka 2.0.2", "produce": "kcat, 200,000 x 1 KiB", "consume": "kcat, 200,000 x 1 KiB",
                   "single": "batch.num.messages=1", "sustained": 6_000_000},
}
OWN_E2E = "one producer, linger.ms=0, one group of one consumer, 4 partitions, 1 KiB"
RIVAL_LOAD = {"size": 1024, "connections": 4, "in_flight": 250}
RIVAL_READ_BATCH = 50  # messages a frame as they were published, to those that know any

KLOADED = [
    produce("produce-1k-unsynced", CACHED, rivals=(TWIN, KAFKA, BARE), quick=True, headline=True),
    produce("produce-1k-synced", SYNCED, rivals=(KAFKA, BARE), quick=True, headline=True),
    produce("produce-1k-synced-vs-unsynced", SYNCED, CACHED, quick=True, headline=True),
    Work("fetch-1k-hot", "fetch", "1 MiB per fetch, batches of 100 x 1 KiB, 4 partitions of 64 MB in the page cache, 4 connections",
         MOVED, ("--fetch-bytes", 1 << 20, "--connections", 4, "--in-flight", 1), rivals=(TWIN, KAFKA), quick=True,
         headline=True, more={"fill": 2600}),
    produce("produce-100b-unsynced", CACHED, shape=f"100 x 100 B per batch, {BY_4}", metrics=SMALL, load=load(100, 100),
            rivals=(KAFKA, BARE)),
    produce("produce-100b-synced", SYNCED, shape=f"100 x 100 B per batch, {BY_4}", metrics=SMALL, load=load(100, 100),
            rivals=(KAFKA, BARE)),
    produce("produce-100b-unbatched-unsynced", CACHED, shape=MANY.format(5), metrics=SMALL, load=load(1, 100, 128, 5),
            partitions=8, rivals=(KAFKA, BARE), quick=True),
    produce("produce-100b-unbatched-synced", SYNCED, shape=MANY.format(5), metrics=SMALL, load=load(1, 100, 128, 5),
            partitions=8, rivals=(KAFKA, BARE), headline=True),
    produce("produce-100b-unbatched-1-in-flight", SYNCED, shape=MANY.format(1), metrics=SMALL, load=load(1, 100, 128, 1),
            partitions=8, pairs=0.5),
    produce("produce-keyed-1000p-synced-vs-unsynced", SYNCED, CACHED, shape=KEYED.format(20), metrics=SMALL,
            load=load(5, 100, 50, 5, key_bytes=16, spread=20), partitions=1000, headline=True, more={"keep": True}),
    produce("produce-keyed-1000p-vs-1p", SYNCED, shape=KEYED.format(1) + "; theirs: Millrace with one partition",
            metrics=SMALL, load=load(5, 100, 50, 5, key_bytes=16), partitions=1000, rivals=(TWIN,), pairs=0.5,
            more={"keep": True, "theirs_partitions": 1}),
    *[codec(name) for name in ("gzip", "snappy", "lz4", "zstd")],
    produce("produce-lz4-recompressed-gzip", CACHED, configs={"compression.type": "gzip"}, pairs=0.5,
            shape=f"100 x 1 KiB of JSON per batch, lz4 into a topic with compression.type=gzip; {BY_4}; GB as produced",
            metrics=("cpu_s_per_gb", "cpu_s_per_m_msgs"), load=(*load(100, 1024, codec="lz4"), "--text")),
    Work("groups-3-unsynced", "mixed", f"100 x 1 KiB per batch, {BY_4}; 3 readers of each partition at its end; messages as produced",
         SMALL, load(100, 1024, fetchers=12), ours=CACHED, theirs=CACHED, headline=True),
    Work("groups-3-synced-vs-unsynced", "mixed", f"100 x 1 KiB per batch, {BY_4}; 3 readers of each partition at its end; messages as produced",
         SMALL, load(100, 1024, fetchers=12), ours=SYNCED, theirs=CACHED),
    arrival("e2e-1k-10pct", "10 % of what the slower one can do", more={"share": 0.1}, seconds=2),
    arrival("e2e-1k-50pct", "50 % of what the slower one can do", more={"share": 0.5}, seconds=2, quick=True, headline=True),
    arrival("e2e-1k-80pct", "80 % of what the slower one can do", more={"share": 0.8}, seconds=2),
    arrival("e2e-1k-100k-at-10k", "100,000 messages at 10,000/s", more={"rate": 10000}, seconds=10, pairs=0.5, headline=True),
    produce("burst-30p-produce", CACHED, shape="600,000 x 1 KiB, 100 per batch, 30 partitions, 4 connections, 5 requests in flight each, acks=all",
            metrics=("msg_per_s", "cpu_s_per_gb"), load=(*load(100, 1024), "--count", 6000), partitions=30, pairs=0.5,
            more={"counted": True}),
    Work("burst-30p-consume", "fetch", "600,000 x 1 KiB read once from the page cache, 30 partitions, 30 connections, 1 MiB per fetch",
         ("msg_per_s", "cpu_s_per_gb"), ("--fetch-bytes", 1 << 20, "--connections", 30, "--in-flight", 1, "--once"),
         partitions=30, pairs=0.5, more={"fill": 6000}),
    Work("fetch-1k-cold", "fetch", "600 MB read once after the page cache was dropped, 4 partitions, 4 connections, 1 MiB per fetch",
         MOVED, ("--fetch-bytes", 1 << 20, "--connections", 4, "--in-flight", 1, "--once"), pairs=0.5, headline=True,
         more={"fill": 5800, "cold": True}),
    produce("produce-1k-sustained", SYNCED, CACHED, shape=f"15 s without a break, 100 x 1 KiB per batch, {BY_4}", seconds=15,
            pairs=0.25, headline=True, more={"unbounded": True}),
]
WORKS = [
    *KLOADED,
    *by_clients(),
    publish("publish-1k-unsynced", CACHED, RIVAL_BATCHED, 50, (REDIS, NATS, RABBITMQ)),
    publish("publish-1k-synced", SYNCED, RIVAL_BATCHED, 50, (REDIS,)),
    publish("publish-1k-each-unsynced", CACHED, RIVAL_EACH, 1, (REDIS, NATS, RABBITMQ)),
    publish("publish-1k-each-synced", SYNCED, RIVAL_EACH, 1, (REDIS,)),
    Work("read-1k-hot", "fetch", RIVAL_READ, SMALL, ("--fetch-bytes", 1 << 20, "--connections", 4, "--in-flight", 1), ours=CACHED, theirs=CACHED,
         rivals=(REDIS, NATS, RABBITMQ), pairs=0.5, more={"fill": 2600, "rival_read": 80_000}),
    Work("start", "start", "empty directory", ("ready_ms",), quick=True, headline=True),
    Work("idle", "idle", "a few seconds after the start", ("rss_mb",), quick=True, headline=True),
    Work("open-20gb", "open", "20 GB in 4 partitions, after a clean stop", ("ready_ms", "rss_mb"),
         more={"fill": 200_000}),
    Work("idle-5000p", "many", "5,000 partitions of 10 topics and {} connections, all idle, over 5 s", ("rss_mb", "core_percent"),
         more={"topics": 10, "connections": 10000}),
    Work("binary", "binary", "stripped; theirs: the jars, without a JVM", ("mb_on_disk",), quick=True, headline=True),
]
BY_NAME = {w.name: w for w in WORKS}
