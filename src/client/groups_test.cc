// Aim: questions about groups reach the coordinator, wait while it settles and no longer, and are understood by old and
// new brokers alike. Method: a scripted broker in a World that answers each API from a list.
#include "client/groups.h"

#include <gtest/gtest.h>

#include "client/admin.h"
#include "client/scripted_broker.h"
#include "sim/network.h"
#include "wire/api/delete_groups.h"
#include "wire/api/describe_groups.h"
#include "wire/api/find_coordinator.h"
#include "wire/api/list_groups.h"
#include "wire/api/list_offsets.h"
#include "wire/api/metadata.h"
#include "wire/api/offset_commit.h"
#include "wire/api/offset_delete.h"
#include "wire/api/offset_fetch.h"

namespace mr::client {
namespace {

using std::chrono::seconds;
using wire::KafkaError;

/// One broker, 7 at broker:9092, that coordinates every group and leads "t" with two partitions.
struct GroupBroker : ApiBroker {
  GroupBroker() {
    on<wire::metadata::Request>(9, [](const auto&, auto& response, wire::Arena& arena, wire::Version) {
      response.brokers = arena.list<wire::metadata::MetadataResponseBroker>(
          {{.node_id = BrokerId{7}, .host = "broker", .port = 9092}});
      response.controller_id = BrokerId{7};
      response.topics = arena.list<wire::metadata::MetadataResponseTopic>(1);
      response.topics[0].name = "t";
      response.topics[0].partitions = arena.list<wire::metadata::MetadataResponsePartition>(2);
      for (int i = 0; i < 2; ++i)
        response.topics[0].partitions[static_cast<std::size_t>(i)] = {.partition_index = PartitionIndex{i},
                                                                      .leader_id = BrokerId{7}};
    });
    coordinator_after({});
  }

  /// FindCoordinator fails with these first.
  void coordinator_after(std::vector<KafkaError> errors, wire::Version newest = 4) {
    namespace api = wire::find_coordinator;
    on<api::Request>(newest, [errors, next = std::size_t{0}](const auto&, auto& response, wire::Arena& arena,
                                                             wire::Version version) mutable {
      api::Coordinator found{.node_id = BrokerId{7}, .host = "broker", .port = 9092};
      if (next < errors.size()) found = {.node_id = BrokerId{-1}, .port = -1, .error_code = errors[next++]};
      if (version >= 4) {
        response.coordinators = arena.list<api::Coordinator>({found});
      } else {
        response.node_id = found.node_id;
        response.host = found.host;
        response.port = found.port;
        response.error_code = found.error_code;
      }
    });
  }
};

struct GroupsTest : testing::TestWithParam<std::uint64_t> {
  GroupsTest() {
    listener = server.env(ShardId{0}).network.listen({.host = "0.0.0.0", .port = 9092}).value();
    server.spawn(ShardId{0}, "broker", run_broker(broker, server.env(ShardId{0}), *listener));
  }
  ~GroupsTest() override {
    world.run(client, ShardId{0}, cluster.close());
    listener->close();
    world.run_for(seconds(1));
  }
  template <class T>
  T run(Task<T> task) {
    return world.run(client, ShardId{0}, std::move(task));
  }
  TimePoint soon() { return world.now() + seconds(10); }

