#include "broker/create_topic.h"

#include <fmt/format.h>

namespace mr::broker {

namespace {

Result<std::int32_t> plan_by_hand(const TopicSpec& spec, const TopicLimits& limits) {
  if (spec.partitions != -1)
    return Error(Errc::invalid_argument, "a manual assignment requires the number of partitions to be -1");
  if (spec.replication != -1)
    return Error(Errc::invalid_argument, "a manual assignment requires the replication factor to be -1");
  std::int32_t next = 0;
  for (const auto& [index, replicas] : spec.assignment) {
    if (index != next++)
      return Error(Errc::invalid_replica_assignment, "partitions must be numbered from 0 without gaps");
    if (replicas.empty())
      return Error(Errc::invalid_replica_assignment, fmt::format("partition {} has no replica", index));
    for (BrokerId replica : replicas)
      if (replica != limits.self)
        return Error(Errc::invalid_replica_assignment, fmt::format("broker {} is not in this cluster", replica.v));
    if (replicas.size() > 1)
      return Error(Errc::invalid_replica_assignment, fmt::format("partition {} names a broker twice", index));
  }
  return next;
}

}  // namespace

Result<void> check_new_name(const std::string& name, const TopicTable& topics) {
  if (!valid_topic_name(name))
    return Error(Errc::invalid_topic_name,
                 "a topic name has 1 to 249 of the characters a-z A-Z 0-9 . _ - and is not \".\" or \"..\"");
  if (topics.find(name)) return Error(Errc::topic_exists, fmt::format("topic '{}' already exists", name));
  if (std::string other = topics.collides_with(name); !other.empty())
    return Error(Errc::invalid_topic_name, fmt::format("topic '{}' collides with existing topic '{}'", name, other));
  return {};
}

Result<std::int32_t> plan_topic(const TopicSpec& spec, const TopicTable& topics, const TopicLimits& limits) {
  if (spec.wrong) return *spec.wrong;
  std::int32_t partitions = spec.partitions == -1 ? limits.default_partitions : spec.partitions;
  if (!spec.assignment.empty()) {
    MR_TRY(partitions, plan_by_hand(spec, limits));
  } else {
    std::int16_t replication = spec.replication == -1 ? limits.default_replication : spec.replication;
    if (partitions < 1) return Error(Errc::invalid_partition_count, "the number of partitions must be above 0");
    if (replication < 1) return Error(Errc::invalid_replication_factor, "the replication factor must be above 0");
    if (replication > 1)
      return Error(Errc::invalid_replication_factor,
                   fmt::format("replication factor {} is larger than the number of brokers, 1", replication));
  }
  if (static_cast<std::int64_t>(topics.partition_count()) + partitions > limits.partitions_max)
    return Error(Errc::invalid_partition_count, fmt::format("{} more partitions would pass this broker's limit of {}",
                                                            partitions, limits.partitions_max));
  return partitions;
}

}  // namespace mr::broker
