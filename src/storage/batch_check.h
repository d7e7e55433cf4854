#pragma once
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/env.h"
#include "storage/damage.h"

namespace mr::storage {

/// Bytes of one segment file whose batches somebody should look at, and what is known of the segment.
struct BatchRange {
  std::uint64_t position = 0;  ///< where a batch starts
  std::uint64_t end = 0;       ///< the batch that holds the last byte below is looked at as a whole
  std::uint64_t limit = 0;     ///< readable end: no batch reaches beyond
  std::uint64_t size = 0;      ///< of the whole segment
  Offset first{0};             ///< the segment's base offset
  Offset next{INT64_MAX};      ///< no batch of it ends above (exclusive)
  bool holes_allowed = true;   ///< a compacted topic: offsets may be missing
};

struct BatchCheck {
  std::uint64_t good_end = 0;  ///< the batches up to here are sound
  std::optional<Error> bad;    ///< corrupt_batch: what is wrong with the batch at good_end
  bool healed = false;         ///< a batch was bad, and good when read again from the device
};

/// Looks at the batches of `range`: framing, checksum, offsets that grow (base offsets lie outside the checksum). A bad
/// batch is read once more past the page cache before it counts as bad. Reads in chunks of kCheckChunkBytes. Pool.
/// Errors: those of File; damage is none.
Result<BatchCheck> check_batches(File& file, const BatchRange& range);
inline constexpr std::size_t kCheckChunkBytes = 256u << 10;

/// All damage of the segment that `range` lies in, once something in it was found bad: which offsets do not read, and
/// where the file goes on behind them. Reads the whole segment. Pool. Errors: those of File.
Result<Damage> survey_damage(File& file, const BatchRange& range);

}  // namespace mr::storage
