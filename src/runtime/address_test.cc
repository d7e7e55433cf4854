// Addresses as users write them: what is accepted comes back as it was, what is not says why.
#include <gtest/gtest.h>

#include "runtime/env.h"

namespace mr {
namespace {

TEST(Address, RoundTrip) {
  for (std::string_view text : {"localhost:9092", "127.0.0.1:0", "[::1]:65535", ":9092", "a-b.example:1"}) {
    Result<Address> parsed = Address::parse(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->to_string(), text);
  }
  EXPECT_EQ(Address::parse("[::1]:7")->host, "::1");
}

TEST(Address, RefusesWithAReason) {
  for (std::string_view text : {"", "localhost", "localhost:", "localhost:x", "localhost:65536", "localhost:-1",
                                "::1:9092", "[::1:9092", "a b:1", "h:1 "}) {
    Result<Address> parsed = Address::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.code(), Errc::invalid_argument);
    EXPECT_FALSE(parsed.error().detail().empty());
  }
}

}  // namespace
}  // namespace mr
