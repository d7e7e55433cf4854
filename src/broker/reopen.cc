// Partitions whose log could not be opened because the disk was full or descriptors had run out: opened when there is
// room again (design section 5 rule 6: a full disk heals by itself).
#include "base/log.h"
#include "broker/broker.h"
#include "broker/open_partition.h"

namespace mr::broker {

namespace {
constexpr Duration kReopenEvery = std::chrono::seconds(1);
}  // namespace

void Broker::open_later(const OpenJob& job) {
  waiting_for_space_.push_back({.key = job.key(),
                                .directory = job.directory,
                                .recovery_point = job.recovery_point,
                                .log_start = job.log_start,
                                .cleaned_end = job.cleaned_end});
}

/// On shard 0. Ends when nothing waits any more.
Task<void> Broker::reopen_loop() {
  ShardState& control = *per_shard_[0];
  while (!waiting_for_space_.empty()) {
    if (!(co_await sleep_until(control.env.now() + kReopenEvery)).ok()) co_return;
    if (!(co_await topic_changes_.acquire(1)).ok()) co_return;
    std::vector<WaitingForSpace> still;
    for (const WaitingForSpace& waiting : waiting_for_space_) {
      TopicRef topic = control.topics->find(waiting.key.topic);
      if (topic == nullptr) {  // deleted meanwhile
        co_await forget_evidence(waiting);
        continue;
      }
      if (!co_await reopen(waiting, topic)) still.push_back(waiting);
    }
    waiting_for_space_ = std::move(still);
    topic_changes_.release(1);
  }
}

/// What was kept of the commit journals for this partition has served. What stays by an error does no harm: it says
/// nothing that the log's snapshot does not say too.
Task<void> Broker::forget_evidence(const WaitingForSpace& waiting) {
  storage::DataDir& data = *directories_[waiting.directory].data;
  storage::JournalEvidence::Key key{waiting.key.topic, waiting.key.partition};
  auto dropped = co_await offload(per_shard_[0]->env, [&] { return data.journals().drop(key); });
  if (!dropped.ok())
    log_warn("broker", "a commit journal that is not needed any more could not be removed",
             {{"log_dir", data.path()}, {"error", dropped.error().message()}});
}

/// True when the partition needs no further try: it is served, or it turned out to have more than a lack of room.
Task<bool> Broker::reopen(WaitingForSpace waiting, TopicRef topic) {
  auto settings = topic_config(ShardId{0}, topic->configs);
  if (!settings.ok()) co_return true;
  std::vector<OpenJob> jobs(1);
  OpenJob& job = jobs[0];
  job.topic = topic.get();
  job.index = waiting.key.partition;
  job.settings = &*settings;
  job.directory = waiting.directory;
  job.directory_id = directories_[waiting.directory].data->directory_id();
  job.recovery_point = waiting.recovery_point;
  job.cleaned_end = waiting.cleaned_end;
  job.log_start = waiting.log_start;  // and no clean stop: the first try may have been half of a recovery
  ShardId home = job.home();

  co_await for_all(jobs, &Broker::open_log);
  if (job.outcome.ok()) keep_clear_of_producers(*job.log);
  if (job.outcome.ok()) job.outcome = co_await raise_epochs(jobs);
  if (job.outcome.ok()) co_await for_all(jobs, &Broker::lead);
  if (!job.outcome.ok()) co_return !heals_by_itself(job.outcome.code()) && job.outcome.code() != Errc::unknown_outcome;

  co_await forget_evidence(waiting);
  co_await shards_.call(home, [&] { per_shard_[home.v]->offline.erase(waiting.key); });
  auto changed = std::make_shared<TopicInfo>(*topic);
  changed->partitions[static_cast<std::size_t>(job.index.v)].leader_epoch = job.epoch;
  co_await publish(per_shard_[0]->topics->with(changed));
  log_info("broker", "a partition is served again: there is room", {{"partition", job.name().to_string()}});
  co_return true;
}

}  // namespace mr::broker
