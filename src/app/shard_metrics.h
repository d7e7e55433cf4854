#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/duration_counts.h"
#include "base/metrics.h"
#include "broker/shard_state.h"

namespace mr::app {

/// A counter that follows a number which somebody else counts.
struct Followed {
  Counter counter;
  std::uint64_t seen = 0;

  void follow(std::uint64_t now) {
    if (now > seen) counter.add(now - seen);
    seen = now;  // it went back: what it counted is gone, for example with a deleted partition
  }
};

/// The same for a histogram of durations.
template <const auto& kBounds>
struct FollowedDurations {
  Histogram histogram;
  DurationCounts<kBounds> seen = {};

  void follow(const DurationCounts<kBounds>& now) {
    DurationCounts<kBounds> more;
    if (now.nanoseconds >= seen.nanoseconds) {
      for (std::size_t i = 0; i < now.by_bucket.size(); ++i)
        more.by_bucket[i] = now.by_bucket[i] - std::min(now.by_bucket[i], seen.by_bucket[i]);
      histogram.add(more.by_bucket, static_cast<double>(now.nanoseconds - seen.nanoseconds) / 1e9);
    }
    seen = now;
  }
};

struct TopicNumbers {
  std::uint64_t appended_records = 0;
  DurationCounts<replication::kProduceBounds> produce_durations;
};

struct PartitionNumbers {
  broker::PartitionKey key;
  Offset log_start;
  Offset log_end;
  Offset high_watermark;
  std::uint64_t bytes = 0;
};

/// What one shard counts for itself, copied for a scrape.
struct ShardNumbers {
  std::vector<PartitionNumbers> partitions;          ///< those asked for and served here
  std::unordered_map<TopicId, TopicNumbers> topics;  ///< sums over the partitions here
  std::size_t count = 0;
  std::size_t segments = 0;
  std::uint64_t bytes = 0;
  replication::PartitionStats stats;
  replication::ReadCheckStats checks;
  replication::CommitStats commit;  ///< of all log directories
  broker::ShardState::Refused refused;
  std::uint64_t recompressed = 0;
  storage::RecoveryCounts recovered;
  std::uint64_t corrupt_answers = 0;
  replication::CompactionStats compaction;
};

/// On that shard. `wanted`: partitions with numbers of their own.
ShardNumbers numbers_of(const broker::ShardState& shard, const std::vector<broker::PartitionKey>& wanted);

/// The series with a `shard` label that follow one shard's ShardNumbers; which, says the table in the source.
class ShardMetrics {
 public:
  ShardMetrics(MetricsRegistry& registry, const std::string& shard);
  void follow(const ShardNumbers& now);

 private:
  std::vector<Followed> counters_;  ///< in the order of the table
  Gauge cleaner_dirty_, segments_, unsynced_;
};

}  // namespace mr::app
