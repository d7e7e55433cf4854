// Aim: each rule of validate_batch refuses its own offence with its own error, and lets the honest batch through with
// every codec. Method: a good batch, one thing changed, the checksum made right again.
#include "model/validate_batch.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "model/batch_builder.h"
#include "model/compression.h"

namespace mr {
namespace {

using namespace std::literals;

constexpr WallMillis kNow = 1'700'000'000'000;

std::vector<std::byte> batch_of(BatchBuilder::Options options = {}, int records = 3) {
  BatchBuilder builder(options);
  for (int i = 0; i < records; ++i)
    builder.add({.timestamp = kNow + i, .key = as_bytes("k"sv), .value = as_bytes("v"sv)});
  return *builder.build();
}
void seal(std::vector<std::byte>& batch) {
  store_be(batch.data() + BatchHeader::kCrcAt, crc32c(ByteView(batch).subspan(BatchHeader::kAttributesAt)));
}
template <class T>
std::vector<std::byte> with(std::size_t at, T value, std::vector<std::byte> batch = batch_of()) {
  store_be(batch.data() + at, value);
  if (at >= BatchHeader::kAttributesAt) seal(batch);
  return batch;
}
/// A batch around records given as bytes.
std::vector<std::byte> around(std::string_view records, std::int32_t count) {
  auto batch = batch_of({}, 1);
  batch.resize(BatchHeader::kBytes);
  for (char c : records) batch.push_back(static_cast<std::byte>(c));
  store_be(batch.data() + BatchHeader::kLengthAt, static_cast<std::int32_t>(batch.size() - 12));
  store_be(batch.data() + 23, count - 1);
  store_be(batch.data() + 57, count);
  seal(batch);
  return batch;
}

struct Verdict {
  Errc code;
  std::int32_t index;
  friend bool operator==(const Verdict&, const Verdict&) = default;
  friend void PrintTo(const Verdict& v, std::ostream* to) { *to << to_string(v.code) << " at " << v.index; }
};
Verdict verdict(ByteView batch, const BatchRules& rules = {.now = kNow}) {
  auto facts = validate_batch(batch, rules);
  if (facts) return {Errc::internal, -99};
  return {facts.error().error.code(), facts.error().records.empty() ? -1 : facts.error().records[0].index};
}

// The limit decides how a compressed batch is looked into, not what is found.
TEST(ValidateBatch, InPiecesAsAWhole) {
  const BatchRules whole{
      .compacted = true, .timestamp_before_max_ms = 1000, .now = kNow, .inflated_bytes_max = 1 << 20};
  BatchRules pieces = whole;
  pieces.inflated_bytes_max = kInflatedBytesMax;
  BatchRules tight = whole;
  tight.inflated_bytes_max = 10'000;
  for (int codec = 1; codec <= 4; ++codec) {
    const BatchBuilder::Options options{.codec = static_cast<Codec>(codec)};
    auto good = batch_of(options, 5000);
    ASSERT_TRUE(validate_batch(good, whole) && validate_batch(good, pieces)) << codec;
    EXPECT_EQ(validate_batch(good, whole)->max_timestamp, validate_batch(good, pieces)->max_timestamp);
    EXPECT_EQ(verdict(good, tight).code, Errc::too_large);
    BatchBuilder builder(options);
    for (int i = 0; i < 3000; ++i)
      builder.add({.timestamp = i % 1000 == 7 ? kNow - 2000 : kNow,
                   .key = i == 2000 ? std::nullopt : std::optional(as_bytes("k"sv)),
                   .value = as_bytes("value"sv)});
    auto bad = *builder.build();
    auto a = validate_batch(bad, whole);
    auto b = validate_batch(bad, pieces);
    ASSERT_TRUE(!a && !b);
    EXPECT_EQ(a.error().error.message(), b.error().error.message());
    ASSERT_EQ(a.error().records.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(a.error().records[i].index, b.error().records[i].index);
      EXPECT_EQ(a.error().records[i].why, b.error().records[i].why);
    }
    for (std::int32_t count : {4999, 5001}) {
      auto wrong = with(57, count, with(23, count - 1, good));
      EXPECT_EQ(verdict(wrong, whole), verdict(wrong, pieces)) << codec << " " << count;
      EXPECT_EQ(verdict(wrong, pieces).code, Errc::invalid_record);
    }
  }
}

TEST(ValidateBatch, AcceptsEveryCodec) {
  for (int codec = 0; codec <= 4; ++codec) {
    auto batch = batch_of({.codec = static_cast<Codec>(codec)}, 1000);
    auto facts = validate_batch(batch, {.compacted = true, .now = kNow});
    ASSERT_TRUE(facts) << codec << ": " << facts.error().error.message();
    EXPECT_EQ(facts->max_timestamp, kNow + 999);
    EXPECT_EQ(facts->header.records_count, 1000);
  }
}

TEST(ValidateBatch, ExactlyOneWholeBatch) {
  auto batch = batch_of();
  EXPECT_EQ(verdict({}), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(ByteView(batch).first(60)), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(ByteView(batch).first(batch.size() - 1)), (Verdict{Errc::invalid_record, -1}));
  auto two = batch;
  two.insert(two.end(), batch.begin(), batch.end());
  EXPECT_EQ(verdict(two), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(with<std::int32_t>(BatchHeader::kLengthAt, 48)), (Verdict{Errc::corrupt_batch, -1}));
  EXPECT_EQ(verdict(with<std::int32_t>(BatchHeader::kLengthAt, -1)), (Verdict{Errc::corrupt_batch, -1}));
}

TEST(ValidateBatch, HeaderRules) {
  EXPECT_EQ(verdict(with<std::int8_t>(BatchHeader::kMagicAt, 1)), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(with<std::int64_t>(0, 5)), (Verdict{Errc::invalid_record, -1})) << "base offset";
  EXPECT_EQ(verdict(with<std::uint32_t>(BatchHeader::kCrcAt, 0)), (Verdict{Errc::corrupt_batch, -1}));
  EXPECT_EQ(verdict(with<std::int16_t>(BatchHeader::kAttributesAt, 0x20)), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(with<std::int16_t>(BatchHeader::kAttributesAt, 0x40)), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(with<std::int16_t>(BatchHeader::kAttributesAt, 0x08)), (Verdict{Errc::invalid_timestamp, -1}));
  EXPECT_EQ(verdict(with<std::int16_t>(BatchHeader::kAttributesAt, 0x10)), (Verdict{Errc::invalid_record, -1}))
      << "transactional without a producer";
  EXPECT_EQ(verdict(with<std::int16_t>(BatchHeader::kAttributesAt, 5)), (Verdict{Errc::unsupported_compression, -1}));
  EXPECT_EQ(verdict(with<std::int32_t>(23, 5)), (Verdict{Errc::invalid_record, -1})) << "last offset delta";
  EXPECT_EQ(verdict(with<std::int32_t>(57, 2)), (Verdict{Errc::invalid_record, -1})) << "count";
  EXPECT_EQ(verdict(with<std::int32_t>(57, -1)), (Verdict{Errc::invalid_record, -1})) << "negative count";
  EXPECT_EQ(verdict(with<std::int32_t>(23, -1)), (Verdict{Errc::invalid_record, -1})) << "negative last offset delta";
  EXPECT_EQ(verdict(with<std::int32_t>(57, 0)), (Verdict{Errc::invalid_record, -1})) << "count";
  EXPECT_EQ(verdict(with<std::int64_t>(43, 9)), (Verdict{Errc::invalid_record, -1})) << "producer without a sequence";
}

TEST(ValidateBatch, IdempotentBatch) {
  auto batch =
      batch_of({.producer_id = ProducerId{9}, .producer_epoch = ProducerEpoch{0}, .base_sequence = Sequence{0}});
  EXPECT_TRUE(validate_batch(batch, {.now = kNow}));
  EXPECT_EQ(verdict(with<std::int16_t>(51, -1, batch)), (Verdict{Errc::invalid_record, -1})) << "epoch";
  EXPECT_EQ(verdict(with<std::int32_t>(53, -1, batch)), (Verdict{Errc::invalid_record, -1})) << "sequence";
}

TEST(ValidateBatch, SizeIsThatOfTheBatchAsSent) {
  auto batch = batch_of();
  auto size = static_cast<std::int32_t>(batch.size());
  EXPECT_TRUE(validate_batch(batch, {.batch_bytes_max = size, .now = kNow}));
  EXPECT_EQ(verdict(batch, {.batch_bytes_max = size - 1, .now = kNow}), (Verdict{Errc::message_too_large, -1}));
}

TEST(ValidateBatch, ZstdNeedsANewerProduce) {
  auto batch = batch_of({.codec = Codec::zstd});
  EXPECT_EQ(verdict(batch, {.zstd_allowed = false, .now = kNow}), (Verdict{Errc::unsupported_compression, -1}));
}

TEST(ValidateBatch, KeysOnCompactedTopics) {
  for (Codec codec : {Codec::none, Codec::zstd}) {
    BatchBuilder builder({.codec = codec});
    builder.add({.timestamp = kNow, .key = as_bytes("k"sv)});
    builder.add({.timestamp = kNow, .key = ByteView{}});
    builder.add({.timestamp = kNow, .value = as_bytes("v"sv)});
    auto batch = *builder.build();
    EXPECT_TRUE(validate_batch(batch, {.now = kNow}));
    EXPECT_EQ(verdict(batch, {.compacted = true, .now = kNow}), (Verdict{Errc::invalid_record, 2}));
  }
}

// A producer learns of every record that it has to take out, and of each why, within a bound.
TEST(ValidateBatch, NamesEveryRecordAtFault) {
  BatchBuilder builder;
  for (int i = 0; i < 6; ++i) {
    bool keyed = i != 1 && i != 4;
    builder.add(
        {.timestamp = i == 5 ? kNow + 101 : kNow, .key = keyed ? std::optional(as_bytes("k"sv)) : std::nullopt});
  }
  auto batch = *builder.build();
  BatchRules rules{.compacted = true, .timestamp_after_max_ms = 200, .now = kNow};
  auto indexes = [&] {
    std::vector<std::int32_t> all;
    for (const RecordFault& fault : validate_batch(batch, rules).error().records) all.push_back(fault.index);
    return all;
  };
  EXPECT_EQ(indexes(), (std::vector{1, 4}));
  EXPECT_EQ(validate_batch(batch, rules).error().error.code(), Errc::invalid_record);
  rules.timestamp_after_max_ms = 100;
  EXPECT_EQ(indexes(), (std::vector{1, 4, 5}));
  EXPECT_EQ(validate_batch(batch, rules).error().error.code(), Errc::invalid_timestamp) << "one is enough";
  rules.record_faults_max = 2;
  EXPECT_EQ(indexes(), (std::vector{1, 4}));
  EXPECT_EQ(validate_batch(batch, rules).error().error.code(), Errc::invalid_timestamp) << "also when it is not named";
  rules.record_faults_max = 0;
  EXPECT_EQ(indexes(), (std::vector{1}));
}

TEST(ValidateBatch, Timestamps) {
  BatchBuilder builder;
  builder.add({.timestamp = kNow - 100});
  builder.add({.timestamp = kNow + 100});
  auto batch = *builder.build();
  EXPECT_TRUE(validate_batch(batch, {.timestamp_before_max_ms = 100, .timestamp_after_max_ms = 100, .now = kNow}));
  EXPECT_EQ(verdict(batch, {.timestamp_before_max_ms = 99, .now = kNow}), (Verdict{Errc::invalid_timestamp, 0}));
  EXPECT_EQ(verdict(batch, {.timestamp_after_max_ms = 99, .now = kNow}), (Verdict{Errc::invalid_timestamp, 1}));
  EXPECT_TRUE(validate_batch(batch, {.log_append_time = true, .timestamp_after_max_ms = 0, .now = kNow}));

  BatchBuilder none;
  none.add({.timestamp = -1});
  EXPECT_TRUE(validate_batch(*none.build(), {.timestamp_before_max_ms = 1, .now = kNow})) << "-1 is no timestamp";
  auto wild = with<std::int64_t>(27, std::numeric_limits<std::int64_t>::max(), batch);
  EXPECT_EQ(verdict(wild), (Verdict{Errc::invalid_timestamp, 1}));
}

TEST(ValidateBatch, MaxTimestampComesFromTheRecords) {
  auto batch = with<std::int64_t>(BatchHeader::kMaxTimestampAt, 5);
  auto facts = validate_batch(batch, {.now = kNow});
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->header.max_timestamp, 5);
  EXPECT_EQ(facts->max_timestamp, kNow + 2);
}

TEST(ValidateBatch, RecordsFillTheBatch) {
  std::string good = "\x0e\0\0\0\1\2v\0"s;  // length 7: attributes, deltas, null key, value "v", no headers
  EXPECT_TRUE(validate_batch(around(good, 1), {.now = kNow}));
  EXPECT_EQ(verdict(around(good + "x", 1)), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(around(good + good, 1)), (Verdict{Errc::invalid_record, -1}));
  EXPECT_EQ(verdict(around(good, 2)), (Verdict{Errc::invalid_record, 1}));
  EXPECT_EQ(verdict(around("\x0c\0\0\0\1\2v\0"s, 1)), (Verdict{Errc::invalid_record, 0})) << "length too small";
  EXPECT_EQ(verdict(around("\x10\0\0\0\1\2v\0\0"s, 1)), (Verdict{Errc::invalid_record, 0})) << "length too large";
  EXPECT_EQ(verdict(around("\x0e\0\0\0\1\x40v\0"s, 1)), (Verdict{Errc::invalid_record, 0})) << "value too long";
  EXPECT_EQ(verdict(around("\x0e\0\0\2\1\2v\0"s, 1)), (Verdict{Errc::invalid_record, 0})) << "offset delta 1";
  EXPECT_EQ(verdict(around("\x0e\0\0\0\1\2v\2"s, 1)), (Verdict{Errc::invalid_record, 0})) << "header missing";
  EXPECT_EQ(verdict(around("\x0e\0\0\0\3\2v\0"s, 1)), (Verdict{Errc::invalid_record, 0})) << "key length -2";
}

TEST(ValidateBatch, CompressedGarbageAndBombs) {
  for (int codec = 1; codec <= 4; ++codec) {
    auto garbage = around("\xff\xff\xff\xff\xff\xff"s, 1);
    store_be(garbage.data() + BatchHeader::kAttributesAt, static_cast<std::int16_t>(codec));
    seal(garbage);
    EXPECT_EQ(verdict(garbage), (Verdict{Errc::invalid_record, -1})) << codec;

    BatchBuilder builder({.codec = static_cast<Codec>(codec)});
    std::string zeros(1 << 20, '\0');
    builder.add({.timestamp = kNow, .value = as_bytes(zeros)});
    auto bomb = *builder.build();
    EXPECT_EQ(verdict(bomb, {.now = kNow, .inflated_bytes_max = 1 << 20}), (Verdict{Errc::too_large, -1})) << codec;
  }
}

// The checksum guards the bytes behind it, the rules guard the rest: no flipped bit passes unseen but in the leader
// epoch, which the broker sets.
TEST(ValidateBatch, EveryFlippedBitIsSeen) {
  auto batch = batch_of();
  for (std::size_t at = 0; at < batch.size(); ++at) {
    if (at >= BatchHeader::kLeaderEpochAt && at < BatchHeader::kMagicAt) continue;
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = batch;
      bad[at] ^= static_cast<std::byte>(1 << bit);
      EXPECT_FALSE(validate_batch(bad, {.now = kNow})) << at << "." << bit;
    }
  }
}

}  // namespace
}  // namespace mr
