// Aim: values are read and refused as the rule says, with a sentence that helps. Method: tables of text and outcome.
#include "config/option.h"

#include <gmock/gmock.h>

namespace mr::config {
namespace {

using testing::HasSubstr;

const ValueRule kBytes{"log.segment.bytes", Type::int32, 1 << 20, kInt32Max, ""};
const ValueRule kPolicy{"cleanup.policy", Type::list, 0, 0, "compact,delete"};

TEST(Option, ReadsWhatItWrites) {
  const std::pair<ValueRule, std::string> cases[] = {
      {{"b", Type::boolean, 0, 0, ""}, "true"}, {{"n", Type::int64, kInt64Min, kInt64Max, ""}, "-9223372036854775808"},
      {{"d", Type::float64, 0, 1, ""}, "0.5"},  {{"s", Type::string, 0, 0, ""}, "hello there"},
      {{"l", Type::list, 0, 0, ""}, "a,b,c"},   {kPolicy, ""},
      {{"s", Type::string, 0, 0, "a,b"}, "b"},  {{"i", Type::int16, -1, kInt16Max, ""}, "32767"},
  };
  for (const auto& [rule, text] : cases) {
    auto value = parse_value(rule, "  " + text + "\t");
    ASSERT_TRUE(value.ok()) << rule.name << " " << text;
    EXPECT_EQ(format_value(*value), text);
  }
}

TEST(Option, WholeFloatsKeepTheirPoint) {
  const ValueRule ratio{"min.cleanable.dirty.ratio", Type::float64, 0, 1, ""};
  EXPECT_EQ(format_value(*parse_value(ratio, "1")), "1.0");
  EXPECT_EQ(format_value(*parse_value(ratio, "0")), "0.0");
}

TEST(Option, BytesTakeUnits) {
  EXPECT_EQ(format_value(*parse_value(kBytes, "64MiB")), "67108864");
  EXPECT_EQ(format_value(*parse_value(kBytes, "1024 KiB")), "1048576");
  EXPECT_FALSE(parse_value(kBytes, "4GiB").ok());
  EXPECT_FALSE(parse_value({"log.retention.ms", Type::int64, 0, kInt64Max, ""}, "1KiB").ok());
  EXPECT_FALSE(parse_value({"memory", Type::int64, 0, kInt64Max, ""}, "9999999999999GiB").ok());
}

TEST(Option, RefusalNamesValueAndRange) {
  auto low = parse_value(kBytes, "5");
  ASSERT_FALSE(low.ok());
  EXPECT_EQ(low.code(), Errc::invalid_config);
  EXPECT_EQ(low.error().detail(), "log.segment.bytes is '5' but must be 1048576 to 2147483647");
  for (auto text : {"", "x", "1.5", "12x", "99999999999999999999"})
    EXPECT_FALSE(parse_value({"n", Type::int64, kInt64Min, kInt64Max, ""}, text).ok()) << text;
  EXPECT_THAT(parse_value(kPolicy, "compact,shred").error().detail(), HasSubstr("compact, delete"));
  EXPECT_EQ(format_value(*parse_value(kPolicy, "delete, compact,delete")), "delete,compact");
  EXPECT_FALSE(parse_value({"b", Type::boolean, 0, 0, ""}, "yes").ok());
  EXPECT_FALSE(parse_value({"d", Type::float64, 0, 1, ""}, "1.01").ok());
  EXPECT_FALSE(parse_value({"d", Type::float64, 0, 1, ""}, "nan").ok());
  EXPECT_FALSE(parse_value({"s", Type::string, 0, 0, "a,b"}, "c").ok());
}

// As Kafka: this one in any case, all others as they are written.
TEST(Option, PolicyOfMigrationIsTakenInAnyCase) {
  const ValueRule migration{"group.consumer.migration.policy", Type::string, 0, 0, "upgrade,disabled"};
  EXPECT_EQ(format_value(*parse_value(migration, "UPGRADE")), "upgrade");
  EXPECT_EQ(format_value(*parse_value(migration, "Disabled")), "disabled");
  EXPECT_FALSE(parse_value(migration, "up").ok());
  const ValueRule codec{"compression.type", Type::string, 0, 0, "producer,zstd"};
  EXPECT_FALSE(parse_value(codec, "ZSTD").ok());
}

TEST(Option, SuggestsTheNearName) {
  const std::string_view names[] = {"num.partitions", "node.id", "log.dirs"};
  EXPECT_EQ(did_you_mean("num.partition", names), "num.partitions");
  EXPECT_EQ(did_you_mean("log.dir", names), "log.dirs");
  EXPECT_EQ(did_you_mean("completely.else", names), std::nullopt);
}

}  // namespace
}  // namespace mr::config
