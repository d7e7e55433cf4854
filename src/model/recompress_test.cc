// Aim: a batch stored with another codec is the same batch to everybody who reads it, and one that is not whole or
// grows too large is refused. Method: every codec into every other, compared record by record and field by field.
#include "model/recompress.h"

#include <gtest/gtest.h>

#include <random>

#include "model/batch_builder.h"
#include "model/compression.h"
#include "model/record.h"
#include "model/validate_batch.h"

namespace mr {
namespace {

using namespace std::literals;

constexpr std::uint64_t kBytesMax = 1 << 20;
constexpr Codec kCodecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::vector<std::byte> batch_of(Codec codec, int records = 300) {
  BatchBuilder builder({.codec = codec,
                        .producer_id = ProducerId{4711},
                        .producer_epoch = ProducerEpoch{3},
                        .base_sequence = Sequence{77},
                        .transactional = true});
  std::mt19937_64 rng(5);
  for (int i = 0; i < records; ++i) {
    std::string value(rng() % 200, static_cast<char>('a' + rng() % 26));
    std::vector<RecordHeader> headers(rng() % 3, {"name", as_bytes("value"sv)});
    builder.add({.timestamp = 1000 + static_cast<WallMillis>(rng() % 50),
                 .key = i % 3 == 0 ? std::nullopt : std::optional(as_bytes("key"sv)),
                 .value = as_bytes(value),
                 .headers = headers});
  }
  return *builder.build();
}
std::vector<std::byte> plain_records(ByteView batch) {
  Inflater inflater;
  auto inflated = inflater.inflate(BatchHeader::parse(batch)->codec(), batch.subspan(BatchHeader::kBytes), kBytesMax);
  MR_CHECK(inflated.ok());
  return {inflated->begin(), inflated->end()};
}

TEST(Recompress, EveryCodecIntoEveryOther) {
  for (Codec from : kCodecs)
    for (Codec to : kCodecs) {
      SCOPED_TRACE(std::to_string(static_cast<int>(from)) + " to " + std::to_string(static_cast<int>(to)));
      auto batch = batch_of(from);
      EXPECT_EQ(has_other_codec(batch, to), from != to);
      auto made = recompress_batch(batch, to, 0, kBytesMax);
      ASSERT_TRUE(made.ok()) << made.error().message();
      EXPECT_FALSE(has_other_codec(*made, to));
      EXPECT_TRUE(batch_crc_matches(*made));
      EXPECT_TRUE(std::ranges::equal(plain_records(*made), plain_records(batch)));
      BatchHeader was = *BatchHeader::parse(batch);
      BatchHeader is = *BatchHeader::parse(*made);
      EXPECT_EQ(is.total_bytes(), made->size());
      EXPECT_EQ(is.codec(), to);
      is.attributes = was.attributes;
      is.crc = was.crc;
      is.batch_length = was.batch_length;
      auto facts = validate_batch(*made, {.now = 1000});
      ASSERT_TRUE(facts) << facts.error().error.message();
      EXPECT_EQ(facts->max_timestamp, was.max_timestamp);
      EXPECT_EQ(is.last_offset_delta, was.last_offset_delta);
      EXPECT_EQ(is.base_timestamp, was.base_timestamp);
      EXPECT_EQ(is.max_timestamp, was.max_timestamp);
      EXPECT_EQ(is.producer_id, was.producer_id);
      EXPECT_EQ(is.producer_epoch, was.producer_epoch);
      EXPECT_EQ(is.base_sequence, was.base_sequence);
      EXPECT_EQ(is.records_count, was.records_count);
      EXPECT_TRUE(is.transactional());
    }
}

TEST(Recompress, LevelsAreObeyed) {
  auto batch = batch_of(Codec::none, 3000);
  auto size = [&](Codec codec, int level) { return recompress_batch(batch, codec, level, kBytesMax)->size(); };
  EXPECT_LT(size(Codec::zstd, 19), size(Codec::zstd, 1));
  EXPECT_LT(size(Codec::lz4, 12), size(Codec::lz4, 1));
  EXPECT_NE(size(Codec::gzip, 3), size(Codec::gzip, 1)) << "isa-l's levels are about speed too";
}

TEST(Recompress, WrongBatchesStayWrong) {
  auto batch = batch_of(Codec::gzip);
  auto cut = batch;
  cut.pop_back();
  EXPECT_EQ(recompress_batch(cut, Codec::zstd, 0, kBytesMax).code(), Errc::malformed);
  EXPECT_EQ(recompress_batch(ByteView(batch).first(60), Codec::zstd, 0, kBytesMax).code(), Errc::malformed);
  EXPECT_FALSE(has_other_codec(ByteView(batch).first(60), Codec::zstd));
  auto flipped = batch;
  flipped.back() ^= std::byte{1};
  EXPECT_EQ(recompress_batch(flipped, Codec::zstd, 0, kBytesMax).code(), Errc::corrupt_batch);
  EXPECT_EQ(recompress_batch(batch, Codec::none, 0, 1000).code(), Errc::too_large);
}

}  // namespace
}  // namespace mr
