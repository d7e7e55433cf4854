#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "storage/partition_log.h"
#include "storage/segment_names.h"

namespace mr::storage {

Offset PartitionLog::retention_start(WallMillis now, Offset limit) {
  producers_.expire(now, config_.producer_expiration_ms);
  if (failed_ || !config_.delete_old) return log_start_;
  auto too_old = [&](Segment& segment) {
    if (config_.retention_ms < 0) return false;
    auto largest = segment.largest_timestamp();
    if (&segment != &active() && segment.has_open_files()) note_use(segment);
    return largest.ok() && *largest >= 0 && now - *largest > config_.retention_ms;
  };
  std::uint64_t excess = 0;
  if (config_.retention_bytes >= 0 && bytes_ > static_cast<std::uint64_t>(config_.retention_bytes))
    excess = bytes_ - static_cast<std::uint64_t>(config_.retention_bytes);

  Offset start = log_start_;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    if (segment_end(i) > limit || segment.size() == 0) break;
    bool too_much = segment.size() <= excess;
    if (!too_much && !too_old(segment)) break;
    if (i + 1 == segments_.size()) {
      // By size alone the newest data stays; by age it goes, and the log goes on in a new segment.
      if (!too_old(segment) || !roll().ok()) break;
    }
    if (too_much) excess -= segment.size();
    start = std::max(start, segment_end(i));
  }
  return start;
}

Result<void> PartitionLog::advance_log_start(Offset offset) {
  if (failed_) return *failed_;
  if (offset > log_end_) return Error(Errc::offset_out_of_range);
  if (offset < log_start_) return {};
  log_start_ = offset;
  if (epochs_.truncate_from_start(log_start_)) {
    ++epochs_version_;
    changed_ = true;
  }
  std::size_t given_up = 0;
  // A segment goes only when the name of its successor is durable, else a crash could leave neither, and offsets that
  // were answered for would be given out again.
  Offset goes_below = std::min(log_start_, recovery_point_);
  while (!replacement_ && given_up + 1 < segments_.size() && segments_[given_up + 1]->base() <= goes_below) {
    Result<void> renamed = give_up_segment(*segments_[given_up]);
    if (!renamed.ok()) break;  // still there, unreadable; the next call tries again
    ++given_up;
  }
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(given_up));
  return {};
}

Result<void> PartitionLog::give_up_segment(Segment& segment) {
  constexpr std::string_view kAll[] = {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix,
                                       kSnapshotSuffix,    kSealSuffix,      kLogSuffix};
  for (std::string_view suffix : kAll) {
    std::string path = segment_path(place_.directory, segment.base(), suffix);
    std::string given_up = path + std::string(kDeletedSuffix);
    Result<void> renamed = place_.files.rename(path, given_up);
    if (renamed.ok()) {
      deleted_files_.push_back(std::move(given_up));
    } else if (renamed.code() != Errc::not_found) {
      return renamed;
    }
  }
  std::erase(open_sealed_, &segment);
  bytes_ -= segment.size();
  return {};
}

}  // namespace mr::storage
