#include "storage/recovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "storage/compaction_recovery.h"
#include "storage/journal_restore.h"
#include "storage/partition_metadata.h"
#include "storage/recovery_run.h"
#include "storage/seal_task.h"
#include "storage/small_file.h"

namespace mr::storage {

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
    } else if (name->suffix == kSealSuffix) {
      seal_names_.insert(name->base);
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
    // A successor was durable before anything was given up: what lies above all segments is not from retention.
    std::erase_if(by_retention, [&](Offset base) { return bases_.empty() || base >= bases_.back(); });
    if (!by_retention.empty()) kept = std::ranges::upper_bound(bases_, *by_retention.rbegin());
  }
  for (auto base = bases_.begin(); base != kept; ++base) {
    for (std::string_view suffix : kSegmentSuffixes) {
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
    known_epochs_ = *table;
    log_.epochs = std::move(*table);
    return {};
  }
  // Replaced atomically, so this is damage (also when it looks like a newer version: those show in meta.properties);
  // every batch carries its epoch, so the table can be made again.
  ++log_.counts.damaged_files;
  log_warn("storage", "epoch checkpoint is damaged, reading the epochs from the batches",
           {{"file", path}, {"error", table.error().message()}});
  scan_all_ = true;
  return {};
}

Result<void> Recovery::load_seals() {
  for (Offset base : seal_names_) {
    if (bases_.empty() || base < bases_.front()) {  // left over from retention
      auto removed = place_.files.remove(segment_path(place_.directory, base, kSealSuffix));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
      continue;
    }
    auto seal = read_seal(place_.files, place_.directory, base);
    if (!seal.ok() && seal.code() != Errc::corrupt_data && seal.code() != Errc::newer_format)
      return std::move(seal).error();
    if (!seal.ok()) {
      ++log_.counts.damaged_files;
      log_warn("storage", "a seal is damaged; its segment is read to make it again",
               {{"found", seal.error().message()}});
      bad_seals_.insert(base);
    } else if (*seal) {
      if (!std::ranges::binary_search(bases_, base)) {
        ++log_.counts.damaged_files;
        log_error("storage", "a segment file is missing",
                  {{"file", segment_path(place_.directory, base, kLogSuffix)}, {"next_offset", (*seal)->end.v}});
      }
      evidence_ = std::max(evidence_, (*seal)->end);
      seals_.emplace(base, std::move(**seal));
    }
  }
  return {};
}

/// A file whose name lies inside another segment that has a seal is none of ours.
void Recovery::pass_over_foreign_files() {
  Offset sealed_end{0};
  std::erase_if(bases_, [&](Offset base) {
    auto seal = seals_.find(base);
    if (seal != seals_.end()) sealed_end = std::max(sealed_end, seal->second.end);
    if (seal != seals_.end() || base >= sealed_end) return false;
    ++log_.counts.damaged_files;
    log_error("storage", "a file that is no segment of this log is passed over",
              {{"file", segment_path(place_.directory, base, kLogSuffix)}, {"sealed_until", sealed_end.v}});
    return true;
  });
}

Result<void> Recovery::load_segments(std::size_t count) {
  for (std::size_t i = log_.segments.size(); i < count; ++i) {
    MR_TRY(auto segment, Segment::load(place_, bases_[i]));
    if (compacted_seal(bases_[i])) segment->set_compacted();
    log_.segments.push_back(std::move(segment));
  }
  return {};
}

/// The segment that holds, or would hold, what comes behind the newest snapshot.
std::size_t Recovery::first_behind_snapshot() const {
  auto above = std::ranges::upper_bound(bases_, snapshot_);
  return above == bases_.begin() ? 0 : static_cast<std::size_t>(above - bases_.begin()) - 1;
}

/// Behind the first seal every segment gets its own; that of a compacted one may have been lost in a crash.
bool Recovery::lacks_seal(std::size_t index) const {
  Offset base = bases_[index];
  return !seals_.contains(base) && !seals_.empty() && seals_.begin()->first < base && !may_be_compacted(index);
}

/// A sealed segment's last batch ends where the next segment begins.
Result<bool> Recovery::looks_whole(std::size_t index) {
  if (bad_seals_.contains(bases_[index]) || lacks_seal(index)) return false;
  if (auto known = seals_.find(bases_[index]); known != seals_.end() && known->second.batches > 0) {
    const SegmentSeal& seal = known->second;
    bool fits = may_be_compacted(index) ? seal.end <= bases_[index + 1] : seal.end == bases_[index + 1];
    return fits && !seal.damaged && seal.bytes == log_.segments[index]->size();
  }
  Segment& segment = *log_.segments[index];
  auto end = segment.resume();
  segment.close_files();
  if (!end.ok() && end.code() != Errc::corrupt_batch) return std::move(end).error();
  return end.ok() && (may_be_compacted(index) ? *end <= bases_[index + 1] : *end == bases_[index + 1]);
}

