// Aim: a topic gets more partitions whole or not at all, every shard serves them at once, and they are there with what
// was written after any crash. Method: the rules by a table of wishes; then a broker over a simulated disk and a store
// whose answers get lost, ended at any moment of the change.
#include "broker/create_partitions.h"

#include <gtest/gtest.h>

#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

TopicInfo topic_of(std::size_t partitions, bool internal = false) {
  TopicInfo info;
  info.name = internal ? "__consumer_offsets" : "t";
  info.internal = internal;
  info.partitions.resize(partitions);
  return info;
}

Result<std::int32_t> plan(const PartitionsSpec& spec, bool internal = false) {
  TopicInfo topic = topic_of(3, internal);
  return plan_partitions(spec, topic, *TopicTable().with(std::make_shared<TopicInfo>(topic)),
                         {.partitions_max = 10, .self = BrokerId{1}});
}

TEST(PlanPartitions, OnlyMoreThanThereAreAndNotTooMany) {
  EXPECT_EQ(plan({.topic = "t", .count = 4}).value(), 1);
  EXPECT_EQ(plan({.topic = "t", .count = 10}).value(), 7);
  for (std::int32_t count : {11, 3, 2, 0, -1, INT32_MAX, INT32_MIN})
    EXPECT_EQ(plan({.topic = "t", .count = count}).code(), Errc::invalid_partition_count) << count;
  EXPECT_EQ(plan({.topic = "__consumer_offsets", .count = 4}, true).code(), Errc::policy_violation);
}

TEST(PlanPartitions, AssignmentsByHandAreCheckedOneByOne) {
  const std::vector<BrokerId> self = {BrokerId{1}}, stranger = {BrokerId{2}}, none = {}, twice = {self[0], self[0]};
  EXPECT_EQ(plan({.topic = "t", .count = 5, .assignment = {{self, self}}}).value(), 2);
  using Assignment = std::vector<std::vector<BrokerId>>;
  const Assignment too_few = {self}, too_many = {self, self, self};
  for (const Assignment& bad :
       {too_few, too_many, Assignment{}, Assignment{self, stranger}, Assignment{none, self}, Assignment{self, twice}})
    EXPECT_EQ(plan({.topic = "t", .count = 5, .assignment = bad}).code(), Errc::invalid_replica_assignment);
}

struct CreatePartitions : testing::Test {
  CreatePartitions() : world({.seed = 8}), host(world.add_host("b")) { start(); }
  ~CreatePartitions() override { (void)running->stop(); }

  void start(std::vector<std::string> paths = {"/data"}) {
    running = std::make_unique<Running>(world, host.start(3), journal, paths);
    MR_CHECK(running->started.ok());
  }
  void crash_and_start() {
    host.crash(sim::CrashMode::lose_unsynced);
    (void)running->stop();  // of a ghost: its disk is cut off
    start();
  }
  void make(const std::string& name, std::int32_t partitions) {
    ASSERT_TRUE(running->run(running->broker->create_topic({.name = name, .partitions = partitions}, false)).ok());
  }
  Result<TopicRef> grow(const std::string& name, std::int32_t count, bool validate_only = false) {
    return running->run(running->broker->create_partitions({.topic = name, .count = count}, validate_only));
  }
  std::size_t count(const std::string& name) { return running->topic(name)->partitions.size(); }

  sim::World world;
  sim::Host& host;
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();
  std::unique_ptr<Running> running;
};

TEST_F(CreatePartitions, AreServedOnEveryShardAtOnceAndAfterAPowerCut) {
  make("t", 1);
  ASSERT_TRUE(running->append("t", "first").ok());
  Result<TopicRef> grown = grow("t", 7);
  ASSERT_TRUE(grown.ok()) << grown.error().message();
  for (std::uint32_t shard = 0; shard < 3; ++shard)
    EXPECT_EQ(running->broker->topics(ShardId{shard})->find("t")->partitions.size(), 7u) << shard;
  EXPECT_EQ(running->broker->topics(ShardId{0})->partition_count(), 7u);
  for (int p = 1; p < 7; ++p) EXPECT_EQ(running->append("t", "v", p).value(), Offset{0}) << p;
  crash_and_start();
  ASSERT_EQ(count("t"), 7u);
  for (int p = 0; p < 7; ++p) EXPECT_EQ(running->listed("t", p).value(), Offset{1}) << p;
  EXPECT_EQ(grow("t", 8).value()->partitions.size(), 8u) << "and once more";
}

