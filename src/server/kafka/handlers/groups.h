#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/group_coordinator.h"
#include "server/kafka/handlers/handlers.h"

/// What the handlers of consumer groups share: translation between wire and coordinator.
namespace mr::server::kafka {

inline std::string owned(std::string_view text) { return std::string(text); }
inline std::optional<std::string> owned(std::optional<std::string_view> text) {
  return text ? std::optional<std::string>(*text) : std::nullopt;
}
/// Lives as long as the exchange.
inline std::optional<std::string_view> lent(Exchange& x, const std::optional<std::string>& text) {
  return text ? std::optional<std::string_view>(x.arena.copy(*text)) : std::nullopt;
}
/// none without an error.
inline KafkaError kafka_error(const std::optional<Error>& error) {
  return error ? kafka_error(error->code()) : KafkaError::none;
}

/// A topic that a request names, by name or, from the version that has them on, by id.
struct NamedTopic {
  broker::TopicRef topic;               ///< null: unknown
  KafkaError error = KafkaError::none;  ///< then what that is called
  /// Does the topic have this partition?
  bool has(PartitionIndex index) const {
    return topic != nullptr && index.v >= 0 && static_cast<std::size_t>(index.v) < topic->partitions.size();
  }
};
inline NamedTopic find_topic(const broker::TopicTable& table, bool by_id, std::string_view name, TopicId id) {
  NamedTopic found{.topic = by_id ? table.find(id) : table.find(name)};
  if (found.topic == nullptr)
    found.error = by_id ? KafkaError::unknown_topic_id : KafkaError::unknown_topic_or_partition;
  return found;
}

}  // namespace mr::server::kafka
