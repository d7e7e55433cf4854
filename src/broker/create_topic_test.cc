// Aim: every rule of topic creation (traps.md 37, 38) by a table of wishes; pure, no broker.
#include "broker/create_topic.h"

#include <gtest/gtest.h>

namespace mr::broker {
namespace {

TopicTable table_with(std::string name) {
  auto info = std::make_shared<TopicInfo>();
  info->name = std::move(name);
  info->partitions.resize(10);
  return *TopicTable().with(info);
}

const TopicLimits kLimits{.default_partitions = 3, .partitions_max = 100, .self = BrokerId{1}};

Errc refused(const TopicSpec& spec) {
  auto named = check_new_name(spec.name, table_with("old.topic"));
  if (!named.ok()) return named.code();
  auto planned = plan_topic(spec, table_with("old.topic"), kLimits);
  EXPECT_FALSE(planned.ok());
  return planned.ok() ? Errc::internal : planned.code();
}

TEST(PlanTopic, DefaultsAndNumbers) {
  EXPECT_EQ(plan_topic({.name = "t"}, TopicTable(), kLimits), 3);
  EXPECT_EQ(plan_topic({.name = "t", .partitions = 7, .replication = 1}, TopicTable(), kLimits), 7);
}

TEST(PlanTopic, ManualAssignment) {
  EXPECT_EQ(plan_topic({.name = "t", .assignment = {{0, {BrokerId{1}}}, {1, {BrokerId{1}}}}}, TopicTable(), kLimits),
            2);
  EXPECT_EQ(refused({.name = "t", .partitions = 2, .assignment = {{0, {BrokerId{1}}}}}), Errc::invalid_argument);
  EXPECT_EQ(refused({.name = "t", .replication = 1, .assignment = {{0, {BrokerId{1}}}}}), Errc::invalid_argument);
  EXPECT_EQ(refused({.name = "t", .assignment = {{1, {BrokerId{1}}}}}), Errc::invalid_replica_assignment);
  EXPECT_EQ(refused({.name = "t", .assignment = {{0, {BrokerId{2}}}}}), Errc::invalid_replica_assignment);
  EXPECT_EQ(refused({.name = "t", .assignment = {{0, {}}}}), Errc::invalid_replica_assignment);
  EXPECT_EQ(refused({.name = "t", .assignment = {{0, {BrokerId{1}, BrokerId{1}}}}}), Errc::invalid_replica_assignment);
}

TEST(PlanTopic, Refusals) {
  EXPECT_EQ(refused({.name = "../etc"}), Errc::invalid_topic_name);
  EXPECT_EQ(refused({.name = "old.topic"}), Errc::topic_exists);
  EXPECT_EQ(refused({.name = "old_topic"}), Errc::invalid_topic_name);
  EXPECT_EQ(refused({.name = "t", .partitions = 0}), Errc::invalid_partition_count);
  EXPECT_EQ(refused({.name = "t", .partitions = 91}), Errc::invalid_partition_count);
  EXPECT_EQ(refused({.name = "t", .replication = 0}), Errc::invalid_replication_factor);
  EXPECT_EQ(refused({.name = "t", .replication = 3}), Errc::invalid_replication_factor);
  EXPECT_EQ(refused({.name = "t", .partitions = 0, .wrong = Errc::invalid_config}), Errc::invalid_config);
}

}  // namespace
}  // namespace mr::broker
