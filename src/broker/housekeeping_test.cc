// Aim: what runs by a timer goes on after an exception, and leaves nothing locked. Method: a whole broker over a
// simulated disk whose calls run out of memory once.
#include <gtest/gtest.h>

#include <map>

#include "base/log.h"
#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

struct Housekeeping : testing::Test {
  void start(std::string scrub_every = "0") {
    std::vector<config::SettingInput> settings(2);
    settings[0].name = "log.segment.bytes";
    settings[0].value = "1MiB";
    settings[1].name = "log.scrub.interval.ms";
    settings[1].value = std::move(scrub_every);
    running = std::make_unique<Running>(world, host.start(2), journal, std::vector<std::string>{"/data"}, settings);
    set_log_level(LogLevel::off);
  }
  void fill(std::map<std::string, std::string> configs = {}) {
    ASSERT_TRUE(running->run(running->broker->create_topic({.name = "t", .configs = std::move(configs)}, false)).ok());
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(running->append("t", std::string(100'000, 'x')).ok());
  }
  /// The next call of that kind throws.
  void run_out_of_memory(sim::DiskOp op, std::string path, Duration within) {
    sim::Fault fault{.kind = sim::Fault::Kind::out_of_memory, .op = op};
    fault.path_contains = std::move(path);
    host.disk().add_fault(fault);
    world.run_until([&] { return host.disk().faults_fired() > 0; }, within);
    EXPECT_EQ(host.disk().faults_fired(), 1u);
  }

  sim::World world{{.seed = 1}};
  sim::Host& host = world.add_host("b");
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();
  std::unique_ptr<Running> running;
};

// They are written under a lock on the directory.
TEST_F(Housekeeping, CheckpointsGoOn) {
  start();
  fill();
  run_out_of_memory(sim::DiskOp::create, "/replication-offset-", 70s);
  EXPECT_EQ(*host.disk().exists("/data/replication-offset-checkpoint"), false);
  world.run_for(70s);
  EXPECT_EQ(*host.disk().exists("/data/replication-offset-checkpoint"), true);
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(Housekeeping, RetentionGoesOn) {
  start();
  fill();
  EXPECT_TRUE(running->stop().ok());
  start();  // so that ages are looked up in files
  run_out_of_memory(sim::DiskOp::read, "/data/t-0/", 310s);
  EXPECT_EQ(running->listed("t", 0, -2), Offset{0});
  world.run_for(310s);
  EXPECT_EQ(running->listed("t", 0, -2), Offset{30}) << "all of it is old";
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(Housekeeping, ScrubGoesOn) {
  start("600000");
  fill({{"retention.ms", "-1"}});
  run_out_of_memory(sim::DiskOp::read, "/data/t-0/", 11min);
  EXPECT_EQ(running->broker->scrubbed().passes, 0u);
  world.run_for(11min);
  EXPECT_GT(running->broker->scrubbed().passes, 0u);
  EXPECT_TRUE(running->stop().ok());
}

}  // namespace
}  // namespace mr::broker
