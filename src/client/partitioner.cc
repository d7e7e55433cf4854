#include "client/partitioner.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace mr::client {

namespace {

/// MurmurHash2, 32 bits, with the seed that Kafka's clients use. Reads little-endian words.
std::uint32_t murmur2(ByteView key) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  constexpr std::uint32_t kSeed = 0x9747b28c;
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(key.size());
  while (key.size() >= 4) {
    std::uint32_t word = std::byteswap(load_be<std::uint32_t>(key.data()));
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = (hash * kMultiplier) ^ word;
    key = key.subspan(4);
  }
  if (!key.empty()) {
    std::uint32_t rest = 0;
    for (std::size_t i = key.size(); i > 0; --i) rest = rest << 8 | std::to_integer<std::uint32_t>(key[i - 1]);
    hash = (hash ^ rest) * kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return hash;
}

}  // namespace

PartitionIndex partition_for_key(ByteView key, std::int32_t count) {
  MR_CHECK(count > 0);
  return {static_cast<std::int32_t>(murmur2(key) & 0x7fffffff) % count};
}

}  // namespace mr::client
