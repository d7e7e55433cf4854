// Aim: every partition is read on at its leader, wherever that goes, and none waits for another's. Method: two scripted
// brokers in a World that lead what a table says.
#include "client/follower.h"

#include <gtest/gtest.h>

#include "client/scripted_broker.h"
#include "model/batch_builder.h"
#include "sim/network.h"
#include "wire/api/fetch.h"
#include "wire/api/metadata.h"

namespace mr::client {
namespace {

using std::chrono::seconds;
using wire::KafkaError;

constexpr int kRecords = 3;  ///< of each partition, a batch each; then it is quiet

/// What all brokers know: who leads which partition of "t".
struct Leaders {
  std::vector<std::int32_t> in_truth;
  std::vector<std::int32_t> as_told;
};

struct LeadingBroker : ApiBroker {
  LeadingBroker(std::int32_t self, const Leaders& leaders, wire::Version fetch) {
    on<wire::metadata::Request>(12, [&leaders](const auto&, auto& response, wire::Arena& arena, wire::Version) {
      response.brokers =
          arena.list<wire::metadata::MetadataResponseBroker>({{.node_id = BrokerId{1}, .host = "one", .port = 9092},
                                                              {.node_id = BrokerId{2}, .host = "two", .port = 9092}});
      response.controller_id = BrokerId{1};
      response.topics = arena.list<wire::metadata::MetadataResponseTopic>(1);
      response.topics[0].name = "t";
      response.topics[0].topic_id = kTopic;
      auto partitions = arena.list<wire::metadata::MetadataResponsePartition>(leaders.as_told.size());
      for (std::size_t i = 0; i < partitions.size(); ++i)
        partitions[i] = {.partition_index = PartitionIndex{static_cast<std::int32_t>(i)},
                         .leader_id = BrokerId{leaders.as_told[i]}};
      response.topics[0].partitions = partitions;
    });
    namespace api = wire::fetch;
    on<api::Request>(fetch, [self, &leaders](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
      response.responses = arena.list<api::FetchableTopicResponse>(1);
      response.responses[0].topic = "t";
      response.responses[0].topic_id = kTopic;
      auto asked = request.topics[0].partitions;
      auto answers = arena.list<api::PartitionData>(asked.size());
      for (std::size_t i = 0; i < asked.size(); ++i) {
        answers[i].partition_index = asked[i].partition;
        if (leaders.in_truth[static_cast<std::size_t>(asked[i].partition.v)] != self) {
          answers[i].error_code = KafkaError::not_leader_or_follower;
        } else if (asked[i].fetch_offset.v < kRecords) {
          BatchBuilder builder;
          builder.add({.value = as_bytes("v")});
          auto batch = *builder.build();
          store_be<std::int64_t>(batch.data(), asked[i].fetch_offset.v);
          answers[i].records = wire::Records::of(arena.copy(batch));
        }
      }
      response.responses[0].partitions = answers;
    });
  }
  static inline const TopicId kTopic{Uuid::from_random(1, 7)};
};

struct FollowerTest : testing::TestWithParam<wire::Version> {
  FollowerTest() {
    for (int i = 0; i < 2; ++i) listen(i);
  }
  ~FollowerTest() override {
    world.run(client, ShardId{0}, cluster.close());
    for (auto& listener : listeners) listener->close();
    world.run_for(seconds(1));
  }
  void listen(int i) {
    Env& env = servers[i]->env(ShardId{0});
    listeners[i] = env.network.listen({.host = "0.0.0.0", .port = 9092}).value();
    servers[i]->spawn(ShardId{0}, "broker", run_broker(brokers[i], env, *listeners[i]));
  }
  /// Reads partitions 0 to `count` - 1 to the end; offsets that came, by partition.
  Result<void> follow(int count) {
    std::vector<Position> positions;
    for (int p = 0; p < count; ++p) positions.push_back({{"t", PartitionIndex{p}}, Offset{0}});
    return world.run(client, ShardId{0},
                     follower.run(std::move(positions), [this](const Fetched::Part& part) { return take(part); }));
  }
  Result<std::optional<Offset>> take(const Fetched::Part& part) {
    MR_TRY(Offset next, part.for_each(inflater, [&](const Fetched::Item& item) {
      came[part.name.partition.v].push_back(item.offset.v);
      return true;
    }));
    if (next.v == kRecords) return std::optional<Offset>{};
    return std::optional(next);
  }

