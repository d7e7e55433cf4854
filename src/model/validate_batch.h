#pragma once
#include <cstdint>
#include <expected>
#include <limits>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "model/batch_header.h"

namespace mr {

/// Records of a stored batch inflate to no more than this.
inline constexpr std::uint64_t kInflatedBytesMax = 256u << 20;
/// What is inflated on a shard: a fraction of a millisecond.
inline constexpr std::uint64_t kInflatedWholeMax = 1u << 20;

/// What a topic and a request allow (traps.md 45-53).
struct BatchRules {
  std::int32_t batch_bytes_max = 1'048'588;  ///< max.message.bytes, of the batch as sent, with its first 12 bytes
  bool compacted = false;                    ///< records need keys
  bool zstd_allowed = true;                  ///< Produce v7 and above
  bool log_append_time = false;              ///< the topic stamps the time: record timestamps are not judged
  std::int64_t timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t timestamp_after_max_ms = std::numeric_limits<std::int64_t>::max();
  WallMillis now = 0;
  /// What a compressed batch may grow to while we look inside; over it the batch is refused (too_large). At most
  /// kInflatedWholeMax is inflated at once; more in pieces, which takes longer and what inflation_cost() says.
  std::uint64_t inflated_bytes_max = kInflatedBytesMax;
  /// At most so many records at fault are named; the first always is.
  std::size_t record_faults_max = 100;
};

struct BatchFacts {
  BatchHeader header;
  WallMillis max_timestamp = -1;  ///< recomputed from the records, not trusted from the header
};

/// One record that a batch is refused for.
struct RecordFault {
  std::int32_t index = 0;
  std::string why;
};

struct BatchRefusal {
  Error error;
  std::vector<RecordFault> records;  ///< those at fault, in order; empty when it is the batch (Produce v8 RecordErrors)
};

/// Checks one batch as a client sent it: exactly one batch that fills `batch`, magic 2, length, checksum, base offset
/// 0, counts, dense offset deltas, no control or LogAppendTime bit, sequences, timestamps, keys, codec. Uncompressed
/// records are walked; compressed ones are inflated only to look. Pure. Errors: corrupt_batch, invalid_record,
/// message_too_large, invalid_timestamp, unsupported_compression, too_large.
std::expected<BatchFacts, BatchRefusal> validate_batch(ByteView batch, const BatchRules& rules);

}  // namespace mr
