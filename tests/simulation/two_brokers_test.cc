// Aim: brokers share nothing but the process: two run side by side, with the same topic names, and one's crash does not
// touch the other. Method: two brokers and their clients in one World; one crashes and comes back while both work; each
// side has its own ledger, and the one that never crashed must not have refused anything.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/simulation/broker_node.h"
#include "tests/simulation/consumer.h"
#include "tests/simulation/producer.h"
#include "tests/simulation/topic_churn.h"

namespace mr::sim {
namespace {

using std::chrono::seconds;

/// One broker with a producer and a consumer.
class Side {
 public:
  Side(World& world, const std::string& name, std::int32_t node_id)
      : world_(world),
        stage{.world = world, .ledger = {}, .bootstrap = {.host = name, .port = 9092}, .topics = {}},
        node(world.add_host(name), {.shards = 2, .node_id = node_id}),
        clients_(world.add_host(name + "-clients")),
        name_(name) {}

  ClientSeat seat(const std::string& name) {
    processes_.push_back(&clients_.start(1));
    return {.stage = stage, .env = processes_.back()->env(ShardId{0}), .name = name};
  }

  void set_out() {
    ClientSeat admin = seat("admin");
    bool made = false;
    processes_.back()->spawn(ShardId{0}, "make topic",
                             make_topic(admin, {.name = "t", .partitions = 2, .configs = {}}, &made));
    ASSERT_EQ(world_.run_until([&] { return made; }, seconds(30)), RunEnd::done) << world_.describe();
    producer = std::make_unique<Producer>(seat("writer of " + name_),
                                          ProducerPlan{.topic = "t", .idempotent = true, .pipeline = 4});
    processes_.back()->spawn(ShardId{0}, "producer", producer->run());
    consumer = std::make_unique<Consumer>(seat("reader of " + name_), "t", true);
    processes_.back()->spawn(ShardId{0}, "consumer", consumer->run());
  }

  void send_home() {
    stage.stop_all = true;
    for (Process* process : processes_) process->calls(ShardId{0}).cancel();
    node.stop();
  }
  bool home() const {
    for (Process* process : processes_) {
      if (process->calls(ShardId{0}).running() > 0) return false;
    }
    return node.stopped() && node.ghosts() == 0;
  }

 private:
  World& world_;

 public:
  Stage stage;
  BrokerNode node;
  std::unique_ptr<Producer> producer;
  std::unique_ptr<Consumer> consumer;

 private:
  Host& clients_;
  std::string name_;
  std::vector<Process*> processes_;
};

TEST(TwoBrokers, LiveSideBySideInOneProcess) {
  set_log_level(LogLevel::off);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world({.seed = seed});
    Side left(world, "left", 1);
    Side right(world, "right", 2);
    left.node.start();
    right.node.start();
    auto both_run = [&] { return left.node.running() && right.node.running(); };
    ASSERT_EQ(world.run_until(both_run, seconds(30)), RunEnd::done) << left.node.failure() << right.node.failure();
    left.set_out();
    right.set_out();
    world.run_for(Millis(500));
    for (int i = 0; i < 3; ++i) {
      right.node.crash(CrashMode::random);
      world.run_for(Millis(200));
      right.node.start();
      world.run_for(Millis(400));
    }
    EXPECT_EQ(left.node.lives(), 1u);
    left.stage.stop_producing = right.stage.stop_producing = true;
    auto through = [&] {
      return left.producer->ended() && right.producer->ended() && left.consumer->caught_up() &&
             right.consumer->caught_up();
    };
    EXPECT_EQ(world.run_until(through, seconds(120)), RunEnd::done) << world.describe();
    for (Side* side : {&left, &right}) {
      for (const std::string& violation : side->stage.ledger.violations()) ADD_FAILURE() << violation;
      EXPECT_GT(side->stage.ledger.acked_count(), 50u);
    }
    // The ledgers name every record's author: nothing of one side is seen on the other.
    left.send_home();
    right.send_home();
    ASSERT_EQ(world.run_until([&] { return left.home() && right.home(); }, seconds(60)), RunEnd::done)
        << world.describe();
    world.run_for(seconds(1));
  }
}

}  // namespace
}  // namespace mr::sim
