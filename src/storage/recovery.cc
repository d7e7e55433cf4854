#include "storage/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/log.h"
#include "storage/compaction_recovery.h"
#include "storage/journal_restore.h"
#include "storage/partition_metadata.h"
#include "storage/seal_task.h"
#include "storage/segment_names.h"
#include "storage/segment_verify.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 256u << 10;
/// How far back a start looks for the last batches of producers. After a crash more of them wait for an answer.
constexpr std::uint64_t kRefillBytes = 256u << 10;
constexpr std::uint64_t kRefillBytesAfterCrash = 4u << 20;
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
    std::optional<std::string> torn;
  };

  Result<void> list_directory();
  Result<void> finish_deletion(const std::vector<std::string>& given_up, const std::set<Offset>& given_up_bases);
  Result<void> load_epochs();
  Result<void> load_newest_snapshot();
  std::size_t first_behind_snapshot() const;
  bool lacks_seal(std::size_t index) const;
  Result<bool> looks_whole(std::size_t index);
  Result<void> choose_after_crash();
  Result<bool> time_index_complete(std::size_t index);
  Result<void> choose_after_clean_stop();
  Result<void> open_segments();
  Result<void> load_segments(std::size_t count);
  Result<void> replay_producers();
  Result<void> load_seals();
  void pass_over_foreign_files();
  void note_seal(Segment& segment, HeaderChain chain, Offset end);
  std::vector<HeaderFact> facts_of(Offset base) const;
  Result<ScanEnd> scan(std::size_t index);
  Result<void> recover_segment(std::size_t index);
  Result<void> leave_damaged_segment();
  /// Forgets segments from `index` on: nothing in them was ever answered for.
  Result<void> drop_segments_from(std::size_t index);
  Result<void> sync_scanned(const std::vector<std::size_t>& scanned);
  Result<void> refill_producers();
  Result<void> remove_stray_snapshots();
  void warn_of_missing_start();
  std::string snapshot_path(Offset offset) const { return segment_path(place_.directory, offset, kSnapshotSuffix); }
  /// From here on nothing but a loss makes holes. Compaction leaves the part behind the newest snapshot alone; without
  /// any snapshot the directory comes from elsewhere, and only its newest segment is known not to be compacted.
  Offset holes_end() const {
    if (options_.config.delete_old && !options_.config.compacted) return options_.cleaned_end;
    return std::max(snapshots_.empty() ? bases_.back() : snapshot_, options_.cleaned_end);
  }
  /// The same for the segment at `base`, whose seal may know more.
  Offset holes_end(Offset base) const {
    const SegmentSeal* seal = compacted_seal(base);
    return seal ? std::max(seal->end, holes_end()) : holes_end();
  }
  bool may_be_compacted(std::size_t index) const { return bases_[index] < holes_end(bases_[index]); }
  const SegmentSeal* compacted_seal(Offset base) const {
    auto seal = seals_.find(base);
    return seal != seals_.end() && seal->second.compacted ? &seal->second : nullptr;
  }
  bool indexes_there(Offset base) const { return offset_indexes_.contains(base) && time_indexes_.contains(base); }

  const LogPlace& place_;
  const Log::OpenOptions& options_;
  std::vector<Offset> bases_;
  std::set<Offset> snapshots_, offset_indexes_, time_indexes_, seal_names_;
  std::map<Offset, SegmentSeal> seals_;  ///< those that read
  std::set<Offset> bad_seals_;
  Offset snapshot_{0};  ///< of the newest valid producer snapshot
  Offset evidence_{0};
  std::map<Offset, SegmentSeal> new_seals_;
  EpochTable known_epochs_;  ///< as the checkpoint says
  std::vector<bool> look_;   ///< segments to scan, by index in bases_
  bool scan_all_ = false;    ///< something that only the batches can tell is missing
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

std::vector<HeaderFact> Recovery::facts_of(Offset base) const {
  std::vector<HeaderFact> facts;
  auto add = [&](const JournalRun& run) {
    // Below the snapshot compaction may have replaced the file since.
    if (run.segment == base && run.bytes > 0 && (run.base >= holes_end() || run.next > snapshot_) &&
        !spoke_before_compaction(seals_, run))
      facts.push_back({.position = run.position, .end = run.end(), .crc = run.headers_crc, .base = run.base});
  };
  for (const JournalRun& run : options_.evidence.durable) add(run);
  for (const CommitEvidence::Carried& one : options_.evidence.carried) add(one.run);
  if (auto seal = seals_.find(base); seal != seals_.end())
    std::ranges::copy(seal->second.facts(), std::back_inserter(facts));
  std::ranges::sort(facts, {}, &HeaderFact::position);
  return facts;
}

