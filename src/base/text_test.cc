// Aim: what is no UTF-8 is found, and JSON strings are escaped so that every parser takes them.
#include "base/text.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(Text, JsonStringsAreEscaped) {
  EXPECT_EQ(json("plain"), "\"plain\"");
  EXPECT_EQ(json("a\"b\\c\n\t\r\x01\x7f"), "\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u007f\"");
  EXPECT_EQ(json("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
  EXPECT_EQ(json("\xff"), "\"\xef\xbf\xbd\"");
}

TEST(Text, Utf8IsCheckedAsTheStandardWants) {
  EXPECT_TRUE(valid_utf8("\xe2\x82\xac"));
  for (const char* bad : {"\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\x80"})
    EXPECT_FALSE(valid_utf8(bad));
}

}  // namespace
}  // namespace mr
