// Aim: headers are read and written as traps.md 1-6 say. Method: frames by hand, and both sides against each other.
#include "wire/frame.h"

#include <gtest/gtest.h>

#include "wire/api/api_versions.h"
#include "wire/api/metadata.h"
#include "wire/api/produce.h"

namespace mr::wire {
namespace {

using namespace std::literals;

TEST(Frame, SizeIsChecked) {
  EXPECT_EQ(*frame_size(as_bytes("\0\0\1\0"sv), 1000), 256u);
  EXPECT_EQ(frame_size(as_bytes("\xff\xff\xff\xff"sv), 1000).code(), Errc::malformed);
  EXPECT_EQ(frame_size(as_bytes("\0\0\4\0"sv), 1000).code(), Errc::too_large);
  EXPECT_EQ(frame_size(as_bytes("GET "sv), 104'857'600).code(), Errc::too_large);
}

TEST(Frame, HeaderVersionsOneAndTwo) {
  // Metadata v1: no tag section.
  auto v1 = parse_request(as_bytes("\0\3\0\1\0\0\0\x9\0\3abcBODY"sv));
  ASSERT_TRUE(v1.ok()) << v1.error().message();
  EXPECT_EQ(v1->api->key, ApiKey::metadata);
  EXPECT_EQ(v1->version, 1);
  EXPECT_EQ(v1->correlation_id, 9);
  EXPECT_EQ(v1->client_id, "abc");
  EXPECT_EQ(as_text(v1->body), "BODY");
  // Metadata v9: the client id keeps its int16 length, a tag section follows, here with one unknown tag.
  auto v2 = parse_request(as_bytes("\0\3\0\x9\0\0\0\x9\xff\xff\1\7\2xxBODY"sv));
  ASSERT_TRUE(v2.ok()) << v2.error().message();
  EXPECT_EQ(v2->client_id, "");
  EXPECT_EQ(as_text(v2->body), "BODY");
}

TEST(Frame, UnknownKeysAndVersionsAreRefused) {
  EXPECT_EQ(parse_request(as_bytes("\0\4\0\0\0\0\0\0\0\0"sv)).code(), Errc::unsupported_version);
  EXPECT_EQ(parse_request(as_bytes("\xff\xff\0\0\0\0\0\0\0\0"sv)).code(), Errc::unsupported_version);
  EXPECT_EQ(parse_request(as_bytes("\0\0\0\2\0\0\0\0\0\0"sv)).code(), Errc::unsupported_version) << "Produce v2";
  EXPECT_EQ(parse_request(as_bytes("\0\3\0\x0e\0\0\0\0\0\0\0"sv)).code(), Errc::unsupported_version);
  EXPECT_EQ(parse_request(as_bytes("\0\3"sv)).code(), Errc::malformed);
  EXPECT_EQ(parse_request(as_bytes("\0\3\0\1\0\0\0\0\0\x9"sv)).code(), Errc::malformed);
}

TEST(Frame, ApiVersionsAboveOursKeepsItsHeader) {
  auto too_new = parse_request(as_bytes("\0\x12\0\x63\0\0\0\5\0\1c\0whatever"sv));
  ASSERT_TRUE(too_new.ok()) << too_new.error().message();
  EXPECT_TRUE(too_new->api_versions_too_new);
  EXPECT_EQ(too_new->correlation_id, 5);
  EXPECT_EQ(parse_request(as_bytes("\0\x12\xff\xff\0\0\0\5\0\1c"sv)).code(), Errc::unsupported_version);
}

TEST(Frame, ResponseHeaderRule) {
  EXPECT_EQ(response_header_version(metadata::kApi, 8), 0);
  EXPECT_EQ(response_header_version(metadata::kApi, 9), 1);
  EXPECT_EQ(response_header_version(api_versions::kApi, 3), 0) << "always v0";
}

// What librdkafka 2.16.0 sends to list all topics: three bytes behind the end of the message.
TEST(Frame, BytesBehindARequestAreLetPass) {
  constexpr auto kFrame = "\0\3\0\15\0\0\0\3\0\7rdkafka\0\0\0\0\0\1\0\0"sv;
  auto head = parse_request(as_bytes(kFrame));
  ASSERT_TRUE(head.ok());
  Arena arena;
  auto body = decode_body<metadata::Request>(head->body, head->version, arena);
  ASSERT_TRUE(body.ok());
  EXPECT_FALSE(body->topics.has_value()) << "null: all of them";
  EXPECT_FALSE(decode_body<metadata::Request>(head->body.first(3), head->version, arena).ok()) << "cut short";

  Writer answer;
  ASSERT_TRUE(encode_response(answer, metadata::Response(), 13, 3).ok());
  auto back = parse_response(answer.flat().subspan(kFrameSizeBytes), metadata::kApi, 13);
  ASSERT_TRUE(back.ok());
  std::string longer(as_text(back->body));
  longer += '\0';
  EXPECT_EQ(decode_body<metadata::Response>(as_bytes(longer), 13, arena).code(), Errc::malformed) << "answers are ours";
}

TEST(Frame, BothSidesAgree) {
  for (Version version : {Version{8}, Version{9}}) {
    Writer out;
    metadata::Request request;
    request.topics.reset();
    ASSERT_TRUE(encode_request(out, request, version, 77, "me").ok());
    EXPECT_EQ(*frame_size(out.flat(), 1000), out.flat().size() - kFrameSizeBytes);
    auto head = parse_request(out.flat().subspan(kFrameSizeBytes));
    ASSERT_TRUE(head.ok());
    EXPECT_EQ(head->client_id, "me");
    Arena arena;
    auto body = decode_body<metadata::Request>(head->body, head->version, arena);
    ASSERT_TRUE(body.ok());
    EXPECT_FALSE(body->topics.has_value());

    Writer answer;
    metadata::Response response;
    response.cluster_id = "c";
    ASSERT_TRUE(encode_response(answer, response, version, 77).ok());
    auto back = parse_response(answer.flat().subspan(kFrameSizeBytes), metadata::kApi, version);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->correlation_id, 77);
    auto decoded = decode_body<metadata::Response>(back->body, version, arena);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->cluster_id, "c");
  }
}

}  // namespace
}  // namespace mr::wire
