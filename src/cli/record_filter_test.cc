// Aim: `--where` shows what it says and nothing else. Method: conditions and records for which they hold or not.
#include "cli/record_filter.h"

#include <gtest/gtest.h>

#include "model/batch_builder.h"

namespace mr::cli {
namespace {

using Bytes = std::optional<ByteView>;

/// Whether `conditions` let a record pass.
bool passes(const std::vector<std::string>& conditions, Bytes key, Bytes value,
            const std::vector<RecordHeader>& headers = {}) {
  BatchBuilder builder;
  builder.add({.key = key, .value = value, .headers = headers});
  const auto batch = *builder.build();
  RecordReader in(ByteView(batch).subspan(BatchHeader::kBytes), 1);
  Record record;
  EXPECT_TRUE(in.next(record));
  auto filter = RecordFilter::parse(conditions);
  EXPECT_TRUE(filter.ok());
  return filter.ok() && filter->passes(record);
}

TEST(RecordFilter, KeysAndValues) {
  const Bytes key = as_bytes("order-7"), value = as_bytes("a=b~c");
  for (const char* text :
       {"key=order-7", "key~order", "key!=order-8", "key!~x", "value=a=b~c", "value~=b", "value~~c", "value~", "key!="})
    EXPECT_TRUE(passes({text}, key, value)) << text;
  for (const char* text : {"key=order", "key~orders", "key!=order-7", "key!~der", "value=", "value!~=b"})
    EXPECT_FALSE(passes({text}, key, value)) << text;
  EXPECT_TRUE(passes({}, key, value));
  EXPECT_TRUE(passes({"key~order", "value~c"}, key, value));
  EXPECT_FALSE(passes({"key~order", "value~d"}, key, value));
}

TEST(RecordFilter, NullIsNothing) {
  EXPECT_FALSE(passes({"key="}, {}, {}));
  EXPECT_FALSE(passes({"value~"}, {}, {}));
  EXPECT_TRUE(passes({"key!="}, {}, {}));
  EXPECT_TRUE(passes({"value="}, {}, as_bytes("")));
}

TEST(RecordFilter, Headers) {
  const std::vector<RecordHeader> headers = {
      {"trace", as_bytes("1")}, {"trace", as_bytes("2")}, {"a.b", as_bytes("x")}, {"null", {}}};
  for (const char* text : {"header.trace=1", "header.trace=2", "header.a.b~x", "header.none!=x", "header.null!~"})
    EXPECT_TRUE(passes({text}, {}, {}, headers)) << text;
  for (const char* text : {"header.trace=3", "header.trace!=1", "header.none~", "header.null="})
    EXPECT_FALSE(passes({text}, {}, {}, headers)) << text;
}

TEST(RecordFilter, RefusesTheRest) {
  for (const char* text : {"", "=", "~x", "key", "keys=1", "header.=1", "header=1", "!=x", "offset=5"})
    EXPECT_EQ(RecordFilter::parse({text}).code(), Errc::invalid_argument) << text;
}

}  // namespace
}  // namespace mr::cli
