#pragma once
#include <cstdint>

#include "broker/shard_state.h"
#include "storage/segment_verify.h"

namespace mr::broker {

/// Counted over all log directories since the start.
struct ScrubStats {
  std::uint64_t bytes = 0;
  std::uint64_t segments = 0;  ///< read to their end
  std::uint64_t damaged_ranges = 0;
  std::uint64_t unreadable = 0;  ///< segments that the device would not read
  std::uint64_t bad_seals = 0;
  std::uint64_t passes = 0;
  WallMillis last_finished = 0;  ///< when a pass ended; 0: none yet
};

/// A segment to look at, as its log knows it.
struct ScrubTarget {
  storage::SegmentToVerify segment;
  std::string directory;
  std::uint32_t life = 0;  ///< as in SegmentRef
};

/// The first segment of `log` at or above `from` to scrub: a closed one that is durable in its own file, or the one
/// that still grows. Empty when there is none.
std::optional<ScrubTarget> next_to_scrub(storage::Log& log, Offset from, bool closed);

}  // namespace mr::broker
