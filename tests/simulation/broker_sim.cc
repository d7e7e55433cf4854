#include "tests/simulation/broker_sim.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/network.h"
#include "tests/simulation/history.h"

namespace mr::sim {

using std::chrono::seconds;

History::History(const BrokerSimOptions& options)
    : options_(options),
      world_({.seed = options.seed}),
      rng_(options.seed * 0x2545f4914f6cdd1dull + 1),
      stage_{.world = world_, .ledger = {}, .bootstrap = {.host = "broker", .port = 9092}, .topics = {}},
      host_(world_.add_host("broker", 512_MiB)),
      node_(host_, node_options()) {
  world_.network().latency_max = std::chrono::microseconds(rng_.between(50, 3'000));
  world_.network().buffer_bytes = rng_.one_in(3) ? 2'000 : 64 << 10;
  if (rng_.one_in(2)) world_.network().reset_one_in = 2'000;
}

BrokerSimResult History::run() {
  if (options_.mutation == Mutation::lying_sync) lie(DiskOp::sync, ".log");
  if (options_.mutation == Mutation::lying_directories) lie(DiskOp::sync_directory, "");
  if (options_.mutation == Mutation::lost_metadata) node_.lose_metadata();
  start_again();
  if (fine()) set_out_clients();
  std::uint64_t misfortunes = rng_.between(4, 9);
  for (std::uint64_t i = 0; i < misfortunes && fine(); ++i) {
    let(Millis(rng_.between(20, 900)));
    misfortune();
  }
  if (fine()) make_peace();
  if (fine()) last_look();
  end();
  return result();
}

BrokerNodeOptions History::node_options() {
  BrokerNodeOptions options{.shards = static_cast<std::uint32_t>(rng_.between(1, 3))};
  if (rng_.one_in(3)) options.metastore.unknown_outcome_one_in = 15;
  if (rng_.one_in(4)) options.receive_bytes_max = 256 << 10;
  if (rng_.one_in(3)) options.log_dirs.push_back(kSecondDirectory);
  options.mutation = options_.mutation;
  return options;
}
void History::lie(DiskOp op, std::string where) {
  host_.disk().add_fault(
      {.kind = Fault::Kind::lie, .op = op, .path_contains = std::move(where), .times = Fault::kAlways});
}
void History::note(const std::string& what) {
  if (!options_.verbose) return;
  auto at = static_cast<double>(world_.now().time_since_epoch().count()) / 1e9;
  fmt::print(stderr, "[{:9.4f}] {}\n", at, what);
}

void History::let(Duration time) {
  check_run(world_.run_until([&] { return ended_badly(); }, time));
}
bool History::wait(const std::function<bool()>& what, Duration limit) {
  check_run(world_.run_until([&] { return what() || ended_badly(); }, limit));
  return what();
}
bool History::ended_badly() {
  if (++asked_ % 64 == 0) look_inside();
  return !fine() || start_failed();
}
void History::look_inside() {
  node_.inspect([&](const BrokerNode::Inside& p) {
    bool ordered = p.log_start <= p.high_watermark && p.high_watermark <= p.log_end &&
                   (p.high_watermark <= p.durable_end || !p.watermark_is_durable);
    std::int64_t floor = stage_.ledger.floor({p.name.topic, p.name.partition.v});
    std::int64_t start = stage_.ledger.start_floor({p.name.topic, p.name.partition.v});
    if (ordered && p.high_watermark.v >= floor && p.log_start.v >= start) return;
    stage_.ledger.violation(
        fmt::format("inside {}: log start {} watermark {} durable {} end {}, promised {}, deleted up to {}",
                    p.name.to_string(), p.log_start.v, p.high_watermark.v, p.durable_end.v, p.log_end.v, floor, start));
  });
}
void History::check_run(RunEnd end) {
  if (end == RunEnd::step_limit) stage_.ledger.violation("step limit: something spins\n" + world_.describe());
  if (fine() && start_failed()) stage_.ledger.violation("the broker does not start: " + node_.failure());
}
bool History::start_failed() const {
  if (node_.failure().empty()) return false;
  bool full = node_.failure().starts_with("disk_full");
  return !start_may_fail_ && !refused_for_now() && !full;
}

ClientSeat History::seat(const std::string& name) {
  // Each client is a process of its own on one of two machines.
  Host* host = world_.find_host(rng_.one_in(2) ? "c0" : "c1");
  Process& process = host->start(1);
  client_processes_.push_back(&process);
  return {.stage = stage_, .env = process.env(ShardId{0}), .name = name};
}
Codec History::some_codec(const std::string& topic) {
  if (!rng_.one_in(3)) return Codec::none;
  auto codec = static_cast<Codec>(rng_.between(1, 4));
  if (codec == Codec::zstd) stage_.zstd_topics.insert(topic);
  return codec;
}

void History::draw_compression(NewTopic& topic, std::uint64_t number) {
  Random own(options_.seed * 0x9e3779b97f4a7c15ull + 7 + number);  // the other seeds keep their histories
  if (options_.mutation != Mutation::none || !own.one_in(3)) return;
  static constexpr std::string_view kTypes[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
  std::string type(kTypes[own.below(std::size(kTypes))]);
  if (type == "zstd") stage_.zstd_topics.insert(topic.name);
  topic.configs.push_back({"compression.type", std::move(type)});
}

bool History::make(const ClientSeat& admin, Process& process, NewTopic topic) {
  stage_.topics.push_back(topic.name);
  bool made = false;
  process.spawn(ShardId{0}, "make topic", make_topic(admin, std::move(topic), &made));
  return wait([&] { return made; }, seconds(60));
}

void History::set_out_clients() {
  world_.add_host("c0");
  world_.add_host("c1");
  ClientSeat admin = seat("admin");
  Process& process = *client_processes_.back();
  for (int t = 0; t < 2; ++t) {
    NewTopic topic{.name = fmt::format("t{}", t), .partitions = static_cast<std::int32_t>(rng_.between(1, 3))};
    if (rng_.one_in(2)) topic.configs.push_back({"segment.ms", std::to_string(rng_.between(200, 2'000))});
    if (rng_.one_in(2)) topic.configs.push_back({"index.interval.bytes", "512"});
    if (options_.mutation == Mutation::weak_flush) topic.configs.push_back({"flush.messages", "100000"});
    draw_compression(topic, static_cast<std::uint64_t>(t));
    if (!make(admin, process, topic) && fine()) stage_.ledger.violation("a topic cannot be made");
    if (!fine()) return;
    set_out(producers_, fmt::format("idem{}", t),
            ProducerPlan{.topic = topic.name,
                         .partition = 0,
                         .idempotent = true,
                         .pipeline = rng_.between(1, 5),
                         .codec = some_codec(topic.name),
                         .fresh_sequences = options_.mutation == Mutation::fresh_sequences});
    set_out(consumers_, fmt::format("restless{}", t), topic.name, true);
  }
  set_out(producers_, "pipe", ProducerPlan{.topic = "t0", .acks = -1, .pipeline = 4, .codec = some_codec("t0")});
  set_out(producers_, "leader", ProducerPlan{.topic = "t1", .acks = 1, .pipeline = 2, .codec = some_codec("t1")});
  set_out(producers_, "careless", ProducerPlan{.topic = "t0", .acks = 0});
  set_out(producers_, "idem5", ProducerPlan{.topic = "t1", .partition = 0, .idempotent = true, .pipeline = 5});
  set_out(consumers_, "calm", "t0", false);
  if (rng_.one_in(2)) set_out_retention(admin, process);
  if (rng_.one_in(2)) set_out(vandals_, "vandal");
  set_out(churns_, "churn", "churn");
  if (rng_.one_in(3)) set_out(churns_, "churn2", "churn2");
  set_out_purger(admin, process);
  set_out_tinkerer(admin, process);
}

void History::set_out_retention(const ClientSeat& admin, Process& process) {
  NewTopic topic{.name = "short",
                 .partitions = 1,
                 .configs = {{"segment.ms", "150"}, {"retention.bytes", "8000"}, {"index.interval.bytes", "512"}}};
  if (rng_.one_in(2)) topic.configs[1] = {"retention.ms", "400"};
  stage_.ledger.allow_retention(topic.name);
  if (!make(admin, process, topic)) return;
  // One request at a time: of records that are gone a snapshot remembers one batch for each producer.
  set_out(producers_, "idem short",
          ProducerPlan{.topic = topic.name,
                       .idempotent = true,
                       .pipeline = 1,
                       .value_bytes_max = 1'500,
                       .codec = some_codec(topic.name)});
  set_out(consumers_, "restless short", topic.name, true);
}

void History::set_out_purger(const ClientSeat& admin, Process& process) {
  Random own(options_.seed * 0x9e3779b97f4a7c15ull + 3);  // the other seeds keep their histories
  if (!own.one_in(3)) return;
  std::string topic = "purged";
  if (std::ranges::find(stage_.topics, "short") != stage_.topics.end() && own.one_in(2)) topic = "short";
  if (topic == "purged") {
    NewTopic purged{.name = topic, .partitions = 1, .configs = {{"index.interval.bytes", "512"}}};
    if (!own.one_in(3)) purged.configs.push_back({"segment.ms", std::to_string(own.between(150, 1'000))});
    if (!make(admin, process, std::move(purged))) return;
    // One request at a time, as with retention.
    set_out(producers_, "idem purged", ProducerPlan{.topic = topic, .idempotent = true, .pipeline = 1});
    set_out(consumers_, "restless purged", topic, true);
  }
  set_out(purgers_, "purger", node_, topic);
}

void History::set_out_tinkerer(const ClientSeat& admin, Process& process) {
  Random own(options_.seed * 0x9e3779b97f4a7c15ull + 5);  // the other seeds keep their histories
  const bool wanted = options_.mutation == Mutation::lost_settings;
  if (!wanted && (options_.mutation != Mutation::none || !own.one_in(3))) return;
  NewTopic topic{.name = "tinkered", .partitions = 1, .configs = {{"index.interval.bytes", "512"}}};
  if (!make(admin, process, topic)) return;
  set_out(producers_, "idem tinkered", ProducerPlan{.topic = topic.name, .idempotent = true, .pipeline = 2});
  set_out(consumers_, "restless tinkered", topic.name, true);
  set_out(tinkerers_, "tinkerer", topic.name);
  tinkerers_process_ = client_processes_.back();
}

void History::start_again() {
  start_may_fail_ = true;
  wait([&] { return node_.stopped(); }, seconds(120));  // it may have stopped by itself
  for (int attempt = 0; attempt < 20; ++attempt) {
    node_.start();
    wait([&] { return node_.running() || (node_.stopped() && !node_.failure().empty()); }, seconds(120));
    if (!fine() || node_.running() || !refused_for_now()) break;
    stage_.hit("sim.start_refused");
  }
  start_may_fail_ = false;
  check_run(RunEnd::done);
  if (fine() && !node_.running()) {
    stage_.ledger.violation(fmt::format("the broker does not start: {}\n{}", node_.failure(), world_.describe()));
  }
}

void History::crash_and_start(CrashMode mode, bool disk_is_cut) {
  bool starting = !node_.running();
  stage_.hit(starting ? "sim.crash_while_starting" : "sim.crash");
  node_.crash(mode, disk_is_cut);
  let(Millis(rng_.below(300)));
  if (!fine()) return;
  if (rng_.one_in(4)) {  // and once more while it recovers
    node_.start();
    let(Duration(rng_.below(20'000'000)));
    if (!fine()) return;
    stage_.hit(node_.running() ? "sim.crash" : "sim.crash_while_starting");
    node_.crash(CrashMode::random);
    let(Millis(rng_.below(50)));
    if (!fine()) return;
  }
  start_again();
}

CrashMode History::some_mode() {
  if (rng_.one_in(5)) return CrashMode::keep_all;
  return rng_.one_in(3) ? CrashMode::lose_unsynced : CrashMode::random;
}

void History::make_peace() {
  note("peace");
  world_.network().reset_one_in = 0;
  if (!node_.running()) start_again();
  stage_.stop_producing = true;
  bool calm = wait(
      [&] {
        for (const auto& p : producers_) {
          if (!p->ended() && !stage_.lost.contains(p->only_partition())) return false;
        }
        for (const auto& c : churns_) {
          if (!c->ended()) return false;
        }
        for (const auto& t : tinkerers_) {
          if (!t->ended()) return false;
        }
        return consumers_caught_up();
      },
      seconds(300));
  if (fine() && !calm) stage_.ledger.violation("clients do not get through in peace\n" + describe_clients());
}

bool History::consumers_caught_up() const {
  for (const auto& c : consumers_) {
    if (!c->caught_up()) return false;
  }
  return true;
}

void History::last_look() {
  note("last look");
  node_.crash(CrashMode::lose_unsynced);
  start_again();
  if (!fine()) return;
  std::size_t first = consumers_.size();
  for (const std::string& topic : stage_.topics) set_out(consumers_, "last look " + topic, topic, false);
  auto read_all = [&] {
    for (std::size_t i = first; i < consumers_.size(); ++i) {
      if (!consumers_[i]->caught_up()) return false;
    }
    return true;
  };
  if (!wait(read_all, seconds(120)) && fine()) {
    stage_.ledger.violation("promised records cannot be read\n" + describe_clients());
  }
  for (const auto& tinkerer : tinkerers_) {
    tinkerers_process_->spawn(ShardId{0}, "last look at settings", tinkerer->look_once());
    if (!wait([&] { return tinkerer->looked(); }, seconds(120)) && fine())
      stage_.ledger.violation("settings cannot be seen\n" + describe_clients());
  }
}

std::string History::describe_clients() const {
  std::string text;
  for (const auto& p : producers_) {
    text += fmt::format("{}: {} unacknowledged{}\n", p->name(), p->unacknowledged(), p->ended() ? ", ended" : "");
  }
  for (const auto& c : consumers_) text += c->describe() + "\n";
  return text + world_.describe();
}

void History::end() {
  stage_.stop_all = true;
  host_.disk().crash_after(0, CrashMode::random);
  if (host_.disk().crashed()) node_.crash(CrashMode::random, true);
  host_.disk().heal();
  world_.network().heal();
  for (Process* process : client_processes_) process->calls(ShardId{0}).cancel();
  if (!node_.stopped()) node_.stop();
  start_may_fail_ = true;
  auto all_home = [&] {
    for (Process* process : client_processes_) {
      if (process->calls(ShardId{0}).running() > 0) return false;
    }
    return node_.stopped() && node_.ghosts() == 0;
  };
  RunEnd end = world_.run_until(all_home, seconds(600));
  world_.raise_step_limit(1'000'000);
  if (end != RunEnd::done) {
    stage_.ledger.violation(fmt::format("cannot end: {}\n{}", to_string(end), world_.describe()));
  }
  world_.run_for(seconds(1));
}

BrokerSimResult History::result() {
  auto at = static_cast<double>(world_.now().time_since_epoch().count()) / 1e9;
  return {.violations = stage_.ledger.violations(),
          .probes = world_.probes().counts(),
          .trace_hash = world_.trace_hash(),
          .steps = world_.steps(),
          .acked = stage_.ledger.acked_count(),
          .fetched = stage_.ledger.fetched_count(),
          .virtual_seconds = at};
}

BrokerSimResult run_broker_sim(const BrokerSimOptions& options) { return History(options).run(); }

}  // namespace mr::sim