  sim::World world{{.seed = GetParam()}};
  sim::Process& client = world.add_host("client").start(1);
  sim::Process& server = world.add_host("broker").start(1);
  GroupBroker broker;
  std::unique_ptr<Listener> listener;
  Cluster cluster{client.env(ShardId{0}), {.bootstrap = {{"broker", 9092}}}};
};
INSTANTIATE_TEST_SUITE_P(Seeds, GroupsTest, testing::Values(1, 2, 3));

/// Answers of DescribeGroups: these errors first, then one consumer.
void describe_after(GroupBroker& broker, std::vector<KafkaError> errors, wire::Version newest = 5) {
  namespace api = wire::describe_groups;
  broker.on<api::Request>(newest, [errors, next = std::size_t{0}](const auto& request, auto& response,
                                                                  wire::Arena& arena, wire::Version) mutable {
    static const std::byte kAssignment[] = {std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},   std::byte{0},
                                            std::byte{1}, std::byte{0}, std::byte{1}, std::byte{'t'}, std::byte{0},
                                            std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0},   std::byte{0},
                                            std::byte{0}, std::byte{1}};
    response.groups = arena.list<api::DescribedGroup>(1);
    api::DescribedGroup& group = response.groups[0];
    group.group_id = arena.copy(request.groups[0]);
    if (next < errors.size()) {
      group.error_code = errors[next++];
      return;
    }
    group.group_state = "Stable";
    group.protocol_type = "consumer";
    group.protocol_data = "range";
    group.members = arena.list<api::DescribedGroupMember>(2);
    group.members[0] = {.member_id = "m2", .client_id = "c", .client_host = "/1.2.3.4"};
    group.members[1] = {.member_id = "m1", .member_metadata = kAssignment, .member_assignment = kAssignment};
  });
}

TEST_P(GroupsTest, WaitsWhileTheCoordinatorIsMadeMovedAndLoaded) {
  using K = KafkaError;
  broker.coordinator_after({K::coordinator_not_available, K::coordinator_load_in_progress});
  describe_after(broker, {K::coordinator_load_in_progress, K::not_coordinator, K::coordinator_not_available});
  auto group = run(describe_group(cluster, "g", soon()));
  ASSERT_TRUE(group.ok()) << group.error().message();
  EXPECT_EQ(broker.calls(wire::ApiKey::describe_groups), 4u);
  EXPECT_EQ(group->state, "Stable");
  EXPECT_EQ(group->coordinator.id.v, 7);
  ASSERT_EQ(group->members.size(), 2u);
  EXPECT_EQ(group->members[0].id, "m1");
  EXPECT_EQ(group->members[0].assignment, (std::vector<TopicPartition>{{"t", PartitionIndex{1}}}));
  EXPECT_EQ(group->members[0].topics, (std::vector<std::string>{"t"}));
  // No bytes at all: assigned nothing, and no subscription to read.
  EXPECT_TRUE(group->members[1].assignment.has_value() && group->members[1].assignment->empty());
  EXPECT_FALSE(group->members[1].topics.has_value());
}

TEST_P(GroupsTest, AnUnsettledCoordinatorIsATimeout) {
  describe_after(broker, std::vector<KafkaError>(1000, KafkaError::coordinator_load_in_progress));
  const TimePoint before = world.now();
  auto group = run(describe_group(cluster, "g", before + seconds(3)));
  EXPECT_EQ(group.code(), Errc::timed_out);
  EXPECT_NE(group.error().detail().find("COORDINATOR_LOAD_IN_PROGRESS"), std::string::npos);
  EXPECT_LE(world.now() - before, seconds(4));
  broker.coordinator_after({KafkaError::invalid_group_id});
  EXPECT_EQ(run(describe_group(cluster, "", soon())).code(), Errc::invalid_group_id);
}

TEST_P(GroupsTest, UnknownGroupsOfOldAndNewBrokers) {
  describe_after(broker, {KafkaError::group_id_not_found}, 6);
  EXPECT_EQ(run(describe_group(cluster, "g", soon())).code(), Errc::group_not_found);
}

TEST_P(GroupsTest, ADeadGroupOfAnOldBrokerIsNone) {
  namespace api = wire::describe_groups;
  broker.coordinator_after({KafkaError::coordinator_not_available}, 0);
  broker.on<api::Request>(0, [](const auto&, auto& response, wire::Arena& arena, wire::Version) {
    response.groups = arena.list<api::DescribedGroup>(1);
    response.groups[0].group_state = "Dead";
  });
  EXPECT_EQ(run(describe_group(cluster, "g", soon())).code(), Errc::group_not_found);
}

