#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "runtime/frame_pool.h"
#include "storage/partition_log.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

/// Segments that one read may touch; a tiny segment.bytes must not make answers tiny.
constexpr std::size_t kSegmentsPerRead = 8;
/// Sealed segments whose files stay open. Each has up to three.
constexpr std::size_t kOpenSealedMax = 4;
constexpr std::size_t kScanChunkBytes = 4096;

/// Keeps the files of a read open. Touches nothing of the log, so any shard may let go of it.
class FilePin final : public Pin {
 public:
  void add(std::shared_ptr<File> file) { files_[count_++] = std::move(file); }
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* pin, std::size_t size) noexcept { free_frame(pin, size); }

 private:
  std::array<std::shared_ptr<File>, kSegmentsPerRead> files_;
  std::size_t count_ = 0;
};

}  // namespace

std::size_t PartitionLog::segment_for(Offset offset) const {
  if (offset >= active().base()) return segments_.size() - 1;  // nearly always
  auto above =
      std::ranges::upper_bound(segments_, offset, {}, [](const std::unique_ptr<Segment>& s) { return s->base(); });
  return above == segments_.begin() ? 0 : static_cast<std::size_t>(above - segments_.begin()) - 1;
}

Offset PartitionLog::segment_end(std::size_t index) const {
  return index + 1 < segments_.size() ? segments_[index + 1]->base() : log_end_;
}

/// Closes the sealed segment that has not been read for longest when too many are open.
void PartitionLog::note_use(Segment& segment) {
  auto found = std::ranges::find(open_sealed_, &segment);
  if (found != open_sealed_.end()) {
    std::rotate(found, found + 1, open_sealed_.end());
    return;
  }
  if (open_sealed_.size() == kOpenSealedMax) {
    open_sealed_.front()->close_files();
    open_sealed_.erase(open_sealed_.begin());
  }
  open_sealed_.push_back(&segment);
}

Result<std::uint64_t> PartitionLog::position_of_end(std::size_t index, Offset end, std::uint64_t from_position,
                                                    std::uint64_t limit) {
  Segment& segment = *segments_[index];
  if (end >= segment_end(index)) return limit;
  bool is_active = index + 1 == segments_.size();
  if (is_active && recent_)
    if (auto position = recent_->find(end)) return std::min(*position, limit);
  MR_TRY(std::uint64_t position, segment.offset_index().position_for(Offset{end.v - 1}));
  if (position >= limit) return limit;
  const std::uint64_t readable = segment.readable_until(from_position);
  MR_TRY(auto file, segment.readable(readable));
  for (std::uint64_t start : {std::max(position, from_position), from_position}) {
    BatchScanner scanner(*file, start, readable, BatchScanner::Depth::headers, kScanChunkBytes);
    while (scanner.position() < limit) {
      auto item = scanner.next();
      if (!item.ok() && (item.code() != Errc::corrupt_batch || start == from_position))
        return in_file(segment.log_path(), std::move(item).error());
      if (!item.ok()) break;  // the index led astray: once more from where we know a batch to be
      if (!*item) return limit;
      if ((*item)->header.base_offset >= end.v) return std::min((*item)->position, limit);
    }
    if (scanner.position() >= limit) return limit;
  }
  return limit;
}

Result<PartitionLog::Slice> PartitionLog::slice(std::size_t index, Offset from, Offset end, std::uint64_t bytes_max,
                                                bool first_whole) {
  Segment& segment = *segments_[index];
  Slice slice;
  std::optional<std::uint64_t> known;
  if (segment.damage().empty()) {
    if (index + 1 == segments_.size() && recent_) known = recent_->find(from);
    // A compacted segment may begin with a hole, also when the topic is not compacted any more.
    if (!known && from == segment.base() && segment.size() > 0 && dense(segment)) known = 0;
  }
  std::uint64_t first_bytes = 0;  // 0: not looked at yet
  if (known) {
    slice.position = *known;
    slice.first_base = from;
  } else {
    MR_TRY(auto item, segment.locate(from));
    if (dense(segment) && (!item || item->header.base_offset > from.v))
      return Error(Errc::corrupt_batch, fmt::format("{}: offset {} is missing", segment.log_path(), from.v));
    if (!item || item->header.base_offset >= end.v) {
      slice.reaches_end = true;  // a compacted hole up to the next segment, or up to `end`
      return slice;
    }
    slice.position = item->position;
    slice.first_base = Offset{item->header.base_offset};
    first_bytes = item->header.total_bytes();
  }
  const std::uint64_t readable = segment.readable_until(slice.position);
  std::uint64_t limit = readable;
  if (limit - slice.position > bytes_max) {
    if (first_bytes == 0) {
      MR_TRY(auto file, segment.readable(limit));
      BatchScanner scanner(*file, slice.position, limit, BatchScanner::Depth::headers, BatchHeader::kBytes);
      auto item = scanner.next();
      if (!item.ok()) return in_file(segment.log_path(), std::move(item).error());
      first_bytes = (*item)->header.total_bytes();
    }
    if (first_bytes > bytes_max && !first_whole) return slice;
    limit = slice.position + std::max(bytes_max, first_bytes);
  }
  MR_TRY(std::uint64_t stop, position_of_end(index, end, slice.position, limit));
  slice.length = stop - slice.position;
  slice.reaches_end = stop == readable && segment.reads_to_end(readable);
  return slice;
}

