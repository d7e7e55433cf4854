#include "cli/parse_bench.h"

namespace mr::cli {

namespace {

constexpr double kSecondsMax = 1e7;
constexpr std::uint32_t kConnectionsMax = 10'000;

void add_warm_up(CLI::App* app, double& seconds, const char* help) {
  app->add_option("--warm-up", seconds, help)->check(CLI::Range(0.0, kSecondsMax))->type_name("SECONDS");
}
const std::map<std::string, GroupWork> kGroupWorks = {{"heartbeat", GroupWork::heartbeat},
                                                      {"commit", GroupWork::commit},
                                                      {"join", GroupWork::join},
                                                      {"rebalance", GroupWork::rebalance}};
const std::map<std::string, bool> kGroupProtocols = {{"classic", false}, {"consumer", true}};

bool given(CLI::App* app, const char* option) { return app->get_option(option)->count() > 0; }

}  // namespace

CLI::App* BenchParser::measured(CLI::App* app, bool& progress) {
  base_.connected(app);
  app->add_flag_callback("--json", [this] { base_.line.common.output = OutputFormat::json; }, "Short for -o json.");
  app->add_flag("--progress", progress, "A line each second on standard error, terminal or not.");
  return app;
}

/// How many records, when, and in what batches.
CLI::Option* BenchParser::load(CLI::App* app, BenchLoad& load) {
  measured(app, load.progress);
  app->add_option("-t,--topic", load.topic, "Made when missing; it stays.")->capture_default_str();
  app->add_option("-p,--partitions", load.partitions, "Of a topic that is made.")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str()
      ->type_name("N");
  app->add_option("-n,--messages", load.records, "So many records that count, instead of --duration.")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 60))
      ->type_name("N");
  app->add_option("-d,--duration", load.seconds, "How long it counts.")
      ->check(CLI::Range(0.1, kSecondsMax))
      ->capture_default_str()
      ->type_name("SECONDS");
  add_warm_up(app, load.warm_up_seconds, "The same work before, which does not count. [1; with --messages 0]");
  app->add_option("-s,--size", load.record_bytes, "Bytes of a record's value.")
      ->check(CLI::Range(1u, 64u << 20))
      ->capture_default_str()
      ->type_name("BYTES");
  app->add_option("--batch-bytes", load.batch_bytes, "Most bytes of a batch before compression.")
      ->check(CLI::Range(1u, 1u << 30))
      ->capture_default_str()
      ->type_name("BYTES");
  app->add_option("--batch-records", load.batch_records, "Most records of a batch. [what --batch-bytes holds]")
      ->check(CLI::Range(1u, 1'000'000u))
      ->type_name("N");
  app->add_option("--linger", load.linger_ms, "With --rate: how long a record waits for others of its batch.")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{60'000}))
      ->capture_default_str()
      ->type_name("MS");
  app->add_option("-c,--connections,--producers,--threads", load.connections,
                  "Producers, each with a connection to each broker.")
      ->check(CLI::Range(1u, kConnectionsMax))
      ->capture_default_str()
      ->type_name("N");
  app->add_option("-i,--in-flight", load.in_flight, "Requests under way, of each producer.")
      ->check(CLI::Range(1u, 1'000u))
      ->capture_default_str()
      ->type_name("N");
  base_.choice(app, "-z,--compression", load.codec, kCodecs, "none, gzip, snappy, lz4 or zstd.")->type_name("CODEC");
  base_.choice(app, "-a,--acks", load.acks, kAcks, "all: on disk (default); 1: appended; 0: no answer.")
      ->type_name("ACKS");
  return app->add_option("-r,--rate", load.rate, "Records per second of all producers; 0: full speed.")
      ->check(CLI::Range(0.0, 1e9))
      ->type_name("N");
}

void BenchParser::add_produce(CLI::App& bench) {
  auto* p = bench.add_subcommand("produce", "Write to a topic at full speed, or at a rate.");
  load(p, produce_.load);
  p->footer(
      "With --rate each record is due at its own time, whether the broker keeps up or not, and its latency counts "
      "from\n"
      "then to the answer (an open loop). At full speed it counts from when its batch was sent. Values are made-up "
      "text;\n"
      "batches go round the partitions. Nothing is sent twice: each failed request is an error, and errors make the "
      "exit\n"
      "code 1. Ctrl-C ends it with the figures so far.\n\n"
      "Examples:\n  millrace bench produce -d 30 -p 8 -c 4\n  millrace bench produce -r 50000 --linger 5 -z lz4\n"
      "  millrace bench produce -b broker:9092 -t load -n 1000000 -s 100 --json");
  p->callback([this, p] {
    if (given(p, "--messages") && !given(p, "--warm-up")) produce_.load.warm_up_seconds = 0;
    base_.line.command = std::move(produce_);
  });
}

void BenchParser::add_consume(CLI::App& bench) {
  auto* c = measured(bench.add_subcommand("consume", "Read a topic to its end, for some time, or as it grows."),
                     consume_.progress);
  c->add_option("-t,--topic", consume_.topic, "Filled by bench produce, or any other.")->capture_default_str();
  c->add_option("-n,--messages", consume_.records, "Stop after so many records that count.")->type_name("N");
  c->add_option("-d,--duration", consume_.seconds, "Over and over for so long. [once to the end]")
      ->check(CLI::Range(0.1, kSecondsMax))
      ->type_name("SECONDS");
  add_warm_up(c, consume_.warm_up_seconds, "The same work before, which does not count. [1 with --duration]");
  c->add_flag("-f,--follow", consume_.follow, "What comes from now on, instead of what is there.");
  c->add_option("-c,--connections,--threads", consume_.connections, "Readers, each with its share of the partitions.")
      ->check(CLI::Range(1u, kConnectionsMax))
      ->capture_default_str()
      ->type_name("N");
  c->add_option("--fetch-bytes", consume_.fetch_bytes, "Most bytes of an answer, and of a partition in it.")
      ->check(CLI::Range(1'024, 1 << 30))
      ->capture_default_str()
      ->type_name("BYTES");
  c->footer(
      "Checksums are checked; records are counted by batch and not looked at. Latency is that of the answers with\n"
      "records. Ctrl-C ends it with the figures so far.\n\n"
      "Examples:\n  millrace bench consume\n  millrace bench consume -d 30 -c 4 --json\n"
      "  millrace bench consume -t orders -f -d 60");
  c->callback([this, c] {
    if (given(c, "--duration") && !given(c, "--warm-up")) consume_.warm_up_seconds = 1;
    base_.line.command = std::move(consume_);
  });
}

void BenchParser::add_end_to_end(CLI::App& bench) {
  auto* e = bench.add_subcommand("e2e", "How long records take from when they are due to a reader.");
  end_to_end_.load.rate = 1000;
  load(e, end_to_end_.load)->capture_default_str();
  e->footer(
      "Producers as in bench produce, and one reader of all partitions in the same process, so that one clock times "
      "both\n"
      "ends: from when a record was due to when the reader has it. A record that was acknowledged and does not come is "
      "an\n"
      "error.\n\n"
      "Examples:\n  millrace bench e2e\n  millrace bench e2e -n 100000 -r 10000\n"
      "  millrace bench e2e -r 20000 --linger 1 -p 4 -c 4 -d 60 --json");
  e->callback([this, e] {
    if (given(e, "--messages") && !given(e, "--warm-up")) end_to_end_.load.warm_up_seconds = 0;
    base_.line.command = std::move(end_to_end_);
  });
}

void BenchParser::add_groups(CLI::App& bench) {
  auto* g = measured(bench.add_subcommand("groups", "Consumer groups: heartbeats, commits, joins or whole rebalances."),
                     groups_.progress);
  base_.choice(g, "work,--work", groups_.work, kGroupWorks, "heartbeat (default), commit, join or rebalance.")
      ->type_name("WORK");
  g->add_option("-g,--groups", groups_.groups, "Made before, removed at the end.")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str()
      ->type_name("N");
  g->add_option("-m,--members", groups_.members, "Of each group.")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str()
      ->type_name("N");
  base_
      .choice(g, "--protocol", groups_.consumer_protocol, kGroupProtocols,
              "classic (default), or consumer: that of KIP-848.")
      ->type_name("PROTOCOL");
  g->add_option("-t,--topic", groups_.topic, "What all members read. Made when missing; it stays.")
      ->capture_default_str();
  g->add_option("-p,--partitions", groups_.partitions, "Of a topic that is made.")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str()
      ->type_name("N");
  g->add_option("--commit-partitions", groups_.commit_partitions, "Of each commit.")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str()
      ->type_name("N");
  g->add_option("--session-ms", groups_.session_ms, "Session timeout of classic members.")
      ->check(CLI::Range(1'000, 1'800'000))
      ->capture_default_str()
      ->type_name("MS");
  g->add_option("-n,--operations", groups_.operations, "So many operations that count, instead of --duration.")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 60))
      ->type_name("N");
  g->add_option("-d,--duration", groups_.seconds, "How long it counts.")
      ->check(CLI::Range(0.1, kSecondsMax))
      ->capture_default_str()
      ->type_name("SECONDS");
  add_warm_up(g, groups_.warm_up_seconds, "The same work before, which does not count. [1; with --operations 0]");
  g->add_option("-c,--connections", groups_.connections,
                "Each to all brokers; members share them. [10, or as many as --members]")
      ->check(CLI::Range(1u, kConnectionsMax))
      ->type_name("N");
  g->add_option("-i,--in-flight", groups_.in_flight, "Operations under way, for each connection.")
      ->check(CLI::Range(1u, 1'000u))
      ->capture_default_str()
      ->type_name("N");
  g->add_option("-r,--rate", groups_.rate, "Operations per second of all groups; 0: full speed.")
      ->check(CLI::Range(0.0, 1e9))
      ->type_name("N");
  g->footer(
      "heartbeat  a member's Heartbeat, or ConsumerGroupHeartbeat without news\n"
      "commit     a member's OffsetCommit for --commit-partitions\n"
      "join       all members of a group join with another subscription (classic only)\n"
      "rebalance  the same, and all have synced; --protocol consumer: a member leaves, another joins, all have "
      "theirs\n\n"
      "Classic groups that join need --members connections each for so long: --connections / --members of them do at "
      "once.\n"
      "Groups are made before anything counts, and removed at the end, also after Ctrl-C (a second one leaves them).\n"
      "Latency counts from when an operation was sent, with --rate from when it was due. Errors make the exit code "
      "1.\n\n"
      "Examples:\n  millrace bench groups\n  millrace bench groups --protocol consumer -g 1000 -m 10 -r 2000 -d 60\n"
      "  millrace bench groups commit -p 100 --commit-partitions 20 -c 4\n"
      "  millrace bench groups rebalance -g 50 -m 3 -c 30 -n 1000 --json");
  g->callback([this, g] {
    if (given(g, "--operations") && !given(g, "--warm-up")) groups_.warm_up_seconds = 0;
    base_.line.command = std::move(groups_);
  });
}

void BenchParser::add(CLI::App& app) {
  auto* bench = app.add_subcommand("bench", "Put load on any Kafka broker and measure what comes out.");
  bench->require_subcommand(1);
  add_produce(*bench);
  add_consume(*bench);
  add_end_to_end(*bench);
  add_groups(*bench);
}

}  // namespace mr::cli
