#include "broker/broker.h"

namespace mr::broker {

Task<void> Broker::delete_records(std::span<RecordsToDelete> wanted) {
  std::map<std::uint32_t, std::vector<RecordsToDelete*>> by_home;
  for (RecordsToDelete& item : wanted) by_home[item.home.v].push_back(&item);
  // The logs' own starts first: a checkpoint that is written meanwhile then has these starts or later ones.
  for (auto& [home, items] : by_home) {
    const ShardId shard{home};
    co_await shards_.call(shard, [this, shard, &items] { return move_log_starts(shard, items); });
  }
  const bool moved = std::ranges::any_of(wanted, [](const RecordsToDelete& item) { return item.log_start.ok(); });
  if (moved) co_await shards_.call(ShardId{0}, [this, wanted] { return save_log_starts(wanted); });
}

/// On `home`.
Task<void> Broker::move_log_starts(ShardId home, std::vector<RecordsToDelete*> wanted) {
  ShardState& shard = *per_shard_[home.v];
  for (RecordsToDelete* item : wanted) {
    const PartitionKey key{item->topic, item->partition};
    TopicRef topic = shard.topics->find(key.topic);
    if (topic != nullptr && topic->internal) {
      item->log_start = Error(Errc::invalid_topic_name, "records of an internal topic are not deleted on request");
      continue;
    }
    PartitionRef partition = shard.find(key.topic, key.partition);
    if (partition == nullptr) {
      item->log_start = shard.missing(key.topic, key.partition);
      continue;
    }
    item->log_start = co_await partition->delete_records(item->before);
    if (!item->log_start.ok()) continue;
    auto directory = shard.directory_of.find(key);
    if (directory == shard.directory_of.end()) {  // deleted, or its directory failed, meanwhile
      item->log_start = shard.missing(key.topic, key.partition);
      continue;
    }
    delete_given_up(home, key, directory->second, partition->log().take_deleted_files());
  }
}

/// On shard 0. What cannot be saved gets the error instead of its start.
Task<void> Broker::save_log_starts(std::span<RecordsToDelete> wanted) {
  auto free = co_await directory_calls_.acquire(1);
  if (!free.ok()) {
    for (RecordsToDelete& item : wanted)
      if (item.log_start.ok()) item.log_start = free.error();
    co_return;
  }
  Semaphore::Held held(directory_calls_);
  struct Saving {
    storage::OffsetCheckpoint starts;
    std::vector<RecordsToDelete*> items;
  };
  std::map<std::size_t, Saving> by_directory;
  for (RecordsToDelete& item : wanted) {
    if (!item.log_start.ok()) continue;
    // A line that outlives the topic would be the start of another one under its name. Who deletes a topic from here on
    // waits for its turn, and takes the line away.
    TopicRef topic = per_shard_[0]->topics->find(item.topic);
    auto directory = directory_of_.find({item.topic, item.partition});
    if (topic == nullptr || directory == directory_of_.end()) {
      item.log_start = Errc::unknown_topic_id;
      continue;
    }
    Saving& saving = by_directory[directory->second];
    saving.starts[TopicPartition{topic->name, item.partition}] = *item.log_start;
    saving.items.push_back(&item);
  }
  for (auto& [directory, saving] : by_directory) {
    storage::DataDir& data = *directories_[directory].data;
    auto saved = co_await offload(per_shard_[0]->env, [&] { return data.save_log_starts(saving.starts); });
    if (saved.ok()) continue;
    for (RecordsToDelete* item : saving.items) item->log_start = saved.error();
  }
}

}  // namespace mr::broker
