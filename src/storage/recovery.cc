#include "storage/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "storage/compaction_recovery.h"
#include "storage/partition_metadata.h"
#include "storage/seal_task.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 256u << 10;
/// How far back a clean start looks for the last batches of producers.
constexpr std::uint64_t kRefillBytes = 256u << 10;
constexpr std::size_t kRefillChunkBytes = 4096;

/// One opening of one directory.
class Recovery {
 public:
  Recovery(const LogPlace& place, const Log::OpenOptions& options) : place_(place), options_(options) {}

  Result<RecoveredLog> run();

 private:
  /// Where a scan of one segment ended.
  struct ScanEnd {
    Offset next;
    std::uint64_t position = 0;
    std::optional<Error> bad;
  };

  Result<void> list_directory();
  Result<void> finish_deletion(const std::vector<std::string>& given_up, const std::set<Offset>& given_up_bases);
  Result<void> load_epochs();
  Result<void> load_newest_snapshot();
  Result<bool> open_clean();
  Result<void> open_after_crash();
  Result<void> load_segments(std::size_t count);
  Result<void> replay_producers();
  Result<ScanEnd> scan(Segment& segment, BatchScanner::Depth depth);
  Result<void> recover_segment(std::size_t index);
  /// Forgets segments from `index` on: nothing in them was ever answered for.
  Result<void> drop_segments_from(std::size_t index);
  Result<void> sync_scanned(std::size_t first);
  Result<void> refill_producers();
  Result<void> remove_stray_snapshots();
  std::string snapshot_path(Offset offset) const { return segment_path(place_.directory, offset, kSnapshotSuffix); }
  /// Nothing but a loss makes holes.
  bool dense() const { return options_.config.delete_old && !options_.config.compacted; }
  bool indexes_there(Offset base) const { return offset_indexes_.contains(base) && time_indexes_.contains(base); }

  const LogPlace& place_;
  const Log::OpenOptions& options_;
  std::vector<Offset> bases_;
  std::set<Offset> snapshots_, offset_indexes_, time_indexes_;
  Offset evidence_{0};
  bool scan_all_ = false;  ///< something that only the batches can tell is missing
  LeaderEpoch scanned_epoch_ = kNoLeaderEpoch;
  RecoveredLog log_;
};

Result<void> Recovery::list_directory() {
  MR_TRY(auto entries, place_.files.list(place_.directory));
  if (has_unfinished_compaction(entries)) {
    MR_TRY_VOID(settle_compaction(place_, entries));
    MR_TRY(entries, place_.files.list(place_.directory));
  }
  std::vector<std::string> given_up;
  std::set<Offset> given_up_bases;
  for (const DirEntry& entry : entries) {
    auto name = parse_segment_file_name(entry.name);
    if (!name) continue;  // not ours: left alone
    if (name->deleted) {
      given_up.push_back(entry.name);
      if (name->suffix == kLogSuffix) given_up_bases.insert(name->base);
    } else if (name->suffix == kLogSuffix) {
      bases_.push_back(name->base);
    } else if (name->suffix == kSnapshotSuffix) {
      snapshots_.insert(name->base);
    } else if (name->suffix == kOffsetIndexSuffix) {
      offset_indexes_.insert(name->base);
    } else if (name->suffix == kTimeIndexSuffix) {
      time_indexes_.insert(name->base);
    }
  }
  std::ranges::sort(bases_);
  return finish_deletion(given_up, given_up_bases);
}

/// Segments are given up oldest first, but a crash may keep a later rename and lose an earlier one: what lies below a
/// given-up segment goes with it, else the log would begin before a hole. Not so what compaction gave up: a segment
/// that is there has replaced it, and what lies below is data. Apache Kafka may cut the end of that segment short, but
/// then its first name is in use again.
Result<void> Recovery::finish_deletion(const std::vector<std::string>& given_up,
                                       const std::set<Offset>& given_up_bases) {
  if (given_up.empty()) return {};
  bool rewritten = std::ranges::any_of(bases_, [&](Offset base) { return given_up_bases.contains(base); });
  auto kept = bases_.begin();
  if (options_.config.delete_old && !rewritten) {
    MR_TRY(std::set<Offset> by_retention, given_up_by_retention(place_, bases_, given_up_bases));
    if (!by_retention.empty()) kept = std::ranges::upper_bound(bases_, *by_retention.rbegin());
  }
  for (auto base = bases_.begin(); base != kept; ++base) {
    for (std::string_view suffix : {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix, kLogSuffix}) {
      auto removed = place_.files.remove(segment_path(place_.directory, *base, suffix));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
    }
  }
  bases_.erase(bases_.begin(), kept);
  // The given-up names are the evidence: they stay until nothing older can come back.
  MR_TRY_VOID(place_.files.sync_directory(place_.directory));
  for (const std::string& name : given_up) MR_TRY_VOID(place_.files.remove(place_.directory + "/" + name));
  return {};
}

