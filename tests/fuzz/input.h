#pragma once
#include <algorithm>
#include <cstdint>

#include "base/bytes.h"

namespace mr {

/// What a fuzzer brings, taken from its front; zeroes when it is used up.
struct FuzzInput {
  ByteView left;

  std::uint8_t byte() {
    if (left.empty()) return 0;
    auto value = std::to_integer<std::uint8_t>(left[0]);
    left = left.subspan(1);
    return value;
  }
  std::uint64_t number() {
    std::uint64_t high = byte();
    return high << 8 | byte();
  }
  /// At most so many bytes.
  ByteView piece(std::size_t bytes) {
    ByteView taken = left.subspan(0, std::min(bytes, left.size()));
    left = left.subspan(taken.size());
    return taken;
  }
};

}  // namespace mr
