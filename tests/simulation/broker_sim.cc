#include "tests/simulation/broker_sim.h"

#include <fmt/format.h>

#include <memory>

#include "sim/network.h"
#include "tests/simulation/broker_node.h"
#include "tests/simulation/consumer.h"
#include "tests/simulation/producer.h"
#include "tests/simulation/topic_churn.h"
#include "tests/simulation/vandal.h"

namespace mr::sim {

using std::chrono::seconds;

const char* to_string(Mutation mutation) {
  switch (mutation) {
    case Mutation::none:
      return "none";
    case Mutation::lying_sync:
      return "lying_sync";
    case Mutation::weak_flush:
      return "weak_flush";
    case Mutation::fresh_sequences:
      return "fresh_sequences";
    case Mutation::lost_metadata:
      return "lost_metadata";
    case Mutation::rotten_medium:
      return "rotten_medium";
    case Mutation::lying_directories:
      return "lying_directories";
  }
  return "?";
}

namespace {

class BrokerSim {
 public:
  explicit BrokerSim(const BrokerSimOptions& options)
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

  BrokerSimResult run() {
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

 private:
  BrokerNodeOptions node_options() {
    BrokerNodeOptions options{.shards = static_cast<std::uint32_t>(rng_.between(1, 3))};
    if (rng_.one_in(3)) options.metastore.unknown_outcome_one_in = 15;
    if (rng_.one_in(4)) options.receive_bytes_max = 256 << 10;
    return options;
  }
  bool fine() const { return stage_.ledger.ok(); }
  void lie(DiskOp op, std::string where) {
    host_.disk().add_fault(
        {.kind = Fault::Kind::lie, .op = op, .path_contains = std::move(where), .times = Fault::kAlways});
  }
  void note(const std::string& what) {
    if (!options_.verbose) return;
    auto at = static_cast<double>(world_.now().time_since_epoch().count()) / 1e9;
    fmt::print(stderr, "[{:9.4f}] {}\n", at, what);
  }

  /// Time passes; a broker that refuses to start is noticed.
  void let(Duration time) {
    check_run(world_.run_until([&] { return ended_badly(); }, time));
  }
  bool wait(const std::function<bool()>& what, Duration limit) {
    check_run(world_.run_until([&] { return what() || ended_badly(); }, limit));
    return what();
  }
  bool ended_badly() {
    if (++asked_ % 64 == 0) look_inside();
    return !fine() || start_failed();
  }
  /// What must hold inside the broker between any two steps.
  void look_inside() {
    node_.inspect([&](const BrokerNode::Inside& p) {
      bool ordered = p.log_start <= p.high_watermark && p.high_watermark <= p.log_end &&
                     (p.high_watermark <= p.durable_end || !p.watermark_is_durable);
      std::int64_t floor = stage_.ledger.floor({p.name.topic, p.name.partition.v});
      if (ordered && p.high_watermark.v >= floor) return;
      stage_.ledger.violation(fmt::format("inside {}: log start {} watermark {} durable {} end {}, promised {}",
                                          p.name.to_string(), p.log_start.v, p.high_watermark.v, p.durable_end.v,
                                          p.log_end.v, floor));
    });
  }
  void check_run(RunEnd end) {
    if (end == RunEnd::step_limit) stage_.ledger.violation("step limit: something spins\n" + world_.describe());
    if (fine() && start_failed()) stage_.ledger.violation("the broker does not start: " + node_.failure());
  }
  bool start_failed() const {
    if (node_.failure().empty()) return false;
    bool full = node_.failure().starts_with("disk_full");
    return !start_may_fail_ && !refused_for_now() && !full;
  }

  ClientSeat seat(const std::string& name) {
    // Each client is a process of its own on one of two machines.
    Host* host = world_.find_host(rng_.one_in(2) ? "c0" : "c1");
    Process& process = host->start(1);
    client_processes_.push_back(&process);
    return {.stage = stage_, .env = process.env(ShardId{0}), .name = name};
  }
  template <class Actor, class... Args>
  Actor& set_out(std::vector<std::unique_ptr<Actor>>& actors, const std::string& name, Args&&... args) {
    actors.push_back(std::make_unique<Actor>(seat(name), std::forward<Args>(args)...));
    client_processes_.back()->spawn(ShardId{0}, "client", actors.back()->run());
    return *actors.back();
  }

  void set_out_clients() {
    world_.add_host("c0");
    world_.add_host("c1");
    ClientSeat admin = seat("admin");
    Process& process = *client_processes_.back();
    for (int t = 0; t < 2; ++t) {
      NewTopic topic{.name = fmt::format("t{}", t), .partitions = static_cast<std::int32_t>(rng_.between(1, 3))};
      if (rng_.one_in(2)) topic.configs.push_back({"segment.ms", std::to_string(rng_.between(200, 2'000))});
      if (rng_.one_in(2)) topic.configs.push_back({"index.interval.bytes", "512"});
      if (options_.mutation == Mutation::weak_flush) topic.configs.push_back({"flush.messages", "100000"});
      stage_.topics.push_back(topic.name);
      bool made = false;
      process.spawn(ShardId{0}, "make topic", make_topic(admin, topic, &made));
      wait([&] { return made; }, seconds(60));
      if (!made && fine()) stage_.ledger.violation("a topic cannot be made");
      if (!fine()) return;
      std::size_t depth = rng_.between(1, 5);
      bool fresh = options_.mutation == Mutation::fresh_sequences;
      set_out(
          producers_, fmt::format("idem{}", t),
          ProducerPlan{
              .topic = topic.name, .partition = 0, .idempotent = true, .pipeline = depth, .fresh_sequences = fresh});
      set_out(consumers_, fmt::format("restless{}", t), topic.name, true);
    }
    set_out(producers_, "pipe", ProducerPlan{.topic = "t0", .acks = -1, .pipeline = 4});
    set_out(producers_, "leader", ProducerPlan{.topic = "t1", .acks = 1, .pipeline = 2});
    set_out(producers_, "careless", ProducerPlan{.topic = "t0", .acks = 0});
    set_out(producers_, "idem5", ProducerPlan{.topic = "t1", .partition = 0, .idempotent = true, .pipeline = 5});
    set_out(consumers_, "calm", "t0", false);
    if (rng_.one_in(2)) set_out_retention(admin, process);
    if (rng_.one_in(2)) set_out(vandals_, "vandal");
    set_out(churns_, "churn", "churn");
    if (rng_.one_in(3)) set_out(churns_, "churn2", "churn2");
  }

  /// A topic whose oldest records go all the time.
  void set_out_retention(const ClientSeat& admin, Process& process) {
    NewTopic topic{.name = "short",
                   .partitions = 1,
                   .configs = {{"segment.ms", "150"}, {"retention.bytes", "8000"}, {"index.interval.bytes", "512"}}};
    if (rng_.one_in(2)) topic.configs[1] = {"retention.ms", "400"};
    stage_.ledger.allow_retention(topic.name);
    stage_.topics.push_back(topic.name);
    bool made = false;
    process.spawn(ShardId{0}, "make topic", make_topic(admin, topic, &made));
    if (!wait([&] { return made; }, seconds(60))) return;
    // One request at a time: of records that are gone a snapshot remembers one batch for each producer.
    set_out(producers_, "idem short",
            ProducerPlan{.topic = topic.name, .idempotent = true, .pipeline = 1, .value_bytes_max = 1'500});
    set_out(consumers_, "restless short", topic.name, true);
  }

  /// A lost answer of the metastore may end a start; the next one must get further.
  bool refused_for_now() const { return node_.failure().starts_with("unknown_outcome"); }

  void start_again() {
    start_may_fail_ = true;
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

  void crash_and_start(CrashMode mode, bool disk_is_cut) {
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

  CrashMode some_mode() {
    if (rng_.one_in(5)) return CrashMode::keep_all;
    return rng_.one_in(3) ? CrashMode::lose_unsynced : CrashMode::random;
  }

  void misfortune() {
    if (!fine()) return;
    switch (rng_.below(14)) {
      case 0:
      case 1:
      case 2:
        note("crash");
        crash_and_start(some_mode(), false);
        break;
      case 3:
      case 4:
        power_cut();
        break;
      case 5:
        clean_restart();
        break;
      case 6:
        note("connections reset");
        world_.network().reset_connections(host_);
        stage_.hit("sim.reset");
        break;
      case 7:
        full_disk();
        break;
      case 8:
        jump_clock();
        break;
      case 9:
        slow_disk();
        break;
      case 10:
        failed_sync();
        break;
      case 11:
        cut_wires();
        break;
      case 12:
        note("accepts fail");
        world_.network().fail_accepts(host_, rng_.between(1, 4));
        world_.network().reset_connections(host_);
        stage_.hit("sim.accept_failed");
        break;
      case 13:
        hung_disk();
        break;
    }
    if (options_.mutation == Mutation::rotten_medium) rot();
  }

  void power_cut() {
    note("power cut after some file operations");
    host_.disk().crash_after(rng_.between(1, 60), some_mode());
    wait([&] { return host_.disk().crashed(); }, seconds(5));
    if (!fine() || !host_.disk().crashed()) {
      host_.disk().crash_after(0, CrashMode::random);
      return;
    }
    stage_.hit("sim.power_cut");
    crash_and_start(CrashMode::random, true);
  }

  void clean_restart() {
    note("clean restart");
    node_.stop();
    wait([&] { return node_.stopped(); }, seconds(120));
    if (fine() && !node_.stopped()) stage_.ledger.violation("the broker hangs while stopping\n" + world_.describe());
    if (!fine()) return;
    stage_.hit("sim.clean_restart");
    start_again();
  }

  void full_disk() {
    note("disk full");
    std::uint64_t refused = world_.probes().count("client.produce_error");
    host_.disk().set_total_bytes(host_.disk().used_bytes() + rng_.below(64 << 10));
    let(Millis(rng_.between(50, 1'500)));
    if (fine() && rng_.one_in(3)) restart_on_full_disk();
    host_.disk().set_total_bytes(512_MiB);
    if (!fine()) return;
    if (world_.probes().count("client.produce_error") > refused) stage_.hit("sim.full_disk_refused_a_produce");
    if (!node_.running()) start_again();
    let(Millis(200));
  }

  /// Neither stop nor start may hang; a start may be refused, and works when there is room.
  void restart_on_full_disk() {
    note("restart on a full disk");
    start_may_fail_ = true;
    if (rng_.one_in(2)) {
      node_.crash(some_mode());
    } else {
      node_.stop();
      wait([&] { return node_.stopped(); }, seconds(120));
    }
    if (!node_.stopped())
      stage_.ledger.violation("the broker hangs while stopping on a full disk\n" + world_.describe());
    if (fine()) {
      // What a crash left may be larger than the disk that the dead process had filled.
      host_.disk().set_total_bytes(host_.disk().used_bytes() + rng_.below(16 << 10));
      node_.start();
      wait([&] { return node_.running() || !node_.failure().empty(); }, seconds(120));
    }
    if (fine() && !node_.running() && node_.failure().empty()) {
      stage_.ledger.violation("the broker hangs while starting on a full disk\n" + world_.describe());
    }
    if (fine() && !node_.running() && !node_.failure().starts_with("disk_full") && !refused_for_now()) {
      stage_.ledger.violation("on a full disk the broker does not start: " + node_.failure());
    }
    stage_.hit(node_.running() ? "sim.started_on_full_disk" : "sim.full_disk_refused_the_start");
    if (!node_.running()) wait([&] { return node_.stopped(); }, seconds(120));
    start_may_fail_ = false;
  }

  void jump_clock() {
    auto minutes = static_cast<std::int64_t>(rng_.below(120)) - 50;
    note(fmt::format("wall clock jumps by {} minutes", minutes));
    // Producers stamp with their own clocks: all machines jump together, within what topics accept.
    for (const char* name : {"broker", "c0", "c1"}) world_.find_host(name)->jump_wall(std::chrono::minutes(minutes));
    stage_.hit("sim.clock_jump");
  }

  void slow_disk() {
    note("slow syncs");
    host_.disk().add_fault({.kind = Fault::Kind::delay,
                            .op = DiskOp::sync,
                            .times = rng_.between(1, 10),
                            .delay = Millis(rng_.between(5, 400))});
    stage_.hit("sim.slow_sync");
  }

  /// Syncs that do not come back for a while; some requests time out meanwhile.
  void hung_disk() {
    note("syncs hang");
    host_.disk().add_fault({.kind = Fault::Kind::hang, .op = DiskOp::sync, .times = rng_.between(1, 6)});
    let(Millis(rng_.between(50, 3'000)));
    host_.disk().drop_faults(Fault::Kind::hang);
    host_.disk().wake_hung();
    stage_.hit("sim.hung_sync");
  }

  /// A sync that fails takes its partition off line until the next start (design section 5 rule 3).
  void failed_sync() {
    DiskOp op = rng_.one_in(3) ? DiskOp::write : DiskOp::sync;
    note(fmt::format("a {} fails", to_string(op)));
    std::uint64_t fired = host_.disk().faults_fired();
    host_.disk().add_fault({.op = op, .path_contains = ".log"});
    wait([&] { return host_.disk().faults_fired() > fired; }, seconds(2));
    if (!fine()) return;
    if (host_.disk().faults_fired() > fired) stage_.hit(op == DiskOp::sync ? "sim.sync_failed" : "sim.write_failed");
    host_.disk().drop_faults(Fault::Kind::fail);
    let(Millis(rng_.below(500)));
    if (!fine()) return;
    if (rng_.one_in(2)) {
      crash_and_start(some_mode(), false);
    } else {
      clean_restart();
    }
  }

  void cut_wires() {
    note("partition");
    for (const char* name : {"c0", "c1"}) {
      if (rng_.one_in(2)) world_.network().partition(host_, *world_.find_host(name));
    }
    let(Millis(rng_.between(10, 2'000)));
    world_.network().heal();
    stage_.hit("sim.partition");
  }

  void rot() {
    std::string directory = "/data/t0-0";
    auto entries = host_.disk().list(directory);
    if (!entries.ok()) return;
    for (const DirEntry& entry : *entries) {
      if (!entry.name.ends_with(".log")) continue;
      auto file = host_.disk().open(directory + "/" + entry.name, OpenMode::read);
      if (!file.ok() || (*file)->size().value() == 0) continue;
      host_.disk().flip_bit(directory + "/" + entry.name, rng_.below((*file)->size().value()), 3);
      return;
    }
  }

  void make_peace() {
    note("peace");
    world_.network().reset_one_in = 0;
    if (!node_.running()) start_again();
    stage_.stop_producing = true;
    bool calm = wait(
        [&] {
          for (const auto& p : producers_) {
            if (!p->ended()) return false;
          }
          for (const auto& c : churns_) {
            if (!c->ended()) return false;
          }
          return consumers_caught_up();
        },
        seconds(300));
    if (fine() && !calm) stage_.ledger.violation("clients do not get through in peace\n" + describe_clients());
  }

  bool consumers_caught_up() const {
    for (const auto& c : consumers_) {
      if (!c->caught_up()) return false;
    }
    return true;
  }

  /// Everything ever promised must be there after one more power cut, read by somebody new.
  void last_look() {
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
  }

  std::string describe_clients() const {
    std::string text;
    for (const auto& p : producers_) {
      text += fmt::format("{}: {} unacknowledged{}\n", p->name(), p->unacknowledged(), p->ended() ? ", ended" : "");
    }
    for (const auto& c : consumers_) text += c->describe() + "\n";
    return text + world_.describe();
  }

  /// Everybody goes home, whatever happened before.
  void end() {
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

  BrokerSimResult result() const {
    auto at = static_cast<double>(world_.now().time_since_epoch().count()) / 1e9;
    return {.violations = stage_.ledger.violations(),
            .probes = const_cast<World&>(world_).probes().counts(),
            .trace_hash = world_.trace_hash(),
            .steps = world_.steps(),
            .acked = stage_.ledger.acked_count(),
            .fetched = stage_.ledger.fetched_count(),
            .virtual_seconds = at};
  }

  BrokerSimOptions options_;
  World world_;
  Random rng_;
  Stage stage_;
  Host& host_;
  BrokerNode node_;
  std::vector<Process*> client_processes_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  std::vector<std::unique_ptr<TopicChurn>> churns_;
  std::vector<std::unique_ptr<Vandal>> vandals_;
  bool start_may_fail_ = false;
  std::uint64_t asked_ = 0;
};

}  // namespace

BrokerSimResult run_broker_sim(const BrokerSimOptions& options) { return BrokerSim(options).run(); }

}  // namespace mr::sim