Result<Recovery::ScanEnd> Recovery::scan(std::size_t index) {
  Segment& segment = *log_.segments[index];
  MR_TRY(auto file, segment.file());
  std::uint64_t file_bytes = segment.size();
  // After a failed sync the page cache may hold what the device has not: look past it.
  file->drop_cache();
  WalkInput input{.base = segment.base(),
                  .evidence = evidence_,
                  .holes_allowed = may_be_compacted(index),
                  .holes_end = holes_end(segment.base()),
                  .epoch = scanned_epoch_,
                  .epochs = scan_all_ ? nullptr : &known_epochs_,
                  .facts = facts_of(segment.base())};
  // A name above the evidence says nothing for sure: it may be left over from what a crash took.
  if (index + 1 < bases_.size() && bases_[index + 1] <= evidence_) input.next_base = bases_[index + 1];
  MR_TRY(input.anchors, indexed_positions(place_.files, place_.directory, segment.base()));
  MR_TRY_VOID(segment.reset_for_rebuild());
  SegmentWalk walk(*file, std::min(file_bytes, Segment::kBytesMax), std::move(input), kScanChunkBytes);
  HeaderChain chain;
  while (true) {
    auto item = walk.next();
    if (!item.ok()) return in_file(segment.log_path(), std::move(item).error());
    if (!*item) break;
    const BatchHeader& header = (*item)->header;
    MR_TRY_VOID(segment.note(header, header.max_timestamp, (*item)->position, options_.config.index_interval_bytes));
    if (header.base_offset >= snapshot_.v) log_.producers.note(header, options_.now);
    log_.epochs.assign(LeaderEpoch{header.leader_epoch}, Offset{header.base_offset});
    chain.add(walk.header_bytes(), (*item)->end());
  }
  scanned_epoch_ = walk.epoch();
  ScanEnd end{walk.next_offset(), walk.position(), walk.torn()};
  // Not where more is known to follow: then the rest is damage, as the walk says.
  bool last = index + 1 == bases_.size() || bases_[index + 1] > evidence_;
  if (!end.torn && file_bytes > Segment::kBytesMax && last && end.next >= evidence_)
    end = {end.next, Segment::kBytesMax, "longer than 2 GiB"};
  segment.set_damage(walk.damage(), end.torn ? end.position : file_bytes);
  note_seal(segment, std::move(chain), end.next);
  log_.counts.damaged_ranges += segment.damage().size();
  for (const DamagedRange& range : segment.damage()) {
    log_error("storage", "damaged; nothing is cut, reads of these offsets answer corrupt_batch",
              {{"file", segment.log_path()},
               {"position", range.position},
               {"end", range.end},
               {"first_offset", range.first.v},
               {"next_offset", range.next.v},
               {"found", range.why}});
  }
  if (end.torn) {
    log_warn("storage", "cutting a torn tail",
             {{"file", segment.log_path()},
              {"position", end.position},
              {"bytes", file_bytes - end.position},
              {"next_offset", end.next.v},
              {"found", *end.torn}});
    MR_TRY_VOID(segment.cut(end.position));
    ++log_.counts.tails_cut;
    log_.counts.bytes_cut += file_bytes - end.position;
  }
  return end;
}

Result<void> Recovery::drop_segments_from(std::size_t index) {
  if (index < bases_.size() && bases_[index] < evidence_)
    return Error(Errc::corrupt_data,
                 fmt::format("{}: what lies before {} does not lead up to it, but everything below {} had "
                             "been synced; nothing is removed",
                             place_.directory, bases_[index].v, evidence_.v));
  for (std::size_t i = index; i < bases_.size(); ++i) {
    log_warn("storage", "dropping a segment behind a torn tail",
             {{"file", segment_path(place_.directory, bases_[i], kLogSuffix)}});
    for (std::string_view suffix : kSegmentSuffixes) {
      auto removed = place_.files.remove(segment_path(place_.directory, bases_[i], suffix));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
    }
  }
  log_.counts.segments_dropped += bases_.size() - index;
  bases_.resize(index);
  look_.resize(index);
  log_.segments.resize(std::min(index, log_.segments.size()));
  new_seals_.erase(index < 1 ? new_seals_.begin() : new_seals_.upper_bound(bases_.back()), new_seals_.end());
  return {};
}

