// Aim: members say what a coordinator needs to hear, in the newest version that it speaks, and read its answers.
// Method: a scripted broker in a World that looks at each request.
#include "client/members.h"

#include <gtest/gtest.h>

#include "client/scripted_broker.h"
#include "sim/network.h"
#include "wire/api/consumer_group_heartbeat.h"
#include "wire/api/find_coordinator.h"
#include "wire/api/join_group.h"
#include "wire/api/leave_group.h"
#include "wire/api/offset_commit.h"
#include "wire/api/sync_group.h"
#include "wire/consumer_protocol.h"

namespace mr::client {
namespace {

using std::chrono::seconds;
using wire::KafkaError;

struct MembersTest : testing::Test {
  MembersTest() {
    listener = server.env(ShardId{0}).network.listen({.host = "0.0.0.0", .port = 9092}).value();
    server.spawn(ShardId{0}, "broker", run_broker(broker, server.env(ShardId{0}), *listener));
  }
  ~MembersTest() override {
    world.run(client, ShardId{0}, cluster.close());
    listener->close();
    world.run_for(seconds(1));
  }
  template <class T>
  T run(Task<T> task) {
    return world.run(client, ShardId{0}, std::move(task));
  }
  TimePoint soon() { return world.now() + seconds(10); }
  Connection& connection() { return *(held = run(cluster.any(soon())).value()); }

  sim::World world{{.seed = 1}};
  sim::Process& client = world.add_host("client").start(1);
  sim::Process& server = world.add_host("broker").start(1);
  ApiBroker broker;
  std::unique_ptr<Listener> listener;
  Cluster cluster{client.env(ShardId{0}), {.bootstrap = {{"broker", 9092}}}};
  std::shared_ptr<Connection> held;
};

TEST_F(MembersTest, CoordinatorsOfManyGroupsAreAskedForTogether) {
  namespace api = wire::find_coordinator;
  broker.on<api::Request>(6, [](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
    response.coordinators = arena.list<api::Coordinator>(request.coordinator_keys.size());
    for (std::size_t i = 0; i < response.coordinators.size(); ++i) {
      response.coordinators[i] = {
          .key = arena.copy(request.coordinator_keys[i]), .node_id = BrokerId{3}, .host = "h", .port = 9};
      if (request.coordinator_keys[i] == "g7")
        response.coordinators[i].error_code = KafkaError::coordinator_not_available;
    }
  });
  std::vector<std::string> names;
  for (int i = 0; i < 150; ++i) names.push_back("g" + std::to_string(i));
  auto found = run(find_coordinators(cluster, names, soon()));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(broker.calls(wire::ApiKey::find_coordinator), 2u);
  EXPECT_FALSE((*found)[7].has_value());
  ASSERT_TRUE((*found)[149].has_value());
  EXPECT_EQ((*found)[149]->id.v, 3);
  EXPECT_EQ((*found)[149]->address.to_string(), "h:9");
}

TEST_F(MembersTest, AnOldBrokerIsNotAskedForManyCoordinators) {
  broker.on<wire::find_coordinator::Request>(3, [](const auto&, auto&, wire::Arena&, wire::Version) { FAIL(); });
  auto found = run(find_coordinators(cluster, {"a", "b"}, soon()));
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 2u);
  EXPECT_FALSE(found->front() || found->back());
}

TEST_F(MembersTest, JoinTellsTheSubscriptionAndItsEdition) {
  namespace api = wire::join_group;
  std::vector<std::vector<std::byte>> said;
  broker.on<api::Request>(9, [&](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
    EXPECT_EQ(request.protocols[0].name, "range");
    EXPECT_EQ(request.session_timeout_ms, 6000);
    said.emplace_back(request.protocols[0].metadata.begin(), request.protocols[0].metadata.end());
    response.member_id = "m";
    if (request.member_id.empty()) {
      response.error_code = KafkaError::member_id_required;
      return;
    }
    response.generation_id = 4;
    response.leader = "m";
    response.members = arena.list<api::JoinGroupResponseMember>({{.member_id = "m"}, {.member_id = "n"}});
  });
  const JoinAs as{.topic = "t", .session = Millis(6000), .edition = 1};
  Membership who{.group = "g"};
  auto first = run(join_group(connection(), who, as, soon()));
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_EQ(first->code, KafkaError::member_id_required);
  who.member = first->member;
  const JoinAs again{.topic = "t", .session = Millis(6000), .edition = 2};
  auto second = run(join_group(connection(), who, again, soon()));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->generation, 4);
  EXPECT_EQ(second->leader, second->member);
  EXPECT_EQ(second->members, (std::vector<std::string>{"m", "n"}));
  EXPECT_EQ(wire::subscribed_topics(said[0]).value(), std::vector<std::string>{"t"});
  EXPECT_NE(said[0], said[1]) << "another edition is another subscription";
}

