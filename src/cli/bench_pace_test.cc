// Aim: records are due at their own times whatever the broker does, batches fill or linger, bounds are exact. Method:
// times without a clock.
#include "cli/bench_pace.h"

#include <gtest/gtest.h>

#include <vector>

namespace mr::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart = TimePoint(seconds(1000));

/// Takes batches as soon as they are ready, at most `pause` after the one before.
std::vector<DueRecords> run(Pacer& pacer, Duration pause = {}) {
  std::vector<DueRecords> all;
  for (TimePoint now = kStart; auto ready = pacer.ready(now); now += pause) {
    now = std::max(now, *ready);
    if (!pacer.ready(now)) break;
    all.push_back(pacer.take(now));
    if (all.size() > 100'000) break;
  }
  return all;
}
std::uint64_t total(const std::vector<DueRecords>& batches) {
  std::uint64_t n = 0;
  for (const DueRecords& batch : batches) n += batch.count;
  return n;
}

TEST(Pacer, EachRecordIsDueAtItsTime) {
  Pacer pacer({.rate = 1000, .start = kStart, .counts_from = kStart, .ends = kStart + seconds(2)});
  auto batches = run(pacer);
  ASSERT_EQ(batches.size(), 2000u);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    EXPECT_EQ(batches[i].count, 1u);
    EXPECT_EQ(batches[i].due(0), kStart + milliseconds(i));
  }
}

// A rate whose step is no whole number of nanoseconds must not drift.
TEST(Pacer, OddRatesKeepTheirPace) {
  Pacer pacer({.rate = 7777, .start = kStart, .counts_from = kStart, .ends = kStart + seconds(10)});
  EXPECT_EQ(total(run(pacer)), 77'770u);
}

// Who comes late finds all that has become due meanwhile, with the times it was due at: no coordinated omission.
TEST(Pacer, LateBatchesHoldWhatWasDueMeanwhile) {
  Pacer pacer({.rate = 1000, .start = kStart, .counts_from = kStart, .batch_records_max = 100});
  ASSERT_EQ(pacer.ready(kStart), kStart);
  EXPECT_EQ(pacer.take(kStart).count, 1u);
  const TimePoint late = kStart + milliseconds(50);
  EXPECT_EQ(pacer.owed(late), 50u);
  DueRecords batch = pacer.take(late);
  EXPECT_EQ(batch.count, 50u);
  EXPECT_EQ(batch.due(0), kStart + milliseconds(1));
  EXPECT_EQ(batch.due(49), late);
  EXPECT_EQ(pacer.ready(late), late + milliseconds(1));
  EXPECT_EQ(pacer.take(late + milliseconds(1000)).count, 100u) << "a batch at most";
  EXPECT_EQ(pacer.owed(late + milliseconds(1000)), 900u);
}

TEST(Pacer, ABatchLingersUntilItIsFull) {
  Pacer pacer(
      {.rate = 1000, .start = kStart, .counts_from = kStart, .batch_records_max = 10, .linger = milliseconds(5)});
  EXPECT_EQ(pacer.ready(kStart), kStart + milliseconds(5));
  EXPECT_EQ(pacer.take(kStart + milliseconds(5)).count, 6u) << "due at 0 to 5 ms";
  Pacer patient({.rate = 1000, .start = kStart, .counts_from = kStart, .batch_records_max = 10, .linger = seconds(1)});
  EXPECT_EQ(patient.ready(kStart), kStart + milliseconds(9));
  EXPECT_EQ(patient.take(kStart + milliseconds(9)).count, 10u);
}

TEST(Pacer, TheLastOnesDoNotLingerPastTheEnd) {
  Pacer pacer({.rate = 1000,
               .start = kStart,
               .counts_from = kStart,
               .ends = kStart + milliseconds(25),
               .batch_records_max = 100,
               .linger = milliseconds(10)});
  EXPECT_EQ(total(run(pacer)), 25u);
  EXPECT_EQ(pacer.owed(kStart + seconds(1)), 0u);
}

// What a broker that is too slow was owed at the end is sent for a while and then told.
TEST(Pacer, OverloadEnds) {
  const TimePoint ends = kStart + seconds(1);
  Pacer pacer({.rate = 1000, .start = kStart, .counts_from = kStart, .ends = ends});
  auto batches = run(pacer, milliseconds(10));
  EXPECT_NEAR(static_cast<double>(batches.size()), 200, 2) << "a second, and one more";
  EXPECT_EQ(pacer.owed(ends), 1000 - batches.size());
}

TEST(Pacer, FullSpeedSendsFullBatches) {
  Pacer pacer({.start = kStart, .counts_from = kStart, .ends = kStart + seconds(1), .batch_records_max = 64});
  auto batches = run(pacer, milliseconds(1));
  EXPECT_EQ(batches.size(), 1000u);
  EXPECT_EQ(total(batches), 64'000u);
  EXPECT_EQ(batches[7].due(63), kStart + milliseconds(7)) << "all at once";
}

// So many messages are exactly so many, whatever the batch; those of the warm-up come on top.
TEST(Pacer, CountsExactly) {
  Pacer full({.start = kStart, .counts_from = kStart, .records_max = 1001, .batch_records_max = 100});
  EXPECT_EQ(total(run(full, milliseconds(1))), 1001u);
  Pacer warm(
      {.start = kStart, .counts_from = kStart + milliseconds(10), .records_max = 1001, .batch_records_max = 100});
  EXPECT_EQ(total(run(warm, milliseconds(1))), 2001u);
  Pacer paced({.rate = 3000,
               .start = kStart,
               .counts_from = kStart + milliseconds(10),
               .records_max = 50,
               .batch_records_max = 7});
  auto batches = run(paced);
  std::uint64_t counted = 0;
  for (const DueRecords& batch : batches)
    for (std::uint32_t i = 0; i < batch.count; ++i) counted += batch.due(i) >= kStart + milliseconds(10);
  EXPECT_EQ(counted, 50u);
  EXPECT_EQ(total(batches), 80u);
  Pacer nothing({.start = kStart, .counts_from = kStart, .records_max = 0});
  EXPECT_FALSE(nothing.ready(kStart));
}

}  // namespace
}  // namespace mr::cli
