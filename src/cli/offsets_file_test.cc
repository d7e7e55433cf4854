// Aim: files of offsets as Kafka's tool and our own commands write them are read; anything else is refused with the
// line, and no text does harm. Method: texts and what they must become; damaged copies of them.
#include "cli/offsets_file.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace mr::cli {
namespace {

using Offsets = std::map<TopicPartition, Offset>;

const Offsets kTwo = {{{"a", PartitionIndex{0}}, Offset{5}}, {{"b.c", PartitionIndex{12}}, Offset{1'234'567'890'123}}};

void expect_two(std::string_view text) {
  auto read = parse_offsets_file(text, "g");
  ASSERT_TRUE(read.ok()) << text << read.error().message();
  EXPECT_EQ(*read, kTwo) << text;
}

TEST(OffsetsFile, Csv) {
  expect_two("a,0,5\nb.c,12,1234567890123\n");
  expect_two("a,0,5\r\n\r\nb.c,12,1234567890123");
  expect_two("TOPIC,PARTITION,OFFSET\na, 0, 5\n\"b.c\",12,1234567890123\n");
  // Of several groups: only ours.
  expect_two("g,a,0,5\nother,a,0,6\n\"g\",\"b.c\",12,1234567890123\n");
  EXPECT_TRUE(parse_offsets_file("", "g")->empty());
  auto quoted = parse_offsets_file("\"g,\"\"x\",a,0,5\n", "g,\"x");
  ASSERT_TRUE(quoted.ok());
  EXPECT_EQ(quoted->size(), 1u);
}

TEST(OffsetsFile, Json) {
  expect_two(R"([{"topic":"a","partition":0,"offset":5},{"offset":1234567890123,"topic":"b.c","partition":12}])");
  // What `group lag -o json` prints; a partition without a commit is left out.
  expect_two(R"({
    "group": "g", "lag": 3.5, "topics": [{"topic": "a", "lag": [1, {"x": null}]}, []],
    "partitions": [
      {"topic": "a", "partition": 0, "committed": 5, "end": 8, "lag": 3},
      {"topic": "a", "partition": 1, "committed": null, "end": 8, "lag": null},
      {"topic": "b.c", "partition": 12, "committed": 1, "offset": 1234567890123}
    ]
  })");
  EXPECT_TRUE(parse_offsets_file(" [ ] ", "g")->empty());
}

TEST(OffsetsFile, RefusesTheRest) {
  for (const char* text : {"a",
                           "a,0",
                           "a,0,x",
                           "a,0,5\nb,x,1",
                           "a,-1,5",
                           "a,0,-5",
                           "a,0,5,6,7",
                           "\"a,0,5",
                           "a b,0,5",
                           "a,0,5\na,0,6",
                           "a,4294967296,0",
                           "a,0,99999999999999999999",
                           "{}",
                           "[",
                           "[{}]",
                           "[1]",
                           R"([{"topic":"a","partition":0,"offset":5}] x)",
                           R"([{"topic":"a","partition":0,"offset":-5}])",
                           R"([{"topic":"a","partition":0.5,"offset":5}])",
                           R"([{"topic":"a","partition":0,"offset":"5"}])",
                           R"([{"topic":"a/b","partition":0,"offset":5}])",
                           R"([{"topic":"a","partition":0,"offset":5},{"topic":"a","partition":0,"offset":5}])",
                           R"({"partitions":5})",
                           R"({"partitions":[]})"
                           "}"}) {
    auto read = parse_offsets_file(text, "g");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.code(), Errc::invalid_argument) << text;
  }
  EXPECT_NE(parse_offsets_file("a,0,5\nb,0,y\n", "g").error().detail().find("line 2"), std::string::npos);
  EXPECT_NE(parse_offsets_file("[{\"topic\":\"a\",\n\"partition\":x}]", "g").error().detail().find("2:13"),
            std::string::npos);
  EXPECT_NE(parse_offsets_file(R"([{"topic":"a","partition":0,"offset":5},{}])", "g").error().detail().find("entry 2"),
            std::string::npos);
  // A nest that would eat the stack of whoever recurses.
  EXPECT_FALSE(parse_offsets_file("{\"x\":" + std::string(1'000'000, '['), "g").ok());
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) objects += "\"x\":{";
  EXPECT_FALSE(parse_offsets_file(objects, "g").ok());
}

TEST(OffsetsFile, DamagedTextsDoNoHarm) {
  const std::string texts[] = {"g,a,0,5\n\"g\",\"b.c\",12,1234567890123\n",
                               R"({"lag":[{}],"partitions":[{"topic":"a","partition":0,"offset":5,"z":"\"}"}]})"};
  std::mt19937 random(3);
  constexpr std::string_view kBytes = "\"{}[],:\\\n -0x\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = texts[round % 2];
    for (int i = 0; i < 3; ++i) text[random() % text.size()] = kBytes[random() % kBytes.size()];
    text.resize(random() % (text.size() + 1));
    auto read = parse_offsets_file(text, "g");
    if (read.ok()) {
      EXPECT_LE(read->size(), 2u) << text;
    } else {
      EXPECT_EQ(read.code(), Errc::invalid_argument);
    }
  }
}

}  // namespace
}  // namespace mr::cli
