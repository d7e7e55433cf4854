#include "broker/broker.h"

namespace mr::broker {

Task<Result<Offset>> Broker::delete_records(RecordsToDelete wanted) {
  const PartitionKey key{wanted.topic, wanted.partition};
  // The log's own start first: a checkpoint that is written meanwhile then has this start or a later one.
  auto moved = co_await shards_.call(wanted.home, [this, &wanted, &key]() -> Task<Result<Offset>> {
    ShardState& shard = *per_shard_[wanted.home.v];
    PartitionRef partition = shard.find(key.topic, key.partition);
    if (partition == nullptr) co_return shard.missing(key.topic, key.partition);
    MR_CO_TRY(Offset start, co_await partition->delete_records(wanted.before));
    auto directory = shard.directory_of.find(key);
    if (directory == shard.directory_of.end()) co_return shard.missing(key.topic, key.partition);  // meanwhile
    delete_given_up(wanted.home, key, directory->second, partition->log().take_deleted_files());
    co_return start;
  });
  if (!moved.ok()) co_return moved;
  auto saved = co_await shards_.call(ShardId{0}, [this, &key, &moved] { return save_log_start(key, *moved); });
  if (!saved.ok()) co_return std::move(saved).error();
  co_return moved;
}

/// On shard 0.
Task<Result<void>> Broker::save_log_start(PartitionKey key, Offset start) {
  MR_CO_TRY_VOID(co_await directory_calls_.acquire(1));
  Semaphore::Held held(directory_calls_);
  // A line that outlives the topic would be the start of another one under its name.
  TopicRef topic = per_shard_[0]->topics->find(key.topic);
  auto directory = directory_of_.find(key);
  if (topic == nullptr || directory == directory_of_.end()) co_return Errc::unknown_topic_id;
  storage::DataDir& data = *directories_[directory->second].data;
  TopicPartition name{topic->name, key.partition};
  co_return co_await offload(per_shard_[0]->env, [&] { return data.save_log_start(name, start); });
}

}  // namespace mr::broker
