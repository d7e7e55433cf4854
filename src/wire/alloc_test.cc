// Aim: after warm-up a Produce or Fetch request is decoded and its answer encoded without a single allocation, and
// record bytes are not copied. Method: this binary counts calls of operator new; a round is measured after two others.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "model/batch_builder.h"
#include "model/validate_batch.h"
#include "wire/api/fetch.h"
#include "wire/api/produce.h"
#include "wire/frame.h"

namespace {
std::size_t g_allocations = 0;
}

void* operator new(std::size_t n) {
  ++g_allocations;
  if (void* p = std::malloc(n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace mr::wire {
namespace {

/// What `round` allocates the third time.
template <class Round>
std::size_t allocations_of(Round round) {
  round();
  round();
  std::size_t before = g_allocations;
  round();
  return g_allocations - before;
}

std::vector<std::byte> fetch_request(Version version) {
  Arena arena;
  fetch::Request request;
  request.topics = arena.list<fetch::FetchTopic>(3);
  for (auto& topic : request.topics) {
    if (version <= 12) topic.topic = "a-topic";
    topic.partitions = arena.list<fetch::FetchPartition>(50);
  }
  Writer out;
  MR_CHECK(encode_request(out, request, version, 1, "client").ok());
  return {out.flat().begin(), out.flat().end()};
}

TEST(Allocations, FetchTakesNone) {
  for (Version version : {Version{4}, Version{11}, Version{12}, Version{18}}) {
    std::vector<std::byte> frame = fetch_request(version);
    Arena arena;
    Writer out;
    std::size_t external = 0;
    auto round = [&] {
      arena.reset();
      out.reset();
      auto head = parse_request(ByteView(frame).subspan(kFrameSizeBytes));
      MR_CHECK(head.ok());
      auto request = decode_body<fetch::Request>(head->body, head->version, arena);
      MR_CHECK(request.ok());
      fetch::Response response;
      response.responses = arena.list<fetch::FetchableTopicResponse>(request->topics.size());
      for (std::size_t t = 0; t < request->topics.size(); ++t) {
        response.responses[t].topic = request->topics[t].topic;
        response.responses[t].topic_id = request->topics[t].topic_id;
        response.responses[t].partitions = arena.list<fetch::PartitionData>(request->topics[t].partitions.size());
        for (auto& partition : response.responses[t].partitions) partition.records = Records::external(1 << 20, 7);
      }
      MR_CHECK(encode_response(out, response, version, head->correlation_id).ok());
      external = 0;
      for (const Piece& piece : out.pieces()) external += piece.is_external ? 1 : 0;
    };
    EXPECT_EQ(allocations_of(round), 0u) << "version " << version;
    EXPECT_EQ(external, 150u);
  }
}

TEST(Allocations, ProduceTakesNone) {
  std::string records(1 << 20, 'r');
  for (Version version : {Version{3}, Version{9}, Version{13}}) {
    Arena building;
    produce::Request request;
    request.acks = -1;
    request.topic_data = building.list<produce::TopicProduceData>(1);
    if (version <= 12) request.topic_data[0].name = "t";
    request.topic_data[0].partition_data = building.list<produce::PartitionProduceData>(20);
    for (auto& partition : request.topic_data[0].partition_data) partition.records = Records::of(as_bytes(records));
    Writer sent;
    ASSERT_TRUE(encode_request(sent, request, version, 1, "client").ok());
    std::vector<std::byte> frame;
    for (const Piece& piece : sent.pieces()) frame.insert(frame.end(), piece.bytes.begin(), piece.bytes.end());

    Arena arena;
    Writer out;
    auto round = [&] {
      arena.reset();
      out.reset();
      auto head = parse_request(ByteView(frame).subspan(kFrameSizeBytes));
      MR_CHECK(head.ok());
      auto got = decode_body<produce::Request>(head->body, head->version, arena);
      MR_CHECK(got.ok());
      produce::Response response;
      response.responses = arena.list<produce::TopicProduceResponse>(1);
      auto partitions = arena.list<produce::PartitionProduceResponse>(got->topic_data[0].partition_data.size());
      for (std::size_t i = 0; i < partitions.size(); ++i) {
        ByteView view = got->topic_data[0].partition_data[i].records.inline_bytes;
        MR_CHECK(view.data() > frame.data() && view.data() + view.size() <= frame.data() + frame.size());
        partitions[i].base_offset = Offset{static_cast<std::int64_t>(view.size())};
      }
      response.responses[0].partition_responses = partitions;
      MR_CHECK(encode_response(out, response, version, head->correlation_id).ok());
    };
    EXPECT_EQ(allocations_of(round), 0u) << "version " << version;
  }
}

TEST(Allocations, ValidatingABatchTakesNone) {
  std::string value(1000, 'v');
  for (Codec codec : {Codec::none, Codec::gzip, Codec::lz4, Codec::zstd}) {  // snappy's library allocates by itself
    BatchBuilder builder({.codec = codec});
    for (int i = 0; i < 100; ++i) builder.add({.timestamp = i, .key = as_bytes("key"), .value = as_bytes(value)});
    auto batch = builder.build();
    ASSERT_TRUE(batch.ok());
    auto round = [&] { MR_CHECK(validate_batch(*batch, {.compacted = true}).has_value()); };
    EXPECT_EQ(allocations_of(round), 0u) << "codec " << static_cast<int>(codec);
  }
}

// The gate must be able to fail.
TEST(Allocations, AreSeen) {
  auto round = [] { std::vector<int> memory(1000, 1); };
  EXPECT_GE(allocations_of(round), 1u);
}

}  // namespace
}  // namespace mr::wire
