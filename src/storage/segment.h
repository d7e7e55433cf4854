#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"
#include "runtime/env.h"
#include "storage/batch_scanner.h"
#include "storage/byte_ranges.h"
#include "storage/damage.h"
#include "storage/index_file.h"
#include "storage/segment_seal.h"
#include "storage/waiting_tail.h"

namespace mr::storage {

/// One segment: a file of batches and its two sparse indexes. Files are opened when first needed and may be closed
/// again at any time by close_files(); readers keep the log file alive by its shared_ptr.
/// Home shard, or the pool while nobody else uses the log.
class Segment {
 public:
  /// Positions in the index are int32.
  static constexpr std::uint64_t kBytesMax = INT32_MAX;

  /// A new, empty segment; cuts away what an earlier attempt may have left under its name.
  static Result<std::unique_ptr<Segment>> create(const LogPlace& place, Offset base);
  /// A new, empty one for the output of compaction, named `.cleaned`; its files stay open until adopt_names().
  static Result<std::unique_ptr<Segment>> create_cleaned(const LogPlace& place, Offset base);
  /// The files of create_cleaned() have got the names of a segment.
  void adopt_names();
  /// Compaction has put it in the place of `old`.
  void succeed(const Segment& old);
  /// Compaction wrote it, in this life of the process or before: offsets may be missing.
  bool compacted() const { return compacted_; }
  void set_compacted() { compacted_ = true; }
  /// Tells it from those that had its place before.
  std::uint32_t life() const { return life_; }
  /// What is on disk, by file sizes alone.
  static Result<std::unique_ptr<Segment>> load(const LogPlace& place, Offset base);

  Offset base() const { return base_; }
  std::uint64_t size() const { return size_; }
  /// The log file with everything up to size(), opened if need be. Errors: those of File; disk_full when what waits
  /// could not be written, which goes on waiting.
  Result<std::shared_ptr<File>> file();
  /// For reading alone, what lies below `end`: never disk_full; what waits is then read from memory.
  Result<std::shared_ptr<File>> readable(std::uint64_t end);
  /// Bytes at the end that are in memory alone.
  std::uint64_t waiting() const { return tail_ ? tail_->size() : 0; }
  std::string log_path() const;

  /// Writes `batch` at the end with one system call and notes it in the indexes; with `tails`, a small one may wait for
  /// the next file(). On an error nothing counts: the size stays, and the next write goes to the same position. Errors:
  /// disk_full, any other of File.
  Result<void> append(ByteView batch, const BatchHeader& header, WallMillis max_timestamp,
                      std::uint64_t index_interval_bytes, WaitingTails* tails = nullptr);
  /// Notes a batch that lies at `position` in the indexes and sizes, for append and rebuild. Errors: those of an index
  /// write, but never disk_full; after resource_exhausted nothing counts.
  Result<void> note(const BatchHeader& header, WallMillis max_timestamp, std::uint64_t position,
                    std::uint64_t index_interval_bytes);
  /// Empties indexes and sizes before note() is called for each batch again. Pool.
  Result<void> reset_for_rebuild();
  /// Takes up an active segment after a clean stop: reads the batches behind the last index entry. Returns the
  /// offset after the last batch. Errors: corrupt_batch when the tail does not read, those of File.
  Result<Offset> resume();

  /// For a round that is about to sync file(): the task, to come before it, that reserves blocks for the next `step`
  /// bytes, none above `bytes_max`. Syncing into them costs less than when each round looks for its own. Empty while
  /// half of them are left, and where rounds or steps are small. What seal() returns and close_files() give back what
  /// is left.
  std::shared_ptr<File> reserve(std::uint64_t step, std::uint64_t bytes_max);

  /// No more appends: final time index entry, indexes written, files exactly as long as their content. May be repeated
  /// after an error. The files that must be synced.
  Result<std::vector<std::shared_ptr<File>>> seal();

  /// Position of the first batch whose last offset is at or above `offset`, and its header; empty when there is none.
  /// Errors: corrupt_batch (also when `offset` lies in damage).
  Result<std::optional<BatchScanner::Item>> locate(Offset offset);
  /// First batch with a timestamp at or after `timestamp`, a base offset below `end` and records at or above `start`.
  Result<std::optional<BatchScanner::Item>> locate_timestamp(WallMillis timestamp, Offset end, Offset start);
  /// The first of the batches that have the largest timestamp among those between `start` and `end` (as above).
  Result<std::optional<BatchScanner::Item>> locate_max_timestamp(Offset end, Offset start);
  /// Largest timestamp; -1 when none.
  Result<WallMillis> largest_timestamp();
  /// Largest timestamp of the first batch, from which segment.ms counts; empty for an empty segment.
  Result<std::optional<WallMillis>> first_timestamp();
  bool index_full(std::uint64_t index_bytes_max);

