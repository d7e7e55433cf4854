#pragma once
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"

namespace mr {

/// Codec of a batch's records; the low three attribute bits.
enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

/// The 61 fixed bytes in front of a record batch v2 (magic 2), decoded. Layout: docs/formats/record-batch.md.
struct BatchHeader {
  static constexpr std::size_t kBytes = 61;
  /// Bytes in front of what batch_length counts.
  static constexpr std::size_t kLengthPrefix = 12;
  // Positions that are read or patched without decoding the rest.
  static constexpr std::size_t kBaseOffsetAt = 0;
  static constexpr std::size_t kLengthAt = 8;
  static constexpr std::size_t kLeaderEpochAt = 12;
  static constexpr std::size_t kMagicAt = 16;
  static constexpr std::size_t kCrcAt = 17;
  static constexpr std::size_t kAttributesAt = 21;
  static constexpr std::size_t kBaseTimestampAt = 27;
  static constexpr std::size_t kMaxTimestampAt = 35;
  static constexpr std::size_t kRecordsCountAt = 57;

  std::int64_t base_offset = 0;
  std::int32_t batch_length = 0;
  std::int32_t leader_epoch = -1;
  std::int8_t magic = 2;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = -1;
  std::int64_t max_timestamp = -1;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t records_count = 0;

  /// Whole batch on disk and on the wire.
  std::size_t total_bytes() const { return kLengthPrefix + static_cast<std::size_t>(batch_length); }
  Offset last_offset() const { return Offset{base_offset + last_offset_delta}; }
  Offset next_offset() const { return Offset{base_offset + last_offset_delta + 1}; }
  Codec codec() const { return static_cast<Codec>(attributes & 7); }
  bool log_append_time() const { return (attributes & 0x08) != 0; }
  bool transactional() const { return (attributes & 0x10) != 0; }
  bool control() const { return (attributes & 0x20) != 0; }
  bool delete_horizon() const { return (attributes & 0x40) != 0; }
  bool has_producer() const { return producer_id >= 0; }
  /// Sequence of the last record; wraps from 2147483647 to 0 (traps.md 54).
  std::int32_t last_sequence() const;

  /// Decodes the fixed part. Checks what makes the rest safe to touch: 61 bytes there, magic 2, batch_length at
  /// least 49, counts not negative. Does not look at the records nor the checksum, nor whether batch_length bytes
  /// are there. Errors: malformed (too short), corrupt_batch (length or counts impossible), invalid_record (magic).
  static Result<BatchHeader> parse(ByteView bytes);
};

/// CRC-32C over everything from the attributes to the end. `batch` is the whole batch.
bool batch_crc_matches(ByteView batch);

/// Sets base offset and leader epoch; both lie before the CRC.
void patch_batch(MutableBytes batch, Offset base_offset, LeaderEpoch epoch);

/// Next sequence after `sequence`, `count` records on, with Kafka's wrap.
constexpr std::int32_t advance_sequence(std::int32_t sequence, std::int32_t count) {
  std::int64_t next = static_cast<std::int64_t>(sequence) + count;
  return static_cast<std::int32_t>(next & 0x7fffffff);
}

}  // namespace mr
