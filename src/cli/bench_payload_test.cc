// Aim: what a load sends are whole batches of the wanted size whose values differ and compress as text does. Method:
// batches are read again.
#include "cli/bench_payload.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "model/batch_builder.h"
#include "model/compression.h"
#include "model/record.h"

namespace mr::cli {
namespace {

class SeededRng : public Rng {
 public:
  std::uint64_t next() override { return engine_(); }

 private:
  std::mt19937_64 engine_{7};
};

/// The values of a batch, whose checksum must match.
std::vector<std::string> values_of(ByteView bytes, BatchHeader& header) {
  std::vector<std::string> values;
  EXPECT_TRUE(batch_crc_matches(bytes));
  header = *BatchHeader::parse(bytes);
  EXPECT_EQ(header.total_bytes(), bytes.size());
  Inflater inflater;
  auto records = inflater.inflate(header.codec(), bytes.subspan(BatchHeader::kBytes), 64 << 20);
  EXPECT_TRUE(records.ok());
  RecordReader in(*records, header.records_count);
  for (Record record; in.next(record);) {
    EXPECT_EQ(record.timestamp_delta, 0);
    values.emplace_back(as_text(*record.value));
  }
  EXPECT_TRUE(in.ok());
  return values;
}

TEST(Payload, ValuesDifferAndHaveTheirSize) {
  SeededRng random;
  for (std::uint32_t size : {1u, 100u, 1024u, 3u << 20}) {
    Payload payload(random, size);
    std::set<std::string> seen;
    for (int i = 0; i < 20; ++i) seen.insert(std::string(as_text(payload.value())));
    for (const std::string& value : seen) EXPECT_EQ(value.size(), size);
    if (size >= 100) EXPECT_EQ(seen.size(), 20u) << size;
  }
}

TEST(ReadyBatches, AreWholeInEveryCodec) {
  SeededRng random;
  Payload payload(random, 1000);
  for (Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    auto ready = ReadyBatches::build(payload, codec, 100);
    ASSERT_TRUE(ready.ok());
    std::set<std::string> seen;
    for (int i = 0; i < 30; ++i) {
      ByteView batch = ready->next(1'700'000'000'000 + i);
      BatchHeader header;
      auto values = values_of(batch, header);
      EXPECT_EQ(header.codec(), codec);
      EXPECT_EQ(header.base_timestamp, 1'700'000'000'000 + i);
      EXPECT_EQ(header.max_timestamp, 1'700'000'000'000 + i);
      ASSERT_EQ(values.size(), 100u);
      for (std::string& value : values) EXPECT_EQ(value.size(), 1000u);
      seen.insert(values.begin(), values.end());
      const double ratio = 100'000.0 / static_cast<double>(batch.size());
      if (codec == Codec::none) continue;
      EXPECT_GT(ratio, 1.3) << static_cast<int>(codec) << ": text gets smaller";
      EXPECT_LT(ratio, 6) << static_cast<int>(codec) << ": and is no row of zeros";
    }
    EXPECT_GT(seen.size(), 1000u) << "several batches go round";
  }
}

TEST(ReadyBatches, FitIntoTheirBytes) {
  SeededRng random;
  for (std::uint32_t size : {1u, 100u, 1024u, 200'000u}) {
    Payload payload(random, size);
    const std::uint32_t records = records_that_fit(size, 128 << 10);
    auto ready = ReadyBatches::build(payload, Codec::none, records);
    ASSERT_TRUE(ready.ok());
    const std::size_t bytes = ready->next(0).size();
    if (size < (128u << 10)) {
      EXPECT_LE(bytes, 128u << 10);
      EXPECT_GE(bytes, size == 1 ? 32u << 10 : 96u << 10) << size;
    } else {
      EXPECT_EQ(records, 1u) << "a large record goes alone";
    }
  }
}

}  // namespace
}  // namespace mr::cli
