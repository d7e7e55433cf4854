#pragma once
#include <cstdint>

#include "base/bytes.h"

namespace mr {

/// The key of a keyed hash. Drawn anew, nobody outside can prepare two inputs that meet.
struct HashSeed {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

/// SipHash-2-4 with 128 bits of output.
Hash128 siphash128(ByteView bytes, const HashSeed& seed);

}  // namespace mr