/// After a clean stop only what looks odd from outside is scanned.
Result<void> Recovery::choose_after_clean_stop() {
  MR_TRY_VOID(load_segments(bases_.size()));
  scan_all_ = scan_all_ || (log_.epochs.lines().empty() && log_.segments.back()->size() > 0);
  for (std::size_t i = 0; i < bases_.size(); ++i) look_[i] = scan_all_ || !indexes_there(bases_[i]);
  for (std::size_t i = 0; i + 1 < bases_.size(); ++i) {
    if (look_[i]) continue;
    MR_TRY(bool whole, looks_whole(i));
    look_[i] = !whole;
  }
  auto newest_seal = seals_.find(bases_.back());
  if (newest_seal != seals_.end() &&
      (newest_seal->second.damaged || newest_seal->second.bytes > log_.segments.back()->size()))
    look_.back() = true;
  if (lacks_seal(bases_.size() - 1)) look_.back() = true;
  if (look_.back()) return {};
  auto end = log_.segments.back()->resume();
  log_.segments.back()->close_files();  // an idle partition takes no descriptor
  if (!end.ok() && end.code() != Errc::corrupt_batch) return std::move(end).error();
  // A clean stop knows the end exactly; only a directory from elsewhere may lack all that says so.
  if (end.ok() && (*end == evidence_ || evidence_ == Offset{0})) {
    log_.log_end = *end;
    return {};
  }
  log_error(
      "storage", "clean stop marker, but the newest segment is not as it was left; scanning",
      {{"directory", place_.directory},
       {"found", end.ok() ? fmt::format("it ends at offset {}, not {}", end->v, evidence_.v) : end.error().message()}});
  look_.back() = true;
  return {};
}

/// What lies behind the snapshot, and where a scan has to make the indexes again.
Result<void> Recovery::choose_after_crash() {
  MR_TRY_VOID(load_segments(bases_.size()));
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    look_[i] = look_[i] || i >= first_behind_snapshot() || !indexes_there(bases_[i]);  // a scan makes indexes again
    if (look_[i]) continue;
    MR_TRY(bool whole, looks_whole(i));
    if (whole) {
      MR_TRY(whole, time_index_complete(i));
    }
    look_[i] = !whole;
  }
  return {};
}

/// A crash while indexes are made again leaves names without content.
Result<bool> Recovery::time_index_complete(std::size_t index) {
  MR_TRY_VOID(load_segments(index + 1));
  Segment& segment = *log_.segments[index];
  MR_TRY(TimeIndex::Entry last, segment.time_index().last());
  segment.close_files();
  return segment.size() == 0 || (last.timestamp > 0 && last.offset < bases_[index + 1]);
}

Result<void> Recovery::open_segments() {
  look_.assign(bases_.size(), scan_all_);
  if (options_.clean_stop) {
    MR_TRY_VOID(choose_after_clean_stop());
  } else {
    MR_TRY_VOID(choose_after_crash());
  }
  // Producers are read in order, so behind the snapshot it is all or nothing.
  std::size_t first = first_behind_snapshot();
  auto behind = look_.begin() + static_cast<std::ptrdiff_t>(first);
  if (std::find(behind, look_.end(), true) != look_.end()) std::fill(behind, look_.end(), true);
  std::vector<std::size_t> scanned;
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    if (look_[i]) {
      scanned.push_back(i);
      MR_TRY_VOID(recover_segment(i));
    } else {
      MR_TRY_VOID(load_segments(i + 1));
      scanned_epoch_ = kNoLeaderEpoch;
    }
  }
  if (log_.log_end < evidence_)
    return Error(Errc::corrupt_data, fmt::format("{}: ends at offset {}, but everything below {} had been synced",
                                                 place_.directory, log_.log_end.v, evidence_.v));
  if (!known_epochs_.lines().empty() && known_epochs_.lines().back().start > log_.log_end) {
    ++log_.counts.damaged_files;
    log_warn("storage", "the epoch checkpoint names an offset above the log's end: its last records may be lost",
             {{"directory", place_.directory},
              {"epoch_start", known_epochs_.lines().back().start.v},
              {"log_end", log_.log_end.v}});
  }
  MR_TRY_VOID(leave_damaged_segment());
  if (!scanned.empty()) MR_TRY_VOID(sync_scanned(scanned));
  if (!look_.back()) MR_TRY_VOID(replay_producers());
  return refill_producers();
}