TEST_F(CreatePartitions, RefusedOrOnlyValidatedChangesNothing) {
  make("t", 2);
  EXPECT_EQ(grow("none", 3).code(), Errc::unknown_topic);
  EXPECT_EQ(grow("t", 2).code(), Errc::invalid_partition_count);
  EXPECT_EQ(grow("t", 5, true).value()->partitions.size(), 5u) << "what it would be";
  EXPECT_EQ(count("t"), 2u);
  EXPECT_FALSE(host.disk().exists("/data/t-2").value());
  crash_and_start();
  EXPECT_EQ(count("t"), 2u);
}

// A name that comes again is another topic: what is left of the old one's later partitions is not its own.
TEST_F(CreatePartitions, GoWithTheirTopic) {
  make("t", 1);
  ASSERT_TRUE(grow("t", 3).ok());
  ASSERT_TRUE(running->append("t", "v", 2).ok());
  ASSERT_TRUE(running->run(running->broker->delete_topic("t", running->topic("t")->id)).ok());
  make("t", 1);
  ASSERT_TRUE(grow("t", 3).ok());
  EXPECT_EQ(running->listed("t", 2).value(), Offset{0});
  crash_and_start();
  EXPECT_EQ(running->listed("t", 2).value(), Offset{0});
}

// The metadata has it by then: it is there, offline, until a start finds the disk well.
TEST_F(CreatePartitions, WhoseLogCannotBeOpenedAreOffline) {
  make("t", 1);
  host.disk().add_fault({.op = sim::DiskOp::make_directory, .path_contains = "t-2", .error = Errc::io_error});
  ASSERT_TRUE(grow("t", 4).ok());
  EXPECT_EQ(count("t"), 4u);
  EXPECT_TRUE(running->append("t", "v", 1).ok());
  EXPECT_EQ(running->append("t", "v", 2).code(), Errc::disk_failed);
  EXPECT_TRUE(running->append("t", "v", 3).ok());
  crash_and_start();
  EXPECT_TRUE(running->append("t", "v", 2).ok());
}

TEST_F(CreatePartitions, ThatLackRoomAreServedOnceThereIsSome) {
  make("t", 1);
  host.disk().add_fault({.op = sim::DiskOp::make_directory, .path_contains = "t-1", .error = Errc::disk_full});
  ASSERT_TRUE(grow("t", 2).ok());
  EXPECT_FALSE(running->append("t", "v", 1).ok());
  world.run_for(60s);
  EXPECT_TRUE(running->append("t", "v", 1).ok());
}

// The power goes after each single change on the disk: all of the new partitions are there, or none, and those that are
// there can be written to; once answered they are there.
TEST_F(CreatePartitions, AreWholeOrAbsentWhereverThePowerGoes) {
  bool answered = false;
  int absent = 0, present = 0;
  for (std::uint64_t changes = 1; !answered; ++changes) {
    ASSERT_LT(changes, 300u);
    const std::string name = "t" + std::to_string(changes);
    make(name, 1);
    host.disk().crash_after(changes, sim::CrashMode::lose_unsynced);
    bool ok = grow(name, 4).ok();
    answered = ok && !host.disk().crashed();
    host.disk().crash_after(0, sim::CrashMode::lose_unsynced);
    if (host.disk().crashed()) {
      host.disk().restart();
      (void)running->stop();
      start();
    } else {
      crash_and_start();
    }
    const std::size_t there = count(name);
    ASSERT_TRUE(there == 1 || there == 4) << there << " after " << changes;
    ++(there == 1 ? absent : present);
    if (answered) EXPECT_EQ(there, 4u);
    for (int p = 0; p < static_cast<int>(there); ++p)
      ASSERT_TRUE(running->append(name, "v", p).ok()) << p << " after " << changes;
    if (there == 1) ASSERT_TRUE(grow(name, 4).ok()) << "after " << changes;
    ASSERT_TRUE(running->run(running->broker->delete_topic(name, running->topic(name)->id)).ok());
  }
  EXPECT_GT(present, 1) << "also between the metadata and the answer";
}

}  // namespace
}  // namespace mr::broker
