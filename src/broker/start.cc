// Starting and stopping: data directories, recovery, leader epochs, the clean-stop marker.
#include <fmt/format.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/disk_space.h"
#include "broker/open_partition.h"
#include "broker/place_partitions.h"

namespace mr::broker {

Task<Result<void>> Broker::start() {
  MR_CO_TRY(cluster_id_, co_await cluster_.ensure_cluster_id(cluster_id_to_begin_with()));
  MR_CO_TRY_VOID(co_await claim_directories());
  MR_CO_TRY_VOID(co_await load_dynamic_settings());
  MR_CO_TRY_VOID(co_await load_group_configs());
  co_await make_group_commits();
  co_await finish_old_deletions();
  if (config().adopt_topics) MR_CO_TRY_VOID(co_await adopt_topics());
  MR_CO_TRY(std::vector<metastore::TopicRecord> topics, co_await cluster_.load_topics());
  MR_CO_TRY_VOID(co_await open_partitions(topics));
  (void)co_await look_at_space();  // before the doors open
  started_ = true;
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s}, [this, s] {
      per_shard_[s]->scope.spawn("retention", retention_loop(ShardId{s}));
      if (per_shard_[s]->window) per_shard_[s]->scope.spawn("page cache", page_cache_loop(ShardId{s}));
      if (config().log_cleaner_enable) per_shard_[s]->scope.spawn("cleaner", cleaner_loop(ShardId{s}));
    });
  }
  per_shard_[0]->scope.spawn("log directories", watch_directories());
  per_shard_[0]->scope.spawn("disk space", watch_space());
  per_shard_[0]->scope.spawn("checkpoints", checkpoint_loop());
  if (config().log_scrub_interval_ms > 0)
    for (std::size_t d = 0; d < directories_.size(); ++d) per_shard_[0]->scope.spawn("scrub", scrub_loop(d));
  if (!waiting_for_space_.empty()) per_shard_[0]->scope.spawn("reopen", reopen_loop());
  co_return Result<void>{};
}

/// A directory of another cluster, node or version ends the start; one that does not work only itself.
Task<Result<void>> Broker::claim_directories() {
  Env& env = per_shard_[0]->env;
  for (const LogDirectory& directory : directories_)
    if (!directory.online())
      log_error("broker", "a log directory could not be opened: its partitions are offline until the next start",
                {{"log_dir", directory.path}, {"error", directory.offline->message()}});
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    if (!directories_[d].online()) continue;
    Uuid id = Uuid::from_random(env.rng.next(), env.rng.next());
    auto claimed = co_await offload(env, [&] { return directories_[d].data->claim(cluster_id_, self_, id); });
    if (claimed.ok()) continue;
    if (claimed.code() == Errc::disk_full || claimed.code() == Errc::conflict || claimed.code() == Errc::newer_format ||
        claimed.code() == Errc::resource_exhausted)
      co_return claimed;
    directory_failed(d, claimed.error());
  }
  auto any = pick_data_directory();
  if (any.ok()) co_return Result<void>{};
  co_return Error(Errc::disk_failed, fmt::format("no log directory can be used: {}: {}", directories_.front().path,
                                                 directories_.front().offline->message()));
}

/// Removes what a crash or an error left of deleted topics: only with the metastore's tombstone as evidence.
Task<void> Broker::finish_old_deletions() {
  deletions_left_ = false;
  Env& env = per_shard_[0]->env;
  auto deleted = co_await cluster_.deleted_topics();
  if (!deleted.ok()) co_return;
  for (TopicId id : *deleted) {
    bool gone = all_directories_online();  // else some of it may lie where nobody can look
    for (auto& directory : directories_) {
      if (!directory.online()) continue;
      if (!(co_await directory_calls_.acquire(1)).ok()) co_return;
      Semaphore::Held call(directory_calls_);
      auto removed = co_await offload(env, [&] { return directory.data->remove_topic_data(id); });
      if (!removed.ok()) {
        gone = false;
        deletions_left_ = true;
        log_warn("broker", "data of a deleted topic could not be removed", {{"error", removed.error().message()}});
      }
    }
    if (gone) (void)co_await cluster_.forget_deleted(id);
  }
}