TEST_P(GroupsTest, OffsetsInTheWordsOfEveryVersion) {
  namespace api = wire::offset_fetch;
  for (wire::Version newest : {wire::Version{2}, wire::Version{7}, wire::Version{8}, wire::Version{10}}) {
    wire::Version used = -1;
    std::size_t asked = 0;
    broker.on<api::Request>(
        newest, [&](const auto& request, auto& response, wire::Arena& arena, wire::Version version) {
          used = version;
          const bool first = ++asked == 1;
          auto fill = [&](auto& topics) {
            topics = arena.list<typename std::decay_t<decltype(topics)>::value_type>(1);
            topics[0].name = "t";
            using Partition = typename std::decay_t<decltype(topics[0].partitions)>::value_type;
            topics[0].partitions = arena.list<Partition>(3);
            topics[0].partitions[0] = {.partition_index = PartitionIndex{1}, .committed_offset = Offset{5}};
            topics[0].partitions[1] = {.partition_index = PartitionIndex{0}, .committed_offset = Offset{6}};
            topics[0].partitions[2] = {.partition_index = PartitionIndex{2}, .committed_offset = kNoOffset};
          };
          const KafkaError error = first ? KafkaError::not_coordinator : KafkaError::none;
          if (version >= 8) {
            EXPECT_FALSE(request.groups[0].topics.has_value());
            response.groups = arena.list<api::OffsetFetchResponseGroup>(1);
            response.groups[0].error_code = error;
            if (!first) fill(response.groups[0].topics);
          } else {
            EXPECT_FALSE(request.topics.has_value());
            response.error_code = error;
            if (!first) fill(response.topics);
          }
        });
    run(cluster.close());  // versions are asked for once per connection
    auto committed = run(committed_offsets(cluster, "g", soon()));
    ASSERT_TRUE(committed.ok()) << committed.error().message();
    EXPECT_EQ(used, std::min<wire::Version>(newest, 9)) << "names, not ids";
    EXPECT_EQ(asked, 2u);
    ASSERT_EQ(committed->size(), 2u);
    EXPECT_EQ((*committed)[0].name, (TopicPartition{"t", PartitionIndex{0}}));
    EXPECT_EQ((*committed)[0].offset.v, 6);
    EXPECT_EQ((*committed)[1].offset.v, 5);
  }
}

TEST_P(GroupsTest, CommitsAnswerInTheOrderOfTheQuestion) {
  namespace api = wire::offset_commit;
  broker.on<api::Request>(9, [](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
    EXPECT_EQ(request.generation_id_or_member_epoch, -1);
    EXPECT_EQ(request.topics.size(), 2u);
    response.topics = arena.list<api::OffsetCommitResponseTopic>(1);  // the other topic is not mentioned
    response.topics[0].name = "t";
    response.topics[0].partitions = arena.list<api::OffsetCommitResponsePartition>(
        {{.partition_index = PartitionIndex{0}},
         {.partition_index = PartitionIndex{1}, .error_code = KafkaError::unknown_topic_or_partition}});
  });
  std::vector<NewOffset> offsets = {{{"t", PartitionIndex{1}}, Offset{1}},
                                    {{"u", PartitionIndex{0}}, Offset{2}},
                                    {{"t", PartitionIndex{0}}, Offset{3}}};
  auto answers = run(commit_offsets(cluster, "g", offsets, soon()));
  ASSERT_TRUE(answers.ok()) << answers.error().message();
  ASSERT_EQ(answers->size(), 3u);
  EXPECT_EQ((*answers)[0].code(), Errc::unknown_topic);
  EXPECT_EQ((*answers)[1].code(), Errc::malformed);
  EXPECT_TRUE((*answers)[2].ok());
}

