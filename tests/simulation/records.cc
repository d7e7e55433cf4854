#include "tests/simulation/records.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/crc32c.h"
#include "model/compression.h"

namespace mr::sim {

namespace {

constexpr std::size_t kHeaderBytes = 61;
constexpr std::size_t kCrcFrom = 21;
constexpr std::uint64_t kRecordsBytesMax = 8_MiB;

void put_varint(std::vector<std::byte>& out, std::int64_t value) {
  auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  while (zigzag >= 0x80) {
    out.push_back(std::byte(zigzag & 0x7f) | std::byte{0x80});
    zigzag >>= 7;
  }
  out.push_back(std::byte(zigzag));
}

void put_bytes(std::vector<std::byte>& out, std::string_view text) {
  ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Bounds-checked walk over one batch.
struct Cursor {
  ByteView bytes;
  bool failed = false;

  std::int64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes.empty()) break;
      auto b = static_cast<std::uint64_t>(bytes[0]);
      bytes = bytes.subspan(1);
      value |= (b & 0x7f) << shift;
      if ((b & 0x80) == 0) return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
    failed = true;
    return 0;
  }
  ByteView take(std::int64_t count) {
    if (count < 0 || static_cast<std::uint64_t>(count) > bytes.size()) {
      failed = true;
      return {};
    }
    ByteView taken = bytes.first(static_cast<std::size_t>(count));
    bytes = bytes.subspan(taken.size());
    return taken;
  }
};

Error bad(std::int64_t base, std::string_view why) {
  return {Errc::malformed, fmt::format("batch at {}: {}", base, why)};
}

Result<void> read_records(SeenBatch& batch, Cursor cursor, std::int32_t count, WallMillis base_timestamp) {
  for (std::int32_t i = 0; i < count; ++i) {
    Cursor record{.bytes = cursor.take(cursor.varint())};
    (void)record.take(1);  // attributes
    std::int64_t timestamp_delta = record.varint();
    std::int64_t offset_delta = record.varint();
    if (offset_delta != i) return bad(batch.base_offset, "offset deltas are not dense");
    std::int64_t key_bytes = record.varint();
    if (key_bytes > 0) (void)record.take(key_bytes);
    std::int64_t value_bytes = record.varint();
    ByteView value = value_bytes > 0 ? record.take(value_bytes) : ByteView{};
    std::int64_t headers = record.varint();
    if (cursor.failed || record.failed) return bad(batch.base_offset, "record is cut");
    if (headers != 0 || !record.bytes.empty()) return bad(batch.base_offset, "record has bytes nobody wrote");
    batch.records.push_back({.offset = batch.base_offset + i,
                             .timestamp = base_timestamp + timestamp_delta,
                             .value = std::string(as_text(value))});
  }
  if (!cursor.bytes.empty()) return bad(batch.base_offset, "bytes after the last record");
  return {};
}

}  // namespace

std::vector<std::byte> make_batch(const BatchSpec& spec) {
  std::vector<std::byte> records;
  for (std::size_t i = 0; i < spec.values.size(); ++i) {
    std::vector<std::byte> record{std::byte{0}};  // attributes
    put_varint(record, static_cast<std::int64_t>(i));
    put_varint(record, static_cast<std::int64_t>(i));
    put_varint(record, -1);  // no key
    put_varint(record, static_cast<std::int64_t>(spec.values[i].size()));
    put_bytes(record, spec.values[i]);
    put_varint(record, 0);
    put_varint(records, static_cast<std::int64_t>(record.size()));
    records.insert(records.end(), record.begin(), record.end());
  }
  std::vector<std::byte> out(kHeaderBytes);
  if (spec.codec == Codec::none) {
    out.insert(out.end(), records.begin(), records.end());
  } else {
    MR_CHECK(compress(spec.codec, records, out).ok());
  }
  auto count = static_cast<std::int32_t>(spec.values.size());
  std::byte* h = out.data();
  store_be<std::int64_t>(h, 0);
  store_be<std::int32_t>(h + 8, static_cast<std::int32_t>(out.size() - 12));
  store_be<std::int32_t>(h + 12, -1);
  h[16] = std::byte{2};
  store_be<std::int16_t>(h + 21, static_cast<std::int16_t>(spec.codec));
  store_be<std::int32_t>(h + 23, count - 1);
  store_be<std::int64_t>(h + 27, spec.timestamp);
  store_be<std::int64_t>(h + 35, spec.timestamp + count - 1);
  store_be<std::int64_t>(h + 43, spec.producer_id);
  store_be<std::int16_t>(h + 51, spec.producer_epoch);
  store_be<std::int32_t>(h + 53, spec.base_sequence);
  store_be<std::int32_t>(h + 57, count);
  store_be<std::uint32_t>(h + 17, crc32c(ByteView(out).subspan(kCrcFrom)));
  return out;
}

Result<std::vector<SeenBatch>> read_batches(ByteView bytes) {
  std::vector<SeenBatch> batches;
  while (bytes.size() >= kHeaderBytes) {
    const std::byte* h = bytes.data();
    SeenBatch batch{.base_offset = load_be<std::int64_t>(h),
                    .leader_epoch = load_be<std::int32_t>(h + 12),
                    .producer_id = load_be<std::int64_t>(h + 43),
                    .producer_epoch = load_be<std::int16_t>(h + 51),
                    .base_sequence = load_be<std::int32_t>(h + 53),
                    .records = {}};
    std::int64_t length = load_be<std::int32_t>(h + 8);
    if (length < 49 || h[16] != std::byte{2}) return bad(batch.base_offset, "no batch header here");
    batch.bytes = static_cast<std::size_t>(length) + 12;
    if (batch.bytes > bytes.size()) break;
    ByteView whole = bytes.first(batch.bytes);
    if (crc32c(whole.subspan(kCrcFrom)) != load_be<std::uint32_t>(h + 17)) {
      return bad(batch.base_offset, "checksum");
    }
    std::int32_t count = load_be<std::int32_t>(h + 57);
    if (count < 1 || load_be<std::int32_t>(h + 23) != count - 1) return bad(batch.base_offset, "counts");
    thread_local Inflater inflater;
    auto codec = static_cast<Codec>(load_be<std::int16_t>(h + 21) & 7);
    MR_TRY(ByteView records, inflater.inflate(codec, whole.subspan(kHeaderBytes), kRecordsBytesMax));
    MR_TRY_VOID(read_records(batch, {.bytes = records}, count, load_be<std::int64_t>(h + 27)));
    batches.push_back(std::move(batch));
    bytes = bytes.subspan(whole.size());
  }
  return batches;
}

std::string tagged_value(const std::string& name, std::uint64_t number, std::size_t bytes) {
  std::string text = fmt::format("{}/{}/", name, number);
  std::uint64_t state = number * 0x9e3779b97f4a7c15ull + name.size();
  // Eight letters a step: this is a good part of what a simulation computes.
  while (text.size() < bytes) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    std::uint64_t letters = 0x6161616161616161ull + ((state >> 7) & 0x0f0f0f0f0f0f0f0full);
    text.append(reinterpret_cast<const char*>(&letters), std::min<std::size_t>(8, bytes - text.size()));
  }
  return text;
}

}  // namespace mr::sim
