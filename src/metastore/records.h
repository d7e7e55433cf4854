#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "metastore/cluster_state.h"

/// Keys and values of the metadata (docs/formats/metadata-keys.md). Values are versioned text, a "name=value" line per
/// field: readable in sqlite3 and etcdctl, and a reader skips fields that it does not know.
namespace mr::metastore::records {

inline constexpr std::string_view kCluster = "/millrace/v1/cluster";
inline constexpr std::string_view kProducerIds = "/millrace/v1/producer-ids";
inline constexpr std::string_view kTopics = "/millrace/v1/topics/";
inline constexpr std::string_view kNames = "/millrace/v1/names/";
inline constexpr std::string_view kPartitions = "/millrace/v1/partitions/";
inline constexpr std::string_view kDeleted = "/millrace/v1/deleted/";
inline constexpr std::string_view kBrokerConfigs = "/millrace/v1/configs/brokers/";
inline constexpr std::string_view kGroupConfigs = "/millrace/v1/configs/groups/";

std::string topic_key(std::string_view name);
/// Two names that collide share this key (traps.md 38).
std::string name_key(std::string_view name);
std::string partitions_prefix(TopicId topic);
std::string partition_key(TopicId topic, PartitionIndex partition);
std::string deleted_key(TopicId topic);
/// Of what was set for one broker while it ran; without id: for all.
std::string broker_configs_key(std::optional<BrokerId> broker);

using Fields = std::map<std::string, std::string>;
std::string encode_fields(const Fields& fields);
/// Errors: corrupt_data, newer_format.
Result<Fields> decode_fields(std::string_view text);

/// Without its partitions: they have their own keys. `count` goes in, so that a missing one is noticed.
std::string encode_topic(const TopicRecord& topic);
std::string encode_topic(const TopicRecord& topic, std::size_t partition_count);
struct TopicHead {
  TopicRecord topic;  ///< no partitions, no name
  std::int32_t partition_count = 0;
};
Result<TopicHead> decode_topic(std::string_view text);
/// The same topic with other configs; what else its value says stays, also what this version does not know.
Result<std::string> with_configs(std::string_view topic, const std::map<std::string, std::string>& configs);
std::string encode_partition(const PartitionRecord& partition);
Result<PartitionRecord> decode_partition(std::string_view text);

}  // namespace mr::metastore::records
