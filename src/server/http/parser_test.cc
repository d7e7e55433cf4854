// The request parser: whole requests in pieces of any size give the same result, limits and malformed input give
// errors, and random bytes do no harm.
#include "server/http/parser.h"

#include <gtest/gtest.h>

#include <random>

namespace mr::http {
namespace {

/// Feeds `text` at most `step` new bytes at a time, as a connection's buffer would.
Result<std::size_t> feed_all(RequestParser& parser, std::string_view text, std::size_t step) {
  std::size_t begin = 0;
  std::size_t end = 0;
  while (end < text.size() && !parser.done()) {
    end = std::min(text.size(), end + step);
    for (;;) {
      MR_TRY(std::size_t taken, parser.feed(as_bytes(text.substr(begin, end - begin))));
      begin += taken;
      if (taken == 0 || parser.done()) break;
    }
  }
  return begin;
}

TEST(HttpParser, AnySplitGivesTheSame) {
  std::string_view text =
      "POST /a/b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\nGET /next";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    RequestParser parser({});
    Result<std::size_t> taken = feed_all(parser, text, step);
    ASSERT_TRUE(taken.ok()) << step << taken.error().message();
    ASSERT_TRUE(parser.done()) << step;
    EXPECT_EQ(text.substr(*taken), "GET /next") << step;
    RawRequest request = parser.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/a/b?x=1");
    EXPECT_EQ(request.body, "abcde");
    EXPECT_TRUE(request.keep_alive);
    ASSERT_EQ(request.headers.size(), 3u);
    EXPECT_EQ(request.headers[0], (std::pair<std::string, std::string>{"host", "h"}));
  }
}

Errc failure(std::string_view text, ParseLimits limits = {}) {
  RequestParser parser(limits);
  Result<std::size_t> taken = feed_all(parser, text, 7);
  return taken.ok() ? Errc::internal : taken.code();
}

// Beast ended the process when the last chunk came in pieces (found by fuzz_http).
TEST(HttpParser, TheLastChunkMayComeByteByByte) {
  const std::string_view head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::string_view body : {"0\r\n\r\n", "0;ext=1\r\n\r\n", "0\r\nTrailer: x\r\n\r\n", "1\r\na\r\n0\r\n\r\n"}) {
    const std::string text = std::string(head) + std::string(body);
    for (std::size_t step = 1; step <= text.size(); ++step) {
      RequestParser parser({});
      Result<std::size_t> taken = feed_all(parser, text + "GET", step);
      ASSERT_TRUE(taken.ok()) << body << step;
      EXPECT_TRUE(parser.done()) << body << step;
      EXPECT_EQ(*taken, text.size()) << body << step;
    }
    for (std::size_t n = 0; n < text.size(); ++n) {
      RequestParser parser({});
      EXPECT_TRUE(feed_all(parser, std::string_view(text).substr(0, n), 1).ok()) << body << n;
      EXPECT_FALSE(parser.done()) << body << n;
    }
  }
  EXPECT_EQ(failure(std::string(head) + "0\r\na no colon\r\n\r\n"), Errc::malformed);
}

TEST(HttpParser, Refuses) {
  EXPECT_EQ(failure("garbage\r\n\r\n"), Errc::malformed);
  EXPECT_EQ(failure("GET / HTTP/2.0\r\n\r\n"), Errc::unsupported_version);
  EXPECT_EQ(failure("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), Errc::malformed);
  EXPECT_EQ(failure("GET / HTTP/1.1\r\nno colon\r\n\r\n"), Errc::malformed);
  EXPECT_EQ(failure("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Errc::malformed);
  EXPECT_EQ(failure("POST / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n"), Errc::malformed);
  EXPECT_EQ(failure("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello", {.body_bytes_max = 10}), Errc::too_large);
  EXPECT_EQ(failure("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello hello\r\n0\r\n\r\n",
                    {.body_bytes_max = 10}),
            Errc::too_large);
  EXPECT_EQ(failure("GET /" + std::string(300, 'a') + " HTTP/1.1\r\n\r\n", {.header_bytes_max = 200}), Errc::too_large);
  EXPECT_EQ(failure("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), Errc::malformed) << "a TLS hello";
}

TEST(HttpParser, EveryPrefixIsUnfinishedAndNoError) {
  std::string_view text = "PUT /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t n = 0; n < text.size(); ++n) {
    RequestParser parser({});
    EXPECT_TRUE(feed_all(parser, text.substr(0, n), 5).ok()) << n;
    EXPECT_FALSE(parser.done()) << n;
  }
}

TEST(HttpParser, RandomBytesDoNoHarm) {
  std::mt19937_64 random(11);
  const std::string_view seed =
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
  for (int round = 0; round < 3000; ++round) {
    std::string text(seed);
    for (int changes = static_cast<int>(random() % 6); changes >= 0; --changes) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    RequestParser parser({.header_bytes_max = 128, .body_bytes_max = 16});
    Result<std::size_t> taken = feed_all(parser, text, 1 + random() % 40);
    if (taken.ok()) EXPECT_LE(*taken, text.size());
  }
}

}  // namespace
}  // namespace mr::http