  void close_files();
  bool has_open_files() const {
    return file_ != nullptr || offset_index_.file().is_open() || time_index_.file().is_open();
  }
  std::size_t memory_bytes() const;
  /// The log file is longer than size(): a failed append left a part of itself.
  bool has_rest() const { return has_rest_; }
  OffsetIndex& offset_index() { return offset_index_; }
  TimeIndex& time_index() { return time_index_; }
  /// What of this segment does not read; its bytes stay in the file and count.
  const Damage& damage() const { return damage_; }
  /// `file_bytes`: all that the file has.
  void set_damage(Damage damage, std::uint64_t file_bytes);
  /// True once: damage that a read met, and no start has told of, is worth an event.
  bool tell_damage() { return damage_.empty() && !std::exchange(damage_told_, true); }
  /// The stretch around the batch at `position` ends here: at damage, or at size().
  std::uint64_t readable_until(std::uint64_t position) const;
  /// No damaged offsets in what lies at or behind `position`.
  bool reads_to_end(std::uint64_t position) const;
  /// What the seal of this segment says once everything in it is synced; empty when its beginning is not known. `end`:
  /// behind its last batch.
  std::optional<SegmentSeal> seal_facts(Offset end) const;
  /// The chain over all batches in the file, from a scan.
  void set_chain(HeaderChain chain) { chain_ = std::make_unique<HeaderChain>(std::move(chain)); }
  /// Adds what was found since.
  void add_damage(Damage more);

  /// Up to where this process has written or checked the bytes from `position` on; `position` when it has not.
  std::uint64_t checked_to(std::uint64_t position) const;
  void note_checked(std::uint64_t from, std::uint64_t to) { checked_.add(from, to); }
  /// The bytes have left the page cache: they have to be checked when they come back.
  void note_dropped(std::uint64_t from, std::uint64_t to);
  void note_read() { read_since_ = true; }
  /// Half-forgets: see Log::forget_checks.
  void forget_checks();
  /// Cuts everything from `position` on. Pool.
  Result<void> cut(std::uint64_t position);

 private:
  Segment(const LogPlace& place, Offset base);
  Result<void> load_newest_timestamp();
  /// Gives the batches from the one at `position` on to `visit` until it returns true; steps over damage.
  template <class Visit>
  Result<void> walk(std::uint64_t position, Visit visit);
  template <class Visit>
  Result<void> walk_indexed(std::uint64_t position, Visit visit);
  /// True when the batch was copied behind what waits. Errors: those of file().
  Result<bool> let_wait(ByteView batch, WaitingTails* tails);
  Result<void> write_waiting();
  /// What waits, and behind it the batch.
  Result<void> write_at_end(ByteView batch);
  /// Takes up the chain over what is in the file already.
  void prepare_chain();
  Error unreadable(const DamagedRange& range) const;

  const LogPlace* place_;
  Offset base_;
  std::uint64_t size_ = 0;
  Damage damage_;
  std::uint64_t bytes_since_index_ = 0;
  /// Largest timestamp and the last offset of its batch; unknown until asked for after load().
  std::optional<TimeIndex::Entry> newest_;
  std::optional<WallMillis> first_timestamp_;
  std::shared_ptr<File> file_;
  std::unique_ptr<WaitingTail> tail_;  ///< [size_ - waiting(), size_)
  mutable OffsetIndex offset_index_;
  mutable TimeIndex time_index_;
  bool has_rest_ = false;
  std::uint64_t reserved_ = 0;         ///< blocks up to here, unless the disk had none; of use above size_ alone
  bool may_have_blocks_ = false;       ///< some behind the end, of this life of the process or the one before
  std::uint64_t size_at_reserve_ = 0;  ///< at the last reserve()
  bool damage_told_ = false;
  std::unique_ptr<HeaderChain> chain_;  ///< made when first needed: idle segments stay small
  bool chain_unknown_ = false;          ///< the segment was begun without one
  ByteRanges checked_;
  /// Appended by this process and so checked, while it is young: [appended_from_, size_).
  std::optional<std::uint64_t> appended_from_;
  std::uint64_t old_size_ = 0;  ///< at the last forget_checks()
  bool read_since_ = false;     ///< then
  bool compacted_ = false;
  std::uint32_t life_ = 0;
  bool cleaned_ = false;  ///< not named as a segment yet: what is closed could not be opened again
};

}  // namespace mr::storage
