#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/recovery.h"
#include "storage/segment_names.h"
#include "storage/segment_seal.h"

namespace mr::storage {

/// One opening of one directory: what recover_log() does. Which segments are read: recovery.cc; reading one:
/// recovery_scan.cc; producers: recovery_producers.cc. Pool; used once.
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

  Result<void> start_empty(bool existed);
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

}  // namespace mr::storage
