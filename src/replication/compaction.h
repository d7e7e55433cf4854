#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "replication/partition.h"
#include "storage/compaction_plan.h"

namespace mr::replication {

/// What one cleaner may take.
struct CompactionLimits {
  static constexpr double kNoLimit = 1e15;
  std::uint64_t map_bytes_max = 128u << 20;  ///< its part of log.cleaner.dedupe.buffer.size
  std::uint64_t buffer_bytes = 512u << 10;   ///< log.cleaner.io.buffer.size
  double bytes_per_second = kNoLimit;        ///< its part of log.cleaner.io.max.bytes.per.second
};

/// Spreads bytes over time. One shard.
class IoThrottle {
 public:
  explicit IoThrottle(double bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  /// Notes that `bytes` were moved; the next ones should wait until the time that it answers.
  TimePoint take(std::uint64_t bytes, TimePoint now);

 private:
  double bytes_per_second_;
  TimePoint free_at_{};
};

/// Sums over one shard's passes.
struct CompactionStats {
  std::uint64_t passes = 0;
  std::uint64_t failures = 0;  ///< passes that an error ended
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t records_removed = 0;      ///< also by passes that an error ended later
  std::uint64_t segments_left_alone = 0;  ///< found damaged
  std::uint64_t healed = 0;               ///< batches that were bad, and good when read again from the device
  std::uint64_t busy_ms = 0;
  std::int64_t dirty_percent_max = 0;  ///< of the last look
};

/// How much of `partition` waits for compaction. Home shard.
struct CompactionCandidate {
  std::vector<storage::SegmentFacts> sealed;
  storage::Dirtiness dirtiness;
};
CompactionCandidate compaction_candidate(Partition& partition, WallMillis now);

/// One pass of compaction over `partition`, by compactor.h, in steps on the pool; the shard is held for none of them.
/// Home shard; the caller keeps the partition. Ends soon after the partition stops or the caller is cancelled: what is
/// in place stays, the rest is for the next pass. Adds files to `given_up` as Log::take_deleted_files() does.
/// Errors: corrupt_batch (that segment is left alone from now on), conflict (retention was faster), not_leader,
/// cancelled, disk_full, disk_failed, resource_exhausted.
Task<Result<void>> compact(Env& env, Partition& partition, CompactionCandidate candidate, CompactionLimits limits,
                           IoThrottle& throttle, CompactionStats& stats, std::vector<std::string>& given_up);

}  // namespace mr::replication
