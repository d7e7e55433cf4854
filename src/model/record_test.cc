// Aim: what BatchBuilder writes the readers read back, and no length inside a batch can lead outside of it. Method:
// round trips, a batch known byte by byte, and every cut and every flipped byte of a batch.
#include "model/record.h"

#include <gtest/gtest.h>

#include "model/batch_builder.h"

namespace mr {
namespace {

using namespace std::literals;

TEST(Varint, RoundTripsAtTheEnds) {
  for (std::int64_t v : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{64}, std::int64_t{-64},
                         std::int64_t{-65}, std::int64_t{1} << 40, INT64_MAX, INT64_MIN}) {
    std::byte bytes[kVarlongBytesMax];
    std::size_t n = write_varlong(bytes, v);
    EXPECT_EQ(n, varlong_bytes(v));
    const std::byte* at = bytes;
    std::int64_t back = 0;
    ASSERT_TRUE(read_varlong(at, bytes + n, back));
    EXPECT_EQ(back, v);
    EXPECT_EQ(at, bytes + n);
    at = bytes;
    EXPECT_FALSE(read_varlong(at, bytes + n - 1, back)) << "cut";
  }
}

TEST(Varint, RefusesNumbersThatAreTooLong) {
  std::string eleven = std::string(10, '\xff') + '\1';
  const std::byte* at = as_bytes(eleven).data();
  std::int64_t wide = 0;
  EXPECT_FALSE(read_varlong(at, at + 11, wide));
  std::string five = "\xff\xff\xff\xff\x1f";
  at = as_bytes(five).data();
  std::int32_t narrow = 0;
  EXPECT_FALSE(read_varint(at, at + 5, narrow));
}

std::vector<std::byte> two_records() {
  BatchBuilder builder;
  RecordHeader headers[] = {{"h", as_bytes("v"sv)}, {"empty", std::nullopt}};
  builder.add({.timestamp = 1000, .key = as_bytes("k"sv), .value = as_bytes("hello"sv), .headers = headers});
  builder.add({.timestamp = 1007, .value = ByteView{}});
  return *builder.build();
}

TEST(Record, RoundTrip) {
  auto bytes = two_records();
  BatchReader batches(bytes);
  BatchView batch;
  ASSERT_TRUE(batches.next(batch));
  EXPECT_EQ(batch.header.base_timestamp, 1000);
  EXPECT_EQ(batch.header.max_timestamp, 1007);
  EXPECT_EQ(batch.header.last_offset_delta, 1);
  EXPECT_TRUE(batch_crc_matches(batch.bytes));
  RecordReader records(batch.records(), batch.header.records_count);
  Record r;
  ASSERT_TRUE(records.next(r));
  EXPECT_EQ(as_text(*r.key), "k");
  EXPECT_EQ(as_text(*r.value), "hello");
  HeaderReader headers(r);
  RecordHeader h;
  ASSERT_TRUE(headers.next(h));
  EXPECT_EQ(h.key, "h");
  EXPECT_EQ(as_text(*h.value), "v");
  ASSERT_TRUE(headers.next(h));
  EXPECT_EQ(h.key, "empty");
  EXPECT_FALSE(h.value);
  EXPECT_FALSE(headers.next(h));
  ASSERT_TRUE(records.next(r));
  EXPECT_EQ(r.timestamp_delta, 7);
  EXPECT_EQ(r.offset_delta, 1);
  EXPECT_FALSE(r.key);
  ASSERT_TRUE(r.value);
  EXPECT_TRUE(r.value->empty()) << "empty is not null";
  EXPECT_FALSE(records.next(r));
  EXPECT_TRUE(records.ok());
  EXPECT_FALSE(batches.next(batch));
  EXPECT_EQ(batches.position(), bytes.size());
}

// The worked example of docs/formats/record-batch.md.
TEST(Record, KnownBytes) {
  BatchBuilder builder;
  builder.add({.timestamp = 0x18c0000000, .key = as_bytes("k"sv), .value = as_bytes("hi"sv)});
  auto bytes = *builder.build();
  std::string hex;
  for (std::byte b : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", std::to_integer<unsigned>(b));
    hex += two;
  }
  EXPECT_EQ(hex,
            "0000000000000000"  // base offset
            "0000003b"          // 59 bytes follow
            "ffffffff"          // leader epoch
            "02"                // magic
            "db682ba0"          // crc
            "0000"              // attributes
            "00000000"          // last offset delta
            "00000018c0000000"  // base timestamp
            "00000018c0000000"  // max timestamp
            "ffffffffffffffff"  // producer id
            "ffff"              // producer epoch
            "ffffffff"          // base sequence
            "00000001"          // records
            "12"                // record of 9 bytes
            "00"                // attributes
            "00"                // timestamp delta
            "00"                // offset delta
            "026b"              // key "k"
            "046869"            // value "hi"
            "00");              // no headers
}

TEST(Record, CutRecordsAreRefused) {
  auto bytes = two_records();
  ByteView records = ByteView(bytes).subspan(BatchHeader::kBytes);
  for (std::size_t n = 0; n < records.size(); ++n) {
    std::vector<std::byte> cut(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(n));
    RecordReader in(cut, 2);
    Record r;
    while (in.next(r)) {
    }
    EXPECT_FALSE(in.ok()) << n;
  }
  RecordReader fewer(records, 1);
  Record r;
  EXPECT_TRUE(fewer.next(r));
  EXPECT_FALSE(fewer.next(r));
  EXPECT_STREQ(fewer.problem(), "bytes behind the last record");
}

TEST(Record, FlippedBytesLeadNowhere) {
  auto bytes = two_records();
  for (std::size_t at = BatchHeader::kBytes; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> bad(bytes.begin() + BatchHeader::kBytes, bytes.end());
      bad[at - BatchHeader::kBytes] ^= static_cast<std::byte>(1 << bit);
      RecordReader in(bad, 2);
      Record r;
      while (in.next(r)) {
        HeaderReader headers(r);
        RecordHeader h;
        while (headers.next(h)) EXPECT_LE(h.key.size(), bad.size());
      }
    }
  }
}

