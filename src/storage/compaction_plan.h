#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "model/ids.h"
#include "runtime/env.h"

/// What compaction should do, from facts alone: no file, no clock. Names are Kafka's topic configs.
namespace mr::storage {

struct CompactionConfig {
  std::int64_t min_lag_ms = 0;                    ///< min.compaction.lag.ms
  std::int64_t max_lag_ms = INT64_MAX;            ///< max.compaction.lag.ms
  double min_dirty_ratio = 0.5;                   ///< min.cleanable.dirty.ratio
  std::int64_t delete_retention_ms = 86'400'000;  ///< delete.retention.ms
};

/// One sealed segment whose bytes are durable in its own file.
struct SegmentFacts {
  Offset base;
  Offset end;  ///< where the next segment begins
  std::uint64_t bytes = 0;
  std::uint64_t index_bytes = 0;    ///< of the larger index
  WallMillis first_timestamp = -1;  ///< of its first batch; -1 not known
  WallMillis largest_timestamp = -1;
  bool readable = true;    ///< false: damaged, to be left alone
  bool mergeable = true;   ///< false: a file beside it would not fit a larger one
  std::uint32_t life = 0;  ///< as in SegmentRef
};

/// How much of a log waits for compaction.
struct Dirtiness {
  Offset first_dirty;    ///< below it every record is the newest of its key below it
  Offset cleanable_end;  ///< what may be cleaned now ends here: a segment's base
  std::uint64_t clean_bytes = 0;
  std::uint64_t dirty_bytes = 0;  ///< between the two offsets, in readable segments
  bool overdue = false;           ///< a record waits for longer than max.compaction.lag.ms

  double ratio() const;
  bool due(const CompactionConfig& config) const;
};

/// `sealed`: in order, without the active segment and what is not below the high watermark. `first_dirty` may lie
/// outside the log: then everything is dirty.
Dirtiness judge(std::span<const SegmentFacts> sealed, Offset first_dirty, const CompactionConfig& config,
                WallMillis now);

/// Neighbours [first, first + count) of the segments that become one.
struct SegmentGroup {
  std::size_t first = 0;
  std::size_t count = 0;
};
struct GroupLimits {
  std::uint64_t segment_bytes = 64u << 20;
  std::uint64_t index_bytes = 10u << 20;
};
/// Readable segments that begin below `end`, merged as long as the sum fits one segment (Kafka's rule).
std::vector<SegmentGroup> group_segments(std::span<const SegmentFacts> sealed, Offset end, const GroupLimits& limits);

}  // namespace mr::storage
