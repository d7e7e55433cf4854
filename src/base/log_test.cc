// Aim: a log line stays one line whatever peers call themselves, and cannot talk to a terminal.
#include "base/log.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

TEST(LogText, ValuesAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(format_text("broker", "topic created", {{"topic", "orders"}, {"partitions", 3}, {"internal", false}}),
            "broker: topic created topic=orders partitions=3 internal=false");
  EXPECT_EQ(format_text("r", "m", {{"a", ""}, {"b", "x y"}, {"c", "k=v"}, {"d", "say \"\\\""}}),
            "r: m a=\"\" b=\"x y\" c=\"k=v\" d=\"say \\\"\\\\\\\"\"");
  EXPECT_EQ(format_text("r", "m", {{"name", "gr\xc3\xbc\xc3\x9f"}}), "r: m name=\"gr\xc3\xbc\xc3\x9f\"");
}

TEST(LogText, HostileValuesAreEscaped) {
  EXPECT_EQ(format_text("r", "m", {{"id", "a\nb\r\x1b[2J\x7f\xff"}}), "r: m id=\"a\\nb\\x0d\\x1b[2J\\x7f\\xff\"");
}

}  // namespace
}  // namespace mr
