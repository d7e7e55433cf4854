#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/option.h"

namespace mr::config {

/// What setting a topic config does today.
enum class Effect : std::uint8_t {
  used,          ///< obeyed
  harmless,      ///< taken and shown; whatever its value nobody can be hurt by our not acting on it (yet)
  default_only,  ///< only the default is taken: another value would promise what we do not do yet
};

// clang-format off
/// Kafka's topic configs, all of them. `field` of TopicConfig, DescribeConfigs, validation, docs/config.md and
/// docs/differences.md come from here. Defaults differ from Kafka's only on purpose (design decision 3).
///   NUMBER(field, name, type, default, min, max, broker synonyms, effect, help)
///   TEXT(field, name, type, default, allowed values, broker synonyms, effect, help)
///   BOOL(field, name, default, broker synonyms, effect, help)
///   RATIO(field, name, default text, broker synonyms, effect, help): a double from 0 to 1
/// Broker synonyms are tried in order; "name*60000" is a unit conversion.
#define MR_TOPIC_OPTIONS(NUMBER, TEXT, BOOL, RATIO)                                                                    \
  TEXT(cleanup_policy, "cleanup.policy", list, "delete", "compact,delete", "log.cleanup.policy", used,                 \
    "What happens to old records: delete, compact, both or (empty) neither.")                                          \
  NUMBER(compression_gzip_level, "compression.gzip.level", int32, -1, -1, 9, "", used,                                 \
    "Level for recompression with gzip, in three steps (1-3, 4-6, 7-9); -1: the codec's default.")                     \
  NUMBER(compression_lz4_level, "compression.lz4.level", int32, 9, 1, 17, "", used,                                    \
    "Level for recompression with lz4.")                                                                               \
  TEXT(compression_type, "compression.type", string, "producer", "uncompressed,zstd,lz4,snappy,gzip,producer",         \
    "compression.type", used, "Codec batches are stored with; 'producer': as sent.")                                   \
  NUMBER(compression_zstd_level, "compression.zstd.level", int32, 3, -131072, 22, "", used,                            \
    "Level for recompression with zstd.")                                                                              \
  NUMBER(delete_retention_ms, "delete.retention.ms", int64, 86400000, 0, kInt64Max, "log.cleaner.delete.retention.ms", \
    used, "How long compaction keeps tombstones.")                                                                     \
  BOOL(errors_deadletterqueue_group_enable, "errors.deadletterqueue.group.enable", false, "", default_only,            \
    "Whether share groups may use this topic for dead letters.")                                                       \
  NUMBER(file_delete_delay_ms, "file.delete.delay.ms", int64, 60000, 0, kInt64Max, "log.segment.delete.delay.ms",      \
    used, "Time between giving a segment up and deleting its files.")                                                  \
  NUMBER(flush_messages, "flush.messages", int64, 1, 1, kInt64Max, "log.flush.interval.messages", used,                \
    "Sync after this many records. 1: nobody sees a record that a power cut could take back.")                         \
  NUMBER(flush_ms, "flush.ms", int64, kInt64Max, 0, kInt64Max, "log.flush.interval.ms", used,                          \
    "Sync at least this often when flush.messages is above 1.")                                                        \
  TEXT(follower_replication_throttled_replicas, "follower.replication.throttled.replicas", list, "", "", "", harmless, \
    "Replicas whose following is throttled.")                                                                          \
  NUMBER(index_interval_bytes, "index.interval.bytes", int32, 4096, 0, kInt32Max, "log.index.interval.bytes", used,    \
    "Bytes between two entries of the offset index.")                                                                  \
  TEXT(leader_replication_throttled_replicas, "leader.replication.throttled.replicas", list, "", "", "", harmless,     \
    "Replicas whose leading is throttled.")                                                                            \
  NUMBER(local_retention_bytes, "local.retention.bytes", int64, -2, -2, kInt64Max, "", harmless,                       \
    "Size kept locally of a topic with remote storage.")                                                               \
  NUMBER(local_retention_ms, "local.retention.ms", int64, -2, -2, kInt64Max, "", harmless,                             \
    "Time kept locally of a topic with remote storage.")                                                               \
  NUMBER(max_compaction_lag_ms, "max.compaction.lag.ms", int64, kInt64Max, 1, kInt64Max,                               \
    "log.cleaner.max.compaction.lag.ms", used, "Longest time a record may stay uncompacted.")                          \
  NUMBER(max_message_bytes, "max.message.bytes", int32, 1048588, 0, kInt32Max, "message.max.bytes", used,              \
    "Largest record batch, compressed, as a client sent it.")                                                          \
  NUMBER(message_timestamp_after_max_ms, "message.timestamp.after.max.ms", int64, 3600000, 0, kInt64Max,               \
    "log.message.timestamp.after.max.ms", used, "Refuse records stamped further ahead than this.")                     \
  NUMBER(message_timestamp_before_max_ms, "message.timestamp.before.max.ms", int64, kInt64Max, 0, kInt64Max,           \
    "log.message.timestamp.before.max.ms", used, "Refuse records stamped further back than this.")                     \
  TEXT(message_timestamp_type, "message.timestamp.type", string, "CreateTime", "CreateTime,LogAppendTime",             \
    "log.message.timestamp.type", used, "Whose clock stamps records: the producer's or the broker's.")                 \
  RATIO(min_cleanable_dirty_ratio, "min.cleanable.dirty.ratio", "0.5", "log.cleaner.min.cleanable.ratio", used,        \
    "Share of uncompacted bytes at which compaction starts.")                                                          \
  NUMBER(min_compaction_lag_ms, "min.compaction.lag.ms", int64, 0, 0, kInt64Max, "log.cleaner.min.compaction.lag.ms",  \
    used, "Shortest time a record stays uncompacted.")                                                                 \
  NUMBER(min_insync_replicas, "min.insync.replicas", int32, 1, 1, kInt32Max, "min.insync.replicas", used,              \
    "In-sync replicas that acks=all needs.")                                                                           \
  BOOL(preallocate, "preallocate", false, "log.preallocate", harmless,                                                 \
    "Whether a segment's blocks are reserved when it starts.")                                                         \
  NUMBER(remote_copy_lag_bytes, "remote.copy.lag.bytes", int64, -1, -1, kInt64Max, "", default_only,                   \
    "Bytes that may wait before they are copied to remote storage.")                                                   \
  NUMBER(remote_copy_lag_ms, "remote.copy.lag.ms", int64, 0, -1, kInt64Max, "", default_only,                          \
    "Time records may wait before they are copied to remote storage.")                                                 \
  BOOL(remote_log_copy_disable, "remote.log.copy.disable", false, "", default_only,                                    \
    "Whether copying to remote storage is stopped.")                                                                   \
  BOOL(remote_log_delete_on_disable, "remote.log.delete.on.disable", false, "", default_only,                          \
    "Whether remote data goes when remote storage is switched off.")                                                   \
  BOOL(remote_storage_enable, "remote.storage.enable", false, "", default_only,                                        \
    "Whether old segments go to remote storage.")                                                                      \
  NUMBER(retention_bytes, "retention.bytes", int64, -1, kInt64Min, kInt64Max, "log.retention.bytes", used,             \
    "Delete the oldest segments of a partition above this size; below 0 no limit.")                                    \
  NUMBER(retention_ms, "retention.ms", int64, 604800000, -1, kInt64Max,                                                \
    "log.retention.ms,log.retention.minutes*60000,log.retention.hours*3600000", used,                                  \
    "Delete segments older than this; -1 never.")                                                                      \
  NUMBER(segment_bytes, "segment.bytes", int32, 64_MiB, 1_MiB, kInt32Max, "log.segment.bytes", used,                   \
    "Start a new segment file at this size.")                                                                          \
  NUMBER(segment_index_bytes, "segment.index.bytes", int32, 10_MiB, 4, kInt32Max, "log.index.size.max.bytes", used,    \
    "Largest index file; a full one starts a new segment.")                                                            \
  NUMBER(segment_jitter_ms, "segment.jitter.ms", int64, 0, 0, kInt64Max, "", harmless,                                 \
    "Random time taken off segment.ms so that segments do not all roll at once.")                                      \
  NUMBER(segment_ms, "segment.ms", int64, 604800000, 1, kInt64Max, "log.roll.ms,log.roll.hours*3600000", used,         \
    "Start a new segment file at this age.")                                                                           \
  BOOL(unclean_leader_election_enable, "unclean.leader.election.enable", false, "unclean.leader.election.enable",      \
    harmless, "Whether a replica outside the ISR may lead when nobody else is there.")
// clang-format on

struct BrokerConfig;

/// The configs of one topic, parsed: what log, replica and handlers obey. A field per row, always filled.
struct TopicConfig {
#define MR_NUMBER(field, name, type, default_value, ...) detail::Cpp<Type::type>::cpp field = default_value;
#define MR_TEXT(field, name, type, ...) detail::Cpp<Type::type>::cpp field;
#define MR_BOOL(field, name, default_value, ...) bool field = default_value;
#define MR_RATIO(field, ...) double field = 0;
  MR_TOPIC_OPTIONS(MR_NUMBER, MR_TEXT, MR_BOOL, MR_RATIO)
#undef MR_NUMBER
#undef MR_TEXT
#undef MR_BOOL
#undef MR_RATIO