Result<void> Recovery::sync_scanned(const std::vector<std::size_t>& scanned) {
  log_.epochs.truncate_from_end(log_.log_end);
  for (std::size_t i : scanned) {
    if (i >= log_.segments.size()) break;  // dropped behind a torn tail
    MR_TRY(auto files, log_.segments[i]->seal());
    for (auto& file : files) MR_TRY_VOID(file->sync());
    log_.segments[i]->close_files();
  }
  // Before seals: they are evidence, below which an epoch that nobody knows is damage.
  std::string epochs = log_.epochs.encode();
  MR_TRY_VOID(replace_file(place_.files, epoch_checkpoint_path(place_.directory), as_bytes(epochs)));
  for (const auto& [base, seal] : new_seals_) {
    Result<void> written = write_seal(place_.files, place_.directory, seal);
    if (!written.ok() && written.code() != Errc::disk_full) return written;
  }
  if (look_.back() && (log_.log_end > snapshot_ || snapshots_.empty())) {
    MR_TRY_VOID(place_.files.sync_directory(place_.directory));
    MR_TRY_VOID(write_snapshot(place_.files, place_.directory, log_.log_end, log_.producers.encode_snapshot()));
    snapshots_.insert(log_.log_end);
  }
  return place_.files.sync_directory(place_.directory);
}

/// Retention removes segments before the checkpoint says so, a wrong hand too.
void Recovery::warn_of_missing_start() {
  Offset start = options_.log_start;
  if (!log_.epochs.lines().empty()) start = std::max(start, log_.epochs.lines().front().start);
  if (start >= bases_.front()) return;
  ++log_.counts.starts_moved;
  LogLevel level = options_.clean_stop ? LogLevel::error : LogLevel::warn;
  log(level, "storage", "the log begins above its noted start: retention was at work, or a file is missing",
      {{"directory", place_.directory}, {"noted", start.v}, {"begins", bases_.front().v}});
}

/// No segment is there. `existed`: the directory was.
Result<void> Recovery::start_empty(bool existed) {
  // A name that was lost with the directory's last sync, or a crash between the two: neither may happen again.
  if (existed) MR_TRY_VOID(place_.files.sync_directory(parent_directory(place_.directory)));
  for (const CommitEvidence::Carried& carried : options_.evidence.carried)
    if (carried.run.next > std::max(snapshot_, options_.log_start))
      return Error(Errc::corrupt_data, fmt::format("{}: no segment is there, but the commit journal carries answered "
                                                   "records of it from offset {} on; nothing is removed",
                                                   place_.directory, carried.run.base.v));
  Offset base = std::max(options_.log_start, evidence_);
  if (base > Offset{0}) {
    ++log_.counts.damaged_files;
    log_error("storage", "no segment is there; the log goes on empty where it had ended",
              {{"directory", place_.directory}, {"next_offset", base.v}});
  }
  MR_TRY(auto segment, Segment::create(place_, base));
  segment->close_files();
  log_.segments.push_back(std::move(segment));
  log_.log_end = base;
  log_.epochs.truncate_from_end(base);
  // So that recovery knows from the first crash on how far compaction can have come.
  if (options_.config.compacted)
    MR_TRY_VOID(write_snapshot(place_.files, place_.directory, base, log_.producers.encode_snapshot()));
  return place_.files.sync_directory(place_.directory);
}

Result<RecoveredLog> Recovery::run() {
  MR_TRY(bool existed, place_.files.exists(place_.directory));
  MR_TRY_VOID(place_.files.make_directories(place_.directory));
  if (!existed) MR_TRY_VOID(place_.files.sync_directory(parent_directory(place_.directory)));
  MR_TRY(MetadataCheck named, check_partition_metadata(place_.files, place_.directory, options_.topic_id));
  if (named == MetadataCheck::replaced) ++log_.counts.damaged_files;
  MR_TRY_VOID(list_directory());
  MR_TRY_VOID(load_epochs());
  MR_TRY_VOID(load_newest_snapshot());
  evidence_ = std::max(snapshot_, options_.evidence.end());
  if (options_.clean_stop) evidence_ = std::max(evidence_, options_.recovery_point);
  MR_TRY_VOID(load_seals());
  pass_over_foreign_files();
  // What producers have written between the snapshot and the first segment is not known any more (a full disk may have
  // cost the snapshots behind it): better to know nothing of a producer than its past.
  if (!bases_.empty() && snapshot_ < bases_.front()) log_.producers = ProducerTable{};
  if (bases_.empty()) {
    MR_TRY_VOID(start_empty(existed));
  } else {
    if (named != MetadataCheck::fits) MR_TRY_VOID(place_.files.sync_directory(place_.directory));
    MR_TRY(auto restored, restore_carried(place_, options_.evidence, snapshot_, bases_.front(), seals_));
    log_.counts.batches_put_back = restored.batches;
    log_.counts.runs_not_put_back = restored.conflicts;
    warn_of_missing_start();
    MR_TRY_VOID(open_segments());
    MR_TRY_VOID(remove_stray_snapshots());
  }
  log_.snapshot = snapshots_.empty() ? Offset{0} : *snapshots_.rbegin();
  log_.log_start = std::clamp(options_.log_start, log_.segments.front()->base(), log_.log_end);
  return std::move(log_);
}

Result<RecoveredLog> recover_log(const LogPlace& place, const Log::OpenOptions& options) {
  return Recovery(place, options).run();
}

}  // namespace mr::storage
