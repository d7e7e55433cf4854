// Aim: an IP address is written in one way, however somebody else wrote it. Method: known spellings, good and bad.
#include "base/ip_address.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

TEST(IpAddress, EveryAddressHasOneText) {
  const std::pair<const char*, const char*> known[] = {
      {"127.0.0.1", "127.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"FE80::00a1", "fe80::a1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
      {"::ffff:10.0.0.7", "10.0.0.7"},
      {"::ffff:a00:7", "10.0.0.7"},
      {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
  };
  for (auto [text, wanted] : known) EXPECT_EQ(canonical_ip(text), wanted) << text;
}

TEST(IpAddress, WhatIsNoneIsRefused) {
  for (const char* text : {"",
                           "localhost",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.256",
                           "01.2.3.4",
                           "1.2.3.4 ",
                           "-1.2.3.4",
                           ":",
                           ":::",
                           "1::2::3",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7::8",
                           "12345::",
                           "g::",
                           "fe80::1%eth0",
                           "1.2.3.4::",
                           "::1.2.3",
                           ":1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1:",
                           "[::1]"})
    EXPECT_EQ(canonical_ip(text), std::nullopt) << text;
}

}  // namespace
}  // namespace mr
