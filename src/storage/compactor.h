#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/batch_cleaner.h"
#include "storage/compaction_plan.h"
#include "storage/segment.h"

namespace mr::storage {

/// What one pass of compaction is to do. Plain values, taken on the home shard.
struct CompactionJob {
  std::vector<SegmentFacts> sealed;  ///< as Log::sealed_segments() has them
  Dirtiness dirtiness;
  CompactionConfig config;
  GroupLimits limits;
  std::uint64_t index_interval_bytes = 4096;
  std::set<Offset> producer_ends;  ///< last offset of the newest batch of each active producer: these batches stay
  std::uint64_t map_bytes_max = 128u << 20;
  std::uint64_t buffer_bytes = 512u << 10;  ///< of reading, and of writing
  HashSeed seed;
  WallMillis now = 0;
};

struct CompactionCounts {
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t records_in = 0;   ///< of the segments that were rewritten
  std::uint64_t records_out = 0;  ///< of these what stayed
  std::uint64_t healed = 0;       ///< batches that were bad, and good when read again from the device
};

/// A group of old segments and the one that replaces them, on disk as `.cleaned`, synced with its name.
struct CleanedGroup {
  Offset first;  ///< base of the group and of the new segment
  Offset end;    ///< where the next segment begins
  std::unique_ptr<Segment> segment;
};

/// Writes one log's next shape beside it, in steps that the pool can bear. Looks at no state of the log but files of
/// sealed segments, which do not change; nothing it writes counts before a SegmentReplacement makes it so.
///
/// First the newest offset of each key in the dirty part goes into a map, until that is full; then every segment below
/// is read again and what has been superseded left out, neighbours becoming one segment where they fit. The last batch
/// of each new segment is kept, if need be without records: so the file says itself how far it reaches, no segment is
/// ever empty, and a reader of the last one gets to its end. Each new segment has a seal, and a segment that does not
/// fit the seal it has is damaged: nothing of it is copied. Pool, one call at a time. Life: `place` must stay;
/// remove_output() when it is given up half-way.
class Compactor {
 public:
  Compactor(const LogPlace& place, CompactionJob job);
  ~Compactor();

  enum class State { working, group_ready, done };
  /// Reads and writes about job.buffer_bytes. group_ready: take_group() before the next step. Errors: corrupt_batch
  /// (bad_segment() says where), disk_full, disk_failed, those of File. After an error: stop.
  Result<State> step();
  CleanedGroup take_group();
  /// Removes `.cleaned` files of the group that is being written. Errors do not matter: the next start removes them.
  Result<void> remove_output();

  /// Below it every key has one record left, once all groups are in place.
  Offset cleaned_end() const { return map_end_; }
  /// After corrupt_batch: base of the segment that does not read.
  std::optional<Offset> bad_segment() const { return bad_; }
  CompactionCounts counts() const;
  std::uint64_t map_bytes() const { return map_.bytes(); }

 private:
  class Source;

  Result<State> step_map();
  Result<State> step_write();
  Result<State> plan_groups();
  Result<State> end_group();
  Result<void> write_cleaned_seal();
  Result<std::optional<BatchView>> next_batch();
  Result<void> clean_batch(const BatchView& batch, bool last_of_group);
  Result<void> write_out();
  CleanRules rules() const;

  const LogPlace& place_;
  CompactionJob job_;
  KeyOffsetMap map_;
  BatchCleaner cleaner_;
  std::unique_ptr<Source> source_;  ///< of segment at_; made when needed
  std::size_t at_ = 0;
  bool mapping_ = true;
  Offset map_end_;
  std::vector<SegmentGroup> groups_;
  std::size_t group_ = 0;
  std::unique_ptr<Segment> output_;
  HeaderChain chain_;                 ///< over what output_ has
  Offset output_end_;                 ///< behind its last batch
  std::vector<std::byte> buffer_;     ///< batches on their way to output_
  std::vector<BatchHeader> pending_;  ///< theirs
  bool changed_ = false;              ///< the group does not come out as it went in
  std::optional<Offset> bad_;
  std::uint64_t step_bytes_ = 0;
  CompactionCounts counts_;
};

/// Puts a cleaned group in the place of its old segments. withdraw() and finish() may be repeated after an error. Pool.
/// Order: publish(); the log uses the new segment (Log::replace_segments); finish().
class SegmentReplacement {
 public:
  SegmentReplacement(const LogPlace& place, Offset first, Offset end) : place_(place), first_(first), end_(end) {}

  /// `.cleaned` becomes `.swap`, durably: from here on a crash finds the new segment. Not to be repeated.
  Result<void> publish();
  /// After publish() failed: nothing is left of the new segment, durably.
  Result<void> withdraw();
  /// Gives the old files up, durably, and then gives the new ones their names, durably.
  Result<void> finish();
  /// What finish() has given up, to be deleted like Log::take_deleted_files().
  std::vector<std::string> take_deleted_files() { return std::exchange(deleted_, {}); }

 private:
  Result<void> rename_all(std::string_view from, std::string_view to);
  Result<void> give_up_old();

  const LogPlace& place_;
  Offset first_, end_;
  bool old_given_up_ = false;
  std::vector<std::string> deleted_;
};

}  // namespace mr::storage
