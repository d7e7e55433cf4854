#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cluster.h"

/// What an operator asks of a cluster, one call each. Errors: broker_error's, and those of a connection.
namespace mr::client {

struct NewTopic {
  std::string name;
  std::int32_t partitions = -1;          ///< -1: the broker's default
  std::int16_t replication_factor = -1;  ///< -1: the broker's default
  std::map<std::string, std::string> configs;
  bool validate_only = false;
};
struct CreatedTopic {
  TopicId id;
  std::int32_t partitions = -1;
  std::int16_t replication_factor = -1;
};
/// Errors: topic_exists, invalid_topic_name, ...
Task<Result<CreatedTopic>> create_topic(Cluster& cluster, NewTopic topic, TimePoint deadline);
/// Errors: unknown_topic.
Task<Result<void>> delete_topic(Cluster& cluster, std::string name, TimePoint deadline);

/// Lets a topic have `count` partitions. Errors: unknown_topic, invalid_partition_count (not more than it has).
Task<Result<void>> create_partitions(Cluster& cluster, std::string topic, std::int32_t count, bool validate_only,
                                     TimePoint deadline);

struct DeleteBefore {
  TopicPartition partition;
  Offset before;  ///< exclusive
};
/// Deletes the records of each partition, named once, that lie below its offset: where its log starts then, in the
/// order of `wanted`. Errors of one partition are its answer: offset_out_of_range, policy_violation, unknown_topic, ...
Task<Result<std::vector<Result<Offset>>>> delete_records(Cluster& cluster, std::vector<DeleteBefore> wanted,
                                                         TimePoint deadline);

struct ConfigValue {
  std::string name;
  std::optional<std::string> value;
  std::int8_t source = -1;  ///< DescribeConfigs' numbers: 1 topic, 4 static broker, 5 default
  bool read_only = false;
  bool sensitive = false;
};
Task<Result<std::vector<ConfigValue>>> topic_configs(Cluster& cluster, std::string name, TimePoint deadline);
/// A broker's settings; without id those that were set for all brokers while they run.
Task<Result<std::vector<ConfigValue>>> broker_configs(Cluster& cluster, std::optional<BrokerId> broker,
                                                      TimePoint deadline);

/// Of a consumer group, which need not exist.
Task<Result<std::vector<ConfigValue>>> group_configs(Cluster& cluster, std::string group, TimePoint deadline);

struct ConfigEdit {
  std::string name;
  std::optional<std::string> value;  ///< empty: back to what holds without it
};
/// Errors: unknown_topic, invalid_config, invalid_argument, unsupported_version (a broker older than Kafka 2.3).
Task<Result<void>> alter_topic_configs(Cluster& cluster, std::string name, std::vector<ConfigEdit> edits,
                                       bool validate_only, TimePoint deadline);
/// The same for one broker or, without id, for all.
Task<Result<void>> alter_broker_configs(Cluster& cluster, std::optional<BrokerId> broker, std::vector<ConfigEdit> edits,
                                        bool validate_only, TimePoint deadline);
Task<Result<void>> alter_group_configs(Cluster& cluster, std::string group, std::vector<ConfigEdit> edits,
                                       bool validate_only, TimePoint deadline);

struct FoundOffset {
  Offset offset{-1};
  WallMillis timestamp = -1;
};
inline constexpr WallMillis kLatestOffset = -1;
inline constexpr WallMillis kEarliestOffset = -2;
/// The first record at or after `timestamp`, or one of the special values; offset -1: none.
Task<Result<FoundOffset>> find_offset(Cluster& cluster, TopicPartition partition, WallMillis timestamp,
                                      TimePoint deadline);
/// The same for many partitions, each once, with one request to each of their leaders: an answer for each, in their
/// order. What holds for one partition only (unknown_topic, unknown_partition, ...) is its answer.
Task<Result<std::vector<Result<FoundOffset>>>> find_offsets(Cluster& cluster, std::vector<TopicPartition> partitions,
                                                            WallMillis timestamp, TimePoint deadline);

}  // namespace mr::client