Result<void> Recovery::load_epochs() {
  std::string path = epoch_checkpoint_path(place_.directory);
  auto text = read_whole_file(place_.files, path);
  if (!text.ok()) {
    if (text.code() == Errc::not_found) return {};
    return std::move(text).error();
  }
  auto table = EpochTable::decode(as_text(*text));
  if (table.ok()) {
    log_.epochs = std::move(*table);
    return {};
  }
  if (table.code() == Errc::newer_format) return in_file(path, std::move(table).error());
  // Replaced atomically, so this is damage; every batch carries its epoch, so the table can be made again.
  log_warn("storage", "epoch checkpoint is damaged, reading the epochs from the batches",
           {{"file", path}, {"error", table.error().message()}});
  scan_all_ = true;
  return {};
}

Result<void> Recovery::load_newest_snapshot() {
  while (!snapshots_.empty()) {
    Offset offset = *snapshots_.rbegin();
    MR_TRY(auto bytes, read_whole_file(place_.files, snapshot_path(offset)));
    auto table = ProducerTable::decode_snapshot(bytes, options_.now);
    if (table.ok()) {
      log_.producers = std::move(*table);
      evidence_ = offset;
      return {};
    }
    if (table.code() == Errc::newer_format) return in_file(snapshot_path(offset), std::move(table).error());
    MR_TRY_VOID(place_.files.remove(snapshot_path(offset)));  // torn by the crash
    snapshots_.erase(offset);
  }
  return {};
}

Result<void> Recovery::load_segments(std::size_t count) {
  for (std::size_t i = log_.segments.size(); i < count; ++i) {
    MR_TRY(auto segment, Segment::load(place_, bases_[i]));
    log_.segments.push_back(std::move(segment));
  }
  return {};
}

Result<Recovery::ScanEnd> Recovery::scan(Segment& segment, BatchScanner::Depth depth) {
  MR_TRY(auto file, segment.file());
  std::uint64_t file_bytes = segment.size();
  // After a failed sync the page cache may hold what the device has not: look past it.
  if (depth == BatchScanner::Depth::checksums) file->drop_cache();
  MR_TRY_VOID(segment.reset_for_rebuild());
  ScanEnd end{segment.base()};
  BatchScanner scanner(*file, 0, std::min(file_bytes, Segment::kBytesMax), depth, kScanChunkBytes);
  while (true) {
    auto item = scanner.next();
    if (!item.ok()) {
      if (item.code() != Errc::corrupt_batch) return in_file(segment.log_path(), std::move(item).error());
      end.bad = in_file(segment.log_path(), std::move(item).error());
      break;
    }
    if (!*item) break;
    const BatchHeader& header = (*item)->header;
    LeaderEpoch epoch{header.leader_epoch};
    // Only compaction makes holes, and never in what was appended since the evidence. Base offset and epoch lie outside
    // the checksum, so this is also what finds a damaged one.
    bool hole = header.base_offset > end.next.v && dense() && end.next >= evidence_;
    if (header.base_offset < end.next.v || hole || header.last_offset().v - segment.base().v > INT32_MAX ||
        epoch < scanned_epoch_) {
      end.bad = Error(Errc::corrupt_batch,
                      fmt::format("{}: at position {}: offset {} epoch {} after offset {} epoch {}", segment.log_path(),
                                  end.position, header.base_offset, epoch.v, end.next.v, scanned_epoch_.v));
      break;
    }
    MR_TRY_VOID(segment.note(header, header.max_timestamp, end.position, options_.config.index_interval_bytes));
    if (header.base_offset >= evidence_.v) log_.producers.note(header, options_.now);
    log_.epochs.assign(epoch, Offset{header.base_offset});
    scanned_epoch_ = epoch;
    end.next = header.next_offset();
    end.position = (*item)->end();
  }
  if (!end.bad && end.position < file_bytes)
    end.bad = Error(Errc::corrupt_batch, segment.log_path() + ": longer than 2 GiB");
  return end;
}

