// Aim: the typed view keeps its promises also when answers get lost: topics are whole or absent, names never collide,
// epochs only grow, producer ids are never given twice. Method: over many seeds an unruly memory store that loses every
// fourth answer; then the same store is looked at through a calm view.
#include "metastore/cluster_state.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "metastore/metastore_fixture.h"
#include "metastore/records.h"

namespace mr::metastore {
namespace {

using testing::ElementsAre;

TopicRecord topic(const std::string& name, std::uint64_t id, int partitions) {
  TopicRecord record{.name = name, .id = TopicId{Uuid{7, id}}, .created = 12, .configs = {{"retention.ms", "5"}}};
  for (int i = 0; i < partitions; ++i)
    record.partitions.push_back({PartitionIndex{i}, BrokerId{1}, LeaderEpoch{0}, {BrokerId{1}}, {BrokerId{1}}});
  return record;
}

std::vector<std::string> names(const std::vector<TopicRecord>& topics) {
  std::vector<std::string> result;
  for (const auto& one : topics) result.push_back(one.name);
  return result;
}

TEST(ClusterState, TopicsLiveFromCreationToForgotten) {
  for (Kind kind : {Kind::memory, Kind::sqlite}) {
    Stage stage(kind);
    ClusterState state(stage.store());
    ASSERT_TRUE(stage.run(state.create_topic(topic("a.b", 1, 300))).ok());
    ASSERT_TRUE(stage.run(state.create_topic(topic("c", 2, 1))).ok());
    EXPECT_EQ(stage.run(state.create_topic(topic("c", 3, 1))).code(), Errc::topic_exists);
    auto collides = stage.run(state.create_topic(topic("a_b", 4, 1)));
    EXPECT_EQ(collides.code(), Errc::invalid_topic_name);
    EXPECT_THAT(collides.error().detail(), testing::HasSubstr("a.b"));

    auto topics = stage.run(state.load_topics());
    ASSERT_TRUE(topics.ok()) << topics.error().message();
    EXPECT_THAT(names(*topics), ElementsAre("a.b", "c"));
    EXPECT_EQ((*topics)[0].partitions.size(), 300u);
    EXPECT_EQ((*topics)[0].partitions[299].index.v, 299);
    EXPECT_EQ((*topics)[0].configs.at("retention.ms"), "5");

    EXPECT_EQ(stage.run(state.delete_topic("c", TopicId{Uuid{7, 99}})).code(), Errc::unknown_topic);
    EXPECT_EQ(stage.run(state.delete_topic("none", TopicId{Uuid{7, 2}})).code(), Errc::unknown_topic);
    ASSERT_TRUE(stage.run(state.delete_topic("a.b", TopicId{Uuid{7, 1}})).ok());
    EXPECT_EQ(stage.run(state.delete_topic("a.b", TopicId{Uuid{7, 1}})).code(), Errc::unknown_topic);
    EXPECT_THAT(*stage.run(state.deleted_topics()), ElementsAre(TopicId{Uuid{7, 1}}));
    ASSERT_TRUE(stage.run(state.create_topic(topic("a_b", 5, 1))).ok());  // the name is free again
    stage.reopen();
    ClusterState again(stage.store());
    EXPECT_THAT(names(*stage.run(again.load_topics())), ElementsAre("a_b", "c"));
    EXPECT_THAT(*stage.run(again.deleted_topics()), ElementsAre(TopicId{Uuid{7, 1}}));
    ASSERT_TRUE(stage.run(again.forget_deleted(TopicId{Uuid{7, 1}})).ok());
    EXPECT_TRUE(stage.run(again.deleted_topics())->empty());
    // Nothing of refused or deleted topics lies about: cluster keys are those of the two topics.
    RangeRequest all{.key = "/", .range_end = "0"};
    EXPECT_EQ(stage.run(stage.store().range(std::move(all)))->count, 2 + 2 + 2);
  }
}

TEST(ClusterState, ConfigsAreChangedFromWhatIsStored) {
  using Configs = ClusterState::Configs;
  const Configs first{{"retention.ms", "5"}}, second{{"flush.ms", "a=b%"}, {"cleanup.policy", ""}};
  Configs seen;
  ClusterState::ConfigChange to_second = [&](const Configs& stored) -> Result<Configs> {
    seen = stored;
    return second;
  };
  ClusterState::ConfigChange refuse = [](const Configs&) -> Result<Configs> { return Errc::invalid_config; };
  Stage stage(Kind::sqlite);
  ClusterState state(stage.store());
  const TopicId id{Uuid{7, 1}};
  ASSERT_TRUE(stage.run(state.create_topic(topic("t", 1, 3))).ok());
  EXPECT_EQ(stage.run(state.alter_topic_configs("t", id, refuse)).code(), Errc::invalid_config);
  EXPECT_EQ(stage.run(state.alter_topic_configs("t", TopicId{Uuid{7, 2}}, to_second)).code(), Errc::unknown_topic);
  EXPECT_EQ(stage.run(state.alter_topic_configs("x", id, to_second)).code(), Errc::unknown_topic);
  EXPECT_EQ(*stage.run(state.alter_topic_configs("t", id, to_second)), second);
  EXPECT_EQ(seen, first);

  EXPECT_TRUE(stage.run(state.load_broker_configs(BrokerId{1}))->empty());
  EXPECT_EQ(*stage.run(state.alter_broker_configs(BrokerId{1}, to_second)), second);
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(stage.run(state.alter_broker_configs({}, refuse)).code(), Errc::invalid_config);

  stage.reopen();
  ClusterState again(stage.store());
  auto topics = stage.run(again.load_topics());
  ASSERT_TRUE(topics.ok());
  EXPECT_EQ((*topics)[0].configs, second);
  EXPECT_EQ((*topics)[0].partitions.size(), 3u);
  EXPECT_EQ((*topics)[0].created, 12);
  EXPECT_EQ(*stage.run(again.load_broker_configs(BrokerId{1})), second);
  EXPECT_TRUE(stage.run(again.load_broker_configs({}))->empty());
  EXPECT_TRUE(stage.run(again.load_broker_configs(BrokerId{2}))->empty());
}

std::vector<PartitionRecord> more(int from, int end) {
  std::vector<PartitionRecord> added = topic("", 0, end).partitions;
  added.erase(added.begin(), added.begin() + from);
  return added;
}

TEST(ClusterState, PartitionsAreAddedBehindThoseThereAre) {
  for (Kind kind : {Kind::memory, Kind::sqlite}) {
    Stage stage(kind);
    ClusterState state(stage.store());
    const TopicId id{Uuid{7, 1}};
    ASSERT_TRUE(stage.run(state.create_topic(topic("t", 1, 2))).ok());
    ASSERT_TRUE(stage.run(state.add_partitions("t", id, more(2, 300))).ok());
    EXPECT_EQ(stage.run(state.add_partitions("t", id, more(2, 300))).code(), Errc::conflict) << "somebody else did";
    EXPECT_EQ(stage.run(state.add_partitions("t", TopicId{Uuid{7, 9}}, more(300, 301))).code(), Errc::unknown_topic);
    EXPECT_EQ(stage.run(state.add_partitions("x", id, more(300, 301))).code(), Errc::unknown_topic);
    stage.reopen();
    ClusterState again(stage.store());
    auto topics = stage.run(again.load_topics());
    ASSERT_EQ((*topics)[0].partitions.size(), 300u);
    EXPECT_EQ((*topics)[0].partitions[299].index.v, 299);
    EXPECT_EQ((*topics)[0].configs.at("retention.ms"), "5") << "the settings stay";
    ASSERT_TRUE(stage.run(again.delete_topic("t", id)).ok());
    RangeRequest partitions{.key = std::string(records::kPartitions), .range_end = prefix_end(records::kPartitions)};
    EXPECT_EQ(stage.run(stage.store().range(std::move(partitions)))->count, 0);
  }
}

// An addition of several transactions that was cut short leaves keys that the topic does not count.
TEST(ClusterState, AnAdditionCutShortDidNotHappen) {
  Stage stage(Kind::memory);
  ClusterState state(stage.store());
  ASSERT_TRUE(stage.run(state.create_topic(topic("t", 1, 2))).ok());
  Transaction half;
  for (const PartitionRecord& partition : more(2, 5))
    half.success.push_back(
        Put{records::partition_key(TopicId{Uuid{7, 1}}, partition.index), records::encode_partition(partition)});
  ASSERT_TRUE(stage.run(stage.store().transact(std::move(half))).ok());
  EXPECT_EQ((*stage.run(state.load_topics()))[0].partitions.size(), 2u);
  ASSERT_TRUE(stage.run(state.add_partitions("t", TopicId{Uuid{7, 1}}, more(2, 4))).ok());
  EXPECT_EQ((*stage.run(state.load_topics()))[0].partitions.size(), 4u);
}

TEST(ClusterState, EpochsGrowPastStoredAndFloor) {
  Stage stage(Kind::memory);
  ClusterState state(stage.store());
  ASSERT_TRUE(stage.run(state.create_topic(topic("t", 1, 200))).ok());
  std::vector<ClusterState::EpochBump> bumps;
  for (int i = 0; i < 200; ++i) bumps.push_back({"t", PartitionIndex{i}, LeaderEpoch{i == 150 ? 40 : -1}});
  auto epochs = stage.run(state.bump_epochs(bumps));
  ASSERT_TRUE(epochs.ok()) << epochs.error().message();
  EXPECT_EQ((*epochs)[0], LeaderEpoch{1});
  EXPECT_EQ((*epochs)[150], LeaderEpoch{41});
  EXPECT_EQ((*stage.run(state.bump_epochs(bumps)))[150], LeaderEpoch{42});
  EXPECT_EQ((*stage.run(state.load_topics()))[0].partitions[150].leader_epoch, LeaderEpoch{42});
  EXPECT_EQ(stage.run(state.bump_epochs({{"x", PartitionIndex{0}, LeaderEpoch{0}}})).code(), Errc::unknown_topic);
  EXPECT_EQ(stage.run(state.bump_epochs({{"t", PartitionIndex{200}, LeaderEpoch{0}}})).code(), Errc::unknown_partition);
  EXPECT_TRUE(stage.run(state.bump_epochs({}))->empty());
}

TEST(ClusterState, ClusterIdIsMadeOnce) {
  Stage stage(Kind::sqlite);
  ClusterState state(stage.store());
  const Uuid first{1, 2}, second{3, 4};
  EXPECT_EQ(*stage.run(state.ensure_cluster_id(first.to_string())), first.to_string());
  EXPECT_EQ(*stage.run(state.ensure_cluster_id(second.to_string())), first.to_string());
  stage.reopen();
  ClusterState again(stage.store());
  EXPECT_EQ(*stage.run(again.ensure_cluster_id(second.to_string())), first.to_string());
}

/// Adds what a caller was given; fails when somebody else was given it before.
void claim(std::set<std::int64_t>& taken, const ProducerIdBlock& block) {
  for (auto id = block.first; id < block.end; ++id) EXPECT_TRUE(taken.insert(id).second) << id;
}

TEST(ClusterState, LostAnswersBreakNothing) {
  std::uint64_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Stage stage(Kind::unruly, seed);
    stage.unruly().set_faults({.unknown_outcome_one_in = 4});
    ClusterState state(stage.store()), calm(stage.local());
    std::set<std::int64_t> taken;
    std::map<std::string, LeaderEpoch> newest;
    for (int i = 0; i < 12; ++i) {
      const auto name = "t" + std::to_string(i);
      const auto record = topic(name, static_cast<std::uint64_t>(i + 1), 3);
      auto created = stage.run(state.create_topic(record));
      auto topics = stage.run(calm.load_topics());
      ASSERT_TRUE(topics.ok()) << topics.error().message();
      const bool there = testing::Matches(testing::Contains(name))(names(*topics));
      if (created.ok()) {
        EXPECT_TRUE(there);
      } else {
        EXPECT_EQ(created.code(), Errc::unknown_outcome);
      }
      if (!there) continue;
      auto grown = stage.run(state.add_partitions(name, record.id, more(3, 200)));
      const auto at = static_cast<std::size_t>(std::ranges::find(*topics, name, &TopicRecord::name) - topics->begin());
      const std::size_t partitions = (*stage.run(calm.load_topics()))[at].partitions.size();
      EXPECT_TRUE(partitions == 200 || (partitions == 3 && !grown.ok())) << partitions;
      if (!grown.ok()) EXPECT_EQ(grown.code(), Errc::unknown_outcome);
      auto epochs = stage.run(state.bump_epochs({{name, PartitionIndex{1}, newest[name]}}));
      if (epochs.ok()) {
        EXPECT_GT((*epochs)[0], newest[name]);
      }
      if (auto block = stage.run(state.allocate_producer_ids(10)); block.ok()) claim(taken, *block);
      ClusterState::ConfigChange set = [&](ClusterState::Configs stored) -> Result<ClusterState::Configs> {
        stored["flush.ms"] = name;
        return stored;
      };
      if (auto altered = stage.run(state.alter_topic_configs(name, record.id, set)); altered.ok()) {
        topics = stage.run(calm.load_topics());
        auto stored = std::ranges::find(*topics, name, &TopicRecord::name);
        EXPECT_EQ(stored->configs, *altered);
      }
      if (i % 3 != 0) continue;
      auto deleted = stage.run(state.delete_topic(name, record.id));
      topics = stage.run(calm.load_topics());
      const bool gone = !testing::Matches(testing::Contains(name))(names(*topics));
      if (deleted.ok()) {
        EXPECT_TRUE(gone);
      } else {
        EXPECT_EQ(deleted.code(), Errc::unknown_outcome);
      }
      // Gone and evidence come together.
      EXPECT_EQ(testing::Matches(testing::Contains(record.id))(*stage.run(calm.deleted_topics())), gone);
    }
    lost += stage.unruly().lost_answers();
  }
  EXPECT_GT(lost, 500u);
}

TEST(ClusterState, TwoCallersNeverShareProducerIds) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Stage stage(Kind::unruly, seed);
    ClusterState state(stage.store());
    std::vector<Result<ProducerIdBlock>> blocks;
    auto take = [](ClusterState* s, std::vector<Result<ProducerIdBlock>>* into) -> Task<void> {
      for (int i = 0; i < 5; ++i) {
        auto block = co_await s->allocate_producer_ids(7);
        into->push_back(std::move(block));
      }
    };
    std::vector<Result<ProducerIdBlock>> mine[2];
    for (std::uint32_t shard : {0u, 1u}) stage.process().spawn(ShardId{shard}, "take", take(&state, &mine[shard]));
    ASSERT_EQ(stage.world.run_until([&] { return mine[0].size() + mine[1].size() == 10; }, std::chrono::seconds(60)),
              sim::RunEnd::done);
    std::set<std::int64_t> taken;
    for (const auto& list : mine)
      for (const auto& block : list) {
        if (block.ok())
          claim(taken, *block);
        else
          EXPECT_EQ(block.code(), Errc::conflict);
      }
    EXPECT_GE(taken.size(), 35u);
  }
}

}  // namespace
}  // namespace mr::metastore
