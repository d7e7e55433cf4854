// Aim: both routines agree with the published check value and with each other at every length that changes lanes.
#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>

namespace mr {
namespace {

TEST(Crc32c, PublishedCheckValue) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c_portable(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, FastEqualsPortableAtEveryLengthAndAlignment) {
  std::mt19937_64 rng(1);
  std::vector<std::byte> data(20'000);
  for (auto& b : data) b = static_cast<std::byte>(rng());
  for (std::size_t n = 0; n < 800; ++n)
    EXPECT_EQ(crc32c(ByteView(data).subspan(n % 9, n)), crc32c_portable(ByteView(data).subspan(n % 9, n))) << n;
  for (std::size_t n : {3071u, 3072u, 3073u, 6144u, 9999u, 19'990u})
    EXPECT_EQ(crc32c(ByteView(data).first(n)), crc32c_portable(ByteView(data).first(n))) << n;
}

TEST(Crc32c, ContinuesFromASeed) {
  std::string text(10'000, 'x');
  for (std::size_t cut : {0u, 1u, 4097u, 9999u})
    EXPECT_EQ(crc32c(as_bytes(text).subspan(cut), crc32c(as_bytes(text).first(cut))), crc32c(as_bytes(text)));
}

}  // namespace
}  // namespace mr
