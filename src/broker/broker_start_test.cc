// Aim: starting over damaged data: one bad log takes only its own partition offline, its files and its log start stay,
// and the directory is not marked clean. Method: a whole broker over a simulated disk, stopped, damaged, started again.
#include <gtest/gtest.h>

#include "broker/broker.h"
#include "broker/fetch.h"
#include "broker/produce.h"
#include "metastore/local_metastore.h"
#include "model/batch_builder.h"
#include "sim/world.h"

namespace mr::broker {
namespace {

/// A broker with everything below it; the metadata lives on over restarts.
struct Running {
  Running(sim::World& world, sim::Process& process, std::shared_ptr<metastore::Journal> journal)
      : world(world), process(process) {
    Env& env = process.env(ShardId{0});
    auto store = run(metastore::LocalMetastore::open(process, ShardId{0}, env.pool, std::move(journal)));
    MR_CHECK(store.ok());
    metadata = std::move(*store);
    std::vector<std::unique_ptr<storage::DataDir>> directories;
    auto directory = run(offload(env, [&] { return storage::DataDir::open(env.files, "/data"); }));
    MR_CHECK(directory.ok());
    was_clean = (*directory)->was_clean();
    directories.push_back(std::move(*directory));
    auto settings = config::load_broker_settings({});
    MR_CHECK(settings.ok());
    broker = std::make_unique<Broker>(BrokerDeps{process, *metadata, std::move(*settings), std::move(directories)});
    auto started = run(broker->start());
    MR_CHECK(started.ok());
  }
  void stop() {
    EXPECT_TRUE(run(broker->stop()).ok());
    broker.reset();
    run(metadata->stop());
    metadata.reset();
  }
  template <class T>
  T run(Task<T> task) {
    return world.run(process, ShardId{0}, std::move(task));
  }
  TopicRef topic(const std::string& name) { return broker->topics(ShardId{0})->find(name); }

  Result<Offset> append(const std::string& name, std::string value) {
    BatchBuilder builder;
    builder.add({.timestamp = 1, .value = as_bytes(value)});
    std::vector<std::byte> batch = *builder.build();
    auto work = [](Broker& broker, TopicRef topic, MutableBytes batch) -> Task<Result<Offset>> {
      std::array<ProduceItem, 1> items;
      items[0].topic = topic->id;
      items[0].home = topic->partitions[0].home;
      items[0].batch = batch;
      Produce produce(broker, replication::Acks::all, true, kForever);
      co_await produce.append(items);
      co_await produce.committed();
      if (!items[0].outcome) co_return items[0].outcome.error().error;
      co_return items[0].outcome->base_offset;
    };
    return run(work(*broker, topic(name), batch));
  }

  sim::World& world;
  sim::Process& process;
  std::unique_ptr<metastore::LocalMetastore> metadata;
  std::unique_ptr<Broker> broker;
  bool was_clean = false;
};

TEST(BrokerStart, ADamagedLogTakesOnlyItsPartitionOffline) {
  sim::World world({.seed = 5});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  {
    Running first(world, host.start(2), journal);
    for (const char* name : {"good", "bad"})
      ASSERT_TRUE(first.run(first.broker->create_topic({.name = name}, false)).ok());
    EXPECT_EQ(first.append("good", "a"), Offset{0});
    EXPECT_EQ(first.append("bad", "b"), Offset{0});
    first.stop();
  }
  // partition.metadata of another topic: not ours to touch.
  Uuid foreign{77, 88};
  {
    auto file = host.disk().open("/data/bad-0/partition.metadata", OpenMode::read_write);
    ASSERT_TRUE(file.ok());
    std::string text = "version: 0\ntopic_id: " + foreign.to_string() + "\n";
    ASSERT_TRUE((*file)->truncate(0).ok());
    ASSERT_TRUE((*file)->write_at(as_bytes(text), 0).ok());
  }
  for (int round = 0; round < 2; ++round) {
    Running again(world, host.start(2), journal);
    EXPECT_EQ(again.was_clean, round == 0) << "an unopened log forbids the clean-stop marker";
    auto refused = again.append("bad", "c");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.code(), Errc::disk_failed);
    EXPECT_EQ(again.append("good", "c"), Offset{1 + round});
    again.stop();
  }
}

}  // namespace
}  // namespace mr::broker
