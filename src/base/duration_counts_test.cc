// Aim: a duration lands in the bucket whose bound it does not pass, at both ends too, and sums are sums.
#include "base/duration_counts.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

using namespace std::chrono_literals;
constexpr DurationBounds<2> kBounds{{1'000, 5'000}};
using Buckets = std::array<std::uint64_t, 3>;

TEST(DurationCounts, BoundsAreInclusive) {
  DurationCounts<kBounds> counts;
  for (Duration took : {Duration(-5), 0ns, 1'000ns, 1'001ns, 5'000ns, 5'001ns, Duration(1h)}) counts.add(took);
  EXPECT_EQ(counts.by_bucket, (Buckets{3, 2, 2}));
  EXPECT_EQ(counts.nanoseconds, 12'002u + 3'600'000'000'000u) << "less than nothing adds nothing";
}

TEST(DurationCounts, Sums) {
  DurationCounts<kBounds> one, two;
  one.add(10ns);
  two.add(10ns);
  two.add(2us);
  one += two;
  EXPECT_EQ(one.by_bucket, (Buckets{2, 1, 0}));
  EXPECT_EQ(one.nanoseconds, 2'020u);
}

TEST(DurationCounts, LiveOnesAreReadAsValues) {
  LiveDurationCounts<kBounds> alone, shared;
  alone.add_alone(2us);
  shared.add(2us);
  shared.add(3ms);
  EXPECT_EQ(alone.read().by_bucket, (Buckets{0, 1, 0}));
  EXPECT_EQ(shared.read().by_bucket, (Buckets{0, 1, 1}));
  EXPECT_EQ(shared.read().nanoseconds, 3'002'000u);
}

TEST(DurationCounts, BoundsInSeconds) { EXPECT_EQ(kBounds.seconds(), (std::vector<double>{1e-6, 5e-6})); }

}  // namespace
}  // namespace mr
