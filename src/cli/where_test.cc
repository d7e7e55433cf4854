// Aim: what people type after --from means what they think. Method: texts and what they must become, or be refused.
#include "cli/where.h"

#include <gtest/gtest.h>

namespace mr::cli {
namespace {

using Kind = Where::Kind;

void expect(std::string_view text, Kind kind, std::int64_t number) {
  auto where = parse_where(text);
  ASSERT_TRUE(where.ok()) << text << ": " << where.error().message();
  EXPECT_EQ(where->kind, kind) << text;
  EXPECT_EQ(where->number, number) << text;
}

TEST(Where, Words) {
  expect("start", Kind::start, 0);
  expect("earliest", Kind::start, 0);
  expect("end", Kind::end, 0);
}

TEST(Where, Offsets) {
  expect("0", Kind::offset, 0);
  expect("9223372036854775807", Kind::offset, INT64_MAX);
  expect("-10", Kind::before_end, 10);
}

TEST(Where, Ago) {
  expect("-5m", Kind::ago, 300'000);
  expect("-1h30m", Kind::ago, 5'400'000);
  expect("-250ms", Kind::ago, 250);
}

TEST(Where, Times) {
  expect("@1700000000000", Kind::time, 1'700'000'000'000);
  expect("@1970-01-01", Kind::time, 0);
  expect("@1970-01-02T00:00:01Z", Kind::time, 86'401'000);
  expect("@2000-03-01T12:30", Kind::time, 951'913'800'000);
  expect("@2000-03-01T12:30:00.250Z", Kind::time, 951'913'800'250);
}

TEST(Where, RefusesTheRest) {
  for (const char* text :
       {"", "x", "1x", "@", "@-5", "@2000-13-01", "@2000-02-30", "@2000-01-01T25:00", "@2000-01-01T1",
        "99999999999999999999", "-5x", "-m", "-99999999999999w", "@2000-01-01T00:00:00.1"})
    EXPECT_EQ(parse_where(text).code(), Errc::invalid_argument) << text;
}

}  // namespace
}  // namespace mr::cli
