// Aim: for every message and version what is encoded decodes to the same values and the same bytes, and every cut frame
// is refused. Method: seeded random values through the generated debug functions; some rules by hand.
#include <gtest/gtest.h>

#include "wire/api/api_versions.h"
#include "wire/api/delete_topics.h"
#include "wire/api/fetch.h"
#include "wire/api/metadata.h"
#include "wire/api/produce.h"
#include "wire/debug/messages.h"

namespace mr::wire {
namespace {

using namespace std::literals;

std::string hex(ByteView bytes) {
  std::string text;
  for (std::byte b : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[std::to_integer<int>(b) >> 4];
    text += kDigits[std::to_integer<int>(b) & 15];
  }
  return text;
}

std::string joined(Writer& out) {
  std::string all;
  for (const Piece& p : out.pieces()) all += as_text(p.bytes);
  return all;
}

TEST(Codec, RandomValuesSurviveEveryVersion) {
  for (const debug::Message* m : debug::all_messages()) {
    for (Version v = m->min; v <= m->max; ++v) {
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(std::string(m->name) + " v" + std::to_string(v) + " seed " + std::to_string(seed));
        Writer first;
        auto made = m->random(seed, v, first);
        ASSERT_TRUE(made.ok()) << made.error().message();
        Writer again;
        auto back = m->transcode(first.flat(), v, again);
        ASSERT_TRUE(back.ok()) << back.error().message();
        std::string bytes = joined(again);
        ASSERT_EQ(hex(as_bytes(bytes)), hex(first.flat()));
        auto text = m->text(first.flat(), v);
        ASSERT_TRUE(text.ok());
        ASSERT_EQ(*text, *m->text(as_bytes(bytes), v));
      }
    }
  }
}

TEST(Codec, EveryShortenedFrameIsRefused) {
  for (const debug::Message* m : debug::all_messages()) {
    for (Version v = m->min; v <= m->max; ++v) {
      Writer out;
      ASSERT_TRUE(m->random(7, v, out).ok());
      std::size_t whole = out.flat().size();
      for (std::size_t n = 0; n < whole; n += 1 + whole / 400) {
        // A copy of exactly n bytes, so that a sanitizer sees a read behind its end.
        std::vector<std::byte> cut(out.flat().begin(), out.flat().begin() + static_cast<std::ptrdiff_t>(n));
        EXPECT_FALSE(m->text(cut, v).ok()) << m->name << " v" << v << " cut at " << n << " of " << whole;
      }
    }
  }
}

TEST(Codec, OneByteMoreIsRefused) {
  for (const debug::Message* m : debug::all_messages()) {
    Writer out;
    ASSERT_TRUE(m->random(1, m->max, out).ok());
    out.i8(0);
    EXPECT_EQ(m->text(out.flat(), m->max).code(), Errc::malformed) << m->name;
  }
}

TEST(Codec, VersionsOutsideTheSchemaAreRefused) {
  for (const debug::Message* m : debug::all_messages()) {
    EXPECT_EQ(m->text({}, static_cast<Version>(m->max + 1)).code(), Errc::unsupported_version);
    EXPECT_EQ(m->text({}, static_cast<Version>(m->min - 1)).code(), Errc::unsupported_version);
  }
}

TEST(Codec, ProduceRequestByHand) {
  // v9: compact nullable text, acks, timeout, one topic with one partition; tag sections at every level.
  std::string frame = "\0\xff\xff\0\0\x75\x30\2\3ab\2\0\0\0\5\4xyz\0\0\0"s;
  Arena arena;
  Reader in(as_bytes(frame), arena);
  auto request = produce::Request::decode(in, 9);
  ASSERT_TRUE(request.ok()) << request.error().message();
  EXPECT_FALSE(request->transactional_id);
  EXPECT_EQ(request->acks, -1);
  EXPECT_EQ(request->timeout_ms, 30000);
  ASSERT_EQ(request->topic_data.size(), 1u);
  EXPECT_EQ(request->topic_data[0].name, "ab");
  const auto& partition = request->topic_data[0].partition_data[0];
  EXPECT_EQ(partition.index, PartitionIndex{5});
  EXPECT_EQ(as_text(partition.records.inline_bytes), "xyz");
  EXPECT_EQ(partition.records.inline_bytes.data(), as_bytes(frame).data() + frame.find('x')) << "a view into the frame";
  Writer out;
  ASSERT_TRUE(request->encode(out, 9).ok());
  EXPECT_EQ(hex(out.flat()), hex(as_bytes(frame)));
}

TEST(Codec, ValueThatTheVersionLacks) {
  Writer out;
  metadata::Request request;
  request.allow_auto_topic_creation = false;  // v4+, not ignorable
  EXPECT_EQ(request.encode(out, 3).code(), Errc::unsupported_version);
  out.reset();
  EXPECT_TRUE(request.encode(out, 4).ok());

  fetch::Request fetch;
  fetch.rack_id = "r1";  // v11+, ignorable: dropped
  out.reset();
  EXPECT_TRUE(fetch.encode(out, 10).ok());

  delete_topics::Request remove;
  Arena arena;
  remove.topics = arena.list<delete_topics::DeleteTopicState>(1);  // v6+
  out.reset();
  EXPECT_EQ(remove.encode(out, 5).code(), Errc::unsupported_version);
}

TEST(Codec, NullWhereTheVersionHasNone) {
  metadata::Request all_topics;
  all_topics.topics.reset();
  Writer out;
  EXPECT_EQ(all_topics.encode(out, 0).code(), Errc::invalid_argument);
  out.reset();
  EXPECT_TRUE(all_topics.encode(out, 1).ok());
}

TEST(Codec, AbsentFieldsTakeTheSchemaDefault) {
  fetch::Request empty;
  Writer out;
  ASSERT_TRUE(empty.encode(out, 4).ok());
  Arena arena;
  Reader in(out.flat(), arena);
  auto request = fetch::Request::decode(in, 4);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->session_epoch, -1);
  EXPECT_EQ(request->max_bytes, 0x7fffffff);
  metadata::Request metadata;
  EXPECT_TRUE(metadata.allow_auto_topic_creation);
}