  /// Effective configs: the topic's own, else the broker's synonym, else the default.
  /// Errors: invalid_config with a sentence for the client (unknown name, bad value, not supported yet).
  static Result<TopicConfig> resolve(const BrokerConfig& broker, const std::map<std::string, std::string>& overrides);
  /// What a new topic may not have, though each setting alone is within its bounds. Errors: invalid_config.
  Result<void> check_together() const;

  bool deleted() const { return has_policy("delete"); }
  bool compacted() const { return has_policy("compact"); }
  bool log_append_time() const { return message_timestamp_type == "LogAppendTime"; }

 private:
  bool has_policy(std::string_view policy) const {
    for (const auto& one : cleanup_policy)
      if (one == policy) return true;
    return false;
  }
};

#define MR_NUMBER(field, name, type, default_value, min, max, ...)                              \
  static_assert(static_cast<std::int64_t>(default_value) >= static_cast<std::int64_t>(min) &&   \
                    static_cast<std::int64_t>(default_value) <= static_cast<std::int64_t>(max), \
                "the default of " name " lies outside its bounds");
#define MR_IGNORE(...)
MR_TOPIC_OPTIONS(MR_NUMBER, MR_IGNORE, MR_IGNORE, MR_IGNORE)
#undef MR_NUMBER
#undef MR_IGNORE

/// One row, for code that goes over all of them.
struct TopicOption {
  ValueRule rule;
  std::string default_text;
  std::string_view broker_synonyms;
  Effect effect;
  std::string_view help;
};

/// In order of name.
const std::vector<TopicOption>& topic_options();
const TopicOption* find_topic_option(std::string_view name);
/// What to say of a name that is none; with a suggestion.
Error unknown_topic_option(std::string_view name);
/// What holds for a topic that does not set `option` itself, as text: the first broker synonym that has a value, else
/// the default.
std::string inherited_value(const TopicOption& option, const BrokerConfig& broker);

}  // namespace mr::config
