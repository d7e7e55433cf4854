#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "broker/topic_table.h"

namespace mr::broker {

/// A wish for a topic, in no protocol's words.
struct TopicSpec {
  std::string name;
  std::int32_t partitions = -1;   ///< -1: num.partitions
  std::int16_t replication = -1;  ///< -1: default.replication.factor
  /// Replicas of partition i by hand; then partitions and replication must both be -1.
  std::map<std::int32_t, std::vector<BrokerId>> assignment;
  std::map<std::string, std::string> configs;
  /// What the door found wrong with the rest of the wish; told when name and settings are in order, as Apache Kafka
  /// does.
  std::optional<Error> wrong = {};
};

/// What one request may add: each costs files and a turn of shard 0, which other requests wait for. Apache Kafka's
/// bound.
inline constexpr std::int32_t kNewPartitionsMax = 10'000;

struct TopicLimits {
  std::int32_t default_partitions = 1;
  std::int16_t default_replication = 1;
  std::int32_t partitions_max = 100'000;  ///< of one topic and of the whole broker
  BrokerId self;
};

/// Whether a topic of this name can be made beside those there are (traps.md 38); the first question of all.
/// Errors: invalid_topic_name, topic_exists.
Result<void> check_new_name(const std::string& name, const TopicTable& topics);

/// Checks the rest of a wish, whose name and settings are in order (traps.md 37). On success the number of partitions
/// to make. Pure. Errors: invalid_partition_count, invalid_replication_factor, invalid_replica_assignment,
/// invalid_argument.
Result<std::int32_t> plan_topic(const TopicSpec& spec, const TopicTable& topics, const TopicLimits& limits);

}  // namespace mr::broker
