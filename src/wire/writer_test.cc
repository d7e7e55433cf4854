// Aim: a Writer's pieces, put together, are the frame; record bytes are never copied into it; lengths and tag sizes
// that need more bytes than expected come out right. Method: frames spelled out by hand.
#include "wire/writer.h"

#include <gtest/gtest.h>

namespace mr::wire {
namespace {

using namespace std::literals;

TEST(Writer, FrameSizeCountsExternalBytes) {
  Writer out;
  out.begin_frame();
  out.i16(7);
  out.records(Records::external(1000, 42), false);
  out.i8(1);
  out.end_frame();
  auto pieces = out.pieces();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(as_text(pieces[0].bytes), "\0\0\3\xef\0\7\0\0\3\xe8"sv);  // 2 + 4 + 1000 + 1 = 1007
  EXPECT_TRUE(pieces[1].is_external);
  EXPECT_EQ(pieces[1].external_size, 1000u);
  EXPECT_EQ(pieces[1].token, 42u);
  EXPECT_EQ(as_text(pieces[2].bytes), "\1"sv);
  EXPECT_EQ(out.size(), 1011u);
}

TEST(Writer, ErrorCodesAreCountedWhereTheyAreWritten) {
  ErrorCodeCounts counts{};
  Writer out;
  out.error_code(3);  // nobody counts
  out.count_errors_in(&counts);
  out.error_code(0);
  out.error_code(3);
  out.reset();
  out.error_code(3);
  out.error_code(-1);
  EXPECT_EQ(as_text(out.flat()), "\0\3\xff\xff"sv);
  EXPECT_EQ(counts[4], 2u);
  EXPECT_EQ(counts[1], 0u) << "success is no error";
  EXPECT_EQ(counts[0], 1u);
}

TEST(Writer, LargeInlineRecordsAreViewsAndSmallOnesCopies) {
  std::string large(Writer::kCopyBytesMax + 1, 'x');
  Writer out;
  out.records(Records::of(as_bytes(large)), true);
  out.records(Records::of(as_bytes("small"sv)), true);
  out.records(Records::null(), true);
  out.records(Records{}, true);
  auto pieces = out.pieces();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(as_text(pieces[0].bytes), "\x82\2"sv);
  EXPECT_EQ(pieces[1].bytes.data(), as_bytes(large).data());
  EXPECT_EQ(as_text(pieces[2].bytes), "\6small\0\1"sv);
}

TEST(Writer, TwoSplicesInARow) {
  Writer out;
  out.records(Records::external(10, 1), true);
  out.records(Records::external(20, 2), true);
  auto pieces = out.pieces();
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces[1].token, 1u);
  EXPECT_EQ(pieces[3].token, 2u);
}

TEST(Writer, TagSizesOfOneAndTwoBytes) {
  Writer out;
  std::size_t mark = out.begin_tag(3);
  out.i16(-1);
  out.end_tag(mark);
  EXPECT_EQ(as_text(out.flat()), "\3\2\xff\xff"sv);

  out.reset();
  std::string long_text(200, 'y');
  mark = out.begin_tag(0);
  out.string(long_text, true);
  out.end_tag(mark);
  EXPECT_EQ(as_text(out.flat()), "\0\xca\1\xc9\1"s + long_text);
}

TEST(Writer, RefusesTooLongStringsAndKeepsTheFirstError) {
  Writer out;
  out.string(std::string(0x8000, 'x'), true);
  out.fail_null("name");
  EXPECT_EQ(out.status().code(), Errc::too_large);
  out.reset();
  EXPECT_TRUE(out.status().ok());
  out.string(std::string(0x7fff, 'x'), false);
  EXPECT_TRUE(out.status().ok());
}

TEST(Writer, ResetKeepsTheBuffer) {
  Writer out;
  out.raw(as_bytes(std::string(5000, 'x')));
  const std::byte* before = out.flat().data();
  out.reset();
  out.raw(as_bytes(std::string(5000, 'y')));
  EXPECT_EQ(out.flat().data(), before);
}

}  // namespace
}  // namespace mr::wire
