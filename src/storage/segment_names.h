#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"

/// Names of the files in a partition's directory and in a data directory; all are Kafka's
/// (docs/formats/log-directory.md).
namespace mr::storage {

inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kOffsetIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr std::string_view kTransactionIndexSuffix = ".txnindex";
inline constexpr std::string_view kSnapshotSuffix = ".snapshot";
/// Ours; Apache Kafka ignores it (segment_seal.h).
inline constexpr std::string_view kSealSuffix = ".seal";
/// Files that come and go with a segment, the one that makes it a segment last.
inline constexpr std::string_view kSegmentSuffixes[] = {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix,
                                                        kSealSuffix, kLogSuffix};
inline constexpr std::string_view kDeletedSuffix = ".deleted";
/// Compaction's output: being written, and complete but not in its place yet (compaction_recovery.h).
inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kSwapSuffix = ".swap";

// Of a data directory.
inline constexpr std::string_view kIdentityName = "meta.properties";
inline constexpr std::string_view kCleanMarkerName = ".kafka_cleanshutdown";
inline constexpr std::string_view kRecoveryPointName = "recovery-point-offset-checkpoint";
inline constexpr std::string_view kLogStartName = "log-start-offset-checkpoint";
inline constexpr std::string_view kHighWatermarkName = "replication-offset-checkpoint";
inline constexpr std::string_view kCleanerName = "cleaner-offset-checkpoint";

/// "DIRECTORY/00000000000000000042.log".
std::string segment_path(std::string_view directory, Offset base, std::string_view suffix);

/// A name like 00000000000000000042.log, taken apart.
struct SegmentFileName {
  Offset base;
  std::string_view suffix;  ///< one of the constants above, without ".deleted"
  bool deleted = false;     ///< had ".deleted" at its end
};
/// Empty when `name` is no file of a segment.
std::optional<SegmentFileName> parse_segment_file_name(std::string_view name);
/// The base offset in front of `name`, whatever follows it; empty when there is none.
std::optional<Offset> parse_base_offset(std::string_view name);

/// "topic-3" to its parts; empty when the topic is not a valid name or the partition not a plain number.
std::optional<TopicPartition> parse_partition_directory(std::string_view name);

/// Everything before the last '/'; "." without one.
std::string parent_directory(std::string_view path);

}  // namespace mr::storage