void Broker::warn_of_strays(const Found& found) const {
  for (const auto& [key, directory] : found.by_id)
    log_warn("broker", "a partition directory belongs to no topic; it is left alone",
             {{"topic_id", key.topic.v.to_string()},
              {"partition", key.partition.v},
              {"log_dir", directories_[directory].path}});
  for (const auto& [name, directory] : found.unnamed)
    log_warn("broker", "a partition directory does not say whose it is; it is left alone",
             {{"partition", name.to_string()}, {"log_dir", directories_[directory].path}});
}

Task<Result<void>> Broker::open_partitions(const std::vector<metastore::TopicRecord>& topics) {
  MR_CO_TRY(Found found, co_await find_partitions());
  struct Opening {
    std::shared_ptr<TopicInfo> topic;
    config::TopicConfig settings;
  };
  std::vector<Opening> openings;
  openings.reserve(topics.size());  // jobs point into it
  std::vector<OpenJob> jobs;
  for (const metastore::TopicRecord& record : topics) {
    auto settings = topic_config(ShardId{0}, record.configs);
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
      Place place = this->place(record, p, found);
      OpenJob& job = jobs.emplace_back();
      job.topic = opening.topic.get();
      job.index = p.index;
      job.settings = &opening.settings;
      if (place.unknown) {
        job.outcome = *place.unknown;
        continue;
      }
      if (place.is_new)
        log_warn("broker", "a partition has no data directory; it starts empty",
                 {{"topic", record.name}, {"partition", p.index.v}});
      LogDirectory& directory = directories_[place.directory];
      ++directory.partitions;
      directory_of_[job.key()] = place.directory;
      job.directory = place.directory;
      job.directory_id = directory.data->directory_id();
      job.recovery_point = directory.data->recovery_point(job.name());
      job.log_start = directory.data->log_start(job.name());
      job.cleaned_end = directory.data->cleaned_end(job.name());
      job.clean_stop = directory.data->was_clean() && !adopted_.contains(record.id);
    }
  }
  warn_of_strays(found);
  MR_CO_TRY_VOID(co_await recover(jobs));
  co_await take_offline(jobs);
  for (const OpenJob& job : jobs) keep_clear_of_producers(*job.log);
  MR_CO_TRY_VOID(co_await raise_epochs(jobs));
  co_await for_all(jobs, &Broker::lead);
  co_await take_offline(jobs);
  MR_CO_TRY_VOID(co_await retire_journals(jobs));

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

/// What the journals of the life before know has been put to use: this one's can be made. Before anything is appended.
/// Errors: resource_exhausted, about this process and not about a directory: nothing is lost, a later start goes on.
Task<Result<void>> Broker::retire_journals(const std::vector<OpenJob>& opened) {
  Env& env = per_shard_[0]->env;
  std::vector<std::set<storage::JournalEvidence::Key>> keys(directories_.size());
  for (const OpenJob& job : opened) keys[job.directory].insert({job.topic->id, job.index});
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    if (!directories_[d].online()) continue;
    storage::DataDir& data = *directories_[d].data;
    auto retired = co_await offload(env, [&] { return data.retire_journals(keys[d]); });
    if (!retired.ok() && retired.code() == Errc::resource_exhausted) co_return std::move(retired).error();
    if (!retired.ok()) data.files().fail(retired.error());  // without a journal nothing can be promised there
    if (!data.journals().empty()) env.probe.hit("journal_kept_for_offline_partition");
  }
  co_return Result<void>{};
}

std::uint64_t Broker::damaged_journal_blocks() const {
  std::uint64_t blocks = 0;
  for (const LogDirectory& directory : directories_)
    if (directory.data != nullptr) blocks += directory.data->journals().damaged_blocks();
  return blocks;
}

