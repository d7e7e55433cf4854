#include "storage/batch_cleaner.h"

#include <algorithm>

#include "base/crc32c.h"
#include "model/varint.h"

namespace mr::storage {
namespace {

/// A batch that was accepted inflates to less than this.
constexpr std::uint64_t kInflatedBytesMax = 256u << 20;
constexpr std::int16_t kCodecBits = 0x07;
constexpr std::int16_t kDeleteHorizonBit = 0x40;
constexpr std::int64_t kNoTimestamp = -1;

/// What a client wrote may be anything: sums of timestamps wrap instead of overflowing.
std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t wrapping_sub(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

void put_number(std::vector<std::byte>& out, std::int64_t value) {
  std::byte bytes[kVarlongBytesMax];
  out.insert(out.end(), bytes, bytes + write_varlong(bytes, value));
}

/// Copies one record (`raw` begins with its length) with another timestamp delta.
void append_shifted(ByteView raw, std::int64_t timestamp_delta, std::vector<std::byte>& out) {
  const std::byte* at = raw.data();
  const std::byte* end = at + raw.size();
  std::int32_t length = 0;
  std::int64_t old_delta = 0;
  MR_CHECK(read_varint(at, end, length));
  std::byte attributes = *at++;
  MR_CHECK(read_varlong(at, end, old_delta));
  put_number(out, static_cast<std::int64_t>(1 + varlong_bytes(timestamp_delta)) + (end - at));
  out.push_back(attributes);
  put_number(out, timestamp_delta);
  out.insert(out.end(), at, end);
}

}  // namespace

/// What is left of a batch.
struct BatchCleaner::Kept {
  std::vector<std::byte>& records;
  std::int32_t count = 0;
  WallMillis max_timestamp = kNoTimestamp;
  std::int64_t base_timestamp = 0;
  bool delete_horizon = false;
};

bool BatchCleaner::stays(const BatchHeader& header, const Record& record, const CleanRules& rules, bool tombstone) {
  Offset offset{header.base_offset + record.offset_delta};
  if (offset >= rules.map_end) return true;
  if (!record.key) {
    ++counts_.without_key;
    return false;
  }
  if (rules.newest.find(*record.key) > offset) return false;
  bool expired = tombstone && header.delete_horizon() && rules.now >= header.base_timestamp;
  if (rules.keep_tombstones || older_values_stay_) expired = false;
  if (expired) ++counts_.tombstones_dropped;
  return !expired;
}

Result<ByteView> BatchCleaner::inflate(const BatchView& batch) {
  return inflater_.inflate(batch.header.codec(), batch.records(), kInflatedBytesMax);
}

Result<BatchCleaner::Fate> BatchCleaner::clean(const BatchView& batch, const CleanRules& rules, bool keep_empty,
                                               std::vector<std::byte>& out) {
  const BatchHeader& header = batch.header;
  counts_.records_in += static_cast<std::uint64_t>(header.records_count);
  if (left_as_it_is(header)) {
    counts_.records_out += static_cast<std::uint64_t>(header.records_count);
    older_values_stay_ = older_values_stay_ || !header.control();
    return Fate::as_it_is;
  }
  if (header.records_count == 0) return keep_empty ? Fate::as_it_is : Fate::dropped;

  MR_TRY(ByteView records, inflate(batch));
  records_.clear();
  Kept kept{records_, 0, kNoTimestamp, header.base_timestamp, header.delete_horizon()};
  struct Range {
    ByteView raw;
    std::int64_t timestamp;
  };
  std::vector<Range> ranges;
  bool tombstones = false;
  const std::byte* start = records.data();
  RecordReader in(records, header.records_count);
  for (Record record; in.next(record);) {
    const std::byte* end = record.headers.data() + record.headers.size();
    ByteView raw(start, end);
    start = end;
    bool tombstone = record.key && !record.value;
    if (!stays(header, record, rules, tombstone)) continue;
    tombstones = tombstones || tombstone;
    WallMillis timestamp = wrapping_add(header.base_timestamp, record.timestamp_delta);
    kept.max_timestamp = std::max(kept.max_timestamp, timestamp);
    ranges.push_back({raw, timestamp});
  }
  if (!in.ok()) return Error(Errc::corrupt_batch, in.problem());
  counts_.records_out += ranges.size();
  if (ranges.empty()) {
    if (!keep_empty) return Fate::dropped;
    append_empty(batch, out);
    return Fate::rewritten;
  }
  kept.count = static_cast<std::int32_t>(ranges.size());
  // A batch that the map ends in waits for the next pass: its time is one for all of its tombstones.
  bool new_horizon = tombstones && !header.delete_horizon() && header.last_offset() < rules.map_end;
  if (kept.count == header.records_count && !new_horizon) return Fate::as_it_is;
  if (header.log_append_time()) kept.max_timestamp = header.max_timestamp;
  if (new_horizon) {
    kept.delete_horizon = true;
    if (__builtin_add_overflow(rules.now, rules.delete_retention_ms, &kept.base_timestamp))
      kept.base_timestamp = INT64_MAX;
  }
  for (const Range& range : ranges) {
    if (new_horizon) {
      append_shifted(range.raw, wrapping_sub(range.timestamp, kept.base_timestamp), records_);
    } else {
      records_.insert(records_.end(), range.raw.begin(), range.raw.end());
    }
  }
  MR_TRY_VOID(append_rewritten(batch, kept, out));
  return Fate::rewritten;
}

/// As Kafka writes it: no codec, no base timestamp.
void BatchCleaner::append_empty(const BatchView& batch, std::vector<std::byte>& out) {
  std::size_t at = out.size();
  out.insert(out.end(), batch.bytes.begin(), batch.bytes.begin() + BatchHeader::kBytes);
  MutableBytes empty = MutableBytes(out).subspan(at);
  std::byte* p = empty.data();
  store_be(p + BatchHeader::kLengthAt, static_cast<std::int32_t>(BatchHeader::kBytes - BatchHeader::kLengthPrefix));
  store_be(p + BatchHeader::kAttributesAt,
           static_cast<std::int16_t>(batch.header.attributes & ~(kCodecBits | kDeleteHorizonBit)));
  store_be(p + BatchHeader::kBaseTimestampAt, kNoTimestamp);
  store_be(p + BatchHeader::kRecordsCountAt, std::int32_t{0});
  store_be(p + BatchHeader::kCrcAt, crc32c(ByteView(empty).subspan(BatchHeader::kAttributesAt)));
}

Result<void> BatchCleaner::append_rewritten(const BatchView& batch, const Kept& kept, std::vector<std::byte>& out) {
  std::size_t at = out.size();
  out.insert(out.end(), batch.bytes.begin(), batch.bytes.begin() + BatchHeader::kBytes);
  MR_TRY_VOID(compress(batch.header.codec(), kept.records, out));
  MutableBytes written = MutableBytes(out).subspan(at);
  if (written.size() - BatchHeader::kLengthPrefix > INT32_MAX) return Error(Errc::too_large, "cleaned batch");
  std::byte* p = written.data();
  store_be(p + BatchHeader::kLengthAt, static_cast<std::int32_t>(written.size() - BatchHeader::kLengthPrefix));
  store_be(p + BatchHeader::kAttributesAt,
           static_cast<std::int16_t>(batch.header.attributes | (kept.delete_horizon ? kDeleteHorizonBit : 0)));
  store_be(p + BatchHeader::kBaseTimestampAt, kept.base_timestamp);
  store_be(p + BatchHeader::kMaxTimestampAt, kept.max_timestamp);
  store_be(p + BatchHeader::kRecordsCountAt, kept.count);
  store_be(p + BatchHeader::kCrcAt, crc32c(ByteView(written).subspan(BatchHeader::kAttributesAt)));
  return {};
}

}  // namespace mr::storage
