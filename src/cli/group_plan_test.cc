// Aim: arguments of `group seek` mean what people think, and a step never leaves what a partition has. Method: texts
// and what they must become, or be refused.
#include "cli/group_plan.h"

#include <gtest/gtest.h>

namespace mr::cli {
namespace {

using Kind = SeekTarget::Kind;

void expect(std::string_view text, Kind kind, std::int64_t number, std::string_view word = "") {
  auto target = parse_seek_target(text);
  ASSERT_TRUE(target.ok()) << text << ": " << target.error().message();
  EXPECT_EQ(target->kind, kind) << text;
  EXPECT_EQ(target->number, number) << text;
  EXPECT_EQ(target->text, word) << text;
}

TEST(SeekTarget, Accepts) {
  expect("start", Kind::start, 0);
  expect("earliest", Kind::start, 0);
  expect("end", Kind::end, 0);
  expect("@1700000000000", Kind::time, 1'700'000'000'000);
  expect("@1970-01-02T00:00:01Z", Kind::time, 86'401'000);
  expect("-5m", Kind::ago, 300'000);
  expect("-1h30m", Kind::ago, 5'400'000);
  expect("-250ms", Kind::ago, 250);
  expect("-2w", Kind::ago, 1'209'600'000);
  expect("offset:0", Kind::offset, 0);
  expect("offset:9223372036854775807", Kind::offset, INT64_MAX);
  expect("group:other:one", Kind::group, 0, "other:one");
  expect("file:/tmp/a b", Kind::file, 0, "/tmp/a b");
}

TEST(SeekTarget, RefusesTheRest) {
  for (const char* text :
       {"", "soon", "@", "@yesterday", "-", "-5", "-m", "-5x", "-5m3", "-5m-3m", "42", "offset:", "offset:-1",
        "offset:1x", "group:", "file:", "-9223372036854775807w", "offset:99999999999999999999"})
    EXPECT_EQ(parse_seek_target(text).code(), Errc::invalid_argument) << text;
  // Sentences that say what to write instead.
  EXPECT_NE(parse_seek_target("-5").error().detail().find("-5m"), std::string::npos);
  EXPECT_NE(parse_seek_target("42").error().detail().find("offset:42"), std::string::npos);
}

TEST(Choice, TopicsAndPartitions) {
  auto choice = Choice::parse({"a", "b:3,1", "b:1"});
  ASSERT_TRUE(choice.ok());
  EXPECT_FALSE(choice->everything());
  EXPECT_TRUE(choice->holds({"a", PartitionIndex{7}}));
  EXPECT_TRUE(choice->holds({"b", PartitionIndex{1}}));
  EXPECT_FALSE(choice->holds({"b", PartitionIndex{2}}));
  EXPECT_FALSE(choice->holds({"c", PartitionIndex{1}}));
  EXPECT_EQ(choice->topics().at("b"), (std::vector<PartitionIndex>{PartitionIndex{1}, PartitionIndex{3}}));
  // All of a topic stays all of it, in either order.
  for (const std::vector<std::string>& texts : {std::vector<std::string>{"a", "a:1"}, {"a:1", "a"}})
    EXPECT_TRUE(Choice::parse(texts)->holds({"a", PartitionIndex{5}}));
  auto none = Choice::parse({});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->everything() && none->holds({"x", PartitionIndex{0}}));
  for (const char* text : {"", ":1", "a:", "a:x", "a:1,", "a:,1", "a:-1", "a:1:2", "a:4294967296"})
    EXPECT_EQ(Choice::parse({text}).code(), Errc::invalid_argument) << text;
}

TEST(Move, StaysInsideThePartition) {
  const TopicPartition name{"t", PartitionIndex{0}};
  auto move = [&](std::int64_t wanted) { return plan_move(name, Offset{5}, Offset{wanted}, Offset{3}, Offset{10}); };
  for (std::int64_t inside : {3, 5, 10}) {
    EXPECT_EQ(move(inside).to.v, inside);
    EXPECT_EQ(move(inside).note, "");
  }
  EXPECT_FALSE(move(5).changes());
  EXPECT_TRUE(move(6).changes());
  EXPECT_EQ(move(2).to.v, 3);
  EXPECT_NE(move(2).note.find("before the start"), std::string::npos);
  EXPECT_EQ(move(INT64_MAX).to.v, 10);
  EXPECT_NE(move(11).note.find("beyond the end"), std::string::npos);
  EXPECT_TRUE(plan_move(name, std::nullopt, Offset{0}, Offset{0}, Offset{0}).changes());
}

TEST(Move, PartitionsAsText) {
  EXPECT_EQ(describe_partitions({}), "");
  EXPECT_EQ(describe_partitions({{"a", PartitionIndex{0}}, {"a", PartitionIndex{2}}, {"b", PartitionIndex{1}}}),
            "a:0,2 b:1");
}

}  // namespace
}  // namespace mr::cli
