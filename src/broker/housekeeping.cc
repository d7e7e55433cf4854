// Retention and checkpoints, by timers.
#include "base/log.h"
#include "broker/broker.h"
#include "runtime/longest_wait.h"

namespace mr::broker {

namespace {
constexpr Duration kCheckpointInterval = std::chrono::seconds(60);  // Kafka's log.flush.offset.checkpoint.interval.ms
/// What was not read for so long may have left the page cache and is checked again; what was not written to needs no
/// descriptors.
constexpr Duration kIdleAfter = std::chrono::minutes(5);
}  // namespace

Task<void> Broker::outlive(std::string_view name, Task<void> work) {
  try {
    co_await std::move(work);
  } catch (const std::exception& thrown) {
    log_error("broker", "housekeeping was ended by an exception; trying again later",
              {{"task", name}, {"what", thrown.what()}});
  }
}

Task<void> Broker::retention_loop(ShardId id) {
  ShardState& shard = *per_shard_[id.v];
  TimePoint looked = shard.env.now();
  for (;;) {
    auto slept = co_await sleep_until(shard.env.now() + bounded_wait(config().log_retention_check_interval_ms));
    if (!slept.ok()) co_return;
    co_await outlive("retention", apply_retention(id));
    if (shard.env.now() < looked + kIdleAfter) continue;
    for (auto& [key, partition] : shard.partitions) {
      partition->log().forget_checks();
      partition->rest_if_idle();
    }
    looked = shard.env.now();
  }
}

Task<void> Broker::apply_retention(ShardId id) {
  ShardState& shard = *per_shard_[id.v];
  struct One {
    PartitionKey key;
    PartitionRef partition;
    std::size_t directory;
  };
  std::vector<One> all;  // the maps may change while we wait
  for (auto& [key, partition] : shard.partitions) all.push_back({key, partition, shard.directory_of.at(key)});
  for (One& one : all) {
    co_await one.partition->apply_retention(shard.env.clock.wall());
    std::vector<std::string> files = one.partition->log().take_deleted_files();
    delete_given_up(id, one.key, one.directory, std::move(files));
  }
}

void Broker::delete_given_up(ShardId id, const PartitionKey& key, std::size_t directory,
                             std::vector<std::string> files) {
  ShardState& shard = *per_shard_[id.v];
  TopicRef topic = shard.topics->find(key.topic);
  if (files.empty() || topic == nullptr) return;  // those of a deleted topic go with it
  auto settings = topic_config(id, topic->configs);
  Duration delay = bounded_wait(settings.ok() ? settings->file_delete_delay_ms : config().log_segment_delete_delay_ms);
  shard.scope.spawn("delete segments", delete_files_later(id, directory, std::move(files), delay));
}

/// Segments given up by retention or compaction stay for the topic's file.delete.delay.ms; files left over by a stop
/// are removed at the next start.
Task<void> Broker::delete_files_later(ShardId id, std::size_t directory, std::vector<std::string> paths,
                                      Duration delay) {
  Env& env = per_shard_[id.v]->env;
  FileSystem& files = directories_[directory].data->files();
  // Open readers keep what they read; on a full disk the room is wanted more than the delay.
  const TimePoint due = env.now() + delay;
  while (env.now() < due && !per_shard_[id.v]->gates[directory].closed) {
    auto waited = co_await per_shard_[id.v]->disk_low.wait(due);
    if (!waited.ok() && waited.code() != Errc::timed_out) co_return;
  }
  // Their new names first, or a crash could bring some of them back and others not.
  auto synced = co_await offload(
      env, [&] { return files.sync_directory(paths.front().substr(0, paths.front().rfind('/'))); }, Urgency::later);
  if (!synced.ok()) {
    if (synced.code() != Errc::not_found)  // deleted with its topic
      log_warn("broker", "old segment files stay until the next start", {{"error", synced.error().message()}});
    co_return;
  }
  for (std::string& path : paths) {
    // The kernel frees a large file's pages before it returns: 40 ms of CPU for 128 MiB.
    auto removed = co_await offload(env, [&] { return files.remove(path); }, Urgency::later);
    if (!removed.ok() && removed.code() != Errc::not_found)
      log_warn("broker", "an old segment file could not be removed",
               {{"path", path}, {"error", removed.error().message()}});
  }
}

/// What was written long ago leaves the page cache: log.page.cache.bytes.
Task<void> Broker::page_cache_loop(ShardId id) {
  ShardState& shard = *per_shard_[id.v];
  while (!shard.scope.stopping()) {
    auto due = shard.window->take_due();
    if (due.empty()) {
      (void)co_await shard.window_due.wait();
    } else {
      co_await offload(shard.env, [&] { storage::drop_from_page_cache(due); }, Urgency::later);
    }
  }
}

Task<void> Broker::checkpoint_loop() {
  Env& env = per_shard_[0]->env;
  while ((co_await sleep_until(env.now() + kCheckpointInterval)).ok())
    co_await outlive("checkpoints", write_checkpoints());
}

Task<void> Broker::write_checkpoints() {
  // Asked for first: a partition that is deleted while the numbers are gathered is taken out of them afterwards. Its
  // log start must not outlive it, or a topic made again under its name would begin there.
  if (!(co_await directory_calls_.acquire(1)).ok()) co_return;
  Semaphore::Held call(directory_calls_);
  std::vector<storage::Checkpoints> per_directory(directories_.size());
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    struct Line {
      PartitionKey key;
      TopicPartition name;
      Offset recovery_point, log_start, high_watermark, cleaned_end;
      bool offline = false;
    };
    auto lines = co_await shards_.call(ShardId{s}, [this, s] {
      std::vector<Line> all;
      for (auto& [key, p] : per_shard_[s]->partitions)
        all.push_back({key, p->name(), p->log().recovery_point(), p->log_start(), p->high_watermark(),
                       p->log().lasting_cleaned_end()});
      // What is offline keeps the lines it had: its start must not go back when it is served again.
      for (auto& [key, offline] : per_shard_[s]->offline) all.push_back({key, offline.name, {}, {}, {}, {}, true});
      return all;
    });
    for (Line& line : lines) {
      auto directory = directory_of_.find(line.key);
      if (directory == directory_of_.end()) continue;  // being deleted
      storage::Checkpoints& c = per_directory[directory->second];
      if (line.offline) {
        const storage::DataDir& dir = *directories_[directory->second].data;
        line.log_start = dir.log_start(line.name);
        line.high_watermark = dir.high_watermark(line.name);
        line.cleaned_end = dir.cleaned_end(line.name);
      }
      c.recovery_points[line.name] = line.recovery_point;
      c.log_starts[line.name] = line.log_start;
      c.high_watermarks[line.name] = line.high_watermark;
      if (line.cleaned_end > Offset{0}) c.cleaned_ends[line.name] = line.cleaned_end;
    }
  }
  Env& env = per_shard_[0]->env;
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    if (!directories_[d].online()) continue;
    auto written = co_await offload(env, [&] { return directories_[d].data->write_checkpoints(per_directory[d]); });
    if (!written.ok())
      log_warn("broker", "checkpoints could not be written",
               {{"log_dir", directories_[d].path}, {"error", written.error().message()}});
  }
}

}  // namespace mr::broker
