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

/// Checks a wish against the rules and the topics there are (traps.md 37, 38). On success the number of partitions to
/// make. Pure; configs are checked apart. Errors: invalid_topic_name, topic_exists, invalid_partition_count,
/// invalid_replication_factor, invalid_replica_assignment, invalid_argument.
Result<std::int32_t> plan_topic(const TopicSpec& spec, const TopicTable& topics, const TopicLimits& limits);

}  // namespace mr::broker
