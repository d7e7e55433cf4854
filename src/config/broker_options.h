#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/option.h"

namespace mr::config {

// clang-format off
/// The option table (style.md 8): one row is the option. The struct, parsing, bounds, flags, `config explain`,
/// DescribeConfigs and docs/config.md come from it. Names are Kafka's wherever the meaning is; the last block is ours.
///   TEXT(field, name, type, default, allowed values, when a change applies, short flag, help)
///   NUMBER(field, name, type, default, min, max, applies, short flag, help); a default outside does not compile
///   UNSET(field, name, type, min, max, applies, help): a number that is not set by default
///   BOOL(field, name, default, applies, help)
///   RATIO(field, name, default text, max, applies, help): a number with a fraction, from 0
#define MR_BROKER_OPTIONS(TEXT, NUMBER, UNSET, BOOL, RATIO)                                                            \
  TEXT(listeners, "listeners", list, "PLAINTEXT://127.0.0.1:9092", "", restart, "--kafka",                                      \
    "Where Kafka clients connect: NAME://HOST:PORT, or just HOST:PORT; no host means every address, port 0 any free one.") \
  TEXT(advertised_listeners, "advertised.listeners", list, "", "", restart, "",                                        \
    "What clients are told to connect to; unset: the local address of the client's own connection.")                   \
  TEXT(log_dirs, "log.dirs", list, "data", "", restart, "--data-dir",                                                  \
    "Directory for partitions and metadata; made when missing.")                                                       \
  NUMBER(node_id, "node.id", int32, 1, 0, kInt32Max, restart, "",                                                      \
    "This broker's number; fixed at the first start of a data directory.")                                             \
  NUMBER(num_partitions, "num.partitions", int32, 1, 1, kInt32Max, restart, "",                                           \
    "Partitions of a topic created without a count.")                                                                  \
  NUMBER(default_replication_factor, "default.replication.factor", int32, 1, 1, kInt16Max, restart, "",                   \
    "Replicas of a topic created without a factor.")                                                                   \
  BOOL(auto_create_topics_enable, "auto.create.topics.enable", true, restart,                                             \
    "Create a topic when a client asks for metadata of one that does not exist.")                                      \
  BOOL(delete_topic_enable, "delete.topic.enable", true, restart,                                                      \
    "Whether DeleteTopics is obeyed.")                                                                                 \
  NUMBER(message_max_bytes, "message.max.bytes", int32, 1048588, 0, kInt32Max, live, "",                               \
    "Largest record batch, compressed, as a client sent it.")                                                          \
  NUMBER(min_insync_replicas, "min.insync.replicas", int32, 1, 1, kInt32Max, live, "",                                 \
    "In-sync replicas that acks=all needs.")                                                                           \
  TEXT(compression_type, "compression.type", string, "producer", "uncompressed,zstd,lz4,snappy,gzip,producer", live,   \
    "", "Codec batches are stored with; 'producer': as sent.")                                                         \
  NUMBER(socket_request_max_bytes, "socket.request.max.bytes", int32, 104857600, 1, kInt32Max, restart, "",            \
    "Largest request; a longer one closes its connection.")                                                            \
  NUMBER(socket_send_buffer_bytes, "socket.send.buffer.bytes", int32, 102400, -1, kInt32Max, restart, "",              \
    "Kernel's buffer of each client connection for answers; -1: it adapts. More for far readers: bandwidth x delay.")  \
  NUMBER(socket_receive_buffer_bytes, "socket.receive.buffer.bytes", int32, -1, -1, kInt32Max, restart, "",            \
    "Kernel's buffer of each client connection for requests; -1: it adapts.")                                          \
  NUMBER(max_connections, "max.connections", int32, kInt32Max, 0, kInt32Max, live, "",                                 \
    "Client connections at a time, of each listener; more are refused. At most 3/4 of the file limit for all.")                                               \
  NUMBER(max_connections_per_ip, "max.connections.per.ip", int32, kInt32Max, 0, kInt32Max, live, "",                   \
    "Client connections at a time from one address, over all listeners; more are closed. 0 only with overrides.")      \
  TEXT(max_connections_per_ip_overrides, "max.connections.per.ip.overrides", string, "", "", live, "",                 \
    "Addresses with a number of their own: ADDRESS:COUNT,... IP addresses, no names.")                                 \
  NUMBER(connections_max_idle_ms, "connections.max.idle.ms", int64, 600000, -1, kInt64Max, restart, "",                \
    "Close a connection after this long without a request; -1 never.")                                                 \
  NUMBER(queued_max_request_bytes, "queued.max.request.bytes", int64, -1, -1, kInt64Max, restart, "",                  \
    "Request bytes held at a time before reading pauses; -1: a quarter of `memory`.")                                  \
  NUMBER(fetch_max_bytes, "fetch.max.bytes", int32, 57671680, 1024, kInt32Max, restart, "",                            \
    "Most bytes of one fetch answer, whatever the client asks.")                                                       \
  NUMBER(max_incremental_fetch_session_cache_slots, "max.incremental.fetch.session.cache.slots", int32, 1000, 0,       \
    kInt32Max, restart, "",                                                                                            \
    "Fetch sessions kept, so that readers name only what changes; together they take at most 64 MiB. 0: none.")        \
  NUMBER(max_request_partition_size_limit, "max.request.partition.size.limit", int32, 2000, 1, kInt32Max, restart, "", \
    "Most partitions of one answer to DescribeTopicPartitions; the rest comes in further pages.")                      \
  NUMBER(producer_id_expiration_ms, "producer.id.expiration.ms", int32, 86400000, 1, kInt32Max, live, "",              \
    "Forget an idle idempotent producer after this long.")                                                             \
  NUMBER(group_min_session_timeout_ms, "group.min.session.timeout.ms", int32, 6000, 0, kInt32Max, restart, "",            \
    "Shortest session that a group's member may ask for.")                                                             \
  NUMBER(group_max_session_timeout_ms, "group.max.session.timeout.ms", int32, 1800000, 0, kInt32Max, restart, "",         \
    "Longest session that a group's member may ask for.")                                                              \
  NUMBER(group_initial_rebalance_delay_ms, "group.initial.rebalance.delay.ms", int32, 0, 0, kInt32Max, restart, "",       \
    "How long a new group's first round waits for more members.")                                                      \
  NUMBER(group_max_size, "group.max.size", int32, kInt32Max, 1, kInt32Max, restart, "",                                   \
    "Most members of a group.")                                                                                        \
  TEXT(group_consumer_assignors, "group.consumer.assignors", list, "uniform,range", "", restart, "", \
    "Who may assign partitions in groups of the consumer protocol (uniform, range, roundrobin, and what a program that "  \
    "embeds the broker brings); the first does unless members ask for another.")                                       \
  NUMBER(group_consumer_assignment_interval_ms, "group.consumer.assignment.interval.ms", int32, 1000, 0, kInt32Max,       \
    restart, "", "Shortest time between two new assignments of a group of the consumer protocol.")                     \
  NUMBER(group_consumer_min_assignment_interval_ms, "group.consumer.min.assignment.interval.ms", int32, 0, 0, kInt32Max,  \
    restart, "", "The assignment interval may not be below this.")                                                     \
  NUMBER(group_consumer_max_assignment_interval_ms, "group.consumer.max.assignment.interval.ms", int32, 15000, 0,         \
    kInt32Max, restart, "", "The assignment interval may not be above this.")                                          \
  NUMBER(group_consumer_heartbeat_interval_ms, "group.consumer.heartbeat.interval.ms", int32, 5000, 1, kInt32Max,         \
    restart, "", "How often members of the consumer protocol are told to send heartbeats.")                            \
  NUMBER(group_consumer_min_heartbeat_interval_ms, "group.consumer.min.heartbeat.interval.ms", int32, 5000, 1, kInt32Max, \
    restart, "", "The heartbeat interval may not be below this.")                                                      \
  NUMBER(group_consumer_max_heartbeat_interval_ms, "group.consumer.max.heartbeat.interval.ms", int32, 15000, 1,           \
    kInt32Max, restart, "", "The heartbeat interval may not be above this.")                                           \
  NUMBER(group_consumer_session_timeout_ms, "group.consumer.session.timeout.ms", int32, 45000, 1, kInt32Max, restart, "", \
    "A member of the consumer protocol that is not heard of for this long is out.")                                    \
  NUMBER(group_consumer_min_session_timeout_ms, "group.consumer.min.session.timeout.ms", int32, 45000, 1, kInt32Max,      \
    restart, "", "The session timeout may not be below this.")                                                         \
  NUMBER(group_consumer_max_session_timeout_ms, "group.consumer.max.session.timeout.ms", int32, 60000, 1, kInt32Max,      \
    restart, "", "The session timeout may not be above this.")                                                         \
  NUMBER(group_consumer_max_size, "group.consumer.max.size", int32, kInt32Max, 1, kInt32Max, restart, "",                 \
    "Most members of a group of the consumer protocol.")                                                               \
  TEXT(group_consumer_migration_policy, "group.consumer.migration.policy", string, "bidirectional",                       \
    "bidirectional,upgrade,downgrade,disabled", restart, "",                                                              \
    "Whether a group with members goes over to the consumer protocol with its first member that speaks it (upgrade), and back when the last one leaves (downgrade).") \
  NUMBER(offset_metadata_max_bytes, "offset.metadata.max.bytes", int32, 4096, 0, kInt32Max, restart, "",                  \
    "Longest text that may be committed with an offset, in UTF-16 units as in Kafka; never above 32000 bytes.")         \
  NUMBER(offsets_commit_timeout_ms, "offsets.commit.timeout.ms", int32, 5000, 1, kInt32Max, restart, "",                  \
    "How long a commit of offsets may wait for the disk before it is answered with an error.")                         \
  NUMBER(offsets_retention_minutes, "offsets.retention.minutes", int32, 10080, 1, kInt32Max, restart, "",                 \
    "Committed offsets go this long after their group became empty, or were last committed by a consumer without a group.") \
  NUMBER(offsets_retention_check_interval_ms, "offsets.retention.check.interval.ms", int64, 600000, 1, kInt64Max, restart, "", \
    "Shortest time between two looks for a group's expired offsets.")                                                  \
  NUMBER(offsets_topic_num_partitions, "offsets.topic.num.partitions", int32, 50, 1, kInt32Max, restart, "",           \
    "Partitions of __consumer_offsets when it is made; a group's place depends on it.")                                \
  NUMBER(offsets_topic_segment_bytes, "offsets.topic.segment.bytes", int32, 104857600, 1, kInt32Max, restart, "",      \
    "Size of a segment of __consumer_offsets when it is made; only full segments are compacted.")                      \
  NUMBER(log_segment_bytes, "log.segment.bytes", int32, 64_MiB, 1_MiB, kInt32Max, live, "",                            \
    "Start a new segment file at this size.")                                                                          \
  UNSET(log_roll_ms, "log.roll.ms", int64, 1, kInt64Max, live,                                                         \
    "Start a new segment file at this age; unset: log.roll.hours.")                                                    \
  NUMBER(log_roll_hours, "log.roll.hours", int32, 168, 1, kInt32Max, restart, "",                                         \
    "Start a new segment file at this age.")                                                                           \
  NUMBER(log_index_interval_bytes, "log.index.interval.bytes", int32, 4096, 0, kInt32Max, live, "",                    \
    "Bytes between two entries of the offset index.")                                                                  \
  NUMBER(log_index_size_max_bytes, "log.index.size.max.bytes", int32, 10_MiB, 4, kInt32Max, live, "",                  \
    "Largest index file; a full one starts a new segment.")                                                            \
  TEXT(log_cleanup_policy, "log.cleanup.policy", list, "delete", "compact,delete", live, "",                           \
    "What happens to old records: delete, compact or both.")                                                           \
  UNSET(log_retention_ms, "log.retention.ms", int64, -1, kInt64Max, live,                                              \
    "Delete segments older than this; -1 never; unset: log.retention.minutes.")                                        \
  UNSET(log_retention_minutes, "log.retention.minutes", int32, -1, kInt32Max, restart,                                    \
    "Delete segments older than this; -1 never; unset: log.retention.hours.")                                          \
  NUMBER(log_retention_hours, "log.retention.hours", int32, 168, -1, kInt32Max, restart, "",                              \
    "Delete segments older than this; -1 never.")                                                                      \
  NUMBER(log_retention_bytes, "log.retention.bytes", int64, -1, -1, kInt64Max, live, "",                               \
    "Delete the oldest segments of a partition above this size; -1 no limit.")                                         \
  NUMBER(num_recovery_threads_per_data_dir, "num.recovery.threads.per.data.dir", int32, 2, 1, 64, restart, "",         \
    "Logs of one directory that are opened, or after a crash looked through, at a time.")                              \
  NUMBER(log_retention_check_interval_ms, "log.retention.check.interval.ms", int64, 300000, 1, kInt64Max, restart, "", \
    "Time between two looks at retention.")                                                                            \
  BOOL(log_cleaner_enable, "log.cleaner.enable", true, restart,                                                        \
    "Whether topics with cleanup.policy=compact are compacted.")                                                       \
  NUMBER(log_cleaner_backoff_ms, "log.cleaner.backoff.ms", int64, 15000, 0, kInt64Max, restart, "",                    \
    "Time between two looks for something to compact when there was nothing.")                                         \
  NUMBER(log_cleaner_dedupe_buffer_size, "log.cleaner.dedupe.buffer.size", int64, 128_MiB, 1_MiB, kInt64Max, restart,  \
    "", "Memory for the newest offsets of keys, over all shards; only taken while something is compacted.")            \
  NUMBER(log_cleaner_io_buffer_size, "log.cleaner.io.buffer.size", int32, 524288, 0, 64_MiB, restart   , "",           \
    "Bytes that compaction reads or writes at a time, per shard.")                                                     \
  RATIO(log_cleaner_io_max_bytes_per_second, "log.cleaner.io.max.bytes.per.second", "1e+15", 1'000'000'000'000'000,    \
    restart, "Most bytes a second that compaction reads and writes, over all shards.")                                 \
  RATIO(log_cleaner_min_cleanable_ratio, "log.cleaner.min.cleanable.ratio", "0.5", 1, live,                              \
    "Share of uncompacted bytes at which compaction starts.")                                                          \
  NUMBER(log_cleaner_min_compaction_lag_ms, "log.cleaner.min.compaction.lag.ms", int64, 0, 0, kInt64Max, live, "",     \
    "Shortest time a record stays uncompacted.")                                                                       \
  NUMBER(log_cleaner_max_compaction_lag_ms, "log.cleaner.max.compaction.lag.ms", int64, kInt64Max, 1, kInt64Max, live, \
    "", "Longest time a record may stay uncompacted.")                                                                 \
  NUMBER(log_cleaner_delete_retention_ms, "log.cleaner.delete.retention.ms", int64, 86400000, 0, kInt64Max, live, "",  \
    "How long compaction keeps tombstones.")                                                                           \
  NUMBER(log_segment_delete_delay_ms, "log.segment.delete.delay.ms", int64, 60000, 0, kInt64Max, live, "",             \
    "Time between giving a segment up and deleting its files.")                                                        \
  NUMBER(log_flush_interval_messages, "log.flush.interval.messages", int64, 1, 1, kInt64Max, live, "",                 \
    "Sync after this many records. 1: nobody sees a record that a power cut could take back.")                         \
  UNSET(log_flush_interval_ms, "log.flush.interval.ms", int64, 0, kInt64Max, live,                                     \
    "Sync at least this often when log.flush.interval.messages is above 1.")                                           \
  TEXT(log_message_timestamp_type, "log.message.timestamp.type", string, "CreateTime", "CreateTime,LogAppendTime",     \
    live, "", "Whose clock stamps records: the producer's or the broker's.")                                           \
  NUMBER(log_message_timestamp_before_max_ms, "log.message.timestamp.before.max.ms", int64, kInt64Max, 0, kInt64Max,   \
    live, "", "Refuse records stamped further back than this.")                                                        \
  NUMBER(log_message_timestamp_after_max_ms, "log.message.timestamp.after.max.ms", int64, 3600000, 0, kInt64Max,       \
    live, "", "Refuse records stamped further ahead than this.")                                                       \
  /* Ours. */                                                                                                          \
  TEXT(http_listeners, "http.listeners", list, "127.0.0.1:8080", "", restart, "--http",                                         \
    "Where HTTP answers (health, metrics): HOST:PORT; no host means every address, port 0 any free one.")              \
  NUMBER(shards, "shards", int32, 0, 0, 1024, restart, "",                                                             \
    "Threads that serve, one event loop each; 0: one per core.")                                                       \
  NUMBER(memory, "memory", int64, 0, 0, kInt64Max, restart, "",                                                        \
    "A quarter is for requests under way, an eighth for inflating batches; nothing else is bound. 0: half of the machine's.")       \
  NUMBER(log_page_cache_bytes, "log.page.cache.bytes", int64, -1, -1, kInt64Max, restart, "",                          \
    "So much of what was written stays in the page cache, in equal shares of the shards; what is older is dropped, and consumers further behind read from the disk. At least 64 MiB; -1: the kernel decides. For virtual machines that give idle memory back to their host; see docs/operations.md.") \
  NUMBER(disk_reserve_bytes, "disk.reserve.bytes", int64, 256_MiB, 0, kInt64Max, restart, "",                          \
    "Appends stop while less than this is free in a log directory; the default is at most a twentieth of its disk.")   \
  NUMBER(log_scrub_interval_ms, "log.scrub.interval.ms", int64, 86400000, 0, kInt64Max, restart, "",                    \
    "Time between two starts of reading all stored records and comparing them with their checksums; 0: never.")        \
  NUMBER(log_scrub_bytes_per_second, "log.scrub.bytes.per.second", int64, 16_MiB, 64_KiB, kInt64Max, restart, "",       \
    "How fast that reads, per log directory.")                                                                         \
  NUMBER(recovery_io_max_bytes_per_second, "recovery.io.max.bytes.per.second", int64, 0, 0, kInt64Max, restart, "",    \
    "Most bytes a second that a start after a crash reads from one log directory, on average, log by log; 0: no limit.") \
  BOOL(adopt_topics, "adopt.topics", false, restart,                                                                   \
    "At this start make topics of partition directories that no topic claims, as Apache Kafka's; see docs/decisions/adopting-topics.md.") \
  TEXT(log_format, "log.format", string, "text", "text,json", restart, "",                                             \
    "Form of the broker's own log lines.")                                                                             \
  TEXT(log_level, "log.level", string, "info", "debug,info,warn,error", restart, "",                                   \
    "Least level of the broker's own log lines.")
// clang-format on

/// The broker's options, parsed and within bounds. A field per row.
struct BrokerConfig {
#define MR_TEXT(field, name, type, default_value, ...) detail::Cpp<Type::type>::cpp field;
#define MR_NUMBER(field, name, type, default_value, ...) detail::Cpp<Type::type>::cpp field = default_value;
#define MR_UNSET(field, name, type, ...) std::optional<detail::Cpp<Type::type>::cpp> field;
#define MR_BOOL(field, name, default_value, ...) bool field = default_value;
#define MR_RATIO(field, ...) double field = 0;
  MR_BROKER_OPTIONS(MR_TEXT, MR_NUMBER, MR_UNSET, MR_BOOL, MR_RATIO)
#undef MR_TEXT
#undef MR_NUMBER
#undef MR_UNSET
#undef MR_BOOL
#undef MR_RATIO
};

#define MR_TEXT(...)
#define MR_NUMBER(field, name, type, default_value, min, max, ...)                              \
  static_assert(static_cast<std::int64_t>(default_value) >= static_cast<std::int64_t>(min) &&   \
                    static_cast<std::int64_t>(default_value) <= static_cast<std::int64_t>(max), \
                "the default of " name " lies outside its bounds");
#define MR_UNSET(...)
#define MR_BOOL(...)
#define MR_RATIO(...)
MR_BROKER_OPTIONS(MR_TEXT, MR_NUMBER, MR_UNSET, MR_BOOL, MR_RATIO)
#undef MR_TEXT
#undef MR_NUMBER
#undef MR_UNSET
#undef MR_BOOL
#undef MR_RATIO

/// One row, for code that goes over all of them.
struct BrokerOption {
  ValueRule rule;
  std::optional<std::string> default_text;  ///< empty: not set
  Apply apply;
  std::string_view short_flag;  ///< "--data-dir"; empty: none
  std::string_view help;

  /// "--log-segment-bytes": every option has it.
  std::string flag() const;
  /// "MILLRACE_LOG_SEGMENT_BYTES".
  std::string environment() const;
};

/// In table order.
const std::vector<BrokerOption>& broker_options();
const BrokerOption* find_broker_option(std::string_view name);
/// The option's value as text, as DescribeConfigs shows it; empty when it is not set or there is no such option.
std::optional<std::string> value_of(const BrokerConfig& config, std::string_view name);

}  // namespace mr::config
