// Starting and stopping: data directories, recovery, leader epochs, the clean-stop marker.
#include <fmt/format.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/open_partition.h"

namespace mr::broker {

Task<Result<void>> Broker::start() {
  Env& env = per_shard_[0]->env;
  Uuid fresh = Uuid::from_random(env.rng.next(), env.rng.next());
  MR_CO_TRY(cluster_id_, co_await cluster_.ensure_cluster_id(fresh));
  for (auto& directory : directories_) {
    Uuid id = Uuid::from_random(env.rng.next(), env.rng.next());
    auto claimed = co_await offload(env, [&] { return directory->claim(cluster_id_, self_, id); });
    MR_CO_TRY_VOID(std::move(claimed));
  }
  co_await finish_old_deletions();
  MR_CO_TRY(std::vector<metastore::TopicRecord> topics, co_await cluster_.load_topics());
  MR_CO_TRY_VOID(co_await open_partitions(topics));
  started_ = true;
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s},
                          [this, s] { per_shard_[s]->scope.spawn("retention", retention_loop(ShardId{s})); });
  }
  per_shard_[0]->scope.spawn("checkpoints", checkpoint_loop());
  if (!waiting_for_space_.empty()) per_shard_[0]->scope.spawn("reopen", reopen_loop());
  co_return Result<void>{};
}

/// Removes what a crash left of deleted topics: only with the metastore's tombstone as evidence.
Task<void> Broker::finish_old_deletions() {
  Env& env = per_shard_[0]->env;
  auto deleted = co_await cluster_.deleted_topics();
  if (!deleted.ok()) co_return;
  for (TopicId id : *deleted) {
    bool gone = true;
    for (auto& directory : directories_) {
      auto removed = co_await offload(env, [&] { return directory->remove_topic_data(id); });
      if (!removed.ok()) {
        gone = false;
        log_warn("broker", "data of a deleted topic could not be removed", {{"error", removed.error().message()}});
      }
    }
    if (gone) (void)co_await cluster_.forget_deleted(id);
  }
}

Task<Result<void>> Broker::open_partitions(const std::vector<metastore::TopicRecord>& topics) {
  Env& env = per_shard_[0]->env;
  // What lies where. A directory that no topic claims is left alone: metadata may be older than data.
  std::unordered_map<PartitionKey, std::size_t> found;
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    MR_CO_TRY(auto listed, co_await offload(env, [&] { return directories_[d]->partitions(); }));
    for (const storage::PartitionDir& entry : listed)
      if (entry.topic_id) {
        auto [at, first] = found.emplace(PartitionKey{*entry.topic_id, entry.name.partition}, d);
        if (!first)
          co_return Error(
              Errc::corrupt_data,
              fmt::format("{} lies in {} and in {}: move the one that is not to be served away", entry.name.to_string(),
                          directories_[at->second]->path(), directories_[d]->path()));
      }
  }

  struct Opening {
    std::shared_ptr<TopicInfo> topic;
    config::TopicConfig settings;
  };
  std::vector<Opening> openings;
  openings.reserve(topics.size());  // jobs point into it
  std::vector<OpenJob> jobs;
  for (const metastore::TopicRecord& record : topics) {
    auto settings = topic_config(record.configs);
    if (!settings.ok())
      co_return Error(settings.code(), fmt::format("topic '{}': {}", record.name, settings.error().detail()));
    Opening& opening = openings.emplace_back(std::make_shared<TopicInfo>(), std::move(*settings));
    opening.topic->name = record.name;
    opening.topic->id = record.id;
    opening.topic->internal = internal_topic(record.name);
    opening.topic->configs = record.configs;
    for (const metastore::PartitionRecord& p : record.partitions)
      opening.topic->partitions.push_back(
          {home_of(record.id, p.index, shards_.count()), p.leader, p.leader_epoch, p.replicas, p.isr});
    for (const metastore::PartitionRecord& p : record.partitions) {
      PartitionKey key{record.id, p.index};
      auto at = found.find(key);
      if (at == found.end()) {
        log_warn("broker", "a partition has no data directory; it starts empty",
                 {{"topic", record.name}, {"partition", p.index.v}});
      }
      std::size_t directory = at != found.end() ? at->second : pick_data_directory();
      ++partitions_in_directory_[directory];
      directory_of_[key] = directory;
      OpenJob& job = jobs.emplace_back();
      job.topic = opening.topic.get();
      job.index = p.index;
      job.settings = &opening.settings;
      job.directory = directory;
      job.recovery_point = directories_[directory]->recovery_point(job.name());
      job.log_start = directories_[directory]->log_start(job.name());
      job.clean_stop = directories_[directory]->was_clean();
      found.erase(key);
    }
  }
  for (const auto& [key, directory] : found)
    log_warn("broker", "a partition directory belongs to no topic; it is left alone",
             {{"topic_id", key.topic.v.to_string()},
              {"partition", key.partition.v},
              {"log_dir", directories_[directory]->path()}});

  co_await for_all(jobs, &Broker::open_log);
  co_await take_offline(jobs);
  MR_CO_TRY_VOID(co_await raise_epochs(jobs));
  co_await for_all(jobs, &Broker::lead);
  co_await take_offline(jobs);

  for (OpenJob& job : jobs) {
    auto* topic = const_cast<TopicInfo*>(job.topic);  // not published yet
    topic->partitions[static_cast<std::size_t>(job.index.v)].leader_epoch = job.epoch;
  }
  auto table = std::make_shared<const TopicTable>();
  for (Opening& opening : openings) table = table->with(opening.topic);
  co_await publish(table);
  log_info("broker", "partitions opened", {{"topics", topics.size()}, {"partitions", jobs.size()}});
  co_return Result<void>{};
}

Task<Result<void>> Broker::stop() {
  if (!started_) co_return Result<void>{};
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));  // a change in progress ends first
  started_ = false;
  topic_changes_.release(1);
  Result<void> outcome;
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    auto closed = co_await shards_.call(ShardId{s}, [this, s] { return close_shard(ShardId{s}); });
    if (!closed.ok() && outcome.ok()) outcome = closed;
  }
  co_await write_checkpoints();
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s}, [this, s] { per_shard_[s]->partitions.clear(); });
  // The marker says "no recovery needed": only when every log was synced and closed, and none was left unopened.
  bool all_opened = true;
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s}, [&, s] { all_opened = all_opened && per_shard_[s]->offline.empty(); });
  if (outcome.ok() && all_opened) {
    Env& env = per_shard_[0]->env;
    for (auto& directory : directories_) {
      auto marked = co_await offload(env, [&] { return directory->mark_clean(); });
      if (!marked.ok() && outcome.ok()) outcome = marked;
    }
  }
  co_return outcome;
}

/// On the shard itself. Partitions stop all at once, so that their syncs overlap.
Task<Result<void>> Broker::close_shard(ShardId id) {
  ShardState& shard = *per_shard_[id.v];
  co_await shard.scope.stop();
  Result<void> outcome;
  Scope closing(shard.env.executor);
  auto close = [](PartitionRef partition, Result<void>& first_error) -> Task<void> {
    co_await partition->stop();
    auto closed = co_await partition->close_log();
    if (!closed.ok()) {
      log_error("broker", "a partition could not be closed cleanly",
                {{"partition", partition->name().to_string()}, {"error", closed.error().message()}});
      if (first_error.ok()) first_error = closed;
    }
  };
  for (auto& [key, partition] : shard.partitions) closing.spawn("close partition", close(partition, outcome));
  co_await closing.drained();
  co_return outcome;
}

}  // namespace mr::broker
