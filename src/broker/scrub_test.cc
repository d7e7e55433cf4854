// Aim: damage that nobody reads is found, told once and costs nothing else; the scrub keeps to its rate and never holds
// up a stop. Method: a whole broker over a simulated disk and clock, stored records with flipped bits.
#include "broker/scrub.h"

#include "base/log.h"
#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

struct Scrub : testing::Test {
  static constexpr int kRecords = 40;
  static constexpr std::uint64_t kValueBytes = 100'000;

  std::unique_ptr<Running> start(std::vector<config::SettingInput> settings = {}) {
    set_log_level(LogLevel::off);
    settings.push_back(setting("log.segment.bytes", "1MiB"));
    return std::make_unique<Running>(world, host.start(2), journal, std::vector<std::string>{"/data"}, settings);
  }
  static config::SettingInput setting(std::string name, std::string value) {
    return {config::Origin::flag, "test", std::move(name), std::move(value)};
  }
  /// Three closed segments with ten records each and one that grows, in partition 0; a small one in partition 1.
  void fill(Running& running) {
    ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .partitions = 2}, false)).ok());
    for (int i = 0; i < kRecords; ++i) ASSERT_TRUE(running.append("t", std::string(kValueBytes, 'x')).ok());
    ASSERT_TRUE(running.append("t", "other", 1).ok());
  }
  void rot(const std::string& file, std::uint64_t position) { host.disk().flip_bit("/data/" + file, position, 4); }
  void pass(Running& running) {
    auto once = [](Broker& broker) -> Task<int> {
      co_await broker.scrub(0);
      co_return 0;
    };
    running.run(once(*running.broker));
  }
  storage::Log& log(Running& running) {
    TopicRef topic = running.topic("t");
    ShardId home = topic->partition(PartitionIndex{0})->home;
    return running.broker->shard(home).find(topic->id, PartitionIndex{0})->log();
  }

  sim::World world{{.seed = 3}};
  sim::Host& host = world.add_host("b");
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();
};

