#pragma once
#include <chrono>
#include <cstdint>

namespace mr {

/// Monotonic time since an arbitrary start, for deadlines and durations. Comes only from a Clock (runtime/env.h).
struct MonoClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<MonoClock>;
  static constexpr bool is_steady = true;
};
using TimePoint = MonoClock::time_point;
using Duration = std::chrono::nanoseconds;
using Millis = std::chrono::milliseconds;
/// Never.
inline constexpr TimePoint kForever = TimePoint::max();

/// Wall time in milliseconds since the Unix epoch, as record timestamps have it. -1 is "none".
using WallMillis = std::int64_t;

inline namespace literals {
constexpr std::uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr std::uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr std::uint64_t operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

}  // namespace mr
