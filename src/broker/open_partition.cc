#include "broker/open_partition.h"

#include "base/log.h"

namespace mr::broker {

namespace {

/// compression.type and the level that goes with it; empty for "producer".
std::optional<std::pair<Codec, int>> stored_as(const config::TopicConfig& topic) {
  const std::string& type = topic.compression_type;
  if (type == "uncompressed") return {{Codec::none, 0}};
  // Nine levels of gzip are three here (isa-l); -1 is the default.
  if (type == "gzip")
    return {{Codec::gzip, topic.compression_gzip_level <= 3 ? 1 : (topic.compression_gzip_level + 2) / 3}};
  if (type == "snappy") return {{Codec::snappy, 0}};
  if (type == "lz4") return {{Codec::lz4, topic.compression_lz4_level}};
  if (type == "zstd") return {{Codec::zstd, topic.compression_zstd_level}};
  return std::nullopt;
}

replication::PartitionConfig replica_settings(const config::TopicConfig& topic) {
  auto stored = stored_as(topic);
  return {.flush_messages = topic.flush_messages,
          .flush_ms = topic.flush_ms,
          .batch_bytes_max = topic.max_message_bytes,
          .in_sync_min = topic.min_insync_replicas,
          .stored_as = stored ? std::optional(stored->first) : std::nullopt,
          .stored_level = stored ? stored->second : 0,
          .compacted = topic.compacted(),
          .log_append_time = topic.log_append_time(),
          .timestamp_before_max_ms = topic.message_timestamp_before_max_ms,
          .timestamp_after_max_ms = topic.message_timestamp_after_max_ms};
}

storage::LogConfig log_settings(const config::TopicConfig& topic, const config::BrokerConfig& broker) {
  return {.segment_bytes = static_cast<std::uint64_t>(topic.segment_bytes),
          // A compacted segment must be sealed in time to be compacted in time.
          .segment_ms = topic.compacted() ? std::min(topic.segment_ms, topic.max_compaction_lag_ms) : topic.segment_ms,
          .index_interval_bytes = static_cast<std::uint64_t>(topic.index_interval_bytes),
          .segment_index_bytes = static_cast<std::uint64_t>(topic.segment_index_bytes),
          .retention_bytes = topic.retention_bytes,
          .retention_ms = topic.retention_ms,
          .producer_expiration_ms = broker.producer_id_expiration_ms,
          .delete_old = topic.deleted(),
          .compacted = topic.compacted(),
          .synced_late = topic.flush_messages > 1,
          .compaction = {.min_lag_ms = topic.min_compaction_lag_ms,
                         .max_lag_ms = topic.max_compaction_lag_ms,
                         .min_dirty_ratio = topic.min_cleanable_dirty_ratio,
                         .delete_retention_ms = topic.delete_retention_ms}};
}

}  // namespace

/// On the job's home shard.
Task<Result<void>> Broker::open_log(OpenJob& job) {
  Env& env = per_shard_[job.home().v]->env;
  TopicPartition name = job.name();
  storage::DataDir& data = *directories_[job.directory].data;
  storage::Log::OpenOptions options{.directory = data.partition_path(name),
                                    .partition = name,
                                    .topic_id = job.topic->id,
                                    .config = log_settings(*job.settings, per_shard_[job.home().v]->settings->config),
                                    .clean_stop = job.clean_stop,
                                    .recovery_point = job.recovery_point,
                                    .log_start = job.log_start,
                                    .cleaned_end = job.cleaned_end,
                                    .now = env.clock.wall(),
                                    .window = per_shard_[job.home().v]->window.get(),
                                    .tails = &per_shard_[job.home().v]->tails};
  storage::RecoveryCounts counts;
  auto open = [&]() -> Result<std::unique_ptr<storage::Log>> {
    MR_TRY(options.evidence, data.journals().evidence_of(options.topic_id, name.partition));
    // Evidence that the last clean stop does not cover is of a log that has not been opened since.
    if (options.evidence.end() > options.recovery_point) options.clean_stop = false;
    options.counts = &counts;
    return open_log_(data.files(), options);
  };
  MR_CO_TRY(job.log, co_await offload(env, open));
  per_shard_[job.home().v]->recovered += counts;
  co_return Result<void>{};
}

/// On the job's home shard: notes the epoch in the log, then serves.
Task<Result<void>> Broker::lead(OpenJob& job) {
  ShardState& shard = *per_shard_[job.home().v];
  MR_CO_TRY_VOID(co_await offload(shard.env, [&] { return job.log->start_epoch(job.epoch); }));
  // Failed meanwhile: whoever takes its partitions offline may have passed here already.
  if (const Error* failed = directories_[job.directory].data->files().failed()) co_return *failed;
  shard.directory_of[job.key()] = job.directory;
  shard.partitions[job.key()] =
      std::make_shared<replication::Partition>(shard.env, job.name(), job.topic->id, std::move(job.log), job.epoch,
                                               replica_settings(*job.settings), shard.commits[job.directory]);
  shard.partitions[job.key()]->set_gate(shard.gates[job.directory]);
  co_return Result<void>{};
}

void Broker::obey_settings(ShardId id, const TopicInfo& topic) {
  ShardState& shard = *per_shard_[id.v];
  std::optional<config::TopicConfig> settings;
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
    if (topic.partitions[p].home != id) continue;
    PartitionRef partition = shard.find(topic.id, PartitionIndex{static_cast<std::int32_t>(p)});
    if (partition == nullptr) continue;
    if (!settings) {
      auto resolved = topic_config(id, topic.configs);
      MR_CHECK(resolved.ok());  // checked before it was published
      settings = std::move(*resolved);
    }
    partition->log().set_config(log_settings(*settings, shard.settings->config));
    partition->set_config(replica_settings(*settings));
  }
}

