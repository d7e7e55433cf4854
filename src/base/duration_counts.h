#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace mr {

/// Bounds of a histogram of durations, ascending: bucket i holds what took at most bound i, the one behind the last the
/// rest.
template <std::size_t N>
struct DurationBounds {
  static constexpr std::size_t kBuckets = N + 1;
  std::array<std::int64_t, N> nanoseconds;

  std::size_t bucket(Duration took) const {
    return static_cast<std::size_t>(std::ranges::lower_bound(nanoseconds, took.count()) - nanoseconds.begin());
  }
  std::vector<double> seconds() const {
    std::vector<double> all;
    for (std::int64_t one : nanoseconds) all.push_back(static_cast<double>(one) / 1e9);
    return all;
  }
};

/// 50 us to 10 s: requests and syncs.
inline constexpr DurationBounds<17> kLatencyBounds{
    {50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 25'000'000, 50'000'000,
     100'000'000, 250'000'000, 500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000}};

/// How long things took, by bucket. A plain value.
template <const auto& kBounds>
struct DurationCounts {
  static constexpr std::size_t kBuckets = std::remove_cvref_t<decltype(kBounds)>::kBuckets;
  std::array<std::uint64_t, kBuckets> by_bucket{};
  std::uint64_t nanoseconds = 0;  ///< all together

  void add(Duration took) {
    ++by_bucket[kBounds.bucket(took)];
    nanoseconds += static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0));
  }
  DurationCounts& operator+=(const DurationCounts& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) by_bucket[i] += other.by_bucket[i];
    nanoseconds += other.nanoseconds;
    return *this;
  }
};

/// The same, read by any thread while it grows.
template <const auto& kBounds>
class LiveDurationCounts {
 public:
  /// By one thread at a time: no locked instruction.
  void add_alone(Duration took) {
    bump(by_bucket_[kBounds.bucket(took)], 1);
    bump(nanoseconds_, static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0)));
  }
  /// By any thread; never together with add_alone().
  void add(Duration took) {
    by_bucket_[kBounds.bucket(took)].fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0)),
                           std::memory_order_relaxed);
  }
  DurationCounts<kBounds> read() const {
    DurationCounts<kBounds> now;
    for (std::size_t i = 0; i < by_bucket_.size(); ++i)
      now.by_bucket[i] = by_bucket_[i].load(std::memory_order_relaxed);
    now.nanoseconds = nanoseconds_.load(std::memory_order_relaxed);
    return now;
  }

 private:
  static void bump(std::atomic<std::uint64_t>& slot, std::uint64_t by) {
    slot.store(slot.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::array<std::atomic<std::uint64_t>, DurationCounts<kBounds>::kBuckets> by_bucket_{};
  std::atomic<std::uint64_t> nanoseconds_{0};
};

}  // namespace mr
