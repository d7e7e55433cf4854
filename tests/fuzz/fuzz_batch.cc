// Record batches from the network and from disk: header, walk, validation, another codec for what is valid. The first
// byte says whether length and checksum are made right first, so that the fuzzer gets behind them.
#include "base/crc32c.h"
#include "model/recompress.h"
#include "model/record.h"
#include "model/validate_batch.h"

namespace {

void walk(mr::ByteView records, std::int32_t count) {
  mr::RecordReader in(records, count);
  mr::Record record;
  std::size_t bytes = 0;
  while (in.next(record)) {
    bytes += record.key.value_or(mr::ByteView{}).size() + record.value.value_or(mr::ByteView{}).size();
    mr::HeaderReader headers(record);
    mr::RecordHeader header;
    while (headers.next(header)) bytes += header.key.size() + header.value.value_or(mr::ByteView{}).size();
    MR_CHECK(bytes <= records.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mr;
  if (size < 1) return 0;
  auto* first = reinterpret_cast<const std::byte*>(data + 1);
  std::vector<std::byte> bytes(first, first + size - 1);
  if ((data[0] & 1) != 0 && bytes.size() >= BatchHeader::kBytes) {
    store_be(bytes.data() + BatchHeader::kBaseOffsetAt, std::int64_t{0});
    store_be(bytes.data() + BatchHeader::kLengthAt, static_cast<std::int32_t>(bytes.size() - 12));
    store_be(bytes.data() + BatchHeader::kMagicAt, std::int8_t{2});
    store_be(bytes.data() + BatchHeader::kCrcAt, crc32c(ByteView(bytes).subspan(BatchHeader::kAttributesAt)));
  }
  BatchRules rules{.compacted = (data[0] & 2) != 0, .now = 1'700'000'000'000, .inflated_bytes_max = 1 << 20};
  auto facts = validate_batch(bytes, rules);
  if (facts) {
    MR_CHECK(facts->header.total_bytes() == bytes.size());
    MR_CHECK(facts->header.records_count == facts->header.last_offset_delta + 1);
    auto codec = static_cast<Codec>((data[0] >> 2) % 5);
    auto made = recompress_batch(bytes, codec, 0, rules.inflated_bytes_max);
    MR_CHECK(made.ok() && !has_other_codec(*made, codec));
    rules.batch_bytes_max = INT32_MAX;
    auto again = validate_batch(*made, rules);
    MR_CHECK(again && again->max_timestamp == facts->max_timestamp);
    MR_CHECK(again->header.records_count == facts->header.records_count);
  }
  BatchReader in(bytes);
  BatchView batch;
  while (in.next(batch)) walk(batch.records(), batch.header.records_count);
  MR_CHECK(in.position() <= bytes.size());
  return 0;
}
