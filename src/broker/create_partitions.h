#pragma once
#include <optional>
#include <string>
#include <vector>

#include "broker/create_topic.h"

namespace mr::broker {

/// A wish for more partitions, in no protocol's words.
struct PartitionsSpec {
  std::string topic;
  std::int32_t count = 0;  ///< that the topic shall have then
  /// Replicas of each new partition by hand, in order.
  std::optional<std::vector<std::vector<BrokerId>>> assignment = {};
};

/// Checks a wish against the topic as it is. On success how many partitions to add, at least 1. Pure.
/// Errors: invalid_partition_count (not more than there are, or more than the broker may have), policy_violation
/// (internal), invalid_replica_assignment.
Result<std::int32_t> plan_partitions(const PartitionsSpec& spec, const TopicInfo& topic, const TopicTable& topics,
                                     const TopicLimits& limits);

}  // namespace mr::broker
