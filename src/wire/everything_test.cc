// Aim: what the schema language can say beyond the APIs served so far is coded as Kafka codes it. Method: the test-only
// schema testing/everything.schema, bytes by hand. Round trips, cuts and random values of it run in codec_test.cc, as
// it is one of all_messages().
#include "wire/api/everything.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mr::wire {
namespace {

using everything::Data;

std::string encoded(const Data& data, Version version) {
  Writer out;
  auto done = data.encode(out, version);
  if (!done.ok()) return done.error().message();
  std::string hex;
  for (std::byte b : out.flat()) hex += fmt::format("{:02x}", std::to_integer<unsigned>(b));
  return hex;
}
std::string zeros(int bytes) { return std::string(static_cast<std::size_t>(2 * bytes), '0'); }

// flag, tiny, port, wide, ratio, id: the same in all versions.
const std::string kHead = "01" + zeros(1 + 2 + 4 + 8 + 16);
const std::string kAnonymous = "616e6f6e796d6f7573";

TEST(Everything, OldCoding) {
  Data data;
  data.sometimes_blob = ByteView{};
  // name, old_coding, three blobs, four arrays; origin; no corner; path; gone; batch
  std::string common = kHead + "0009" + kAnonymous + "0000" + zeros(3 * 4) + zeros(4 * 4) + "0000ffff";
  EXPECT_EQ(encoded(data, 0), common + zeros(4) + zeros(4) + zeros(4));
  // From v1 the corner (null: -1 in front) and, in line still, moved with its default of 5.
  EXPECT_EQ(encoded(data, 1), common + "ff" + zeros(4) + zeros(4) + "00000005" + zeros(4));
  data.corner = everything::Point{3, 4};
  EXPECT_EQ(encoded(data, 1), common + "01" + "00030004" + zeros(4) + zeros(4) + "00000005" + zeros(4));
}

TEST(Everything, FlexibleCoding) {
  Data data;
  // The old coding stays for the plain field; null blob; compact empty arrays; a tag section behind each struct.
  std::string front = kHead + "0a" + kAnonymous + "0000" + "01" + "01" + "00" + "01010101" + "0000ffff00";
  std::string late =
      "00000007"
      "01"
      "00";
  EXPECT_EQ(encoded(data, 4), front + "ff" + "01" + late + "01" + "00");

  Arena arena;
  data.corner = everything::Point{3, 4};
  data.moved = 6;
  data.hidden = "h";
  data.hidden_point = {1, 2};
  data.hidden_list = arena.list<std::int32_t>({9});
  data.late.tagged = 8;
  data.path.reset();
  EXPECT_EQ(encoded(data, 4), front +
                                  "01"
                                  "0003000400" +
                                  "00" +
                                  "00000007"
                                  "01"
                                  "01"
                                  "00"
                                  "04"
                                  "00000008" +
                                  "01" +
                                  "04"
                                  "00"
                                  "02"
                                  "0268"
                                  "01"
                                  "04"
                                  "00000006"
                                  "02"
                                  "05"
                                  "0001000200"
                                  "03"
                                  "05"
                                  "0200000009");
}

TEST(Everything, NumbersAtTheirEnds) {
  Data data;
  data.flag = false;
  data.tiny = -128;
  data.port = 65535;
  data.wide = 0xffffffff;
  data.ratio = 1.5;
  data.id = {1, 2};
  EXPECT_EQ(encoded(data, 4).substr(0, 64),
            "00"
            "80"
            "ffff"
            "ffffffff"
            "3ff8000000000000"
            "0000000000000001"
            "0000000000000002");
}

TEST(Everything, RefusalsSayWhichField) {
  Data data;
  EXPECT_EQ(encoded(data, 2), "invalid_argument: sometimes_blob may not be null in this version");
  data.sometimes_blob = ByteView{};
  data.path.reset();
  EXPECT_EQ(encoded(data, 1), "invalid_argument: path may not be null in this version");
  data.path.emplace();
  data.texts.reset();
  EXPECT_EQ(encoded(data, 0), "invalid_argument: texts may not be null in this version");
  data.texts.emplace();
  data.hidden = "h";
  EXPECT_EQ(encoded(data, 1), "unsupported_version: hidden has a value that this version cannot carry");
  data.hidden.reset();
  data.late.value = 8;
  EXPECT_EQ(encoded(data, 2), "unsupported_version: late has a value that this version cannot carry");
  data.late = {};
  data.only_once = 1;
  EXPECT_EQ(encoded(data, 3), "unsupported_version: only_once has a value that this version cannot carry");
  data.only_once = std::numeric_limits<std::int32_t>::min();
  data.gone = 1;  // ignorable: dropped
  EXPECT_FALSE(encoded(data, 3).starts_with("unsupported"));
}

TEST(Everything, TagsInAnyOrderAndTwice) {
  // Kafka writes tags in ascending order but reads any; the later of two wins.
  Data data;
  data.sometimes_blob = ByteView{};
  Writer out;
  ASSERT_TRUE(data.encode(out, 4).ok());
  std::string bytes(as_text(out.flat()));
  bytes.back() = 3;
  bytes += std::string("\x02\x05\x00\x07\x00\x08\x00", 7) + std::string("\x00\x02\x02z", 4) +
           std::string("\x02\x05\x00\x01\x00\x02\x00", 7);
  Arena arena;
  Reader in(as_bytes(bytes), arena);
  auto read = Data::decode(in, 4);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->hidden, "z");
  EXPECT_EQ(read->hidden_point.x, 1);
}

}  // namespace
}  // namespace mr::wire
