// Adding partitions to a topic: on shard 0, in turn with all other changes of topics.
#include "broker/create_partitions.h"

#include <fmt/format.h>

#include "base/log.h"
#include "broker/open_partition.h"

namespace mr::broker {

namespace {

Result<void> check_by_hand(const PartitionsSpec& spec, std::int32_t added, const TopicLimits& limits) {
  if (spec.assignment->size() != static_cast<std::size_t>(added))
    return Error(Errc::invalid_replica_assignment,
                 fmt::format("{} partitions are to be added, and {} are assigned", added, spec.assignment->size()));
  for (const std::vector<BrokerId>& replicas : *spec.assignment) {
    if (replicas.empty()) return Error(Errc::invalid_replica_assignment, "a partition has no replica");
    for (BrokerId replica : replicas)
      if (replica != limits.self)
        return Error(Errc::invalid_replica_assignment, fmt::format("broker {} is not in this cluster", replica.v));
    if (replicas.size() > 1) return Error(Errc::invalid_replica_assignment, "a partition names a broker twice");
  }
  return {};
}

}  // namespace

Result<std::int32_t> plan_partitions(const PartitionsSpec& spec, const TopicInfo& topic, const TopicTable& topics,
                                     const TopicLimits& limits) {
  const auto present = static_cast<std::int32_t>(topic.partitions.size());
  if (spec.count <= present)
    return Error(Errc::invalid_partition_count,
                 fmt::format("topic '{}' has {} partitions; {} would not be more", topic.name, present, spec.count));
  if (topic.internal)
    // A group's partition of __consumer_offsets follows from their number: another number, and nobody finds its
    // offsets.
    return Error(
        Errc::policy_violation,
        fmt::format("topic '{}' is the broker's own: what it holds is found by its number of partitions", topic.name));
  const std::int32_t added = spec.count - present;
  if (static_cast<std::int64_t>(topics.partition_count()) + added > limits.partitions_max)
    return Error(Errc::invalid_partition_count,
                 fmt::format("{} more partitions would pass this broker's limit of {}", added, limits.partitions_max));
  if (added > kNewPartitionsMax)
    return Error(Errc::policy_violation,
                 fmt::format("{} more partitions at once: a request may add {}", added, kNewPartitionsMax));
  if (spec.assignment) MR_TRY_VOID(check_by_hand(spec, added, limits));
  return added;
}

Task<Result<TopicRef>> Broker::create_partitions(PartitionsSpec spec, bool validate_only) {
  co_return co_await shards_.call(
      ShardId{0}, [this, &spec, validate_only] { return add_on_control(std::move(spec), validate_only); });
}

Task<Result<TopicRef>> Broker::add_on_control(PartitionsSpec spec, bool validate_only) {
  ShardState& control = *per_shard_[0];
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));
  Semaphore::Held held(topic_changes_);
  if (!started_) co_return Errc::shutting_down;
  TopicRef before = control.topics->find(spec.topic);
  if (before == nullptr) co_return Errc::unknown_topic;
  MR_CO_TRY(std::int32_t added, plan_partitions(spec, *before, *control.topics, {.self = self_}));
  MR_CO_TRY(config::TopicConfig settings, topic_config(ShardId{0}, before->configs));
  if (deletions_left_ && !validate_only) co_await finish_old_deletions();

  auto topic = std::make_shared<TopicInfo>(*before);
  std::vector<OpenJob> jobs(static_cast<std::size_t>(added));
  std::vector<metastore::PartitionRecord> records;
  for (OpenJob& job : jobs) {
    job.topic = topic.get();
    job.settings = &settings;
    MR_CO_TRY(metastore::PartitionRecord record, place_new_partition(*topic, job, validate_only));
    records.push_back(std::move(record));
  }
  if (validate_only) co_return TopicRef(topic);

  // The metadata first: after a crash the next start finds there where the new logs begin, and starts them empty.
  auto stored = co_await cluster_.add_partitions(topic->name, topic->id, std::move(records));
  if (!stored.ok()) {
    for (const OpenJob& job : jobs) forget_place(job.key());
    co_return std::move(stored).error();
  }
  co_await for_all(jobs, &Broker::open_log);
  co_await lead_opened(jobs);
  co_await publish(control.topics->with(topic));
  for (auto& tell : topic_changed_) tell(topic);
  log_info("broker", "partitions added",
           {{"topic", topic->name}, {"added", added}, {"partitions", topic->partitions.size()}});
  co_return TopicRef(topic);
}

/// What was opened is led; the rest is offline like what a start cannot open: the metadata has it, so it is there.
Task<void> Broker::lead_opened(std::vector<OpenJob>& jobs) {
  const bool reopening = !waiting_for_space_.empty();
  co_await take_offline(jobs);
  co_await for_all(jobs, &Broker::lead);
  co_await take_offline(jobs);
  if (!reopening && !waiting_for_space_.empty()) per_shard_[0]->scope.spawn("reopen", reopen_loop());
}

/// Gives the next partition of a topic that is not published yet its place, in the topic and on the disks.
Result<metastore::PartitionRecord> Broker::place_new_partition(TopicInfo& topic, OpenJob& job, bool validate_only) {
  const LeaderEpoch first{0};
  job.index = PartitionIndex{static_cast<std::int32_t>(topic.partitions.size())};
  metastore::PartitionRecord record{job.index, self_, first, {self_}, {self_}, {}};
  if (!validate_only) {
    MR_TRY(job.directory, pick_data_directory());
    record.directory = job.directory_id = directories_[job.directory].data->directory_id();
    ++directories_[job.directory].partitions;
    directory_of_[job.key()] = job.directory;
  }
  topic.partitions.push_back({home_of(topic.id, job.index, shards_.count()), self_, first, {self_}, {self_}});
  return record;
}

}  // namespace mr::broker