/// A few of each directory at a time, each on its home shard: enough to keep its disk busy, few enough to bound memory.
Task<void> Broker::for_all(std::vector<OpenJob>& jobs, Task<Result<void>> (Broker::*step)(OpenJob&)) {
  const auto at_once = static_cast<std::size_t>(config().num_recovery_threads_per_data_dir);
  struct Queue {
    const LogDirectory* directory;
    std::vector<OpenJob*> jobs = {};
    std::size_t next = 0;
  };
  std::vector<Queue> queues;
  for (const LogDirectory& directory : directories_) queues.push_back({&directory});
  for (OpenJob& job : jobs)
    if (job.placed()) queues[job.directory].jobs.push_back(&job);
  const TaskContext& context = co_await current_context();
  Scope workers(*context.executor);
  auto work = [](Broker& broker, Queue& queue, auto what) -> Task<void> {
    while (co_await broker.may_recover_more(*queue.directory) && queue.next < queue.jobs.size()) {
      OpenJob& job = *queue.jobs[queue.next++];
      broker.recovery_.begin(job.bytes_to_recover);
      job.outcome = co_await broker.shards_.call(job.home(), [&] { return (broker.*what)(job); });
      broker.recovery_.end(job.bytes_to_recover);
    }
  };
  for (Queue& queue : queues)
    for (std::size_t i = 0; i < std::min(at_once, queue.jobs.size()); ++i)
      workers.spawn("open partitions", work(*this, queue, step));
  co_await workers.drained();
}

/// One damaged log must not keep the others from being served (design section 5 rule 2): its partition answers
/// KAFKA_STORAGE_ERROR, and its files are left as they are.
Task<void> Broker::take_offline(std::vector<OpenJob>& jobs) {
  for (OpenJob& job : jobs) {
    if (job.outcome.ok()) continue;
    if (heals_by_itself(job.outcome.code())) open_later(job);
    log_error("broker", "a partition is offline: its log could not be opened",
              {{"partition", job.name().to_string()}, {"error", job.outcome.error().message()}});
    ShardId home = job.home();
    co_await shards_.call(home, [&] {
      per_shard_[home.v]->offline.emplace(job.key(), ShardState::Offline{job.name(), job.outcome.error()});
    });
  }
  std::erase_if(jobs, [](const OpenJob& job) { return !job.outcome.ok(); });
}

/// Each leadership gets an epoch above all before it, the metastore's and the log's own (design section 5 rule 1).
Task<Result<void>> Broker::raise_epochs(std::vector<OpenJob>& jobs) {
  std::vector<metastore::ClusterState::EpochBump> bumps;
  for (const OpenJob& job : jobs)
    bumps.push_back({job.topic->name, job.index, job.log->latest_epoch(), job.directory_id});
  MR_CO_TRY(std::vector<LeaderEpoch> epochs, co_await cluster_.bump_epochs(bumps));
  MR_CHECK(epochs.size() == jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].epoch = epochs[i];
  co_return Result<void>{};
}

}  // namespace mr::broker
