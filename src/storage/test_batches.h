#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "model/batch_header.h"

/// Well-formed uncompressed batches for tests of this room.
namespace mr::storage::test {

struct BatchSpec {
  std::int32_t records = 1;
  WallMillis timestamp = 1'000;  ///< of every record
  std::size_t value_bytes = 10;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  char fill = 'x';
};

inline void put_varint(std::vector<std::byte>& out, std::int64_t value) {
  std::uint64_t zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  while (zigzag >= 0x80) {
    out.push_back(static_cast<std::byte>(zigzag | 0x80));
    zigzag >>= 7;
  }
  out.push_back(static_cast<std::byte>(zigzag));
}

inline std::vector<std::byte> make_batch(const BatchSpec& spec) {
  std::vector<std::byte> batch(BatchHeader::kBytes);
  for (std::int32_t i = 0; i < spec.records; ++i) {
    std::vector<std::byte> record;
    record.push_back(std::byte{0});
    put_varint(record, 0);
    put_varint(record, i);
    put_varint(record, -1);
    put_varint(record, static_cast<std::int64_t>(spec.value_bytes));
    record.insert(record.end(), spec.value_bytes, static_cast<std::byte>(spec.fill));
    put_varint(record, 0);
    put_varint(batch, static_cast<std::int64_t>(record.size()));
    batch.insert(batch.end(), record.begin(), record.end());
  }
  std::byte* p = batch.data();
  store_be<std::int64_t>(p, 0);
  store_be(p + BatchHeader::kLengthAt, static_cast<std::int32_t>(batch.size() - BatchHeader::kLengthPrefix));
  store_be<std::int32_t>(p + BatchHeader::kLeaderEpochAt, -1);
  store_be<std::int8_t>(p + BatchHeader::kMagicAt, 2);
  store_be<std::int16_t>(p + BatchHeader::kAttributesAt, 0);
  store_be<std::int32_t>(p + 23, spec.records - 1);
  store_be<std::int64_t>(p + 27, spec.timestamp);
  store_be<std::int64_t>(p + BatchHeader::kMaxTimestampAt, spec.timestamp);
  store_be(p + 43, spec.producer_id);
  store_be(p + 51, spec.producer_epoch);
  store_be(p + 53, spec.base_sequence);
  store_be(p + 57, spec.records);
  store_be(p + BatchHeader::kCrcAt, crc32c(ByteView(batch).subspan(BatchHeader::kAttributesAt)));
  return batch;
}

inline BatchHeader header_of(ByteView batch) { return *BatchHeader::parse(batch); }

}  // namespace mr::storage::test
