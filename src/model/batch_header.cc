#include "model/batch_header.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace mr {

std::int32_t BatchHeader::last_sequence() const {
  return base_sequence < 0 ? base_sequence : advance_sequence(base_sequence, last_offset_delta);
}

Result<BatchHeader> BatchHeader::parse(ByteView bytes) {
  if (bytes.size() < kBytes) return Error(Errc::malformed, "record batch shorter than its header");
  const std::byte* p = bytes.data();
  BatchHeader h;
  h.base_offset = load_be<std::int64_t>(p);
  h.batch_length = load_be<std::int32_t>(p + kLengthAt);
  h.leader_epoch = load_be<std::int32_t>(p + kLeaderEpochAt);
  h.magic = load_be<std::int8_t>(p + kMagicAt);
  h.crc = load_be<std::uint32_t>(p + kCrcAt);
  h.attributes = load_be<std::int16_t>(p + kAttributesAt);
  h.last_offset_delta = load_be<std::int32_t>(p + 23);
  h.base_timestamp = load_be<std::int64_t>(p + 27);
  h.max_timestamp = load_be<std::int64_t>(p + kMaxTimestampAt);
  h.producer_id = load_be<std::int64_t>(p + 43);
  h.producer_epoch = load_be<std::int16_t>(p + 51);
  h.base_sequence = load_be<std::int32_t>(p + 53);
  h.records_count = load_be<std::int32_t>(p + 57);
  if (h.magic != 2) return Error(Errc::invalid_record, fmt::format("magic {} is not 2", h.magic));
  if (h.batch_length < static_cast<std::int32_t>(kBytes - kLengthPrefix))
    return Error(Errc::corrupt_batch, fmt::format("batch length {} is below the header's 49", h.batch_length));
  if (h.last_offset_delta < 0 || h.records_count < 0)
    return Error(Errc::corrupt_batch, "negative record count or offset delta");
  return h;
}

bool batch_crc_matches(ByteView batch) {
  return load_be<std::uint32_t>(batch.data() + BatchHeader::kCrcAt) ==
         crc32c(batch.subspan(BatchHeader::kAttributesAt));
}

void patch_batch(MutableBytes batch, Offset base_offset, LeaderEpoch epoch) {
  store_be(batch.data() + BatchHeader::kBaseOffsetAt, base_offset.v);
  store_be(batch.data() + BatchHeader::kLeaderEpochAt, epoch.v);
}

}  // namespace mr
