// Aim: a KIP-848 group with everything below the machine: jobs go to the pool and come back, topics that come are told
// to the group, a crash loses nothing that a member was told. Method: a broker in a simulated world.
#include "coordinator/cluster_fixture.h"
#include "coordinator/consumer_fixture.h"

namespace mr::coordinator {
namespace {

struct ConsumerCluster : Cluster {
  using Cluster::Cluster;
  TopicId make_topic(std::string name, std::int32_t partitions) {
    auto made = run(node->broker->create_topic({.name = std::move(name), .partitions = partitions}, false));
    EXPECT_TRUE(made.ok()) << made.error().message();
    return (*made)->id;
  }
  ConsumerHeartbeatAnswer ask(ConsumerHeartbeatRequest request, std::uint32_t on = 0) {
    return run(groups->consumer_heartbeat(std::move(request)), on);
  }
  /// Heartbeats until the member has so many partitions.
  ConsumerHeartbeatAnswer until_has(std::string member, std::int32_t epoch, std::size_t partitions) {
    PartitionSet has;
    for (int i = 0; i < 50; ++i) {
      auto answer = ask(ConsumerBench::beat(member, epoch, has));
      if (answer.error) return answer;
      epoch = answer.epoch;
      if (answer.assignment) has = *answer.assignment;
      if (partitions_in(has) == partitions) {
        answer.assignment = has;
        return answer;
      }
      world.run_for(std::chrono::milliseconds(200));
    }
    ADD_FAILURE() << member << " has " << partitions_in(has) << " partitions, wanted " << partitions;
    return {};
  }
};

TEST(ConsumerCluster, TopicsThatComeAreToldAndNothingIsForgotten) {
  ConsumerCluster cluster(1);
  const TopicId id = cluster.make_topic("t", 3);
  cluster.find();
  auto joined = cluster.ask(ConsumerBench::join_request("a", {"t", "later"}), 1);
  ASSERT_FALSE(joined.error) << joined.error->message();
  EXPECT_EQ(joined.assignment, (PartitionSet{{id, {0, 1, 2}}}));
  cluster.make_topic("later", 2);
  auto more = cluster.until_has("a", joined.epoch, 5);
  cluster.power_cut();
  ASSERT_TRUE(cluster.run(cluster.groups->loaded()).ok());
  auto after = cluster.ask(ConsumerBench::beat("a", more.epoch, more.assignment));
  EXPECT_FALSE(after.error) << after.error->message();
  EXPECT_FALSE(after.assignment);
}

TEST(ConsumerCluster, PatternsAreMatchedOnThePool) {
  ConsumerCluster cluster(2);
  cluster.make_topic("red", 2);
  cluster.make_topic("blue", 1);
  cluster.find();
  auto request = ConsumerBench::join_request("a");
  request.topics.reset();
  request.regex = "(";
  EXPECT_EQ(code(cluster.ask(request).error), Errc::invalid_regular_expression);
  request.regex = "r.*";
  auto joined = cluster.ask(request);
  ASSERT_FALSE(joined.error) << joined.error->message();
  auto matched = cluster.until_has("a", joined.epoch, 2);
  cluster.make_topic("rose", 2);
  cluster.until_has("a", matched.epoch, 4);
}

TEST(ConsumerCluster, LargeGroupsAreAssignedOnThePool) {
  ConsumerCluster cluster(3);
  cluster.make_topic("t", 1100);
  cluster.find();
  auto joined = cluster.ask(ConsumerBench::join_request("a"));
  ASSERT_FALSE(joined.error) << joined.error->message();
  EXPECT_EQ(joined.assignment, PartitionSet{}) << "not on the shard";
  cluster.until_has("a", joined.epoch, 1100);
}

// The protocol of before (v0): the broker makes the member's id.
TEST(ConsumerCluster, GivesOutMemberIds) {
  ConsumerCluster cluster(4);
  cluster.make_topic("t", 1);
  cluster.find();
  auto request = ConsumerBench::join_request("");
  EXPECT_EQ(code(cluster.ask(request).error), Errc::invalid_argument);
  request.makes_id = false;
  auto joined = cluster.ask(request);
  EXPECT_EQ(joined.member.size(), 22u);
  EXPECT_FALSE(cluster.ask(ConsumerBench::beat(joined.member, joined.epoch)).error);
}

}  // namespace
}  // namespace mr::coordinator
