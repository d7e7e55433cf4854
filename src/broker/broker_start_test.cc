// Aim: starting over damaged data: one bad log takes only its own partition offline, its files and its log start stay,
// and the directory is not marked clean. Method: a whole broker over a simulated disk, stopped, damaged, started again.
#include <gtest/gtest.h>

#include "base/log.h"
#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

TEST(BrokerStart, ADamagedLogTakesOnlyItsPartitionOffline) {
  sim::World world({.seed = 5});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  {
    Running first(world, host.start(2), journal);
    for (const char* name : {"good", "bad"})
      ASSERT_TRUE(first.run(first.broker->create_topic({.name = name}, false)).ok());
    EXPECT_EQ(first.append("good", "a"), Offset{0});
    EXPECT_EQ(first.append("bad", "b"), Offset{0});
    EXPECT_TRUE(first.stop().ok());
  }
  // partition.metadata of another topic: not ours to touch.
  Uuid foreign{77, 88};
  {
    auto file = host.disk().open("/data/bad-0/partition.metadata", OpenMode::read_write);
    ASSERT_TRUE(file.ok());
    std::string text = "version: 0\ntopic_id: " + foreign.to_string() + "\n";
    ASSERT_TRUE((*file)->truncate(0).ok());
    ASSERT_TRUE((*file)->write_at(as_bytes(text), 0).ok());
  }
  for (int round = 0; round < 2; ++round) {
    Running again(world, host.start(2), journal);
    EXPECT_EQ(again.was_clean[0], round == 0) << "an unopened log forbids the clean-stop marker";
    auto refused = again.append("bad", "c");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.code(), Errc::disk_failed);
    EXPECT_EQ(again.append("good", "c"), Offset{1 + round});
    EXPECT_TRUE(again.stop().ok());
  }
}

// Records that were answered for are never cut, and the numbers say what a start found.
TEST(BrokerStart, DamageIsCountedAndNothingOfItCut) {
  set_log_level(LogLevel::off);
  sim::World world({.seed = 6});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  {
    Running first(world, host.start(1), journal);
    ASSERT_TRUE(first.run(first.broker->create_topic({.name = "t"}, false)).ok());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(first.append("t", "value"), Offset{i});
    EXPECT_TRUE(first.stop().ok());
  }
  {
    auto file = host.disk().open("/data/t-0/00000000000000000000.log", OpenMode::read_write);
    ASSERT_TRUE(file.ok() && (*file)->truncate(*(*file)->size() - 10).ok());
  }
  Running again(world, host.start(1), journal);
  const storage::RecoveryCounts& found = again.broker->shard(ShardId{0}).recovered;
  EXPECT_EQ(found.damaged_ranges, 1u);
  EXPECT_EQ(found.tails_cut + found.bytes_cut, 0u);
  EXPECT_EQ(again.append("t", "goes on"), Offset{3});
  EXPECT_TRUE(again.stop().ok());
}