Result<ReadResult> PartitionLog::read(Offset from, Offset end, std::uint64_t bytes_max, bool first_whole) {
  if (failed_) return *failed_;
  if (from < log_start_ || from > log_end_)
    return Error(Errc::offset_out_of_range,
                 fmt::format("offset {} is outside [{}, {}]", from.v, log_start_.v, log_end_.v));
  end = std::min(end, log_end_);
  ReadResult result;
  if (from >= end) return result;
  if (written_) forget_dropped();
  auto pin = std::make_unique<FilePin>();
  std::size_t index = segment_for(from);
  for (std::size_t touched = 0; touched < kSegmentsPerRead && index < segments_.size(); ++touched, ++index) {
    Segment& segment = *segments_[index];
    if (segment.base() >= end) break;
    segment.note_read();
    if (result.bytes >= bytes_max && result.bytes > 0) break;
    bool first = result.bytes == 0;
    auto part = slice(index, std::max(from, segment.base()), end, bytes_max - result.bytes, first && first_whole);
    if (index + 1 < segments_.size()) note_use(segment);
    if (!part.ok()) {
      if (!first) break;  // what came before is good; the next read meets the error
      if (part.code() == Errc::corrupt_batch && segment.tell_damage())
        log_error("storage", "a read met damage; it answers corrupt_batch",
                  {{"partition", partition_.to_string()}, {"offset", from.v}, {"found", part.error().message()}});
      if (part.code() == Errc::disk_failed) return fail(std::move(part).error());
      return std::move(part).error();
    }
    if (part->length > 0) {
      auto opened = segment.readable(part->position + part->length);
      if (!opened.ok()) return opened.code() == Errc::disk_failed ? fail(std::move(opened).error()) : opened.error();
      std::shared_ptr<File> file = std::move(*opened);
      if (first) result.first_batch_base = part->first_base;
      std::uint64_t checked = std::min(segment.checked_to(part->position) - part->position, part->length);
      SegmentRef whose{segment.base(), segment.life()};
      result.fragments.push_back({{}, file.get(), part->position, part->length, whose, checked});
      result.bytes += part->length;
      if (checked < part->length) result.unchecked = true;
      pin->add(std::move(file));
    }
    if (!part->reaches_end) break;
  }
  if (result.bytes > 0) result.pin = std::move(pin);
  return result;
}

Result<Log::TimestampHit> PartitionLog::load_hit(Segment& segment, const BatchScanner::Item& item) {
  MR_TRY(auto file, segment.readable(item.position + item.header.total_bytes()));
  TimestampHit hit{std::vector<std::byte>(item.header.total_bytes()), item.header};
  MR_TRY(std::size_t got, file->read_at(hit.batch, item.position));
  if (got != hit.batch.size() || !batch_crc_matches(hit.batch))
    return Error(Errc::corrupt_batch, fmt::format("{}: at position {}: checksum", segment.log_path(), item.position));
  return hit;
}

Result<std::optional<Log::TimestampHit>> PartitionLog::find_timestamp(WallMillis timestamp, Offset end, Offset from) {
  if (failed_) return *failed_;
  from = std::max(from, log_start_);
  for (std::size_t i = segment_for(from); i < segments_.size() && segments_[i]->base() < end; ++i) {
    Segment& segment = *segments_[i];
    MR_TRY(auto item, segment.locate_timestamp(timestamp, end, from));
    if (i + 1 < segments_.size() && segment.has_open_files()) note_use(segment);
    if (!item) continue;
    MR_TRY(TimestampHit hit, load_hit(segment, *item));
    return std::optional<TimestampHit>(std::move(hit));
  }
  return std::optional<TimestampHit>();
}

Result<std::optional<Log::TimestampHit>> PartitionLog::find_max_timestamp(Offset end) {
  if (failed_) return *failed_;
  Segment* best_segment = nullptr;
  std::optional<BatchScanner::Item> best;
  for (std::size_t i = segment_for(log_start_); i < segments_.size() && segments_[i]->base() < end; ++i) {
    Segment& segment = *segments_[i];
    MR_TRY(WallMillis largest, segment.largest_timestamp());
    if (best && largest <= best->header.max_timestamp) continue;
    MR_TRY(auto item, segment.locate_max_timestamp(end, log_start_));
    if (i + 1 < segments_.size() && segment.has_open_files()) note_use(segment);
    if (!item || (best && item->header.max_timestamp <= best->header.max_timestamp)) continue;
    best = item;
    best_segment = &segment;
  }
  if (!best) return std::optional<TimestampHit>();
  MR_TRY(TimestampHit hit, load_hit(*best_segment, *best));
  return std::optional<TimestampHit>(std::move(hit));
}

}  // namespace mr::storage