  Leaders leaders{{1, 2, 1, 2}, {1, 2, 1, 2}};
  sim::World world{{.seed = 1}};
  sim::Process& client = world.add_host("client").start(1);
  sim::Process* servers[2] = {&world.add_host("one").start(1), &world.add_host("two").start(1)};
  LeadingBroker brokers[2] = {{1, leaders, GetParam()}, {2, leaders, GetParam()}};
  std::unique_ptr<Listener> listeners[2];
  Cluster cluster{client.env(ShardId{0}), {.bootstrap = {{"one", 9092}}}};
  std::uint64_t answers = 0;
  Follower follower{cluster, {.answer_max = seconds(5), .away_max = seconds(10), .answered = [this](TimePoint asked) {
                                ++answers;
                                EXPECT_LT(asked, world.now()) << "the network takes its time";
                              }}};
  Inflater inflater;
  std::map<int, std::vector<std::int64_t>> came;
  const std::vector<std::int64_t> all = {0, 1, 2};
};
/// Topics by name and by id.
INSTANTIATE_TEST_SUITE_P(FetchVersions, FollowerTest, testing::Values(12, 13));

TEST_P(FollowerTest, AsksEachLeaderForAllItHas) {
  auto outcome = follow(4);
  ASSERT_TRUE(outcome.ok()) << outcome.error().detail();
  EXPECT_EQ(came.size(), 4u);
  for (const auto& [partition, offsets] : came) EXPECT_EQ(offsets, all) << partition;
  // Two partitions of three batches each share answers.
  for (const LeadingBroker& broker : brokers) EXPECT_LT(broker.calls(wire::ApiKey::fetch), 2u * kRecords);
  EXPECT_EQ(answers, brokers[0].calls(wire::ApiKey::fetch) + brokers[1].calls(wire::ApiKey::fetch));
}

TEST_P(FollowerTest, GoesWhereTheLeaderIs) {
  leaders.in_truth[1] = 1;
  world.run_for(seconds(1));
  world.at(world.now() + seconds(2), [this] { leaders.as_told[1] = 1; });
  auto outcome = follow(2);
  ASSERT_TRUE(outcome.ok()) << outcome.error().detail();
  EXPECT_EQ(came[0], all);
  EXPECT_EQ(came[1], all);
}

TEST_P(FollowerTest, WaitsForABrokerAndNotForEver) {
  listeners[1]->close();
  world.run_for(seconds(1));
  const TimePoint before = world.now();
  auto outcome = follow(2);
  EXPECT_EQ(outcome.code(), Errc::connection_refused);
  EXPECT_GE(world.now() - before, seconds(10));
  EXPECT_LE(world.now() - before, seconds(20));
  EXPECT_EQ(came[0], all);
}

TEST_P(FollowerTest, AnOffsetThatIsNotThereEndsIt) {
  brokers[0].on<wire::fetch::Request>(
      GetParam(), [](const auto& request, auto& response, wire::Arena& arena, wire::Version) {
        namespace api = wire::fetch;
        response.responses = arena.list<api::FetchableTopicResponse>(1);
        response.responses[0].topic = "t";
        response.responses[0].topic_id = LeadingBroker::kTopic;
        response.responses[0].partitions = arena.list<api::PartitionData>(1);
        response.responses[0].partitions[0].partition_index = request.topics[0].partitions[0].partition;
        response.responses[0].partitions[0].error_code = KafkaError::offset_out_of_range;
      });
  EXPECT_EQ(follow(1).code(), Errc::offset_out_of_range);
}

}  // namespace
}  // namespace mr::client
