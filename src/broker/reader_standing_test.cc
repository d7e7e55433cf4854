// Aim: how far behind a reader is, in records and in time, to the record inside a batch.
// Method: a whole broker over a simulated disk.
#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

struct ReaderStandings : testing::Test {
  ReaderStandings() : world({.seed = 6}), host(world.add_host("b")) {
    running = std::make_unique<Running>(world, host.start(2), journal);
    MR_CHECK(running->started.ok());
  }
  ~ReaderStandings() override { (void)running->stop(); }

  void make(const std::string& name, std::map<std::string, std::string> configs = {}) {
    auto made = running->run(running->broker->create_topic({.name = name, .partitions = 1, .configs = configs}, false));
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  void append(const std::string& name, std::vector<WallMillis> times, Codec codec = Codec::none) {
    BatchBuilder builder({.codec = codec});
    for (WallMillis time : times) builder.add({.timestamp = time, .value = as_bytes(std::string_view("v"))});
    std::vector<std::byte> batch = *builder.build();
    auto work = [](Broker& broker, TopicRef topic, MutableBytes batch) -> Task<bool> {
      std::array<ProduceItem, 1> items;
      items[0].topic = topic->id;
      items[0].partition = PartitionIndex{0};
      items[0].home = topic->partition(PartitionIndex{0})->home;
      items[0].batch = batch;
      Produce produce(broker, replication::Acks::all, true, kForever);
      co_await produce.append(items);
      co_await produce.committed();
      co_return items[0].outcome.has_value();
    };
    ASSERT_TRUE(running->run(work(*running->broker, running->topic(name), batch)));
  }
  Broker::ReaderStanding look(const std::string& name, std::int64_t next) {
    TopicRef of = running->topic(name);
    std::array<Broker::ReaderStanding, 1> readers{{{.topic = of->id,
                                                    .partition = PartitionIndex{0},
                                                    .home = of->partition(PartitionIndex{0})->home,
                                                    .next = Offset{next}}}};
    running->run(running->broker->look_at(readers));
    return readers[0];
  }

  sim::World world;
  sim::Host& host;
  std::shared_ptr<metastore::Journal> journal = std::make_shared<metastore::MemoryJournal>();
  std::unique_ptr<Running> running;
};

TEST_F(ReaderStandings, TheOldestUnreadIsFoundInsideItsBatch) {
  make("t");
  for (Codec codec : {Codec::none, Codec::zstd}) append("t", {10'000, 20'000, 30'000}, codec);
  append("t", {40'000, 40'100});
  const std::vector<WallMillis> oldest = {10'000, 20'000, 30'000, 10'000, 20'000, 30'000, 40'000, 40'000};
  for (std::size_t next = 0; next < oldest.size(); ++next) {
    const auto found = look("t", static_cast<std::int64_t>(next));
    EXPECT_EQ(found.end, Offset{8});
    EXPECT_EQ(found.start, Offset{0});
    EXPECT_EQ(found.oldest, oldest[next]) << "at " << next;
  }
  EXPECT_EQ(look("t", 8).oldest, std::nullopt) << "nothing is left to read";
  EXPECT_EQ(look("t", 100).oldest, std::nullopt) << "beyond the end";
}

TEST_F(ReaderStandings, WhatWasDeletedDoesNotWait) {
  make("t");
  append("t", {10'000, 20'000, 30'000});
  TopicRef of = running->topic("t");
  std::array<Broker::RecordsToDelete, 1> before{
      {{.topic = of->id, .partition = PartitionIndex{0}, .home = of->partitions[0].home, .before = Offset{1}}}};
  running->run(running->broker->delete_records(before));
  const auto found = look("t", 0);
  EXPECT_EQ(found.start, Offset{1});
  EXPECT_EQ(found.oldest, 20'000);
}

TEST_F(ReaderStandings, AppendTimeIsTheBatchs) {
  make("t", {{"message.timestamp.type", "LogAppendTime"}});
  append("t", {10'000, 20'000});
  const auto first = look("t", 0), second = look("t", 1);
  ASSERT_TRUE(first.oldest);
  EXPECT_GT(*first.oldest, 20'000);
  EXPECT_EQ(second.oldest, first.oldest);
}

TEST_F(ReaderStandings, APartitionThatIsNotThereHasNoEnd) {
  make("t");
  Broker::ReaderStanding reader{.topic = running->topic("t")->id, .partition = PartitionIndex{7}, .home = ShardId{1}};
  running->run(running->broker->look_at(std::span(&reader, 1)));
  EXPECT_EQ(reader.end, Offset{-1});
  EXPECT_EQ(reader.oldest, std::nullopt);
}

}  // namespace
}  // namespace mr::broker
