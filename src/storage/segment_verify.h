#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "storage/segment_seal.h"
#include "storage/segment_walk.h"

namespace mr::storage {

/// What the caller knows of the segment.
struct SegmentToVerify {
  Offset base;
  Offset end;                  ///< everything below must be there: the next segment's base, or what has been synced
  bool newest = false;         ///< it may hold more than that, with an append under way at its end
  bool holes_allowed = false;  ///< a compacted topic
};

struct SegmentVerdict {
  std::uint64_t bytes = 0;
  std::uint64_t batches = 0;
  Offset next;                      ///< behind the last batch
  Damage damage;                    ///< what does not read, below SegmentToVerify::end
  std::optional<std::string> torn;  ///< the newest segment ends in bytes that are no batch
  std::uint64_t torn_at = 0;        ///< there
  bool sealed = false;              ///< it has a seal, and the headers were compared with it
  std::optional<Error> bad_seal;    ///< there is one, but it does not read
};

/// Called with the bytes of each batch that was read, for progress and throttling; false stops (Errc::cancelled).
using BatchVisit = std::function<bool(File& file, const BatchScanner::Item& item)>;

/// Reads one segment a stretch at a time, for whoever must rest in between; appends may go on. Pool.
class SegmentVerifier {
 public:
  /// Errors: not_found (retention took it), those of File.
  static Result<std::unique_ptr<SegmentVerifier>> open(FileSystem& files, const std::string& directory,
                                                       const SegmentToVerify& segment);
  /// Reads on until about `bytes` more have been read; true at the end. Errors: cancelled, those of File.
  Result<bool> step(std::uint64_t bytes, const BatchVisit& visit = {});
  std::uint64_t position() const { return walk_->position(); }
  /// After the end.
  SegmentVerdict verdict() const;

 private:
  SegmentVerifier() = default;
  Result<bool> read_on(std::uint64_t bytes, const BatchVisit& visit);

  std::string path_;
  bool newest_ = false;
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentWalk> walk_;
  SegmentVerdict verdict_;
};

/// Reads all of one segment: framing, checksums, order of offsets and epochs, and the headers against its seal. Looks
/// past the page cache. Read-only; appends may go on. Pool. Errors: not_found (retention took it), cancelled, those of
/// File; damage is no error.
Result<SegmentVerdict> verify_segment(FileSystem& files, const std::string& directory, const SegmentToVerify& segment,
                                      const BatchVisit& visit = {});

/// Positions that the segment's offset index names, in the index's order; empty when there is none.
Result<std::vector<std::uint64_t>> indexed_positions(FileSystem& files, const std::string& directory, Offset base);

}  // namespace mr::storage