TEST(BatchReader, StopsAtACutBatchAndAtNonsense) {
  auto one = two_records();
  std::vector<std::byte> buffer(one);
  buffer.insert(buffer.end(), one.begin(), one.end() - 1);
  BatchReader in(buffer);
  BatchView batch;
  EXPECT_TRUE(in.next(batch));
  EXPECT_FALSE(in.next(batch));
  EXPECT_FALSE(in.problem()) << "a cut last batch is no error";
  EXPECT_EQ(in.position(), one.size());

  buffer.assign(one.begin(), one.end());
  buffer.resize(buffer.size() + 100);
  BatchReader zeros(buffer);
  EXPECT_TRUE(zeros.next(batch));
  EXPECT_FALSE(zeros.next(batch));
  EXPECT_TRUE(zeros.problem());
}

TEST(BatchBuilder, ProducerFieldsAndFlags) {
  BatchBuilder builder({.codec = Codec::lz4,
                        .base_offset = Offset{100},
                        .leader_epoch = LeaderEpoch{3},
                        .producer_id = ProducerId{7},
                        .producer_epoch = ProducerEpoch{1},
                        .base_sequence = Sequence{0x7fffffff},
                        .transactional = true});
  builder.add({.timestamp = 5, .value = as_bytes("a"sv)});
  builder.add({.timestamp = 4, .value = as_bytes("b"sv)}, 9);
  auto bytes = *builder.build();
  auto header = *BatchHeader::parse(bytes);
  EXPECT_EQ(header.codec(), Codec::lz4);
  EXPECT_TRUE(header.transactional());
  EXPECT_FALSE(header.control());
  EXPECT_EQ(header.last_offset().v, 109);
  EXPECT_EQ(header.records_count, 2);
  EXPECT_EQ(header.max_timestamp, 5);
  EXPECT_EQ(header.producer_id, 7);
  EXPECT_EQ(header.last_sequence(), 8) << "wraps to 0";
}

TEST(BatchBuilder, RestampKeepsTheChecksumRight) {
  auto bytes = two_records();
  restamp_batch(bytes, 5555, true);
  auto header = *BatchHeader::parse(bytes);
  EXPECT_TRUE(header.log_append_time());
  EXPECT_EQ(header.max_timestamp, 5555);
  EXPECT_TRUE(batch_crc_matches(bytes));
}

}  // namespace
}  // namespace mr
