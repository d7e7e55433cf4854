// Aim: answers of HTTP servers are read whole or refused. Method: answers as text.
#include "cli/http_get.h"

#include <gtest/gtest.h>

namespace mr::cli {
namespace {

TEST(HttpGet, TakesAnAnswerApart) {
  auto ended = parse_http_answer("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nnot yet");
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->status, 503);
  EXPECT_EQ(ended->body, "not yet");
  auto measured = parse_http_answer("HTTP/1.0 200 OK\r\ncontent-LENGTH:  3\r\nX: y\r\n\r\nabcdef");
  ASSERT_TRUE(measured.ok());
  EXPECT_EQ(measured->body, "abc");
}

TEST(HttpGet, RefusesWhatIsCutOrForeign) {
  for (const char* bytes :
       {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"})
    EXPECT_EQ(parse_http_answer(bytes).error().code(), Errc::malformed) << bytes;
}

TEST(HttpGet, FindsAMember) {
  EXPECT_EQ(json_text_member(R"({"kafka":"127.0.0.1:9092","http":null})", "kafka"), "127.0.0.1:9092");
  EXPECT_EQ(json_text_member(R"({"kafka":"127.0.0.1:9092","http":null})", "http"), "");
  EXPECT_EQ(json_text_member(R"({"kafka":"127)", "kafka"), "");
}

}  // namespace
}  // namespace mr::cli
