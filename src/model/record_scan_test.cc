// Aim: records that come in pieces are judged as those that are there as a whole, wherever the pieces end. Method: good
// and damaged records, cut into pieces of every kind, against RecordReader.
#include "model/record_scan.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "model/batch_builder.h"
#include "model/record.h"

namespace mr {
namespace {

using Seen = RecordScan::Seen;

struct Verdict {
  std::vector<std::tuple<std::int64_t, std::int32_t, bool>> seen;
  bool ok = false;
  std::int32_t index = 0;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

Verdict as_a_whole(ByteView records, std::int32_t count) {
  Verdict verdict;
  RecordReader in(records, count);
  for (Record record; in.next(record);)
    verdict.seen.emplace_back(record.timestamp_delta, record.offset_delta, record.key.has_value());
  verdict.ok = in.ok();
  verdict.index = in.index();
  return verdict;
}

/// Pieces of `sizes` in turn.
Verdict in_pieces(ByteView records, std::int32_t count, std::initializer_list<std::size_t> sizes) {
  Verdict verdict;
  RecordScan in(count);
  bool fine = true;
  auto each = [&](const Seen& record) {
    verdict.seen.emplace_back(record.timestamp_delta, record.offset_delta, record.has_key);
    return true;
  };
  for (auto size = sizes.begin(); fine && !records.empty();) {
    const std::size_t n = std::min(*size, records.size());
    fine = in.feed(records.first(n), each);
    records = records.subspan(n);
    if (++size == sizes.end()) size = sizes.begin();
  }
  verdict.ok = fine && in.finish();
  EXPECT_EQ(verdict.ok, in.problem() == nullptr);
  verdict.index = in.index();
  return verdict;
}

std::vector<std::byte> records_of(std::mt19937_64& rng, int count) {
  BatchBuilder builder;
  for (int i = 0; i < count; ++i) {
    std::string text(rng() % 200, 'v');
    std::vector<RecordHeader> headers(rng() % 4, {"name", as_bytes(text)});
    builder.add({.timestamp = static_cast<WallMillis>(rng() % 100'000),
                 .key = rng() % 2 ? std::optional(as_bytes(text)) : std::nullopt,
                 .value = rng() % 4 ? std::optional(as_bytes(text)) : std::nullopt,
                 .headers = headers});
  }
  auto batch = *builder.build();
  return {batch.begin() + BatchHeader::kBytes, batch.end()};
}

void compare(ByteView records, std::int32_t count) {
  const Verdict wanted = as_a_whole(records, count);
  EXPECT_EQ(in_pieces(records, count, {1}), wanted);
  EXPECT_EQ(in_pieces(records, count, {2, 1, 7}), wanted);
  EXPECT_EQ(in_pieces(records, count, {100, 3}), wanted);
  EXPECT_EQ(in_pieces(records, count, {1 << 20}), wanted);
}

TEST(RecordScan, GoodRecordsWhereverTheyAreCut) {
  std::mt19937_64 rng(3);
  for (int count : {1, 2, 30}) {
    auto records = records_of(rng, count);
    compare(records, count);
    EXPECT_TRUE(in_pieces(records, count, {1}).ok);
    compare(records, count + 1);
    compare(records, count - 1);
    EXPECT_FALSE(in_pieces(records, count + 1, {5}).ok) << "one is missing";
    EXPECT_FALSE(in_pieces(records, count - 1, {5}).ok) << "one too many";
  }
}

TEST(RecordScan, EveryPrefixAndManyDamages) {
  std::mt19937_64 rng(4);
  auto records = records_of(rng, 6);
  for (std::size_t n = 0; n < records.size(); ++n) compare(ByteView(records).first(n), 6);
  for (int i = 0; i < 3000; ++i) {
    auto damaged = records;
    for (int k = 0; k < 1 + i % 3; ++k) damaged[rng() % damaged.size()] = static_cast<std::byte>(rng());
    compare(damaged, 6);
    if (HasFailure()) return;
  }
}

TEST(RecordScan, EnoughIsEnough) {
  std::mt19937_64 rng(5);
  auto records = records_of(rng, 10);
  RecordScan in(10);
  int seen = 0;
  EXPECT_FALSE(in.feed(records, [&](const Seen&) { return ++seen < 4; }));
  EXPECT_EQ(seen, 4);
  EXPECT_EQ(in.problem(), nullptr);
}

}  // namespace
}  // namespace mr