// A topic made again under the name of a deleted one begins at 0, also when checkpoints were written just then.
TEST(BrokerStart, ADeletedTopicsLogStartIsForgotten) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    sim::World world({.seed = seed});
    sim::Host& host = world.add_host("b");
    auto journal = std::make_shared<metastore::MemoryJournal>();
    auto first = std::make_unique<Running>(world, host.start(6), journal);
    // On the first shard that is asked, so that there is time between the question and the writing.
    TopicRef old;
    for (int i = 0; old == nullptr || old->partitions[0].home != ShardId{0}; ++i)
      old = *first->run(first->broker->create_topic({.name = "t" + std::to_string(i)}, false));
    const std::string name = old->name;
    for (int i = 0; i < 8; ++i) EXPECT_EQ(first->append(name, "old"), Offset{i});
    ShardId home{0};
    auto cut = [](Broker& broker, ShardId home, TopicId id) -> Task<Result<void>> {
      co_return co_await broker.shards().call(
          home, [&] { return broker.shard(home).find(id, PartitionIndex{0})->log().advance_log_start(Offset{5}); });
    };
    ASSERT_TRUE(first->run(cut(*first->broker, home, old->id)).ok());
    first->run(first->broker->write_checkpoints());

    int ended = 0;
    auto checkpoints = [](Broker& broker, Duration after, int& ended) -> Task<void> {
      const TaskContext& context = co_await current_context();
      (void)co_await sleep_until(context.executor->now() + after);
      co_await broker.write_checkpoints();
      ++ended;
    };
    auto deletion = [](Broker& broker, TopicRef topic, int& ended) -> Task<void> {
      EXPECT_TRUE((co_await broker.delete_topic(topic->name, topic->id)).ok());
      ++ended;
    };
    first->process.spawn(ShardId{0}, "delete", deletion(*first->broker, old, ended));
    first->process.spawn(ShardId{0}, "checkpoints",
                         checkpoints(*first->broker, world.random_delay(std::chrono::milliseconds(3)), ended));
    world.run_until([&] { return ended == 2; }, std::chrono::seconds(60));
    ASSERT_EQ(ended, 2);
    ASSERT_TRUE(first->run(first->broker->create_topic({.name = name}, false)).ok());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(first->append(name, "new"), Offset{i}) << "seed " << seed;

    host.crash(sim::CrashMode::lose_unsynced);
    auto kept = std::make_shared<metastore::MemoryJournal>(*journal);
    (void)first->stop();
    first.reset();
    Running again(world, host.start(6), kept);
    TopicRef topic = again.topic(name);
    ASSERT_NE(topic, nullptr);
    home = topic->partitions[0].home;
    PartitionRef partition = again.broker->shard(home).find(topic->id, PartitionIndex{0});
    ASSERT_NE(partition, nullptr);
    EXPECT_EQ(partition->log_start(), Offset{0}) << "seed " << seed;
    EXPECT_EQ(partition->log_end(), Offset{3}) << "seed " << seed;
    partition.reset();
    EXPECT_TRUE(again.stop().ok());
  }
}

// A directory without its metadata: another owner's, or this one's whose metadata.db is gone. Left alone until somebody
// asks for it; then its records, producers and epochs go on.
TEST(BrokerStart, TopicsOfADirectoryAreAdopted) {
  sim::World world({.seed = 11});
  sim::Host& host = world.add_host("b");
  TopicId id;
  std::string cluster;
  LeaderEpoch epoch;
  {
    Running first(world, host.start(2), std::make_shared<metastore::MemoryJournal>());
    ASSERT_TRUE(first.run(first.broker->create_topic({.name = "t", .partitions = 2}, false)).ok());
    EXPECT_EQ(first.append("t", "a"), Offset{0});
    id = first.topic("t")->id;
    epoch = first.topic("t")->partitions[0].leader_epoch;
    cluster = first.broker->cluster_id();
    EXPECT_TRUE(first.stop().ok());
  }
  auto journal = std::make_shared<metastore::MemoryJournal>();
  {
    const std::vector<config::SettingInput> adopt = {{config::Origin::flag, "test", "adopt.topics", "true"}};
    Running again(world, host.start(2), journal, {"/data"}, adopt);
    EXPECT_EQ(again.broker->cluster_id(), cluster);
    ASSERT_NE(again.topic("t"), nullptr);
    EXPECT_EQ(again.topic("t")->id, id);
    EXPECT_EQ(again.topic("t")->partitions.size(), 2u);
    EXPECT_GT(again.topic("t")->partitions[0].leader_epoch, epoch);
    EXPECT_EQ(again.topic("t")->configs.at("retention.ms"), "-1");
    EXPECT_EQ(again.append("t", "b"), Offset{1});
    EXPECT_TRUE(again.stop().ok());
  }
  Running third(world, host.start(2), journal);
  EXPECT_EQ(third.append("t", "c"), Offset{2});
  EXPECT_TRUE(third.stop().ok());
}

}  // namespace
}  // namespace mr::broker
