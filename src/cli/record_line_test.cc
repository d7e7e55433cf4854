// Aim: what `sub -o ndjson` prints `pub --json` reads back to the same record, bytes and nulls included, and nonsense
// is refused with its reason. Method: records through append_record_json and back, and texts by hand.
#include "cli/record_line.h"

#include <gtest/gtest.h>

#include "cli/record_format.h"
#include "model/batch_builder.h"

namespace mr::cli {
namespace {

using Bytes = std::optional<std::string>;

Outgoing parsed(std::string_view line) {
  auto record = parse_record_line(line);
  EXPECT_TRUE(record.ok()) << line << ": " << record.error().detail();
  return record.ok() ? std::move(*record) : Outgoing{};
}

TEST(RecordLine, ReadsWhatSubPrints) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  const Bytes samples[] = {std::nullopt,        "",     "text",     "\"quoted\"\n\t\\",
                           "\xc3\xa9t\xc3\xa9", "\xff", "\xff\xfe", every_byte};
  for (const Bytes& key : samples) {
    for (const Bytes& value : samples) {
      auto view = [](const Bytes& bytes) { return bytes ? std::optional(as_bytes(*bytes)) : std::nullopt; };
      const std::vector<RecordHeader> headers = {{"a", view(key)}, {"a", view(value)}};
      BatchBuilder builder;
      builder.add({.timestamp = 1'700'000'000'123, .key = view(key), .value = view(value), .headers = headers});
      const auto batch = *builder.build();
      RecordReader in(ByteView(batch).subspan(BatchHeader::kBytes), 1);
      Record record;
      ASSERT_TRUE(in.next(record));
      std::string line;
      append_record_json(line, "orders", PartitionIndex{3},
                         {.offset = Offset{9}, .timestamp = 1'700'000'000'123, .record = &record});
      const Outgoing back = parsed(line);
      EXPECT_EQ(back.key, key);
      EXPECT_EQ(back.value, value);
      EXPECT_EQ(back.partition, 3);
      EXPECT_EQ(back.timestamp, 1'700'000'000'123);
      ASSERT_EQ(back.headers.size(), 2u);
      EXPECT_EQ(back.headers[0], std::pair(std::string("a"), key));
      EXPECT_EQ(back.headers[1], std::pair(std::string("a"), value));
    }
  }
}

TEST(RecordLine, WhatPeopleWrite) {
  EXPECT_EQ(parsed(R"({"value":"v"})").value, "v");
  EXPECT_FALSE(parsed(R"({"key":"k","value":null})").value.has_value());
  const Outgoing record = parsed(R"({"value":"","headers":{"x":"1","y":null},"partition":0,"timestamp":5})");
  EXPECT_EQ(record.headers[0], std::pair(std::string("x"), Bytes("1")));
  EXPECT_EQ(record.headers[1], std::pair(std::string("y"), Bytes()));
}

TEST(RecordLine, RefusesTheRest) {
  for (const char* line : {"",
                           "v",
                           "5",
                           "[]",
                           "{}",
                           R"({"value":"v"} x)",
                           R"({"value":"v","partition":-1})",
                           R"({"value":"v","partition":1.5})",
                           R"({"value":"v","partition":4294967296})",
                           R"({"value":"v","timestamp":"now"})",
                           R"({"value":"v","valeu":1})",
                           R"({"value_base64":"a"})",
                           R"({"value_base64":"a!=="})",
                           R"({"value_base64":5})",
                           R"({"value":"v","headers":5})",
                           R"({"value":"v","headers":["x"]})",
                           R"({"value":"v","headers":[{"nam":"x"}]})",
                           R"({"key":"k"})",
                           R"({"value":{"a":1}})",
                           R"({"value":"v","key":7})"})
    EXPECT_EQ(parse_record_line(line).code(), Errc::invalid_argument) << line;
  EXPECT_FALSE(parse_record_line(R"({"value":)" + std::string(1'000'000, '[')).ok());
}

}  // namespace
}  // namespace mr::cli
