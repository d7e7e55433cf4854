// Aim: the facade over a whole broker: groups found, made, stored, loaded again after a stop, a power cut and a failed
// append; calls from every shard, answers even when the coordinator stops. Method: simulated world, real broker.
#include "coordinator/group_coordinator.h"

#include <map>
#include <set>

#include "coordinator/cluster_fixture.h"

namespace mr::coordinator {
namespace {

TEST(GroupCoordinator, TheTopicIsMadeAtFirstNeedAndIsCompacted) {
  Cluster c(1);
  EXPECT_EQ(code(c.run(c.groups->heartbeat({.group = "g"})).error), Errc::coordinator_not_available);
  EXPECT_EQ(c.run(c.groups->find("")).code(), Errc::invalid_group_id);
  EXPECT_EQ(c.find().v, 1);
  broker::TopicRef topic = c.node->topic("__consumer_offsets");
  ASSERT_NE(topic, nullptr);
  EXPECT_TRUE(topic->internal);
  EXPECT_EQ(topic->partitions.size(), 7u);
  EXPECT_EQ(topic->configs.at("cleanup.policy"), "compact");
  EXPECT_EQ(c.find("other").v, 1);
}

TEST(GroupCoordinator, OfManyClientsTheFirstMakesTheTopic) {
  Cluster c(2);
  std::vector<std::shared_ptr<std::optional<Result<BrokerId>>>> all;
  for (std::uint32_t i = 0; i < 9; ++i) all.push_back(c.later(i % 3, c.groups->find("g" + std::to_string(i))));
  c.world.run_until([&] { return std::ranges::all_of(all, [](const auto& one) { return one->has_value(); }); },
                    std::chrono::seconds(60));
  for (const auto& one : all) {
    ASSERT_TRUE(*one && (*one)->ok());
  }
}

TEST(GroupCoordinator, MembersOnDifferentShardsMeet) {
  Cluster c(3);
  c.find();
  JoinAnswer alone = c.run(c.groups->join(Cluster::join_request()), 0);
  ASSERT_FALSE(alone.error) << alone.error->message();
  EXPECT_EQ(alone.member.size(), std::string("c-").size() + 36);
  auto second = c.later(1, c.groups->join(Cluster::join_request()));
  c.world.run_for(std::chrono::seconds(1));
  EXPECT_FALSE(second->has_value()) << "it waits for the first";
  HeartbeatRequest beat{.group = "g", .generation = alone.generation, .member = alone.member};
  EXPECT_EQ(code(c.run(c.groups->heartbeat(beat), 2).error), Errc::rebalance_in_progress);
  JoinAnswer leader = c.run(c.groups->join(Cluster::join_request(alone.member)), 2);
  ASSERT_FALSE(leader.error);
  c.world.run_until([&] { return second->has_value(); }, std::chrono::seconds(5));
  ASSERT_TRUE(second->has_value());
  EXPECT_EQ((*second)->generation, leader.generation);
  auto follower =
      c.later(1, c.groups->sync({.group = "g", .generation = leader.generation, .member = (*second)->member}));
  SyncRequest assign = Cluster::sync_request(leader, "one");
  assign.assignments.push_back({(*second)->member, Blob(as_bytes("two"))});
  EXPECT_EQ(text(c.run(c.groups->sync(std::move(assign)), 0).assignment), "one");
  c.world.run_until([&] { return follower->has_value(); }, std::chrono::seconds(5));
  EXPECT_EQ(text((*follower)->assignment), "two");
  auto described = c.run(c.groups->describe({"g", "none"}), 1);
  EXPECT_EQ(described.at(0).state, GroupStateName::stable);
  EXPECT_EQ(described.at(0).members.size(), 2u);
  EXPECT_EQ(described.at(1).state, GroupStateName::dead);
  GroupStats stats = c.run(c.groups->stats());
  EXPECT_EQ(stats.groups_active, 1u);
  EXPECT_EQ(stats.members, 2u);
  EXPECT_EQ(stats.rebalances_completed, 2u);
}

Task<void> join_into(GroupCoordinator& groups, JoinRequest request, std::optional<JoinAnswer>& out) {
  out = co_await groups.join(std::move(request));
}
Task<void> join_until_stopped(Env& env, GroupCoordinator& groups, std::optional<JoinAnswer>& out) {
  Scope door(env.executor);
  door.spawn("join", join_into(groups, Cluster::join_request(), out));
  (void)co_await sleep_until(env.now() + std::chrono::seconds(1));
  co_await door.stop();
}
/// What a client takes for a reason to look for the coordinator, not for an error of a topic.
TEST(GroupCoordinator, WhoIsCancelledByAStoppingDoorIsToldToLookForTheCoordinator) {
  Cluster c(3);
  c.find();
  ASSERT_FALSE(c.run(c.groups->join(Cluster::join_request())).error);
  std::optional<JoinAnswer> second;  // waits for the first
  c.run(join_until_stopped(c.process->env(ShardId{0}), *c.groups, second));
  ASSERT_TRUE(second);
  EXPECT_EQ(code(second->error), Errc::not_coordinator);
}

TEST(GroupCoordinator, SessionsEndByThemselves) {
  Cluster c(4);
  c.find();
  JoinAnswer alone = c.run(c.groups->join(Cluster::join_request()));
  (void)c.run(c.groups->sync(Cluster::sync_request(alone, "x")));
  c.world.run_for(std::chrono::seconds(11));
  EXPECT_EQ(c.run(c.groups->describe({"g"})).at(0).state, GroupStateName::empty);
  EXPECT_EQ(c.run(c.groups->stats()).member_timeouts, 1u);
}

TEST(GroupCoordinator, WhatWasAnsweredIsThereAfterAPowerCut) {
  for (std::uint64_t seed = 10; seed < 20; ++seed) {
    Cluster c(seed);
    c.find();
    JoinAnswer alone = c.run(c.groups->join(Cluster::join_request()));
    ASSERT_FALSE(c.run(c.groups->sync(Cluster::sync_request(alone, "mine"))).error);
    for (int i = 0; i < 5; ++i) {
      CommitRequest commit = Cluster::commit_request(i);
      commit.generation = alone.generation;
      commit.member = alone.member;
      ASSERT_FALSE(c.run(c.groups->commit_offsets(std::move(commit)), static_cast<std::uint32_t>(i % 3)).error);
    }
    ASSERT_FALSE(c.run(c.groups->commit_offsets(Cluster::commit_request(77, "simple"))).error);
    c.power_cut();
    ASSERT_TRUE(c.run(c.groups->loaded()).ok());
    EXPECT_EQ(c.committed(), 4);
    EXPECT_EQ(c.committed("simple", 2), 77);
    SyncRequest again{.group = "g", .generation = alone.generation, .member = alone.member};
    EXPECT_EQ(text(c.run(c.groups->sync(std::move(again))).assignment), "mine") << "still a member";
    auto listing = c.run(c.groups->list());
    EXPECT_FALSE(listing.error);
    EXPECT_EQ(listing.groups.size(), 2u);
  }
}

TEST(GroupCoordinator, LoadingIsSaid) {
  int said = 0;
  for (std::uint64_t seed = 30; seed < 40; ++seed) {
    Cluster c(seed);
    c.find();
    ASSERT_FALSE(c.run(c.groups->commit_offsets(Cluster::commit_request(1))).error);
    c.stop();
    c.start();
    HeartbeatAnswer early = c.run(c.groups->heartbeat({.group = "g", .generation = Generation{1}, .member = "m"}));
    ASSERT_TRUE(early.error);
    said += early.error->code() == Errc::coordinator_loading ? 1 : 0;
    ASSERT_TRUE(c.run(c.groups->loaded()).ok());
    HeartbeatAnswer late = c.run(c.groups->heartbeat({.group = "g", .generation = Generation{1}, .member = "m"}));
    EXPECT_EQ(code(late.error), Errc::unknown_member);
    EXPECT_EQ(c.committed(), 1);
  }
  EXPECT_GT(said, 0);
}

TEST(GroupCoordinator, WhoWaitsIsAnsweredWhenWeStop) {
  Cluster c(6);
  c.find();
  JoinAnswer alone = c.run(c.groups->join(Cluster::join_request()));
  (void)c.run(c.groups->sync(Cluster::sync_request(alone, "x")));
  auto waits = c.later(1, c.groups->join(Cluster::join_request()));
  c.world.run_for(std::chrono::seconds(1));
  ASSERT_FALSE(waits->has_value());
  c.run(c.groups->stop());
  c.world.run_until([&] { return waits->has_value(); }, std::chrono::seconds(5));
  ASSERT_TRUE(waits->has_value());
  EXPECT_EQ(code((*waits)->error), Errc::not_coordinator);
  EXPECT_EQ(code(c.run(c.groups->heartbeat({.group = "g"})).error), Errc::not_coordinator);
}

TEST(GroupCoordinator, ACancelledCallLeavesNothingBehind) {
  Cluster c(7);
  c.find();
  JoinAnswer alone = c.run(c.groups->join(Cluster::join_request()));
  (void)c.run(c.groups->sync(Cluster::sync_request(alone, "x")));
  {
    Scope connection(c.process->env(ShardId{1}).executor);
    auto call = [](GroupCoordinator& groups) -> Task<void> { (void)co_await groups.join(Cluster::join_request()); };
    auto open = [](Scope& scope, Task<void> task) -> Task<void> {
      scope.spawn("join", std::move(task));
      co_return;
    };
    c.run(open(connection, call(*c.groups)), 1);
    c.world.run_for(std::chrono::milliseconds(100));
    c.run(connection.stop(), 1);
  }
  // Its member is still there, as in Kafka; the answer goes nowhere.
  JoinAnswer leader = c.run(c.groups->join(Cluster::join_request(alone.member)));
  EXPECT_EQ(leader.members.size(), 2u);
}

TEST(GroupCoordinator, AFailedDiskIsSaid) {
  Cluster c(8);
  c.find();
  ASSERT_FALSE(c.run(c.groups->commit_offsets(Cluster::commit_request(1))).error);
  c.host.disk().add_fault({.kind = sim::Fault::Kind::fail, .op = sim::DiskOp::sync});
  CommitAnswer failed = c.run(c.groups->commit_offsets(Cluster::commit_request(2)));
  EXPECT_TRUE(code(failed.error) == Errc::coordinator_not_available || code(failed.error) == Errc::not_coordinator)
      << failed.error->message();
  c.world.run_for(std::chrono::seconds(1));
  failed = c.run(c.groups->commit_offsets(Cluster::commit_request(2)));
  EXPECT_EQ(code(failed.error), Errc::coordinator_not_available) << failed.error->message();
}

TEST(GroupCoordinator, ADeletedTopicTakesItsOffsetsAlongEvenOverAStop) {
  Cluster c(9);
  c.find();
  auto make = [&](std::string name) { return *c.run(c.node->broker->create_topic({.name = std::move(name)}, false)); };
  auto commit = [&](broker::TopicRef topic, std::string group) {
    CommitRequest request = Cluster::commit_request(5, std::move(group));
    request.offsets[0].topic = topic->name;
    request.offsets[0].topic_id = topic->id;
    ASSERT_FALSE(c.run(c.groups->commit_offsets(std::move(request))).error);
  };
  broker::TopicRef t = make("t");
  broker::TopicRef u = make("u");
  for (std::string group : {"g", "h", "i"}) {
    commit(t, group);
    commit(u, group);
  }
  EXPECT_EQ(c.run(c.groups->stats()).offsets, 6u);
  ASSERT_TRUE(c.run(c.node->broker->delete_topic("t", t->id)).ok());
  c.world.run_for(std::chrono::seconds(1));
  EXPECT_EQ(c.run(c.groups->stats()).offsets, 3u);
  // The coordinator is away when the next one goes.
  c.run(c.groups->stop());
  ASSERT_TRUE(c.run(c.node->broker->delete_topic("u", u->id)).ok());
  c.stop();
  c.start();
  ASSERT_TRUE(c.run(c.groups->loaded()).ok());
  c.world.run_for(std::chrono::seconds(1));
  EXPECT_EQ(c.run(c.groups->stats()).offsets, 0u);
}

TEST(GroupCoordinator, GroupsAreDeletedWhereTheyLive) {
  Cluster c(21);
  auto none = c.run(c.groups->delete_groups({"g", ""}));
  EXPECT_EQ(code(none.at(0)), Errc::group_not_found);
  EXPECT_EQ(code(none.at(1)), Errc::invalid_group_id);
  c.find();
  for (std::string group : {"a", "b", "c", "d"})
    ASSERT_FALSE(c.run(c.groups->commit_offsets(Cluster::commit_request(1, group))).error);
  auto deleted = c.run(c.groups->delete_groups({"a", "x", "c"}));
  EXPECT_FALSE(deleted.at(0));
  EXPECT_EQ(code(deleted.at(1)), Errc::group_not_found);
  EXPECT_FALSE(deleted.at(2));
  auto left = c.run(c.groups->list());
  ASSERT_EQ(left.groups.size(), 2u);
  EXPECT_EQ(left.groups[0].group, "b");
}

// The topic qualifies for the cleaner as it is made: commits of the same offsets over and over do not add up.
TEST(GroupCoordinator, PositionsOfAllGroupsComeAtOnce) {
  Cluster c(20);
  c.find();
  std::map<std::string, std::int64_t> expected;
  for (int i = 0; i < 20; ++i) {
    const std::string group = "g" + std::to_string(i);
    expected[group] = i;
    ASSERT_FALSE(c.run(c.groups->commit_offsets(Cluster::commit_request(i, group))).error);
  }
  auto all = c.run(c.groups->positions(1000));
  EXPECT_TRUE(all.whole);
  EXPECT_EQ(all.left_out, 0u);
  std::map<std::string, std::int64_t> found;
  for (const GroupPosition& one : all.positions) {
    EXPECT_EQ(one.topic, "t");
    found[one.group] = one.offset.v;
  }
  EXPECT_EQ(found, expected);

  auto names = [](const GroupCoordinator::Positions& some) {
    std::set<std::string> groups;
    for (const GroupPosition& one : some.positions) groups.insert(one.group);
    return groups;
  };
  auto few = c.run(c.groups->positions(2));
  EXPECT_EQ(few.positions.size() + few.left_out, 20u);
  EXPECT_LE(few.positions.size(), 6u) << "two of each shard";
  ASSERT_FALSE(c.run(c.groups->commit_offsets(Cluster::commit_request(77, "g3"))).error);
  EXPECT_EQ(names(c.run(c.groups->positions(2))), names(few)) << "the same ones again";
}

TEST(GroupCoordinator, TheTopicDoesNotGrowWithoutBound) {
  Cluster c(22, 2, {{"offsets.topic.segment.bytes", "1"}, {"log.cleaner.backoff.ms", "200"}});
  c.find();
  constexpr int kPartitions = 200;
  broker::TopicRef topic = c.node->topic("__consumer_offsets");
  const PartitionIndex index = partition_of_group("g", topic->partitions.size());
  auto partition = [&] { return c.node->broker->shard(topic->partition(index)->home).find(topic->id, index); };
  std::uint64_t written = 0;
  for (int i = 0; i < 400; ++i) {
    CommitRequest request{.group = "g"};
    for (int p = 0; p < kPartitions; ++p)
      request.offsets.push_back({.topic = "t", .partition = PartitionIndex{p}, .offset = Offset{i}});
    ASSERT_FALSE(c.run(c.groups->commit_offsets(std::move(request))).error);
    written = partition()->stats().appended_bytes;
  }
  c.world.run_for(std::chrono::seconds(60));
  const std::uint64_t kept = partition()->log().bytes();
  EXPECT_GT(written, 3'000'000u);
  EXPECT_LT(kept, written / 2) << "the active segment and the newest of every key";
  c.power_cut();
  ASSERT_TRUE(c.run(c.groups->loaded()).ok());
  EXPECT_EQ(c.run(c.groups->stats()).offsets, static_cast<std::uint64_t>(kPartitions));
  EXPECT_EQ(c.committed(), 399);
}

}  // namespace
}  // namespace mr::coordinator