TEST_F(Scrub, ReadsEverythingThatIsDurable) {
  auto running = start();
  fill(*running);
  pass(*running);
  const ScrubStats& done = running->broker->scrubbed();
  EXPECT_GT(done.bytes, kRecords * kValueBytes);
  EXPECT_EQ(done.segments, 4u) << "partition 1 is in the commit journal alone so far";
  EXPECT_EQ(done.passes, 1u);
  EXPECT_GT(done.last_finished, 0);
  EXPECT_EQ(done.damaged_ranges + done.bad_seals + done.unreadable, 0u);
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(Scrub, ClosedSegmentsComeFirst) {
  auto running = start();
  fill(*running);
  auto first = next_to_scrub(log(*running), Offset{0}, true);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->segment.base, Offset{0});
  EXPECT_EQ(first->segment.end, Offset{10});
  EXPECT_FALSE(next_to_scrub(log(*running), Offset{30}, true).has_value());
  auto growing = next_to_scrub(log(*running), Offset{0}, false);
  ASSERT_TRUE(growing.has_value());
  EXPECT_EQ(growing->segment.base, Offset{30});
  EXPECT_EQ(growing->segment.end, Offset{kRecords});
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(Scrub, FindsRottenBitsOnce) {
  auto running = start();
  fill(*running);
  rot("t-0/00000000000000000000.log", 350'000);
  pass(*running);
  pass(*running);
  EXPECT_EQ(running->broker->scrubbed().damaged_ranges, 1u);
  EXPECT_EQ(log(*running).read(Offset{3}, Offset{40}, 1000, true).code(), Errc::corrupt_batch);
  EXPECT_TRUE(log(*running).read(Offset{4}, Offset{40}, 1000, true).ok());
  EXPECT_TRUE(running->append("t", "goes on").ok());
  EXPECT_TRUE(running->stop().ok());
}

// The epoch of a batch lies outside its checksum: only the seal knows that it is another one.
TEST_F(Scrub, FindsWhatNoChecksumCovers) {
  auto running = start();
  fill(*running);
  EXPECT_TRUE(running->stop().ok());
  constexpr std::uint64_t kEpochAt = 12;
  rot("t-0/00000000000000000010.log", kEpochAt + 3);
  rot("t-0/00000000000000000020.seal", 20);
  running = start();
  pass(*running);
  EXPECT_EQ(running->broker->scrubbed().damaged_ranges, 1u);
  EXPECT_EQ(log(*running).read(Offset{10}, Offset{40}, 1000, true).code(), Errc::corrupt_batch);
  EXPECT_EQ(running->broker->scrubbed().bad_seals, 0u) << "the start has made it again";
  rot("t-0/00000000000000000020.seal", 20);
  pass(*running);
  EXPECT_EQ(running->broker->scrubbed().bad_seals, 1u);
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(Scrub, ASegmentThatTheDeviceDoesNotReadEndsNothing) {
  auto running = start();
  fill(*running);
  EXPECT_TRUE(running->stop().ok());
  running = start();
  host.disk().add_fault(
      {.op = sim::DiskOp::read, .path_contains = "t-0/00000000000000000000.log", .times = sim::Fault::kAlways});
  pass(*running);
  EXPECT_EQ(running->broker->scrubbed().unreadable, 1u);
  EXPECT_EQ(running->broker->scrubbed().segments, 4u);
  EXPECT_TRUE(running->append("t", "goes on").ok());
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(Scrub, AFileThatIsMissingIsUnreadable) {
  auto running = start();
  fill(*running);
  EXPECT_TRUE(running->stop().ok());
  running = start();
  EXPECT_TRUE(host.disk().remove("/data/t-0/00000000000000000010.log").ok());
  pass(*running);
  EXPECT_EQ(running->broker->scrubbed().unreadable, 1u);
  EXPECT_EQ(running->broker->scrubbed().segments, 4u);
  EXPECT_EQ(running->broker->scrubbed().passes, 1u);
  EXPECT_TRUE(running->stop().ok());
}

// Compaction has the files of a partition between two names for a moment, and for as long as the disk is full.
TEST_F(Scrub, WaitsForCompactionButNotForEver) {
  for (bool ends : {true, false}) {
    sim::World own({.seed = 3});
    sim::Host& machine = own.add_host("b");
    set_log_level(LogLevel::off);
    Running running(own, machine.start(2), std::make_shared<metastore::MemoryJournal>(), {"/data"},
                    {setting("log.segment.bytes", "1MiB")});
    fill(running);
    ASSERT_TRUE(log(running).begin_replacement(Offset{0}, Offset{10}).ok());
    const TimePoint began = own.now();
    running.process.spawn(ShardId{0}, "scrub", running.broker->scrub(0));
    own.run_until([&] { return own.probes().count("scrub_waits_for_compaction") > 0; }, 10s);
    EXPECT_EQ(own.probes().count("scrub_waits_for_compaction"), 1u);
    if (ends) log(running).end_replacement({});
    own.run_until([&] { return running.broker->scrubbed().passes > 0; }, 120s);
    EXPECT_EQ(running.broker->scrubbed().passes, 1u);
    EXPECT_EQ(running.broker->scrubbed().segments, ends ? 4u : 1u);
    EXPECT_LT(own.now() - began, ends ? 30s : 90s);
    if (!ends) log(running).end_replacement({});
    EXPECT_TRUE(running.stop().ok());
  }
}

TEST_F(Scrub, RunsByItselfAtItsRateAndStopsAtOnce) {
  auto running = start({setting("log.scrub.interval.ms", "600000"), setting("log.scrub.bytes.per.second", "65536")});
  fill(*running);
  world.run_until([&] { return running->broker->scrubbed().bytes > 0; }, 610s);
  std::uint64_t before = running->broker->scrubbed().bytes;
  ASSERT_GT(before, 0u);
  world.run_for(30s);
  std::uint64_t more = running->broker->scrubbed().bytes - before;
  EXPECT_GE(more, 1'000'000u);
  EXPECT_LE(more, 30 * 65'536u + 2 * kValueBytes);
  TimePoint stopping = world.now();
  EXPECT_TRUE(running->stop().ok());
  EXPECT_LT(world.now() - stopping, 5s);
}

TEST_F(Scrub, ZeroSwitchesItOff) {
  auto running = start({setting("log.scrub.interval.ms", "0")});
  fill(*running);
  world.run_for(25h);
  EXPECT_EQ(running->broker->scrubbed().bytes, 0u);
  EXPECT_TRUE(running->stop().ok());
}

}  // namespace
}  // namespace mr::broker