TEST_P(GroupsTest, DeletionsAreRefusedByName) {
  broker.on<wire::delete_groups::Request>(2, [](const auto& request, auto& response, wire::Arena& arena,
                                                wire::Version) {
    response.results = arena.list<wire::delete_groups::DeletableGroupResult>(1);
    response.results[0].error_code = request.groups_names[0] == "busy" ? KafkaError::non_empty_group : KafkaError::none;
  });
  broker.on<wire::offset_delete::Request>(
      0, [](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
        if (request.group_id == "none") {
          response.error_code = KafkaError::group_id_not_found;
          return;
        }
        response.topics = arena.list<wire::offset_delete::OffsetDeleteResponseTopic>(1);
        response.topics[0].name = "t";
        response.topics[0].partitions = arena.list<wire::offset_delete::OffsetDeleteResponsePartition>(
            {{.partition_index = PartitionIndex{0}, .error_code = KafkaError::group_subscribed_to_topic}});
      });
  EXPECT_TRUE(run(delete_group(cluster, "idle", soon())).ok());
  EXPECT_EQ(run(delete_group(cluster, "busy", soon())).code(), Errc::group_not_empty);
  const std::vector<TopicPartition> one = {{"t", PartitionIndex{0}}};
  EXPECT_EQ(run(delete_offsets(cluster, "none", one, soon())).code(), Errc::group_not_found);
  auto answers = run(delete_offsets(cluster, "g", one, soon()));
  ASSERT_TRUE(answers.ok());
  EXPECT_EQ(answers->front().code(), Errc::group_subscribed_to_topic);
}

TEST_P(GroupsTest, ListsTheGroupsOfEveryBroker) {
  namespace api = wire::list_groups;
  broker.on<api::Request>(
      5, [asked = 0](const auto& request, auto& response, wire::Arena& arena, wire::Version) mutable {
        EXPECT_EQ(request.states_filter.size(), 1u);
        if (++asked == 1) {
          response.error_code = KafkaError::coordinator_load_in_progress;
          return;
        }
        response.groups = arena.list<api::ListedGroup>({{.group_id = "b", .group_state = "Stable"}, {.group_id = "a"}});
      });
  auto groups = run(list_groups(cluster, {"Stable"}, soon()));
  ASSERT_TRUE(groups.ok()) << groups.error().message();
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ(groups->front().name, "a");
  EXPECT_EQ(groups->back().coordinator.v, 7);
  // A broker that cannot tell states says so instead of listing everything.
  broker.on<api::Request>(3, [](const auto&, auto&, wire::Arena&, wire::Version) {});
  run(cluster.close());
  EXPECT_EQ(run(list_groups(cluster, {"Stable"}, soon())).code(), Errc::unsupported_version);
}

TEST_P(GroupsTest, OffsetsOfManyPartitionsInOneRequest) {
  namespace api = wire::list_offsets;
  broker.on<api::Request>(5, [asked = 0](const auto& request, auto& response, wire::Arena& arena,
                                         wire::Version) mutable {
    ++asked;
    EXPECT_EQ(request.topics[0].partitions.size(), asked == 1 ? 2u : 1u) << "only what failed is asked for again";
    response.topics = arena.list<api::ListOffsetsTopicResponse>(1);
    response.topics[0].name = "t";
    response.topics[0].partitions = arena.list<api::ListOffsetsPartitionResponse>(request.topics[0].partitions.size());
    for (std::size_t i = 0; i < response.topics[0].partitions.size(); ++i) {
      auto& partition = response.topics[0].partitions[i];
      partition.partition_index = request.topics[0].partitions[i].partition_index;
      partition.offset = Offset{partition.partition_index.v + 40};
      if (asked == 1 && partition.partition_index.v == 1) partition.error_code = KafkaError::not_leader_or_follower;
    }
  });
  std::vector<TopicPartition> names = {{"t", PartitionIndex{1}}, {"t", PartitionIndex{9}}, {"t", PartitionIndex{0}}};
  auto found = run(find_offsets(cluster, names, kLatestOffset, soon()));
  ASSERT_TRUE(found.ok()) << found.error().message();
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ((*found)[0]->offset.v, 41);
  EXPECT_EQ((*found)[1].code(), Errc::unknown_partition);
  EXPECT_EQ((*found)[2]->offset.v, 40);
  EXPECT_EQ(broker.calls(wire::ApiKey::list_offsets), 2u);
}

}  // namespace
}  // namespace mr::client
