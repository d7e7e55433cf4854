// Aim: a Reader never looks outside its frame, never takes memory for what cannot be there, and tells null from empty.
// Method: small frames written by hand, one rule each.
#include "wire/reader.h"

#include <gtest/gtest.h>

namespace mr::wire {
namespace {

using namespace std::string_view_literals;

struct Fixture {
  explicit Fixture(std::string_view frame, std::size_t budget = Reader::kArenaBytesMax)
      : in(as_bytes(frame), arena, budget) {}
  Arena arena;
  Reader in;
};

TEST(Reader, StringsInBothCodings) {
  Fixture plain("\0\2ab\xff\xff\0\0"sv);
  EXPECT_EQ(plain.in.string(false), "ab");
  EXPECT_EQ(plain.in.nullable_string(false), std::nullopt);
  EXPECT_EQ(plain.in.nullable_string(false), "");
  EXPECT_TRUE(plain.in.finish().ok());

  Fixture compact("\3ab\0\1"sv);
  EXPECT_EQ(compact.in.string(true), "ab");
  EXPECT_EQ(compact.in.nullable_string(true), std::nullopt);
  EXPECT_EQ(compact.in.nullable_string(true), "");
  EXPECT_TRUE(compact.in.finish().ok());
}

TEST(Reader, RefusesNullWhereThereIsNone) {
  Fixture f("\xff\xff"sv);
  f.in.string(false);
  EXPECT_EQ(f.in.finish().code(), Errc::malformed);
  Fixture g("\0"sv);
  g.in.count(true, 1);
  EXPECT_EQ(g.in.finish().code(), Errc::malformed);
}

TEST(Reader, RefusesLengthsBeyondTheFrame) {
  for (std::string_view frame : {"\0\3ab"sv, "\xff\xfe"sv, "\x7f\xff"sv, "\0"sv, ""sv}) {
    Fixture f(frame);
    f.in.nullable_string(false);
    EXPECT_EQ(f.in.status().code(), Errc::malformed) << frame.size();
    EXPECT_EQ(f.in.i32(), 0) << "sticky";
  }
}

TEST(Reader, StringsStayBelow32KiBInTheCompactFormToo) {
  std::string frame = "\x81\x80\x02" + std::string(0x8000, 'x');  // uvarint 0x8001: length 0x8000
  Fixture f(frame);
  f.in.string(true);
  EXPECT_FALSE(f.in.ok());
}

TEST(Reader, UvarintTakesFiveBytesAt32Bits) {
  Fixture f("\xff\xff\xff\xff\x0f"sv);
  EXPECT_EQ(f.in.uvarint(), 0xffffffffu);
  EXPECT_TRUE(f.in.finish().ok());
  Fixture g("\xff\xff\xff\xff\x1f"sv);
  g.in.uvarint();
  EXPECT_FALSE(g.in.ok());
  Fixture h("\x80\x80"sv);
  h.in.uvarint();
  EXPECT_FALSE(h.in.ok());
}

TEST(Reader, CountsAreComparedWithTheBytesLeft) {
  Fixture fits("\0\0\0\2abcdefgh"sv);
  EXPECT_EQ(fits.in.count(false, 4), 2u);
  Fixture too_many("\0\0\0\3abcdefgh"sv);
  too_many.in.count(false, 4);
  EXPECT_FALSE(too_many.in.ok());
  Fixture huge("\x7f\xff\xff\xff"sv);
  huge.in.count(false, 1);
  EXPECT_FALSE(huge.in.ok());
  EXPECT_EQ(huge.arena.held_bytes(), 0u);
  Fixture negative("\x80\0\0\0"sv);
  negative.in.nullable_count(false, 1);
  EXPECT_FALSE(negative.in.ok());
}

TEST(Reader, ArraysStayWithinTheBudget) {
  std::string frame(1000, '\1');
  Fixture f(frame, 100 * sizeof(std::string_view));
  f.in.list<std::string_view>(101, [&](std::string_view& s) { s = f.in.string(true); });
  EXPECT_EQ(f.in.finish().code(), Errc::too_large);
}

TEST(Reader, TrailingBytesAreMalformed) {
  Fixture f("\0\0"sv);
  f.in.i8();
  EXPECT_TRUE(f.in.status().ok());
  EXPECT_EQ(f.in.finish().code(), Errc::malformed);
}

TEST(Reader, UnknownTagsAreSkippedBySize) {
  Fixture f("\2\5\3xyz\x7\0\x2a"sv);
  f.in.skip_tags();
  EXPECT_EQ(f.in.i8(), 0x2a);
  EXPECT_TRUE(f.in.finish().ok());
  Fixture cut("\1\5\4xyz"sv);
  cut.in.skip_tags();
  EXPECT_FALSE(cut.in.ok());
}

TEST(Reader, KnownTagMustUseItsSize) {
  Fixture f("\1\0\3\0\0\0\7"sv);
  Reader::Tags tags;
  ASSERT_TRUE(f.in.next_tag(tags));
  f.in.i16();
  EXPECT_FALSE(f.in.next_tag(tags));
  EXPECT_EQ(f.in.finish().code(), Errc::malformed);

  Fixture over("\1\0\1\0\0\0\7"sv);
  Reader::Tags more;
  ASSERT_TRUE(over.in.next_tag(more));
  over.in.i16();  // would look behind the field's end
  EXPECT_FALSE(over.in.ok());
}

TEST(Reader, PresenceOfAStructIsOneOrMinusOne) {
  EXPECT_TRUE(Fixture("\1"sv).in.present());
  Fixture null("\xff"sv);
  EXPECT_FALSE(null.in.present());
  EXPECT_TRUE(null.in.ok());
  Fixture odd("\2"sv);
  odd.in.present();
  EXPECT_FALSE(odd.in.ok());
}

TEST(Arena, RecyclesItsChunks) {
  Arena arena(1024);
  for (int round = 0; round < 3; ++round) {
    arena.list<std::int32_t>(100);
    arena.list<std::int64_t>(1000);  // larger than a chunk
    arena.copy("text"sv);
    arena.list<std::int32_t>(200);
    if (round == 0) continue;
    std::size_t held = arena.held_bytes();
    arena.reset();
    EXPECT_EQ(arena.held_bytes(), held);
  }
  std::size_t held = arena.held_bytes();
  for (int round = 0; round < 5; ++round) {
    arena.reset();
    arena.list<std::int32_t>(100);
    arena.list<std::int64_t>(1000);
    EXPECT_EQ(arena.held_bytes(), held) << "a round like an earlier one takes no memory";
  }
  Arena small(64, 1000);
  small.list<std::int64_t>(1000);
  small.reset();
  EXPECT_LE(small.held_bytes(), 1000u) << "one huge request is not kept";
}

TEST(Arena, ListBuilderGrows) {
  Arena arena(64);
  ListBuilder<int> numbers(arena);
  for (int i = 0; i < 100; ++i) numbers.push_back(i);
  ASSERT_EQ(numbers.list().size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(numbers.list()[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace mr::wire
