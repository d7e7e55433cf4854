// Aim: only whole topics that nobody knows are adopted, and nobody's data get retention by mistake. Pure, no disk.
#include "broker/adopt_topics.h"

#include <gmock/gmock.h>

namespace mr::broker {
namespace {

using testing::ElementsAre;

constexpr BrokerId kSelf{1};

storage::PartitionDir directory(const std::string& topic, std::int32_t partition, std::uint64_t id) {
  return {.name = {topic, PartitionIndex{partition}},
          .topic_id = id == 0 ? std::nullopt : std::optional(TopicId{Uuid{0, id}}),
          .path = "/d"};
}

std::vector<std::string> names(const Adoption& plan) {
  std::vector<std::string> out;
  for (const auto& topic : plan.topics) out.push_back(topic.name);
  return out;
}
std::vector<std::string> left(const Adoption& plan) {
  std::vector<std::string> out;
  for (const auto& one : plan.left) out.push_back(one.topic + ": " + one.why);
  return out;
}

TEST(AdoptTopics, WholeTopicsOfAnyOrder) {
  Adoption plan = plan_adoption({directory("b", 1, 7), directory("a", 0, 6), directory("b", 0, 7)}, {}, {}, kSelf, 99);
  EXPECT_THAT(names(plan), ElementsAre("a", "b"));
  EXPECT_TRUE(plan.left.empty());
  const metastore::TopicRecord& b = plan.topics[1];
  EXPECT_EQ(b.id, (TopicId{Uuid{0, 7}}));
  EXPECT_EQ(b.created, 99);
  ASSERT_EQ(b.partitions.size(), 2u);
  EXPECT_EQ(b.partitions[1].index, PartitionIndex{1});
  EXPECT_EQ(b.partitions[1].leader, kSelf);
  EXPECT_EQ(b.configs.at("retention.ms"), "-1");
  EXPECT_EQ(b.configs.at("retention.bytes"), "-1");
}

TEST(AdoptTopics, WhatIsKnownOrDeletedIsNoNews) {
  Adoption plan = plan_adoption({directory("a", 0, 6), directory("gone", 0, 8)},
                                {{.name = "a", .id = TopicId{Uuid{0, 6}}}}, {TopicId{Uuid{0, 8}}}, kSelf, 0);
  EXPECT_TRUE(plan.topics.empty());
  EXPECT_TRUE(plan.left.empty());
}

TEST(AdoptTopics, WhatIsNotWholeIsLeftAlone) {
  Adoption plan = plan_adoption({directory("__cluster_metadata", 0, 1), directory("__consumer_offsets", 0, 2),
                                 directory("gap", 0, 3), directory("gap", 2, 3), directory("mixed", 0, 4),
                                 directory("mixed", 1, 5), directory("nameless", 0, 0), directory("taken.x", 0, 6)},
                                {{.name = "taken_x", .id = TopicId{Uuid{0, 9}}}}, {}, kSelf, 0);
  EXPECT_TRUE(plan.topics.empty());
  EXPECT_THAT(left(plan), ElementsAre("__cluster_metadata: internal topics are not taken over",
                                      "__consumer_offsets: internal topics are not taken over",
                                      "gap: partition 1 is missing: put its directory here, too",
                                      "mixed: its directories name different topic ids",
                                      "nameless: a partition.metadata is missing or does not read",
                                      "taken.x: topic 'taken_x' has that name, or one that collides with it"));
}

}  // namespace
}  // namespace mr::broker