Result<void> Recovery::drop_segments_from(std::size_t index) {
  for (std::size_t i = index; i < bases_.size(); ++i) {
    log_warn("storage", "dropping a segment behind a torn tail",
             {{"file", segment_path(place_.directory, bases_[i], kLogSuffix)}});
    for (std::string_view suffix : {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix, kLogSuffix}) {
      auto removed = place_.files.remove(segment_path(place_.directory, bases_[i], suffix));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
    }
  }
  bases_.resize(index);
  log_.segments.resize(std::min(index, log_.segments.size()));
  return {};
}

Result<void> Recovery::recover_segment(std::size_t index) {
  MR_TRY_VOID(load_segments(index + 1));
  Segment& segment = *log_.segments[index];
  std::uint64_t file_bytes = segment.size();
  MR_TRY(ScanEnd end, scan(segment, BatchScanner::Depth::checksums));
  log_.log_end = end.next;
  bool last = index + 1 == bases_.size();
  if (end.bad && end.next >= evidence_) {
    log_warn("storage", "cutting a torn tail",
             {{"file", segment.log_path()},
              {"position", end.position},
              {"bytes", file_bytes - end.position},
              {"next_offset", end.next.v},
              {"found", end.bad->message()}});
    MR_TRY_VOID(segment.cut(end.position));
    return drop_segments_from(index + 1);
  }
  if (end.bad) {
    log_error("storage", "corrupt batch below what was synced; nothing is cut",
              {{"file", segment.log_path()}, {"position", end.position}, {"found", end.bad->message()}});
    if (last) return Error(Errc::corrupt_data, end.bad->detail());
    segment.mark_corrupt(end.position, file_bytes);
    return {};
  }
  if (last) return {};
  Offset next_base = bases_[index + 1];
  if (next_base < end.next && next_base < evidence_)
    return Error(Errc::corrupt_data, fmt::format("{}: ends at offset {}, but the next segment starts at {}",
                                                 segment.log_path(), end.next.v, next_base.v));
  // A compacted topic may have holes between segments; elsewhere a hole is a lost tail, and what follows was never
  // answered for unless the evidence covers it.
  bool hole = next_base > end.next;
  if (next_base < end.next || (hole && next_base > evidence_ && dense())) return drop_segments_from(index + 1);
  return {};
}

Result<void> Recovery::open_after_crash() {
  // First segment that can hold what the evidence does not cover.
  auto above = std::ranges::upper_bound(bases_, evidence_);
  std::size_t first = above == bases_.begin() ? 0 : static_cast<std::size_t>(above - bases_.begin()) - 1;
  if (scan_all_) first = 0;
  for (std::size_t i = 0; i < first; ++i)
    if (!indexes_there(bases_[i])) first = i;  // a scan makes them again
  log_.segments.clear();
  MR_TRY_VOID(load_segments(first));
  for (std::size_t i = first; i < bases_.size(); ++i) MR_TRY_VOID(recover_segment(i));
  if (log_.log_end < evidence_)
    return Error(Errc::corrupt_data, fmt::format("{}: ends at offset {}, but everything below {} had been synced",
                                                 place_.directory, log_.log_end.v, evidence_.v));
  log_.epochs.truncate_from_end(log_.log_end);
  MR_TRY_VOID(sync_scanned(first));
  return refill_producers();
}

Result<void> Recovery::sync_scanned(std::size_t first) {
  for (std::size_t i = first; i < log_.segments.size(); ++i) {
    MR_TRY(auto files, log_.segments[i]->seal());
    for (auto& file : files) MR_TRY_VOID(file->sync());
    log_.segments[i]->close_files();
  }
  std::string epochs = log_.epochs.encode();
  MR_TRY_VOID(replace_file(place_.files, epoch_checkpoint_path(place_.directory), as_bytes(epochs)));
  if (log_.log_end > evidence_ || snapshots_.empty()) {
    MR_TRY_VOID(place_.files.sync_directory(place_.directory));
    MR_TRY_VOID(write_snapshot(place_.files, place_.directory, log_.log_end, log_.producers.encode_snapshot()));
    snapshots_.insert(log_.log_end);
  }
  return place_.files.sync_directory(place_.directory);
}

