// Aim: percentiles are those of the values, to three digits, whatever their size. Method: compared with sorted values.
#include "cli/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace mr::cli {
namespace {

TEST(Latency, NothingIsZero) {
  Latency latency;
  EXPECT_EQ(latency.percentile(0.99), Duration(0));
  EXPECT_EQ(latency.mean(), Duration(0));
  EXPECT_EQ(latency.max(), Duration(0));
}

// Every value is its own place's, from the first to the longest there is.
TEST(Latency, OneValueIsEveryPercentile) {
  for (std::int64_t value : {0l, 1l, 1023l, 1024l, 2047l, 2048l, 2049l, 4095l, 4096l, 123'456'789l, (1l << 62) + 1}) {
    Latency latency;
    latency.add(Duration(value));
    for (double share : {0.0, 0.5, 1.0}) EXPECT_EQ(latency.percentile(share), Duration(value)) << value;
  }
}

// Compared with the sorted values themselves, over six orders of magnitude.
TEST(Latency, PercentilesAreRightToAThousandth) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> digits(2, 9);
  Latency latency;
  std::vector<std::int64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    all.push_back(static_cast<std::int64_t>(std::pow(10.0, digits(random))));
    latency.add(Duration(all.back()));
  }
  std::ranges::sort(all);
  for (double share : {0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const auto exact = all[static_cast<std::size_t>(std::ceil(share * 1e5)) - 1];
    const auto told = latency.percentile(share).count();
    EXPECT_GE(told, exact) << share;
    EXPECT_LE(static_cast<double>(told), static_cast<double>(exact) * 1.001 + 1) << share;
  }
  EXPECT_EQ(latency.max().count(), all.back());
  EXPECT_EQ(latency.count(), 100'000u);
}

TEST(Latency, ManyAtOnceAreManyAlone) {
  Latency at_once, alone;
  for (int i = 1; i <= 50; ++i) {
    at_once.add(Duration(i * 7919), static_cast<std::uint64_t>(i));
    for (int n = 0; n < i; ++n) alone.add(Duration(i * 7919));
  }
  at_once.add(Duration(1'000'000'000), 0);
  EXPECT_EQ(at_once.count(), alone.count());
  EXPECT_EQ(at_once.max(), alone.max());
  EXPECT_EQ(at_once.mean(), alone.mean());
  for (double share : {0.1, 0.5, 0.99, 1.0}) EXPECT_EQ(at_once.percentile(share), alone.percentile(share));
}

TEST(Latency, ClearedIsNew) {
  Latency latency;
  latency.add(Duration(5'000'000));
  latency.clear();
  latency.add(Duration(100));
  EXPECT_EQ(latency.count(), 1u);
  EXPECT_EQ(latency.max(), Duration(100));
  EXPECT_EQ(latency.mean(), Duration(100));
  EXPECT_EQ(latency.percentile(1.0), Duration(100));
}

TEST(Latency, ClockThatWentBackIsZero) {
  Latency latency;
  latency.add(Duration(-5));
  EXPECT_EQ(latency.max(), Duration(0));
  EXPECT_EQ(latency.count(), 1u);
}

}  // namespace
}  // namespace mr::cli
