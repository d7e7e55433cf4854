#pragma once
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/compression.h"
#include "model/record.h"
#include "storage/key_offset_map.h"

namespace mr::storage {

/// What holds for every batch of one pass of compaction.
struct CleanRules {
  const KeyOffsetMap& newest;
  Offset map_end;  ///< records at or above stay, whatever the map says
  WallMillis now = 0;
  std::int64_t delete_retention_ms = 0;
  bool keep_tombstones = false;  ///< something older was not looked at: its values must not come back
};

/// Takes records that have been superseded out of one batch. Kafka's rules (traps.md 117):
/// - a record stays when no record of its key above it is in the map, unless it is a tombstone whose time is over: the
///   first cleaning that keeps a tombstone writes the end of its time into the batch (attribute bit 6, base timestamp);
/// - tombstones above a record of a transaction stay: that record stays too, and may be an older value of their key;
/// - records without a key go: compaction cannot tell when they are done with;
/// - base offset, last offset delta, epoch, producer fields, codec and the offsets of what stays do not change;
/// - a batch of which nothing is left goes, or stays as a header when the caller needs it for its numbers;
/// - control batches and batches of transactions stay as they are, until transactions are served.
/// One per pass, which gives it the batches in the order of the log: it knows which of them it has left as they are.
class BatchCleaner {
 public:
  enum class Fate { as_it_is, rewritten, dropped };
  struct Counts {
    std::uint64_t records_in = 0;
    std::uint64_t records_out = 0;
    std::uint64_t tombstones_dropped = 0;
    std::uint64_t without_key = 0;
  };

  /// `batch`: whole, checksum good. Rewritten: the new batch is appended to `out`. Errors: corrupt_batch (the records
  /// do not decode), malformed, too_large, unsupported_compression, internal.
  Result<Fate> clean(const BatchView& batch, const CleanRules& rules, bool keep_empty, std::vector<std::byte>& out);
  const Counts& counts() const { return counts_; }

  /// Calls `visit(record)` for each record of a batch whose keys count for the map, until it says false. False when it
  /// did. Errors: as clean().
  template <class Visit>
  Result<bool> for_each_keyed(const BatchView& batch, Visit visit);

 private:
  struct Kept;
  bool stays(const BatchHeader& header, const Record& record, const CleanRules& rules, bool tombstone);
  Result<ByteView> inflate(const BatchView& batch);
  static void append_empty(const BatchView& batch, std::vector<std::byte>& out);
  static Result<void> append_rewritten(const BatchView& batch, const Kept& kept, std::vector<std::byte>& out);

  Inflater inflater_;
  std::vector<std::byte> records_;  ///< what stays of the present batch
  bool older_values_stay_ = false;  ///< records of a transaction were left below
  Counts counts_;
};

/// Records of these are neither superseded nor supersede.
inline bool left_as_it_is(const BatchHeader& header) { return header.control() || header.transactional(); }

template <class Visit>
Result<bool> BatchCleaner::for_each_keyed(const BatchView& batch, Visit visit) {
  if (left_as_it_is(batch.header) || batch.header.records_count == 0) return true;
  MR_TRY(ByteView records, inflate(batch));
  RecordReader in(records, batch.header.records_count);
  for (Record record; in.next(record);)
    if (record.key && !visit(record)) return false;
  if (!in.ok()) return Error(Errc::corrupt_batch, in.problem());
  return true;
}

}  // namespace mr::storage
