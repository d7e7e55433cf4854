#include "storage/compaction_plan.h"

namespace mr::storage {
namespace {

/// Longer ago than `span`; neither may overflow.
bool older_than(WallMillis timestamp, std::int64_t span, WallMillis now) {
  std::int64_t age = 0;
  if (__builtin_sub_overflow(now, timestamp, &age)) return timestamp < now;
  return age > span;
}

}  // namespace

double Dirtiness::ratio() const {
  std::uint64_t all = clean_bytes + dirty_bytes;
  return all == 0 ? 0.0 : static_cast<double>(dirty_bytes) / static_cast<double>(all);
}

bool Dirtiness::due(const CompactionConfig& config) const {
  return dirty_bytes > 0 && (overdue || ratio() > config.min_dirty_ratio);
}

Dirtiness judge(std::span<const SegmentFacts> sealed, Offset first_dirty, const CompactionConfig& config,
                WallMillis now) {
  Dirtiness found{first_dirty, first_dirty};
  if (sealed.empty()) return found;
  // A checkpoint of another life of the log, or none.
  if (first_dirty < sealed.front().base || first_dirty > sealed.back().end) found.first_dirty = sealed.front().base;
  found.cleanable_end = found.first_dirty;
  for (const SegmentFacts& segment : sealed) {
    if (segment.end <= found.first_dirty) {
      found.clean_bytes += segment.bytes;
      continue;
    }
    bool lagging = config.min_lag_ms > 0 && !older_than(segment.largest_timestamp, config.min_lag_ms, now);
    if (lagging) break;
    found.cleanable_end = segment.end;
    if (!segment.readable) continue;
    found.dirty_bytes += segment.bytes;
    found.overdue =
        found.overdue || (segment.first_timestamp > 0 && older_than(segment.first_timestamp, config.max_lag_ms, now));
  }
  return found;
}

std::vector<SegmentGroup> group_segments(std::span<const SegmentFacts> sealed, Offset end, const GroupLimits& limits) {
  std::vector<SegmentGroup> groups;
  std::uint64_t bytes = 0, index_bytes = 0;
  bool open = false;  // the last group may take another one
  for (std::size_t i = 0; i < sealed.size() && sealed[i].base < end; ++i) {
    const SegmentFacts& segment = sealed[i];
    if (!segment.readable) {
      open = false;
      continue;
    }
    bool fits = open && segment.mergeable && bytes + segment.bytes <= limits.segment_bytes &&
                index_bytes + segment.index_bytes <= limits.index_bytes &&
                segment.end.v - 1 - sealed[groups.back().first].base.v <= INT32_MAX;
    if (fits) {
      ++groups.back().count;
      bytes += segment.bytes;
      index_bytes += segment.index_bytes;
    } else {
      groups.push_back({i, 1});
      bytes = segment.bytes;
      index_bytes = segment.index_bytes;
    }
    open = segment.mergeable;
  }
  return groups;
}

}  // namespace mr::storage
