// Aim: tables are values: a change leaves older tables as they were, and all three indexes stay in step.
#include "broker/topic_table.h"

#include <gtest/gtest.h>

namespace mr::broker {
namespace {

TopicRef topic(std::string name, std::uint64_t id, std::size_t partitions = 1) {
  auto info = std::make_shared<TopicInfo>();
  info->name = std::move(name);
  info->id = TopicId{Uuid{0, id}};
  info->partitions.resize(partitions);
  return info;
}

TEST(TopicTable, ChangesMakeNewTables) {
  auto empty = std::make_shared<const TopicTable>();
  auto one = empty->with(topic("a.b", 1, 3));
  auto two = one->with(topic("c", 2));
  EXPECT_EQ(empty->find("a.b"), nullptr);
  EXPECT_EQ(one->find(TopicId{Uuid{0, 2}}), nullptr);
  ASSERT_NE(two->find(TopicId{Uuid{0, 2}}), nullptr);
  EXPECT_EQ(two->partition_count(), 4u);
  auto back = two->without(TopicId{Uuid{0, 1}});
  EXPECT_EQ(back->find("a.b"), nullptr);
  EXPECT_EQ(back->collides_with("a_b"), "");
  EXPECT_EQ(back->partition_count(), 1u);
}

TEST(TopicTable, ReplacingATopicDropsItsOldId) {
  auto table = TopicTable().with(topic("a", 1, 2))->with(topic("a", 2, 5));
  EXPECT_EQ(table->find(TopicId{Uuid{0, 1}}), nullptr);
  EXPECT_EQ(table->partition_count(), 5u);
}

TEST(TopicTable, NamesCollideButNotWithThemselves) {
  auto table = TopicTable().with(topic("a.b", 1));
  EXPECT_EQ(table->collides_with("a_b"), "a.b");
  EXPECT_EQ(table->collides_with("a.b"), "");
  EXPECT_EQ(table->collides_with("ab"), "");
}

TEST(HomeOf, SpreadsATopicOverAllShards) {
  std::set<std::uint32_t> homes;
  for (int p = 0; p < 4; ++p) homes.insert(home_of(TopicId{Uuid{123, 456}}, PartitionIndex{p}, 4).v);
  EXPECT_EQ(homes.size(), 4u);
  EXPECT_EQ(home_of(TopicId{Uuid{9, 9}}, PartitionIndex{0}, 1).v, 0u);
}

}  // namespace
}  // namespace mr::broker