Task<void> Broker::make_group_commits() {
  Env& env = per_shard_[0]->env;
  Uuid session = Uuid::from_random(env.rng.next(), env.rng.next());
  std::vector<std::uint64_t> halves(directories_.size(), journal_.half_bytes);
  for (std::size_t d = 0; d < halves.size(); ++d) {
    LogDirectory& directory = directories_[d];
    if (halves[d] != 0 || !directory.online()) continue;
    auto space = co_await offload(env, [&] { return directory.data->files().space(directory.path); });
    halves[d] =
        journal_half(space.ok() ? space->total_bytes : 0, journal_.memory_bytes / halves.size(), shards_.count());
  }
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s}, [this, s, session, &halves] {
      ShardState& shard = *per_shard_[s];
      for (std::size_t d = 0; d < directories_.size(); ++d) {
        LogDirectory& directory = directories_[d];
        auto& commit = shard.commits.emplace_back();
        if (!directory.online() || halves[d] == 0) continue;
        storage::CommitJournal::Options options{.directory = directory.path,
                                                .shard = s,
                                                .session = session,
                                                .half_bytes = halves[d],
                                                .block_bytes_max = std::min(journal_.block_bytes_max, halves[d] / 4),
                                                .grow_bytes = journal_.grow_bytes};
        auto journal = std::make_unique<storage::CommitJournal>(directory.data->files(), std::move(options));
        storage::DirectoryFiles* files = &directory.data->files();
        commit = std::make_shared<replication::GroupCommit>(
            shard.env, std::move(journal),
            replication::GroupCommit::Options{.on_failure = [files](const Error& why) { files->fail(why); }});
      }
    });
  }
}

Task<Result<void>> Broker::stop() {
  if (!started_) co_return Result<void>{};
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));  // a change in progress ends first
  started_ = false;
  topic_changes_.release(1);
  // The marker says "no recovery needed": only when every log of the directory was synced and closed, and none was left
  // unopened. What happened in one directory does not concern the others.
  std::vector<std::optional<Error>> unclean(directories_.size());
  Result<void> outcome;
  for (std::size_t d = 0; d < directories_.size(); ++d) unclean[d] = directories_[d].offline;
  auto note = [&](const PartitionKey& key, const Error& why) {
    auto at = directory_of_.find(key);
    if (at != directory_of_.end() && !unclean[at->second]) unclean[at->second] = why;
  };
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    auto unclosed = co_await shards_.call(ShardId{s}, [this, s] { return close_shard(ShardId{s}); });
    for (const Unclosed& one : unclosed) note(one.key, one.why);
    if (!unclosed.empty() && outcome.ok()) outcome = unclosed.front().why;
  }
  co_await write_checkpoints();
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    auto offline = co_await shards_.call(ShardId{s}, [this, s] {
      per_shard_[s]->partitions.clear();
      per_shard_[s]->directory_of.clear();
      return per_shard_[s]->offline;
    });
    for (const auto& [key, one] : offline) note(key, one.why);
  }
  Result<void> marked = co_await mark_clean(unclean);
  co_return outcome.ok() ? marked : outcome;
}

Task<Result<void>> Broker::mark_clean(const std::vector<std::optional<Error>>& unclean) {
  Env& env = per_shard_[0]->env;
  Result<void> outcome;
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    std::optional<Error> why = unclean[d];
    if (!why) {
      auto marked = co_await offload(env, [&] { return directories_[d].data->mark_clean(); });
      if (marked.ok()) continue;
      why = marked.error();
      if (outcome.ok()) outcome = marked;
    }
    log_warn("broker", "a log directory is not marked clean; the next start looks through its logs",
             {{"log_dir", directories_[d].path}, {"why", why->message()}});
  }
  co_return outcome;
}

/// On the shard itself. Partitions stop all at once, so that their syncs overlap.
Task<std::vector<Broker::Unclosed>> Broker::close_shard(ShardId id) {
  ShardState& shard = *per_shard_[id.v];
  co_await shard.scope.stop();
  std::vector<Unclosed> unclosed;
  Scope closing(shard.env.executor);
  auto close = [](PartitionKey key, PartitionRef partition, std::vector<Unclosed>& failed) -> Task<void> {
    co_await partition->stop();
    auto closed = co_await partition->close_log();
    if (closed.ok()) co_return;
    log_error("broker", "a partition could not be closed cleanly",
              {{"partition", partition->name().to_string()}, {"error", closed.error().message()}});
    failed.push_back({key, closed.error()});
  };
  for (auto& [key, partition] : shard.partitions) closing.spawn("close partition", close(key, partition, unclosed));
  co_await closing.drained();
  for (auto& commit : shard.commits)
    if (commit) co_await commit->stop();
  co_return unclosed;
}

}  // namespace mr::broker
