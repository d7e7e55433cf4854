// Aim: the text form is Kafka's: round trip, known value, refusal of what is not 22 base64 characters.
#include "base/uuid.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

TEST(Uuid, TextRoundTrip) {
  Uuid u{0x0123456789abcdefull, 0xfedcba9876543210ull};
  EXPECT_EQ(u.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
  EXPECT_EQ(Uuid::parse(u.to_string()), u);
  EXPECT_EQ(Uuid{}.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
}

TEST(Uuid, RefusesOtherText) {
  EXPECT_FALSE(Uuid::parse(""));
  EXPECT_FALSE(Uuid::parse("short"));
  EXPECT_FALSE(Uuid::parse("ASNFZ4mrze/+3LqYdlQyEA"));
}

}  // namespace
}  // namespace mr
