#pragma once
#include <gtest/gtest.h>

#include "broker/broker.h"
#include "broker/produce.h"
#include "metastore/local_metastore.h"
#include "model/batch_builder.h"
#include "sim/world.h"

namespace mr::broker {

/// A broker with everything below it; the metadata lives on over restarts.
struct Running {
  enum class Start { now, later };
  Running(sim::World& world, sim::Process& process, std::shared_ptr<metastore::Journal> journal,
          std::vector<std::string> paths = {"/data"}, std::vector<config::SettingInput> inputs = {},
          Start when = Start::now, JournalSizes sizes = {})
      : world(world), process(process) {
    Env& env = process.env(ShardId{0});
    auto store = run(metastore::LocalMetastore::open(process, ShardId{0}, env.pool, std::move(journal)));
    MR_CHECK(store.ok());
    metadata = std::move(*store);
    auto settings = config::load_broker_settings(inputs);
    MR_CHECK(settings.ok());
    BrokerDeps deps{process, *metadata, std::move(*settings), {}};
    for (const std::string& path : paths) {
      auto directory = run(offload(env, [&] { return storage::DataDir::open(env.files, path); }));
      if (directory.ok()) {
        was_clean.push_back((*directory)->was_clean());
        deps.directories.push_back(std::move(*directory));
      } else {
        deps.unopened.push_back({path, directory.error()});
      }
    }
    deps.journal = sizes;
    deps.all_failed = [this](Error why) { fatal = why; };
    broker = std::make_unique<Broker>(std::move(deps));
    if (when == Start::now) started = run(broker->start());
  }
  Result<void> stop() {
    Result<void> stopped = run(broker->stop());
    broker.reset();
    run(metadata->stop());
    metadata.reset();
    return stopped;
  }
  template <class T>
  T run(Task<T> task) {
    return world.run(process, ShardId{0}, std::move(task));
  }
  TopicRef topic(const std::string& name) { return broker->topics(ShardId{0})->find(name); }

  Result<Offset> append(const std::string& name, std::string value, std::int32_t partition = 0) {
    BatchBuilder builder;
    builder.add({.timestamp = 1, .value = as_bytes(value)});
    std::vector<std::byte> batch = *builder.build();
    auto work = [](Broker& broker, TopicRef topic, PartitionIndex index, MutableBytes batch) -> Task<Result<Offset>> {
      std::array<ProduceItem, 1> items;
      items[0].topic = topic->id;
      items[0].partition = index;
      items[0].home = topic->partition(index)->home;
      items[0].batch = batch;
      Produce produce(broker, replication::Acks::all, true, kForever);
      co_await produce.append(items);
      co_await produce.committed();
      if (!items[0].outcome) co_return items[0].outcome.error().error;
      co_return items[0].outcome->base_offset;
    };
    return run(work(*broker, topic(name), PartitionIndex{partition}, batch));
  }
  /// Where ListOffsets says the partition ends, or starts (-2).
  Result<Offset> listed(const std::string& name, std::int32_t partition, WallMillis special = -1) {
    TopicRef of = topic(name);
    Broker::OffsetQuery query{.topic = of->id,
                              .partition = PartitionIndex{partition},
                              .home = of->partitions[static_cast<std::size_t>(partition)].home,
                              .timestamp = special};
    auto answer = run(broker->list_offset(query));
    if (!answer.ok()) return std::move(answer).error();
    return answer->offset;
  }

  sim::World& world;
  sim::Process& process;
  std::unique_ptr<metastore::LocalMetastore> metadata;
  std::unique_ptr<Broker> broker;
  std::vector<bool> was_clean;  ///< of the directories that opened
  Result<void> started;
  std::optional<Error> fatal;
};

}  // namespace mr::broker
