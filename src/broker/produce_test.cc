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

}  // namespace
}  // namespace mr::broker
