// The published test vectors of SipHash-2-4 with 128 bits: key 00..0f, input 00 01 02 ...
#include "base/siphash.h"

#include <gtest/gtest.h>

#include <vector>

namespace mr {
namespace {

TEST(SipHash, PublishedVectors) {
  HashSeed seed{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(siphash128({}, seed), (Hash128{0xe6a825ba047f81a3, 0x930255c71472f66d}));
  std::vector<std::byte> one{std::byte{0}};
  EXPECT_EQ(siphash128(one, seed), (Hash128{0x44af996bd8c187da, 0x45fc229b11597634}));
}

TEST(SipHash, EveryByteAndTheSeedCount) {
  HashSeed seed{1, 2};
  for (std::size_t size : {1u, 7u, 8u, 9u, 16u, 61u}) {
    std::vector<std::byte> bytes(size);
    Hash128 plain = siphash128(bytes, seed);
    EXPECT_NE(siphash128(bytes, {1, 3}), plain);
    EXPECT_NE(siphash128(bytes, {2, 2}), plain);
    for (auto& byte : bytes) {
      byte = std::byte{1};
      EXPECT_NE(siphash128(bytes, seed), plain);
      byte = std::byte{0};
    }
  }
}

}  // namespace
}  // namespace mr
