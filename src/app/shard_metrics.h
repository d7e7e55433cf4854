#pragma once
#include <cstdint>
#include <string>
#include <vector>

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

/// Series of their own for this many partitions; /metrics must stay readable on a broker with many thousands.
constexpr std::size_t kPartitionSeriesMax = 1000;

struct PartitionNumbers {
  std::string topic;
  std::int32_t partition = 0;
  Offset log_start;
  Offset log_end;
  Offset high_watermark;
  std::uint64_t bytes = 0;
};

/// What one shard counts for itself, copied for a scrape.
struct ShardNumbers {
  std::vector<PartitionNumbers> partitions;  ///< at most kPartitionSeriesMax
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  replication::PartitionStats stats;
  replication::ReadCheckStats checks;
  replication::CommitStats commit;  ///< of all log directories
  broker::ShardState::Refused refused;
  storage::RecoveryCounts recovered;
  std::uint64_t corrupt_answers = 0;
  replication::CompactionStats compaction;
};

/// On that shard.
ShardNumbers numbers_of(const broker::ShardState& shard);

/// The series with a `shard` label that follow one shard's ShardNumbers; which, says the table in the source.
class ShardMetrics {
 public:
  ShardMetrics(MetricsRegistry& registry, const std::string& shard);
  void follow(const ShardNumbers& now);

 private:
  std::vector<Followed> counters_;  ///< in the order of the table
  Gauge cleaner_dirty_;
};

}  // namespace mr::app
