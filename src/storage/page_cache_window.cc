#include "storage/page_cache_window.h"

#include "storage/segment_names.h"

namespace mr::storage {

namespace {
/// Dropping so much takes a few milliseconds of a thread of the pool.
constexpr std::uint64_t kStepMax = 16_MiB;
}  // namespace

PageCacheWindow::PageCacheWindow(std::uint64_t bytes_max, std::function<void()> on_due)
    : bytes_max_(std::max(bytes_max, kBytesMin)),
      step_(std::min(bytes_max_ / 8, kStepMax)),
      on_due_(std::move(on_due)) {}

void PageCacheWindow::add(WrittenRange range) {
  bytes_ += range.bytes();
  ranges_.push_back(std::move(range));
  while (bytes_ > bytes_max_ + kOverdueMax) pop_oldest();
  if (bytes_ > bytes_max_ || bytes_ - old_bytes_ > young_max() + step_) on_due_();
}

void PageCacheWindow::pop_oldest() {
  const std::uint64_t bytes = ranges_.front().bytes();
  bytes_ -= bytes;
  if (old_ > 0) {
    --old_;
    old_bytes_ -= bytes;
  }
  ranges_.pop_front();
}

std::vector<WrittenRange> PageCacheWindow::take_due() {
  std::vector<WrittenRange> due;
  if (bytes_ > bytes_max_) {
    const std::uint64_t keep = std::max(bytes_max_ - step_, bytes_ - 2 * step_);
    while (bytes_ > keep) {
      hand_out(due, ranges_.front());
      pop_oldest();
    }
  }
  while (bytes_ - old_bytes_ > young_max()) {
    const WrittenRange& next = ranges_[old_++];
    old_bytes_ += next.bytes();
    if (!next.synced) hand_out(due, next);
  }
  return due;
}

void PageCacheWindow::hand_out(std::vector<WrittenRange>& due, const WrittenRange& next) {
  next.log->note_dropped({next.segment, next.to});
  if (!due.empty() && due.back().log == next.log && due.back().segment == next.segment && due.back().to == next.from) {
    due.back().to = next.to;
  } else {
    due.push_back(next);
  }
}

void WrittenTail::advance(Position end, bool whole, bool synced) {
  if (end.segment > told_.segment) told_ = {end.segment, 0};
  while (told_.at < end.at) {
    const std::uint64_t bytes = std::min(end.at - told_.at, PageCacheWindow::kChunkBytes);
    if (bytes < (whole ? PageCacheWindow::kLeastBytes : PageCacheWindow::kChunkBytes)) return;
    window_.add({shared_from_this(), end.segment, told_.at, told_.at + bytes, synced});
    told_.at += bytes;
  }
}

void drop_from_page_cache(const std::vector<WrittenRange>& ranges) {
  for (const WrittenRange& range : ranges) {
    const LogPlace& place = range.log->place();
    auto file = place.files.open(segment_path(place.directory, range.segment, kLogSuffix), OpenMode::read);
    if (!file.ok()) continue;
    // The kernel keeps pages, which may be large, that are only partly in a range: those at the border to the range
    // before go with this one.
    const std::uint64_t from = range.from - std::min(range.from, PageCacheWindow::kChunkBytes);
    (*file)->drop_cache(from, range.to - from);
  }
}

}  // namespace mr::storage