/// What the seal of a scanned segment shall say. Of a damaged one an earlier seal still knows what was there.
void Recovery::note_seal(Segment& segment, HeaderChain chain, Offset end) {
  SegmentSeal seal{.base = segment.base(), .end = end, .bytes = segment.size()};
  auto known = seals_.find(segment.base());
  if (segment.damage().empty()) {
    seal = chain.seal(segment.base(), end);
    segment.set_chain(std::move(chain));
  } else if (known != seals_.end()) {
    seal = known->second;
    seal.end = std::max(seal.end, end);
  }
  seal.damaged = !segment.damage().empty();
  seal.compacted = segment.compacted();
  if (known == seals_.end() || known->second != seal) new_seals_[segment.base()] = std::move(seal);
}

Result<void> Recovery::recover_segment(std::size_t index) {
  MR_TRY_VOID(load_segments(index + 1));
  MR_TRY(ScanEnd end, scan(index));
  // A compacted topic may have holes between segments; elsewhere a hole that the evidence does not cover is a lost
  // tail, and what follows was never answered for.
  bool ends_here = end.torn.has_value();
  if (!ends_here && index + 1 < bases_.size()) {
    Offset next_base = bases_[index + 1];
    bool hole = next_base > end.next;
    ends_here = next_base < end.next || (hole && next_base > evidence_ && end.next >= holes_end(bases_[index]));
  }
  if (ends_here) MR_TRY_VOID(drop_segments_from(index + 1));
  if (index + 1 == bases_.size()) log_.log_end = end.next;
  return {};
}

/// A damaged segment stays as it is: the log goes on in a new one.
Result<void> Recovery::leave_damaged_segment() {
  if (log_.segments.back()->damage().empty()) return {};
  MR_TRY(auto segment, Segment::create(place_, log_.log_end));
  log_.segments.push_back(std::move(segment));
  bases_.push_back(log_.log_end);
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
  for (const auto& [base, seal] : new_seals_) {
    Result<void> written = write_seal(place_.files, place_.directory, seal);
    if (!written.ok() && written.code() != Errc::disk_full) return written;
  }
  std::string epochs = log_.epochs.encode();
  MR_TRY_VOID(replace_file(place_.files, epoch_checkpoint_path(place_.directory), as_bytes(epochs)));
  if (look_.back() && (log_.log_end > snapshot_ || snapshots_.empty())) {
    MR_TRY_VOID(place_.files.sync_directory(place_.directory));
    MR_TRY_VOID(write_snapshot(place_.files, place_.directory, log_.log_end, log_.producers.encode_snapshot()));
    snapshots_.insert(log_.log_end);
  }
  return place_.files.sync_directory(place_.directory);
}

/// After a clean stop the newest snapshot ends where the log does, unless the directory comes from elsewhere.
Result<void> Recovery::replay_producers() {
  if (snapshot_ == log_.log_end) return {};
  for (std::size_t i = 0; i < log_.segments.size(); ++i) {
    Offset next_base = i + 1 < bases_.size() ? bases_[i + 1] : log_.log_end;
    if (next_base <= snapshot_) continue;
    Segment& segment = *log_.segments[i];
    MR_TRY(auto file, segment.file());
    BatchScanner scanner(*file, 0, segment.size(), BatchScanner::Depth::headers, kScanChunkBytes);
    while (true) {
      auto item = scanner.next();
      if (!item.ok() && item.code() != Errc::corrupt_batch) return std::move(item).error();
      if (!item.ok() || !*item) break;  // a damaged stretch hides its producers, no more
      if ((*item)->header.base_offset >= snapshot_.v) log_.producers.note((*item)->header, options_.now);
    }
    segment.close_files();
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
    MR_TRY_VOID(place_.files.sync_directory(place_.directory));
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

}  // namespace

Result<RecoveredLog> recover_log(const LogPlace& place, const Log::OpenOptions& options) {
  return Recovery(place, options).run();
}

}  // namespace mr::storage
