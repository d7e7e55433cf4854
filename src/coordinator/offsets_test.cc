// Aim: committed offsets are what was committed last by somebody who may, and go when and only when they should.
// Method: the machine alone with a clock in hand.
#include "coordinator/machine_fixture.h"

namespace mr::coordinator {
namespace {

using enum GroupStateName;
constexpr auto kDay = std::chrono::hours(24);

TEST(Commit, OfASimpleConsumerMakesAGroup) {
  Bench b;
  EXPECT_EQ(b.committed(), -1);
  EXPECT_FALSE(b.ask<CommitAnswer>(b.commit("", -1, 7, "note")).error);
  EXPECT_EQ(b.committed(), 7);
  EXPECT_EQ(b.state_of("g"), empty);
  b.send(b.commit("", -1, 3));
  EXPECT_EQ(b.committed(), 3) << "the last word counts, not the highest";
  EXPECT_EQ(b.state.offsets, 1u);
}

TEST(Commit, OfMembersIsFenced) {
  Bench b;
  auto asked = [&](CommitRequest request) { return code(b.ask<CommitAnswer>(std::move(request)).error); };
  EXPECT_EQ(asked(b.commit("c-1", 1, 1)), Errc::group_not_found);
  int generation = b.stable_pair();
  EXPECT_EQ(asked(b.commit("c-1", generation, 1)), std::nullopt);
  EXPECT_EQ(asked(b.commit("c-1", generation - 1, 2)), Errc::illegal_generation);
  EXPECT_EQ(asked(b.commit("c-9", generation, 2)), Errc::unknown_member);
  EXPECT_EQ(asked(b.commit("", -1, 2)), Errc::unknown_member) << "simple, into a group with members";
  b.send(b.join("c-1", ""));
  EXPECT_EQ(asked(b.commit("c-2", generation, 4)), std::nullopt) << "before it joins again it may";
  b.send(b.join("c-2", ""));
  EXPECT_EQ(b.state_of("g"), completing_rebalance);
  EXPECT_EQ(asked(b.commit("c-2", generation + 1, 5)), Errc::rebalance_in_progress);
  EXPECT_EQ(asked(b.commit("c-2", generation, 5)), Errc::illegal_generation);
  EXPECT_EQ(b.committed(), 4);
}

TEST(Commit, KeepsASessionAlive) {
  Bench b;
  int generation = b.stable_pair();
  for (int i = 0; i < 5; ++i) {
    b.pass(std::chrono::seconds(6));
    b.send(b.commit("c-1", generation, i));
    b.send(b.commit("c-2", generation, i));
  }
  EXPECT_EQ(b.state_of("g"), stable);
}

TEST(Commit, MetadataAndSizeHaveBounds) {
  GroupSettings settings;
  settings.record_bytes_max = 5000;
  Bench b(settings);
  CommitRequest request = b.commit("", -1, 1, std::string(4097, 'x'));
  request.offsets.push_back({.topic = "u", .partition = PartitionIndex{1}, .offset = Offset{2}});
  auto answer = b.ask<CommitAnswer>(request);
  ASSERT_EQ(answer.partitions.size(), 2u);
  EXPECT_EQ(code(answer.partitions[0]), Errc::offset_metadata_too_large);
  EXPECT_FALSE(answer.partitions[1]);
  EXPECT_EQ(b.committed("u", 1), 2);
  EXPECT_EQ(b.committed(), -1);
  std::string wide;
  for (int i = 0; i < 1500; ++i) wide += "\xe2\x82\xac";
  EXPECT_FALSE(b.ask<CommitAnswer>(b.commit("", -1, 8, wide)).partitions.at(0)) << "4500 bytes, 1500 characters";
  for (int i = 0; i < 100; ++i)
    request.offsets.push_back({.topic = "u", .partition = PartitionIndex{i}, .offset = Offset{9}});
  EXPECT_EQ(code(b.ask<CommitAnswer>(request).error), Errc::commit_too_large);
  EXPECT_EQ(b.records_of_last, 0u);
}

TEST(Fetch, AllOrAsAskedAndNeverAnotherTopicsOffset) {
  Bench b;
  CommitRequest request = b.commit("", -1, 1);
  request.offsets[0].topic_id = TopicId{Uuid{1, 1}};
  request.offsets[0].leader_epoch = LeaderEpoch{4};
  request.offsets.push_back({.topic = "u", .partition = PartitionIndex{5}, .offset = Offset{2}, .metadata = "m"});
  b.send(request);
  auto all = b.ask<FetchOffsetsAnswer>(FetchOffsetsRequest{.group = "g"});
  EXPECT_EQ(all.topics.size(), 2u);
  auto of = [&](TopicId id) {
    return b
        .ask<FetchOffsetsAnswer>(FetchOffsetsRequest{
            .group = "g",
            .topics = std::vector<TopicPartitionsWanted>{{"t", id, {PartitionIndex{0}, PartitionIndex{1}}}}})
        .topics.at(0)
        .partitions;
  };
  EXPECT_EQ(of(TopicId{Uuid{1, 1}}).at(0).offset.v, 1);
  EXPECT_EQ(of(TopicId{Uuid{1, 1}}).at(0).leader_epoch.v, 4);
  EXPECT_EQ(of(TopicId{Uuid{1, 1}}).at(1).offset.v, -1);
  EXPECT_EQ(of(TopicId{}).at(0).offset.v, 1);
  EXPECT_EQ(of(TopicId{Uuid{2, 2}}).at(0).offset.v, -1) << "the topic was made again";
  EXPECT_TRUE(b.ask<FetchOffsetsAnswer>(FetchOffsetsRequest{.group = "none"}).topics.empty());
}

TEST(Delete, OffsetsOfASubscribedTopicStay) {
  Bench b;
  auto asked = [&](std::string topic) {
    auto answer = b.ask<DeleteOffsetsAnswer>(
        DeleteOffsetsRequest{.group = "g", .topics = {{topic, {}, {PartitionIndex{0}, PartitionIndex{1}}}}});
    return answer.error ? code(answer.error) : code(answer.partitions.at(0).error);
  };
  EXPECT_EQ(asked("t"), Errc::group_not_found);
  int generation = b.stable_pair();
  CommitRequest request = b.commit("c-1", generation, 1);
  request.offsets.push_back({.topic = "old", .partition = PartitionIndex{0}, .offset = Offset{2}});
  b.send(request);
  EXPECT_EQ(asked("t"), Errc::group_subscribed_to_topic);
  EXPECT_EQ(asked("old"), std::nullopt);
  EXPECT_EQ(b.committed("old"), -1);
  EXPECT_EQ(b.committed("t"), 1);
}

TEST(Delete, OnlyEmptyGroups) {
  Bench b;
  int generation = b.stable_pair();
  b.send(b.commit("c-1", generation, 1));
  auto ask = [&] { return b.ask<DeleteGroupsAnswer>(DeleteGroupsEvent{{"g", "none", ""}}).groups; };
  auto refused = ask();
  EXPECT_EQ(code(refused.at(0)), Errc::group_not_empty);
  EXPECT_EQ(code(refused.at(1)), Errc::group_not_found);
  EXPECT_EQ(code(refused.at(2)), Errc::invalid_group_id);
  b.send(LeaveRequest{.group = "g", .members = {{.member = "c-1"}, {.member = "c-2"}}});
  EXPECT_FALSE(ask().at(0));
  EXPECT_TRUE(b.state.groups.empty());
  EXPECT_EQ(b.state_of("g"), dead);
  EXPECT_TRUE(b.replayed().groups.empty());
}

TEST(Delete, ATopicTakesItsOffsetsAlong) {
  Bench b;
  CommitRequest request = b.commit("", -1, 1);
  request.offsets[0].topic_id = TopicId{Uuid{1, 1}};
  request.offsets.push_back(
      {.topic = "t", .topic_id = TopicId{Uuid{2, 2}}, .partition = PartitionIndex{1}, .offset = Offset{2}});
  request.offsets.push_back({.topic = "u", .partition = PartitionIndex{0}, .offset = Offset{3}});
  b.send(request);
  b.send(TopicDeletedEvent{"t", TopicId{Uuid{1, 1}}});
  EXPECT_EQ(b.committed("t", 0), -1);
  EXPECT_EQ(b.committed("t", 1), 2) << "of the next topic with that name";
  EXPECT_EQ(b.committed("u"), 3);
}

TEST(Expiry, CountsFromWhenTheGroupBecameEmpty) {
  Bench b;
  int generation = b.stable_pair();
  b.send(b.commit("c-1", generation, 1));
  for (int i = 0; i < 10 * 24 * 450; ++i) {  // ten days of heartbeats
    b.pass(std::chrono::seconds(8));
    b.send(b.heartbeat("c-1", generation));
    b.send(b.heartbeat("c-2", generation));
  }
  EXPECT_EQ(b.committed(), 1) << "a subscribed topic of a living group";
  b.send(LeaveRequest{.group = "g", .members = {{.member = "c-1"}, {.member = "c-2"}}});
  b.pass(6 * kDay);
  EXPECT_EQ(b.committed(), 1);
  b.pass(kDay + std::chrono::minutes(11));
  EXPECT_EQ(b.committed(), -1);
  EXPECT_TRUE(b.state.groups.empty()) << "and the group with them";
  EXPECT_TRUE(b.live.groups.empty());
}

TEST(Expiry, OfSimpleGroupsGoesByPartition) {
  Bench b;
  b.send(b.commit("", -1, 1));
  b.pass(4 * kDay);
  CommitRequest later = b.commit("", -1, 2);
  later.offsets[0].partition = PartitionIndex{1};
  b.send(later);
  b.pass(3 * kDay + std::chrono::minutes(11));
  EXPECT_EQ(b.committed("t", 0), -1);
  EXPECT_EQ(b.committed("t", 1), 2);
  b.pass(4 * kDay + std::chrono::minutes(11));
  EXPECT_TRUE(b.state.groups.empty());
}

TEST(Expiry, ACommitMayBringItsOwn) {
  Bench b;
  CommitRequest request = b.commit("", -1, 1);
  request.retention = Millis(3'600'000);
  b.send(request);
  b.pass(std::chrono::minutes(50));
  EXPECT_EQ(b.committed(), 1);
  b.pass(std::chrono::minutes(25));
  EXPECT_EQ(b.committed(), -1);
}

TEST(Expiry, TopicsThatAStableGroupNoLongerReads) {
  Bench b;
  int generation = b.stable_pair();
  CommitRequest request = b.commit("c-1", generation, 1);
  request.offsets.push_back({.topic = "old", .partition = PartitionIndex{0}, .offset = Offset{2}});
  b.send(request);
  for (int i = 0; i < 7 * 24 * 450 + 200; ++i) {
    b.pass(std::chrono::seconds(8));
    b.send(b.heartbeat("c-1", generation));
    b.send(b.heartbeat("c-2", generation));
  }
  EXPECT_EQ(b.committed("old"), -1);
  EXPECT_EQ(b.committed("t"), 1);
}

TEST(Expiry, StartsAgainAfterALoad) {
  Bench b;
  b.send(b.commit("", -1, 1));
  b.pass(6 * kDay);
  b.reload();
  b.pass(kDay + std::chrono::minutes(11));
  EXPECT_EQ(b.committed(), -1);
}

TEST(Admin, DescribeAndList) {
  Bench b;
  b.stable_pair();
  CommitRequest simple = b.commit("", -1, 1);
  simple.group = "a-simple";
  b.send(simple);
  auto listed = b.ask<std::vector<ListedGroup>>(ListEvent{});
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].group, "a-simple");
  EXPECT_EQ(listed[0].protocol_type, "");
  EXPECT_EQ(listed[1].state, stable);
  b.pass(std::chrono::seconds(3));
  auto described = b.ask<std::vector<GroupDescription>>(DescribeEvent{{"g", "none"}});
  EXPECT_EQ(described.at(0).protocol, "range");
  ASSERT_EQ(described[0].members.size(), 2u);
  EXPECT_EQ(text(described[0].members[0].assignment), "one");
  EXPECT_EQ(described[0].members[0].since_heartbeat, std::chrono::seconds(3));
  EXPECT_EQ(code(described.at(1).error), Errc::group_not_found);
  EXPECT_EQ(described[1].state, dead);
  b.send(b.join("c-1", ""));
  auto moving = b.ask<std::vector<GroupDescription>>(DescribeEvent{{"g"}});
  EXPECT_EQ(moving.at(0).state, preparing_rebalance);
  EXPECT_EQ(moving[0].protocol, "");
  EXPECT_EQ(text(moving[0].members.at(0).assignment), "one") << "of the last round";
}

}  // namespace
}  // namespace mr::coordinator
