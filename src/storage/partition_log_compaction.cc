#include <algorithm>

#include "base/check.h"
#include "storage/compactor.h"
#include "storage/partition_log.h"

namespace mr::storage {

std::vector<SegmentFacts> PartitionLog::sealed_segments(Offset limit) {
  std::vector<SegmentFacts> facts;
  if (failed_ || replacement_) return facts;
  // A full disk may cost a roll its snapshot. Then recovery would take a hole for a lost tail, and put bytes of the
  // commit journal back where they were before.
  limit = std::min(limit, snapshot_);
  for (std::size_t i = 0; i + 1 < segments_.size() && segment_end(i) <= limit; ++i) {
    Segment& segment = *segments_[i];
    SegmentFacts& one = facts.emplace_back();
    one.base = segment.base();
    one.end = segment_end(i);
    one.life = segment.life();
    one.bytes = segment.size();
    one.index_bytes = std::max(segment.offset_index().file().entries() * OffsetIndex::kEntryBytes,
                               segment.time_index().file().entries() * TimeIndex::kEntryBytes);
    one.readable = !left_alone(segment);
    if (!one.readable || one.end <= cleaned_end_) continue;
    if (config_.compaction.max_lag_ms < INT64_MAX)
      if (auto first = segment.first_timestamp(); first.ok()) one.first_timestamp = first->value_or(-1);
    if (config_.compaction.min_lag_ms > 0) {
      auto largest = segment.largest_timestamp();
      one.largest_timestamp = largest.ok() ? *largest : INT64_MAX;
    }
    if (segment.has_open_files()) note_use(segment);
  }
  return facts;
}

bool PartitionLog::left_alone(const Segment& segment) const {
  return !segment.damage().empty() || segment.size() == 0 || std::ranges::count(uncompacted_, segment.base()) > 0;
}

Offset PartitionLog::lasting_cleaned_end() const {
  if (!config_.compacted) return cleaned_end_;  // nothing goes on from there, and holes below it are no loss
  for (std::size_t i = 0; i + 1 < segments_.size() && segments_[i]->base() < cleaned_end_; ++i)
    if (left_alone(*segments_[i])) return segments_[i]->base();
  return cleaned_end_;
}

std::optional<std::pair<std::size_t, std::size_t>> PartitionLog::find_range(const SegmentRange& range) const {
  auto at = std::ranges::find(segments_, range.first, [](const auto& segment) { return segment->base(); });
  auto first = static_cast<std::size_t>(at - segments_.begin());
  for (std::size_t i = first; i + 1 < segments_.size() && segment_end(i) <= range.end; ++i)
    if (segment_end(i) == range.end) return std::pair(first, i + 1);
  return std::nullopt;
}

Result<void> PartitionLog::begin_replacement(Offset first, Offset end) {
  MR_CHECK(!replacement_);
  if (failed_) return *failed_;
  SegmentRange range{first, end};
  if (!find_range(range)) return Error(Errc::conflict, "segments went while they were compacted");
  replacement_ = range;
  return {};
}

void PartitionLog::replace_segments(CleanedGroup group) {
  MR_CHECK(replacement_ && replacement_->first == group.first && replacement_->end == group.end && !unnamed_);
  auto range = find_range(*replacement_);
  MR_CHECK(range.has_value());
  auto begin = segments_.begin() + static_cast<std::ptrdiff_t>(range->first);
  auto end = segments_.begin() + static_cast<std::ptrdiff_t>(range->second);
  for (auto old = begin; old != end; ++old) {
    std::erase(open_sealed_, old->get());
    bytes_ -= (*old)->size();
  }
  unnamed_ = group.segment.get();
  unnamed_->succeed(**begin);
  bytes_ += unnamed_->size();
  *begin = std::move(group.segment);
  segments_.erase(begin + 1, end);
  note_use(*unnamed_);
}

void PartitionLog::end_replacement(const Result<void>& outcome) {
  MR_CHECK(replacement_.has_value());
  replacement_.reset();
  Segment* fresh = std::exchange(unnamed_, nullptr);
  if (!outcome.ok()) {
    (void)fail(outcome.error());
  } else if (fresh) {
    fresh->adopt_names();
    if (fresh->has_open_files()) note_use(*fresh);
  }
}

}  // namespace mr::storage
