// Aim: a start that has much to look through after a crash says how far it is, keeps to its limits and can be ended.
// Method: a whole broker over a simulated disk whose reads take time, crashed with several logs, started in a coroutine
// of its own.
#include "base/log.h"
#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

TEST(StartProgress, TellsWhatIsLeft) {
  StartProgress progress{.partitions_total = 10, .bytes_total = 1000};
  EXPECT_EQ(progress.left(), std::nullopt);
  progress.elapsed = 2s;
  progress.bytes_done = 250;
  progress.partitions_done = 9;
  EXPECT_EQ(progress.left(), Duration(6s)) << "by bytes where there are some";
  progress.bytes_done = 1000;
  EXPECT_EQ(progress.left(), Duration(0s));
  StartProgress clean{.partitions_done = 5, .partitions_total = 20, .elapsed = 1s};
  EXPECT_EQ(clean.left(), Duration(3s)) << "else by partitions";
}

struct CrashedBroker : testing::Test {
  static constexpr int kPartitions = 6;
  sim::World world{{.seed = 3}};
  sim::Host& host = world.add_host("b");
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();
  std::vector<std::string> said;
  std::unique_ptr<Running> running;
  std::optional<Result<void>> started;

  void SetUp() override {
    Running first(world, host.start(2), journal);
    ASSERT_TRUE(first.run(first.broker->create_topic({.name = "t", .partitions = kPartitions}, false)).ok());
    for (int p = 0; p < kPartitions; ++p)
      for (int i = 0; i < 20; ++i) ASSERT_EQ(first.append("t", std::string(1000, 'x'), p), Offset{i});
    // Who looks for the latest timestamp reads: nothing waits in memory any more.
    for (int p = 0; p < kPartitions; ++p) ASSERT_TRUE(first.listed("t", p, -3).ok());
    crash(first);
    set_log_level(LogLevel::info);
    set_log_sink(
        [this](LogLevel, std::string_view, std::string_view message, LogFields) { said.emplace_back(message); });
  }
  void TearDown() override {
    if (running) EXPECT_TRUE(running->stop().ok());
    set_log_sink({});
  }
  void crash(Running& life) {
    host.crash(sim::CrashMode::keep_all);
    journal = std::make_shared<metastore::MemoryJournal>(*journal);
    (void)life.stop();
  }
  void slow_reads(Duration each) {
    host.disk().add_fault({.kind = sim::Fault::Kind::delay,
                           .op = sim::DiskOp::read,
                           .path_contains = ".log",
                           .times = sim::Fault::kAlways,
                           .delay = each});
  }
  void begin(std::vector<config::SettingInput> inputs = {}) {
    running = std::make_unique<Running>(world, host.start(2), journal, std::vector<std::string>{"/data"},
                                        std::move(inputs), Running::Start::later);
    auto start = [](Broker& broker, std::optional<Result<void>>& outcome) -> Task<void> {
      outcome = co_await broker.start();
    };
    running->process.spawn(ShardId{0}, "start", start(*running->broker, started));
  }
  void until(auto condition) {
    world.run_until(condition, 3600s);
    ASSERT_TRUE(condition());
  }
  bool was_said(std::string_view message) const { return std::ranges::find(said, message) != said.end(); }
  static config::SettingInput setting(std::string name, std::string value) {
    return {config::Origin::flag, "test", std::move(name), std::move(value)};
  }
};

TEST_F(CrashedBroker, SaysHowFarItIs) {
  slow_reads(4s);
  begin();
  until([&] { return running->broker->progress().partitions_done == 2; });
  StartProgress progress = running->broker->progress();
  EXPECT_FALSE(progress.ready);
  EXPECT_EQ(progress.partitions_total, std::size_t{kPartitions});
  EXPECT_GT(progress.bytes_total, kPartitions * 20 * 1000u);
  EXPECT_GT(progress.bytes_done, 2 * 20 * 1000u);
  EXPECT_LT(progress.bytes_done, progress.bytes_total);
  ASSERT_TRUE(progress.left());
  EXPECT_GT(*progress.left(), Duration(1s));
  until([&] { return started.has_value(); });
  EXPECT_TRUE(started->ok());
  EXPECT_TRUE(running->broker->progress().ready);
  EXPECT_TRUE(was_said("recovering logs"));
  EXPECT_TRUE(was_said("logs recovered"));
  for (int p = 0; p < kPartitions; ++p) EXPECT_EQ(running->listed("t", p), Offset{20});
}

TEST_F(CrashedBroker, LooksThroughAsManyLogsAtATimeAsItMay) {
  auto takes = [&](const char* at_once) {
    slow_reads(10s);
    TimePoint before = world.now();
    begin({setting("num.recovery.threads.per.data.dir", at_once)});
    until([&] { return started.has_value(); });
    EXPECT_TRUE(started->ok());
    started.reset();
    host.disk().heal();
    return world.now() - before;
  };
  Duration one_by_one = takes("1");
  crash(*running);
  Duration three_at_once = takes("3");
  EXPECT_GT(one_by_one, Duration(kPartitions * 10s));
  EXPECT_LT(three_at_once, one_by_one / 2);
}

TEST_F(CrashedBroker, ReadsNoFasterThanItMay) {
  TimePoint before = world.now();
  begin({setting("recovery.io.max.bytes.per.second", "1000")});
  until([&] { return started.has_value(); });
  EXPECT_TRUE(started->ok());
  std::uint64_t bytes = running->broker->progress().bytes_total;
  // The last logs, two at a time, are read before it is known how large they were.
  EXPECT_GT(world.now() - before, std::chrono::milliseconds(bytes * (kPartitions - 2) / kPartitions));
  for (int p = 0; p < kPartitions; ++p) EXPECT_EQ(running->listed("t", p), Offset{20});
}

TEST_F(CrashedBroker, CanBeStoppedWhileItWaitsAndWhileItReads) {
  for (bool throttled : {false, true}) {
    if (!throttled) slow_reads(10s);
    begin({setting("recovery.io.max.bytes.per.second", throttled ? "1" : "0"),
           setting("num.recovery.threads.per.data.dir", "1")});
    until([&] { return running->broker->progress().partitions_done == 1; });
    running->broker->interrupt_start();
    until([&] { return started.has_value(); });
    EXPECT_EQ(started->code(), Errc::cancelled);
    EXPECT_LE(running->broker->progress().partitions_done, 2u) << "the one that is under way ends";
    EXPECT_TRUE(running->stop().ok());
    started.reset();
    host.disk().heal();
  }
  begin();
  until([&] { return started.has_value(); });
  EXPECT_TRUE(started->ok());
  for (int p = 0; p < kPartitions; ++p) EXPECT_EQ(running->listed("t", p), Offset{20});
}

}  // namespace
}  // namespace mr::broker