TEST_F(MembersTest, TheLeaderHandsOutPartitions) {
  broker.on<wire::sync_group::Request>(5, [](const auto& request, auto& response, wire::Arena&, wire::Version) {
    EXPECT_EQ(request.protocol_name, "range");
    ASSERT_EQ(request.assignments.size(), 2u);
    EXPECT_EQ(wire::assigned_partitions(request.assignments[0].assignment).value(),
              (std::vector<TopicPartition>{{"t", PartitionIndex{0}}, {"t", PartitionIndex{2}}}));
    EXPECT_TRUE(wire::assigned_partitions(request.assignments[1].assignment).value().empty());
    response.error_code = KafkaError::rebalance_in_progress;
  });
  const std::vector<Share> shares = {{"m", {{"t", PartitionIndex{0}}, {"t", PartitionIndex{2}}}}, {"n", {}}};
  const Membership who{.group = "g", .member = "m", .generation = 4};
  EXPECT_EQ(run(sync_group(connection(), who, shares, soon())).value(), KafkaError::rebalance_in_progress);
}

TEST_F(MembersTest, AllLeaveAtOnceOrOneByOne) {
  namespace api = wire::leave_group;
  const std::vector<std::string> members = {"a", "b", "c"};
  broker.on<api::Request>(5, [](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
    EXPECT_EQ(request.members.size(), 3u);
    response.members =
        arena.list<api::MemberResponse>({{.member_id = "a", .error_code = KafkaError::unknown_member_id}});
  });
  EXPECT_EQ(run(leave_group(connection(), "g", members, soon())).value(), KafkaError::none) << "gone is gone";
  broker.on<api::Request>(2, [](const auto& request, auto& response, wire::Arena&, wire::Version) {
    if (request.member_id == "b") response.error_code = KafkaError::not_coordinator;
  });
  run(cluster.close());
  EXPECT_EQ(run(leave_group(connection(), "g", members, soon())).value(), KafkaError::not_coordinator);
  EXPECT_EQ(broker.calls(wire::ApiKey::leave_group), 4u);
}

TEST_F(MembersTest, AConsumerSaysAllAtFirstAndThenItsNews) {
  namespace api = wire::consumer_group_heartbeat;
  const TopicInfo topic{.name = "t", .id = TopicId{{1, 2}}};
  broker.on<api::Request>(1, [&](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
    response.member_epoch = request.member_epoch + 1;
    if (request.member_epoch == kJoinEpoch) {
      EXPECT_EQ((*request.subscribed_topic_names)[0], "t");
      EXPECT_TRUE(request.topic_partitions && request.topic_partitions->empty());
      EXPECT_GT(request.rebalance_timeout_ms, 0);
      auto given = arena.list<api::TopicPartitions>(1);
      given[0] = {.topic_id = topic.id, .partitions = arena.list<PartitionIndex>({PartitionIndex{5}})};
      response.assignment = api::Assignment{.topic_partitions = given};
      return;
    }
    EXPECT_FALSE(request.subscribed_topic_names);
    EXPECT_EQ(request.rebalance_timeout_ms, -1);
    EXPECT_EQ(request.topic_partitions.has_value(), request.member_epoch == 1);
    if (request.member_epoch == 1) EXPECT_EQ((*request.topic_partitions)[0].topic_id, topic.id);
    if (request.member_epoch == 2) response.error_code = KafkaError::fenced_member_epoch;
  });
  Membership who{.group = "g", .member = "m", .generation = kJoinEpoch};
  auto joined = run(consumer_heartbeat(connection(), who, {.topic = &topic}, soon()));
  ASSERT_TRUE(joined.ok()) << joined.error().message();
  EXPECT_EQ(joined->assigned, std::vector<PartitionIndex>{PartitionIndex{5}});
  who.generation = joined->epoch;
  auto owned = run(consumer_heartbeat(connection(), who, {.topic = &topic, .owned = joined->assigned}, soon()));
  EXPECT_EQ(owned->code, KafkaError::none);
  EXPECT_FALSE(owned->assigned);
  who.generation = owned->epoch;
  EXPECT_EQ(run(consumer_heartbeat(connection(), who, {.topic = &topic}, soon()))->code,
            KafkaError::fenced_member_epoch);
}

// From version 10 on OffsetCommit wants a topic's id, which an older cluster's metadata does not have.
TEST_F(MembersTest, CommitsNameTheTopicAsTheBrokerKnowsIt) {
  namespace api = wire::offset_commit;
  broker.on<api::Request>(10, [](const auto& request, auto& response, wire::Arena& arena, wire::Version version) {
    EXPECT_EQ(request.generation_id_or_member_epoch, 4);
    EXPECT_EQ(request.topics[0].name, version >= 10 ? "" : "t");
    response.topics = arena.list<api::OffsetCommitResponseTopic>(1);
    response.topics[0].partitions = arena.list<api::OffsetCommitResponsePartition>(2);
    response.topics[0].partitions[1].error_code = version >= 10 ? KafkaError::none : KafkaError::stale_member_epoch;
  });
  const Membership who{.group = "g", .member = "m", .generation = 4};
  const std::vector<PartitionIndex> partitions = {PartitionIndex{0}, PartitionIndex{1}};
  const TopicInfo by_id{.name = "t", .id = TopicId{{1, 2}}}, by_name{.name = "t"};
  EXPECT_EQ(run(commit_as_member(connection(), who, by_id, partitions, Offset{9}, soon())).value(), KafkaError::none);
  EXPECT_EQ(run(commit_as_member(connection(), who, by_name, partitions, Offset{9}, soon())).value(),
            KafkaError::stale_member_epoch);
}

}  // namespace
}  // namespace mr::client
