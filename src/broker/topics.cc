// Creating and deleting topics: one change at a time, on shard 0.
#include <fmt/format.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/open_partition.h"

namespace mr::broker {

Task<Result<TopicRef>> Broker::create_topic(TopicSpec spec, bool validate_only) {
  co_return co_await shards_.call(
      ShardId{0}, [this, &spec, validate_only] { return create_on_control(std::move(spec), validate_only); });
}

Task<Result<void>> Broker::delete_topic(std::string name, TopicId id) {
  co_return co_await shards_.call(ShardId{0}, [this, &name, id] { return delete_on_control(std::move(name), id); });
}

Task<Result<TopicRef>> Broker::create_on_control(TopicSpec spec, bool validate_only) {
  ShardState& control = *per_shard_[0];
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));
  Semaphore::Held held(topic_changes_);
  if (!started_) co_return Errc::shutting_down;

  TopicLimits limits{.default_partitions = settings_.config.num_partitions,
                     .default_replication = static_cast<std::int16_t>(settings_.config.default_replication_factor),
                     .self = self_};
  MR_CO_TRY_VOID(check_new_name(spec.name, *control.topics));
  MR_CO_TRY(config::TopicConfig settings, topic_config(ShardId{0}, spec.configs));
  MR_CO_TRY_VOID(config::check_lengths(spec.configs));
  MR_CO_TRY_VOID(settings.check_together());
  MR_CO_TRY(std::int32_t partitions, plan_topic(spec, *control.topics, limits));

  Uuid id;
  do {
    id = Uuid::from_random(control.env.rng.next(), control.env.rng.next());
  } while (id.to_string().front() == '-');  // tools would take it for an option (traps.md 14)

  auto topic = std::make_shared<TopicInfo>();
  topic->name = spec.name;
  topic->id = TopicId{id};
  topic->internal = internal_topic(spec.name);
  topic->configs = spec.configs;
  metastore::TopicRecord record{
      .name = spec.name, .id = topic->id, .created = control.env.clock.wall(), .configs = spec.configs};
  std::vector<OpenJob> jobs(static_cast<std::size_t>(partitions));
  if (deletions_left_ && !validate_only) co_await finish_old_deletions();
  for (OpenJob& job : jobs) {
    job.topic = topic.get();
    job.settings = &settings;
    MR_CO_TRY(metastore::PartitionRecord partition, place_new_partition(*topic, job, validate_only));
    record.partitions.push_back(std::move(partition));
  }
  if (validate_only) co_return TopicRef(topic);

  auto created = co_await cluster_.create_topic(record);
  if (!created.ok()) {
    for (const OpenJob& job : jobs) forget_place(job.key());
    co_return std::move(created).error();
  }
  auto failed = [&jobs] { return std::ranges::find_if(jobs, [](const OpenJob& job) { return !job.outcome.ok(); }); };
  co_await for_all(jobs, &Broker::open_log);
  if (failed() == jobs.end()) co_await for_all(jobs, &Broker::lead);
  if (failed() != jobs.end()) {
    Error why = failed()->outcome.error();
    // Another topic's directory has the name. Clients know of no such error.
    if (why == Errc::inconsistent_topic_id) why = Error(Errc::disk_failed, why.message());
    // The topic exists for the metastore now: take it back, so that the name is free for another try.
    log_error("broker", "topic could not be created", {{"topic", spec.name}, {"error", why.message()}});
    (void)co_await cluster_.delete_topic(spec.name, topic->id);
    jobs.clear();
    co_await remove_data(topic);
    co_return why;
  }
  co_await publish(control.topics->with(topic));
  for (auto& tell : topic_changed_) tell(topic);
  log_info("broker", "topic created",
           {{"topic", topic->name}, {"id", topic->id.v.to_string()}, {"partitions", partitions}});
  co_return TopicRef(topic);
}

Task<Result<void>> Broker::delete_on_control(std::string name, TopicId id) {
  ShardState& control = *per_shard_[0];
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));
  Semaphore::Held held(topic_changes_);
  if (!started_) co_return Errc::shutting_down;
  TopicRef topic = control.topics->find(id);
  if (topic == nullptr || topic->name != name) co_return Errc::unknown_topic_id;
  // The tombstone comes first: only it lets data be removed, now or after a crash (design section 5 rule 7).
  MR_CO_TRY_VOID(co_await cluster_.delete_topic(name, id));
  co_await publish(control.topics->without(id));
  for (auto& tell : topic_deleted_) tell(topic);
  co_await remove_data(topic);
  log_info("broker", "topic deleted", {{"topic", name}, {"id", id.v.to_string()}});
  co_return Result<void>{};
}

/// Stops the topic's partitions, moves their directories aside and removes them; then forgets the tombstone.
Task<void> Broker::remove_data(TopicRef topic) {
  Env& env = per_shard_[0]->env;
  bool all_gone = true;
  for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
    PartitionKey key{topic->id, PartitionIndex{static_cast<std::int32_t>(p)}};
    ShardId home = topic->partitions[p].home;
    co_await shards_.call(home, [this, home, key]() -> Task<void> {
      ShardState& shard = *per_shard_[home.v];
      shard.offline.erase(key);
      PartitionRef partition = shard.take(key);
      if (partition == nullptr) co_return;
      co_await partition->stop();
      partition->forget_carried();
    });
    auto directory = directory_of_.find(key);
    if (directory == directory_of_.end()) {
      all_gone = false;  // it lies where nobody can look now: the tombstone stays until that comes back
      continue;
    }
    storage::DataDir& dir = *directories_[directory->second].data;
    forget_place(key);
    TopicPartition name{topic->name, key.partition};
    Uuid unique = Uuid::from_random(env.rng.next(), env.rng.next());
    auto free = co_await directory_calls_.acquire(1);
    if (!free.ok()) co_return;
    Semaphore::Held call(directory_calls_);
    auto removed = co_await offload(env, [&] { return dir.remove_partition(name, topic->id, unique); });
    if (!removed.ok()) {
      all_gone = false;  // the tombstone stays: who wants the name, or the next start, tries again
      deletions_left_ = true;
      log_warn("broker", "data of a deleted topic could not be removed",
               {{"partition", name.to_string()}, {"error", removed.error().message()}});
    }
  }
  if (all_gone) (void)co_await cluster_.forget_deleted(topic->id);
}

void Broker::forget_place(const PartitionKey& key) {
  auto directory = directory_of_.find(key);
  --directories_[directory->second].partitions;
  directory_of_.erase(directory);
}

}  // namespace mr::broker