/// False when the tail does not read, so that the stop was not as clean as its marker says.
Result<bool> Recovery::open_clean() {
  MR_TRY_VOID(load_segments(bases_.size()));
  Segment& active = *log_.segments.back();
  auto end = active.resume();
  if (!end.ok()) {
    if (end.code() != Errc::corrupt_batch) return std::move(end).error();
    log_warn("storage", "clean stop marker, but the tail does not read; scanning", {{"found", end.error().message()}});
    return false;
  }
  log_.log_end = *end;
  if (evidence_ > log_.log_end) return false;
  scan_all_ = scan_all_ || (log_.epochs.lines().empty() && log_.log_end > bases_.front());
  if (scan_all_ || !std::ranges::all_of(bases_, [&](Offset base) { return indexes_there(base); })) return false;
  MR_TRY_VOID(replay_producers());
  MR_TRY_VOID(refill_producers());
  return true;
}

/// After a clean stop the newest snapshot ends where the log does, unless the directory comes from elsewhere.
Result<void> Recovery::replay_producers() {
  if (evidence_ == log_.log_end) return {};
  for (std::size_t i = 0; i < log_.segments.size(); ++i) {
    Offset next_base = i + 1 < bases_.size() ? bases_[i + 1] : log_.log_end;
    if (next_base <= evidence_) continue;
    Segment& segment = *log_.segments[i];
    MR_TRY(auto file, segment.file());
    BatchScanner scanner(*file, 0, segment.size(), BatchScanner::Depth::headers, kScanChunkBytes);
    while (true) {
      auto item = scanner.next();
      if (!item.ok() && item.code() != Errc::corrupt_batch) return std::move(item).error();
      if (!item.ok() || !*item) break;  // a damaged stretch hides its producers, no more
      if ((*item)->header.base_offset >= evidence_.v) log_.producers.note((*item)->header, options_.now);
    }
    segment.close_files();
  }
  return {};
}

/// A snapshot keeps one batch per producer, but one that was cut off by the stop may repeat any of its last five
/// (Apache Kafka then answers out of order). They mostly lie in the last stretch of the log: read it again.
Result<void> Recovery::refill_producers() {
  if (log_.producers.size() == 0) return {};
  std::size_t first = log_.segments.size();
  std::uint64_t bytes = 0;
  while (first > 0 && bytes < kRefillBytes) bytes += log_.segments[--first]->size();
  ProducerTable tail;
  for (std::size_t i = first; i < log_.segments.size(); ++i) {
    Segment& segment = *log_.segments[i];
    std::uint64_t skipped = i == first && bytes > kRefillBytes ? bytes - kRefillBytes : 0;
    MR_TRY(std::uint64_t position, segment.offset_index().position_before(skipped));
    if (position >= segment.size()) continue;
    MR_TRY(auto file, segment.file());
    BatchScanner scanner(*file, position, segment.size(), BatchScanner::Depth::headers, kRefillChunkBytes);
    while (true) {
      auto item = scanner.next();
      if (!item.ok() && item.code() != Errc::corrupt_batch) return std::move(item).error();
      if (!item.ok() || !*item) break;  // a damaged stretch hides its producers, no more
      tail.note((*item)->header, options_.now);
    }
    segment.close_files();
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

Result<RecoveredLog> Recovery::run() {
  MR_TRY(bool existed, place_.files.exists(place_.directory));
  MR_TRY_VOID(place_.files.make_directories(place_.directory));
  if (!existed) MR_TRY_VOID(place_.files.sync_directory(parent_directory(place_.directory)));
  MR_TRY(bool named, check_partition_metadata(place_.files, place_.directory, options_.topic_id));
  MR_TRY_VOID(list_directory());
  MR_TRY_VOID(load_epochs());
  MR_TRY_VOID(load_newest_snapshot());
  if (bases_.empty()) {
    Offset base = std::max(options_.log_start, evidence_);
    MR_TRY(auto segment, Segment::create(place_, base));
    segment->close_files();
    log_.segments.push_back(std::move(segment));
    log_.log_end = base;
    log_.epochs.truncate_from_end(base);
    MR_TRY_VOID(place_.files.sync_directory(place_.directory));
  } else {
    if (named) MR_TRY_VOID(place_.files.sync_directory(place_.directory));
    bool clean = false;
    if (options_.clean_stop) {
      MR_TRY(clean, open_clean());
    }
    if (!clean) MR_TRY_VOID(open_after_crash());
    MR_TRY_VOID(remove_stray_snapshots());
  }
  log_.log_start = std::clamp(options_.log_start, log_.segments.front()->base(), log_.log_end);
  return std::move(log_);
}

}  // namespace

Result<RecoveredLog> recover_log(const LogPlace& place, const Log::OpenOptions& options) {
  return Recovery(place, options).run();
}

}  // namespace mr::storage
