// Aim: what a produce request is refused for before anything is appended, and what its answer says of each record.
// Method: a whole broker over a simulated disk.
#include "broker/produce.h"

#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using namespace std::literals;
using replication::Acks;

struct ProduceRules : testing::Test {
  ProduceRules() : world({.seed = 6}), host(world.add_host("b")) {
    running = std::make_unique<Running>(world, host.start(2), journal);
    MR_CHECK(running->started.ok());
  }
  ~ProduceRules() override { (void)running->stop(); }

  void make(const std::string& name, std::map<std::string, std::string> configs) {
    auto made = running->run(running->broker->create_topic({.name = name, .partitions = 1, .configs = configs}, false));
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  ProduceItem item(const std::string& name, std::vector<std::byte>& batch) {
    TopicRef of = running->topic(name);
    return {.topic = of->id,
            .partition = PartitionIndex{0},
            .home = of->partition(PartitionIndex{0})->home,
            .batch = batch};
  }
  void produce(std::span<ProduceItem> items, Acks acks) {
    auto work = [](Broker& broker, std::span<ProduceItem> items, Acks acks) -> Task<void> {
      Produce produce(broker, acks, true, kForever);
      co_await produce.append(items);
      co_await produce.committed();
    };
    running->run(work(*running->broker, items, acks));
  }
  Errc outcome(std::size_t in_sync, std::size_t replicas, Acks acks) {
    BatchBuilder builder;
    builder.add({.timestamp = 1, .value = as_bytes("v"sv)});
    std::vector<std::byte> batch = *builder.build();
    std::array<ProduceItem, 1> items = {item("t", batch)};
    items[0].in_sync = in_sync;
    items[0].replicas = replicas;
    produce(items, acks);
    return items[0].outcome ? Errc::internal : items[0].outcome.error().error.code();
  }
  static constexpr Errc kTaken = Errc::internal;

  sim::World world;
  sim::Host& host;
  std::shared_ptr<metastore::Journal> journal = std::make_shared<metastore::MemoryJournal>();
  std::unique_ptr<Running> running;
};

TEST_F(ProduceRules, AllAcksNeedEnoughReplicasInSync) {
  make("t", {{"min.insync.replicas", "2"}});
  EXPECT_EQ(outcome(1, 3, Acks::all), Errc::not_enough_replicas);
  EXPECT_EQ(running->listed("t", 0).value(), Offset{0}) << "refused before anything is appended";
  EXPECT_EQ(outcome(1, 3, Acks::leader), kTaken);
  EXPECT_EQ(outcome(2, 3, Acks::all), kTaken);
  EXPECT_EQ(outcome(1, 1, Acks::all), kTaken) << "more than there are cannot be asked for";
}

// What is answered before it is durable outlives the process, as in Kafka; what waits for the disk may wait in memory.
TEST_F(ProduceRules, OnlyWhatIsAnsweredLaterWaitsForItsFile) {
  make("t", {});
  auto waits = [&] {
    TopicRef of = running->topic("t");
    storage::Log& log =
        running->broker->shard(of->partition(PartitionIndex{0})->home).find(of->id, PartitionIndex{0})->log();
    return log.written_end() < log.log_end();
  };
  EXPECT_EQ(outcome(1, 1, Acks::all), kTaken);
  EXPECT_TRUE(waits());
  for (Acks acks : {Acks::leader, Acks::none}) {
    EXPECT_EQ(outcome(1, 1, acks), kTaken);
    EXPECT_FALSE(waits());
  }
}

// A request of many small batches with many bad records each must not grow into an answer that fills the memory.
TEST_F(ProduceRules, TheRecordsThatAnAnswerNamesAreBounded) {
  make("t", {{"cleanup.policy", "compact"}});
  BatchBuilder builder({.codec = Codec::zstd});
  for (int i = 0; i < 5000; ++i) builder.add({.timestamp = 1, .value = as_bytes("no key"sv)});
  const std::vector<std::byte> batch = *builder.build();
  constexpr std::size_t kBatches = 50;
  std::vector<std::vector<std::byte>> batches(kBatches, batch);
  std::vector<ProduceItem> items;
  for (auto& one : batches) items.push_back(item("t", one));
  produce(items, Acks::all);
  std::size_t named = 0;
  for (const ProduceItem& one : items) {
    ASSERT_FALSE(one.outcome);
    EXPECT_EQ(one.outcome.error().error.code(), Errc::invalid_record);
    ASSERT_FALSE(one.outcome.error().records.empty()) << "the first always is named";
    named += one.outcome.error().records.size();
  }
  EXPECT_GE(named, 1000u);
  EXPECT_LE(named, 1000u + kBatches);
}

std::vector<std::byte> batch_with(Codec codec, std::size_t value_bytes, std::int32_t sequence = -1) {
  bool idempotent = sequence >= 0;
  BatchBuilder builder({.codec = codec,
                        .producer_id = idempotent ? ProducerId{9} : kNoProducerId,
                        .producer_epoch = ProducerEpoch{idempotent ? std::int16_t{0} : std::int16_t{-1}},
                        .base_sequence = Sequence{sequence}});
  const std::string value(value_bytes, 'v');
  for (int i = 0; i < 3; ++i) builder.add({.timestamp = 10 + i, .value = as_bytes(value)});
  return *builder.build();
}

// Small and large batches, on the shard and off it, in one request: each is stored with the topic's codec, under the
// offsets that its producer was told, and a repeat is known as one.
TEST_F(ProduceRules, BatchesAreStoredWithTheCodecOfTheirTopic) {
  make("t", {{"compression.type", "zstd"}});
  std::vector<std::vector<std::byte>> batches = {batch_with(Codec::none, 10, 0), batch_with(Codec::gzip, 10, 3),
                                                 batch_with(Codec::none, 100'000, 6), batch_with(Codec::zstd, 10, 9)};
  std::int64_t next = 0;
  for (int round : {1, 2}) {
    next = 0;
    for (std::vector<std::byte> batch : batches) {  // a copy: what is sent again is as it was
      std::array<ProduceItem, 1> items = {item("t", batch)};
      produce(items, Acks::all);
      ASSERT_TRUE(items[0].outcome) << items[0].outcome.error().error.message();
      EXPECT_EQ(items[0].outcome->base_offset, Offset{next});
      EXPECT_EQ(items[0].outcome->duplicate, round == 2);
      next += 3;
    }
  }
  TopicRef of = running->topic("t");
  ShardState& shard = running->broker->shard(of->partitions[0].home);
  EXPECT_EQ(shard.recompressed, 6u) << "three, twice";
  auto read = shard.find(of->id, PartitionIndex{0})->read(Offset{0}, Offset{12}, 1 << 20, true);
  ASSERT_TRUE(read.ok());
  std::vector<std::byte> bytes;
  for (const storage::Fragment& fragment : read->fragments) {
    std::vector<std::byte> piece(fragment.length);
    if (fragment.file == nullptr) {
      piece.assign(fragment.memory.begin(), fragment.memory.end());
    } else {
      ASSERT_EQ(fragment.file->read_at(piece, fragment.position).value(), piece.size());
    }
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  BatchReader in(bytes);
  std::int64_t offset = 0;
  for (BatchView batch; in.next(batch); offset += 3) {
    EXPECT_EQ(batch.header.codec(), Codec::zstd);
    EXPECT_EQ(batch.header.base_offset, offset);
    EXPECT_EQ(batch.header.base_sequence, offset);
    EXPECT_EQ(batch.header.max_timestamp, 12);
    EXPECT_TRUE(batch_crc_matches(batch.bytes));
  }
  EXPECT_EQ(offset, 12);
}

// Batches that inflate to megabytes are looked into off the shard, and given another codec when memory for that is had;
// whoever asks for more than there ever is hears that, and nothing is stored.
TEST_F(ProduceRules, BatchesThatInflateToMuch) {
  make("t", {});
  make("zstd", {{"compression.type", "zstd"}});
  make("compacted", {{"cleanup.policy", "compact"}});
  auto code = [&](const std::string& topic, std::vector<std::byte> batch) {
    std::array<ProduceItem, 1> items = {item(topic, batch)};
    produce(items, Acks::all);
    return items[0].outcome ? kTaken : items[0].outcome.error().error.code();
  };
  auto hits = [&](const char* probe) { return world.probes().count(probe); };
  constexpr std::size_t kBytes = 1 << 20;
  EXPECT_EQ(code("t", batch_with(Codec::gzip, 1000)), kTaken);
  EXPECT_EQ(hits("looked_into_off_the_shard"), 0u);
  for (Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd})
    EXPECT_EQ(code("t", batch_with(codec, kBytes)), kTaken);
  EXPECT_EQ(hits("looked_into_off_the_shard"), 4u);
  EXPECT_EQ(code("compacted", batch_with(Codec::gzip, kBytes)), Errc::invalid_record) << "keys are asked for";
  EXPECT_EQ(code("zstd", batch_with(Codec::gzip, kBytes)), kTaken);
  EXPECT_EQ(hits("recompressed_a_large_batch"), 1u);
  EXPECT_EQ(code("t", batch_with(Codec::gzip, 100 * kBytes)), Errc::message_too_large);
  EXPECT_EQ(code("zstd", batch_with(Codec::gzip, 60 * kBytes)), Errc::message_too_large) << "four times 180 MiB";
  EXPECT_EQ(running->listed("t", 0).value(), Offset{15});
  EXPECT_EQ(running->listed("zstd", 0).value(), Offset{3});
  EXPECT_EQ(running->listed("compacted", 0).value(), Offset{0});
  EXPECT_EQ(running->broker->inflating().used(), 0u);
}

TEST_F(ProduceRules, WhatIsWrongIsSaidOfTheBatchAsSent) {
  make("t", {{"compression.type", "uncompressed"}, {"max.message.bytes", "5000"}});
  auto code = [&](std::vector<std::byte> batch) {
    std::array<ProduceItem, 1> items = {item("t", batch)};
    produce(items, Acks::all);
    return items[0].outcome ? kTaken : items[0].outcome.error().error.code();
  };
  auto flipped = batch_with(Codec::gzip, 10);
  flipped.back() ^= std::byte{1};
  EXPECT_EQ(code(flipped), Errc::corrupt_batch) << "a new checksum must not hide it";
  EXPECT_EQ(code(batch_with(Codec::none, 2000)), Errc::message_too_large);
  EXPECT_EQ(code(batch_with(Codec::gzip, 2000)), Errc::message_too_large) << "too large only once it is inflated";
  EXPECT_EQ(running->listed("t", 0).value(), Offset{0});
  EXPECT_EQ(code(batch_with(Codec::gzip, 1000)), kTaken);
}

}  // namespace
}  // namespace mr::broker
