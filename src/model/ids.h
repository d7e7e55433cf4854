#pragma once
#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/uuid.h"

namespace mr {

using Offset = Id<struct OffsetTag, std::int64_t>;
using LeaderEpoch = Id<struct LeaderEpochTag, std::int32_t>;
using BrokerId = Id<struct BrokerIdTag, std::int32_t>;
using PartitionIndex = Id<struct PartitionIndexTag, std::int32_t>;
using ProducerId = Id<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = Id<struct ProducerEpochTag, std::int16_t>;
using Sequence = Id<struct SequenceTag, std::int32_t>;

inline constexpr Offset kNoOffset{-1};
inline constexpr LeaderEpoch kNoLeaderEpoch{-1};
inline constexpr ProducerId kNoProducerId{-1};

/// A topic's identity; a topic made again under the same name has another.
struct TopicId {
  Uuid v;
  friend auto operator<=>(const TopicId&, const TopicId&) = default;
};

struct TopicPartition {
  std::string topic;
  PartitionIndex partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
  /// "topic-partition", also the name of its directory. Only for names that passed valid_topic_name().
  std::string to_string() const { return topic + "-" + std::to_string(partition.v); }
};

/// Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". (traps.md 38)
bool valid_topic_name(std::string_view name);
/// Topics that belong to coordinators: closed to clients' writes (traps.md 58).
bool internal_topic(std::string_view name);
/// Two names that are equal after this mapping collide (traps.md 38).
std::string collision_key(std::string_view name);

}  // namespace mr

template <>
struct std::hash<mr::TopicId> {
  std::size_t operator()(const mr::TopicId& id) const noexcept { return std::hash<mr::Uuid>{}(id.v); }
};
template <>
struct std::hash<mr::TopicPartition> {
  std::size_t operator()(const mr::TopicPartition& tp) const noexcept {
    return std::hash<std::string>{}(tp.topic) * 31 + static_cast<std::size_t>(tp.partition.v);
  }
};
