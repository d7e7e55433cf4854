#include "model/batch_builder.h"

#include <algorithm>

#include "base/crc32c.h"
#include "model/compression.h"
#include "model/varint.h"

namespace mr {
namespace {

void put_number(std::vector<std::byte>& out, std::int64_t value) {
  std::byte bytes[kVarlongBytesMax];
  out.insert(out.end(), bytes, bytes + write_varlong(bytes, value));
}

void put_bytes(std::vector<std::byte>& out, const std::optional<ByteView>& bytes) {
  if (!bytes) return put_number(out, -1);
  put_number(out, static_cast<std::int64_t>(bytes->size()));
  out.insert(out.end(), bytes->begin(), bytes->end());
}

std::size_t nullable_bytes(const std::optional<ByteView>& bytes) {
  if (!bytes) return 1;
  return varlong_bytes(static_cast<std::int64_t>(bytes->size())) + bytes->size();
}

void put_checksum(MutableBytes batch) {
  store_be(batch.data() + BatchHeader::kCrcAt, crc32c(ByteView(batch).subspan(BatchHeader::kAttributesAt)));
}

}  // namespace

void BatchBuilder::add(const NewRecord& record, std::optional<std::int32_t> offset_delta) {
  std::int32_t delta = offset_delta.value_or(last_delta_ + 1);
  MR_CHECK(delta > last_delta_);
  if (count_ == 0) base_timestamp_ = record.timestamp;
  std::int64_t timestamp_delta = record.timestamp - base_timestamp_;

  std::size_t body = 1 + varlong_bytes(timestamp_delta) + varlong_bytes(delta) + nullable_bytes(record.key) +
                     nullable_bytes(record.value) + varlong_bytes(static_cast<std::int64_t>(record.headers.size()));
  for (const RecordHeader& header : record.headers)
    body += nullable_bytes(as_bytes(header.key)) + nullable_bytes(header.value);

  put_number(records_, static_cast<std::int64_t>(body));
  records_.push_back(std::byte{0});  // attributes
  put_number(records_, timestamp_delta);
  put_number(records_, delta);
  put_bytes(records_, record.key);
  put_bytes(records_, record.value);
  put_number(records_, static_cast<std::int64_t>(record.headers.size()));
  for (const RecordHeader& header : record.headers) {
    put_bytes(records_, as_bytes(header.key));
    put_bytes(records_, header.value);
  }
  last_delta_ = delta;
  max_timestamp_ = count_ == 0 ? record.timestamp : std::max(max_timestamp_, record.timestamp);
  ++count_;
}

Result<std::vector<std::byte>> BatchBuilder::build() const {
  MR_CHECK(count_ > 0);
  std::vector<std::byte> batch(BatchHeader::kBytes);
  MR_TRY_VOID(compress(options_.codec, records_, batch, options_.level));
  auto attributes = static_cast<std::int16_t>(static_cast<int>(options_.codec) | (options_.log_append_time ? 0x08 : 0) |
                                              (options_.transactional ? 0x10 : 0) | (options_.control ? 0x20 : 0));
  std::byte* p = batch.data();
  store_be(p + BatchHeader::kBaseOffsetAt, options_.base_offset.v);
  store_be(p + BatchHeader::kLengthAt, static_cast<std::int32_t>(batch.size() - BatchHeader::kLengthPrefix));
  store_be(p + BatchHeader::kLeaderEpochAt, options_.leader_epoch.v);
  store_be(p + BatchHeader::kMagicAt, std::int8_t{2});
  store_be(p + BatchHeader::kAttributesAt, attributes);
  store_be(p + 23, last_delta_);
  store_be(p + 27, base_timestamp_);
  store_be(p + BatchHeader::kMaxTimestampAt, max_timestamp_);
  store_be(p + 43, options_.producer_id.v);
  store_be(p + 51, options_.producer_epoch.v);
  store_be(p + 53, options_.base_sequence.v);
  store_be(p + 57, count_);
  put_checksum(batch);
  return batch;
}

void BatchBuilder::clear() {
  records_.clear();
  count_ = 0;
  last_delta_ = -1;
  base_timestamp_ = 0;
  max_timestamp_ = -1;
}

void restamp_batch(MutableBytes batch, WallMillis max_timestamp, bool log_append_time) {
  std::byte* attributes = batch.data() + BatchHeader::kAttributesAt;
  if (log_append_time) store_be(attributes, static_cast<std::int16_t>(load_be<std::int16_t>(attributes) | 0x08));
  store_be(batch.data() + BatchHeader::kMaxTimestampAt, max_timestamp);
  put_checksum(batch);
}

}  // namespace mr
