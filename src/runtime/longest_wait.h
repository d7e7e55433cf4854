#pragma once
#include <algorithm>
#include <cstdint>

#include "base/units.h"

namespace mr {

/// Far enough away to never come, near enough to be added to now.
inline constexpr Duration kLongestWait = std::chrono::hours(24 * 365);

/// A setting in milliseconds as a time to wait: what lies beyond kLongestWait means never.
constexpr Duration bounded_wait(std::int64_t ms) {
  return Millis(std::min<std::int64_t>(ms, std::chrono::duration_cast<Millis>(kLongestWait).count()));
}

}  // namespace mr