TEST(Codec, TaggedFieldsAtTheirDefaultAreLeftOut) {
  api_versions::Response response;
  Writer out;
  ASSERT_TRUE(response.encode(out, 3).ok());
  EXPECT_EQ(hex(out.flat()),
            "0000"
            "01"
            "00000000"
            "00");
  response.finalized_features_epoch = 5;
  response.zk_migration_ready = true;
  out.reset();
  ASSERT_TRUE(response.encode(out, 3).ok());
  EXPECT_EQ(hex(out.flat()),
            "0000"
            "01"
            "00000000"
            "02"
            "01080000000000000005"
            "030101");
}

TEST(ApiTable, KnowsRangesAndKeys) {
  const ApiInfo* produce = find_api(0);
  ASSERT_NE(produce, nullptr);
  EXPECT_EQ(produce->advertised_min, 0);
  EXPECT_FALSE(produce->serves(2));
  EXPECT_TRUE(produce->serves(3));
  EXPECT_FALSE(produce->serves(14));
  EXPECT_TRUE(produce->flexible(9));
  const ApiInfo* producer_id = find_api(22);
  ASSERT_NE(producer_id, nullptr);
  EXPECT_TRUE(producer_id->serves(5));
  EXPECT_FALSE(producer_id->serves(6)) << "unstable";
  EXPECT_EQ(find_api(4), nullptr);
  EXPECT_EQ(find_api(-1), nullptr);
  EXPECT_EQ(find_api(999), nullptr);
}

TEST(KafkaError, NamesAndKinds) {
  EXPECT_EQ(static_cast<int>(KafkaError::not_leader_or_follower), 6);
  EXPECT_EQ(to_string(KafkaError::unknown_server_error), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(to_string(static_cast<KafkaError>(9999)), "UNKNOWN");
  EXPECT_TRUE(is_retriable(KafkaError::not_leader_or_follower));
  EXPECT_FALSE(is_retriable(KafkaError::none));
}

}  // namespace
}  // namespace mr::wire
