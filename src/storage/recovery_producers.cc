// What a start knows of producers: the newest snapshot, and the batches behind it.
#include <algorithm>

#include "base/log.h"
#include "storage/recovery_run.h"
#include "storage/seal_task.h"
#include "storage/small_file.h"

namespace mr::storage {

namespace {

constexpr std::size_t kScanChunkBytes = 256u << 10;
/// How far back a start looks for the last batches of producers. After a crash more of them wait for an answer.
constexpr std::uint64_t kRefillBytes = 256u << 10;
constexpr std::uint64_t kRefillBytesAfterCrash = 4u << 20;
constexpr std::size_t kRefillChunkBytes = 4096;

/// Notes the producers of `segment` from `position` on that have written at `first` or above.
Result<void> note_producers(Segment& segment, std::uint64_t position, Offset first, std::size_t chunk_bytes,
                            WallMillis now, ProducerTable& table) {
  MR_TRY(auto file, segment.file());
  BatchScanner scanner(*file, position, segment.size(), BatchScanner::Depth::headers, chunk_bytes);
  while (true) {
    auto item = scanner.next();
    if (!item.ok() && item.code() != Errc::corrupt_batch) return std::move(item).error();
    if (!item.ok() || !*item) break;  // a damaged stretch hides its producers, no more
    if ((*item)->header.base_offset >= first.v) table.note((*item)->header, now);
  }
  segment.close_files();
  return {};
}

}  // namespace

Result<void> Recovery::load_newest_snapshot() {
  while (!snapshots_.empty()) {
    Offset offset = *snapshots_.rbegin();
    MR_TRY(auto bytes, read_whole_file(place_.files, snapshot_path(offset)));
    auto table = ProducerTable::decode_snapshot(bytes, options_.now);
    if (table.ok()) {
      log_.producers = std::move(*table);
      snapshot_ = offset;
      return {};
    }
    ++log_.counts.damaged_files;
    log_warn("storage", "a producer snapshot does not read; the one before and the batches say the same",
             {{"file", snapshot_path(offset)}, {"found", table.error().message()}});
    MR_TRY_VOID(place_.files.remove(snapshot_path(offset)));  // mostly torn by a crash
    snapshots_.erase(offset);
  }
  return {};
}

/// After a clean stop the newest snapshot ends where the log does, unless the directory comes from elsewhere.
Result<void> Recovery::replay_producers() {
  if (snapshot_ == log_.log_end) return {};
  for (std::size_t i = 0; i < log_.segments.size(); ++i) {
    Offset next_base = i + 1 < bases_.size() ? bases_[i + 1] : log_.log_end;
    if (next_base <= snapshot_) continue;
    MR_TRY_VOID(note_producers(*log_.segments[i], 0, snapshot_, kScanChunkBytes, options_.now, log_.producers));
  }
  // Evidence of the clean stop that is going to be over: its marker is gone already.
  if (!options_.clean_stop) return {};
  MR_TRY_VOID(write_snapshot(place_.files, place_.directory, log_.log_end, log_.producers.encode_snapshot()));
  snapshots_.insert(log_.log_end);
  return place_.files.sync_directory(place_.directory);
}

/// A snapshot keeps one batch per producer, but one that was cut off by the stop may repeat any of its last five
/// (Apache Kafka then answers out of order). They mostly lie in the last stretch of the log: read it again.
Result<void> Recovery::refill_producers() {
  if (log_.producers.size() == 0) return {};
  const std::uint64_t wanted = options_.clean_stop ? kRefillBytes : kRefillBytesAfterCrash;
  std::size_t first = log_.segments.size();
  std::uint64_t bytes = 0;
  while (first > 0 && bytes < wanted) bytes += log_.segments[--first]->size();
  ProducerTable tail;
  for (std::size_t i = first; i < log_.segments.size(); ++i) {
    Segment& segment = *log_.segments[i];
    std::uint64_t skipped = i == first && bytes > wanted ? bytes - wanted : 0;
    MR_TRY(std::uint64_t position, segment.offset_index().position_before(skipped));
    if (position >= segment.size()) continue;
    MR_TRY_VOID(note_producers(segment, position, Offset{0}, kRefillChunkBytes, options_.now, tail));
  }
  log_.producers.take_fuller(tail);
  return {};
}

/// Snapshots that are neither at the start of a segment nor the newest have served.
Result<void> Recovery::remove_stray_snapshots() {
  for (Offset offset : snapshots_) {
    if (offset == *snapshots_.rbegin() || std::ranges::binary_search(bases_, offset)) continue;
    MR_TRY_VOID(place_.files.remove(snapshot_path(offset)));
  }
  return {};
}

}  // namespace mr::storage
