#include "broker/adopt_topics.h"

#include <fmt/format.h>

#include <map>

#include "base/log.h"
#include "broker/broker.h"

namespace mr::broker {

namespace {

/// The topic's partitions as they lie there, or a sentence why they make no topic.
Result<metastore::TopicRecord> topic_of(const std::string& name, const std::vector<const storage::PartitionDir*>& parts,
                                        BrokerId self, WallMillis now) {
  if (internal_topic(name) || name == "__cluster_metadata")
    return Error(Errc::invalid_argument, "internal topics are not taken over");
  metastore::TopicRecord topic{.name = name, .created = now};
  std::set<PartitionIndex> indexes;
  for (const storage::PartitionDir* part : parts) {
    if (!part->topic_id) return Error(Errc::invalid_argument, "a partition.metadata is missing or does not read");
    if (part != parts.front() && *part->topic_id != topic.id)
      return Error(Errc::invalid_argument, "its directories name different topic ids");
    topic.id = *part->topic_id;
    indexes.insert(part->name.partition);
  }
  for (PartitionIndex index : indexes) {
    PartitionIndex expected{static_cast<std::int32_t>(topic.partitions.size())};
    if (index != expected)
      return Error(Errc::invalid_argument,
                   fmt::format("partition {} is missing: put its directory here, too", expected.v));
    topic.partitions.push_back({index, self, LeaderEpoch{0}, {self}, {self}});
  }
  // What its retention was lies elsewhere. Whatever is deleted by mistake is gone.
  topic.configs = {{"retention.ms", "-1"}, {"retention.bytes", "-1"}};
  return topic;
}

}  // namespace

Adoption plan_adoption(const std::vector<storage::PartitionDir>& found,
                       const std::vector<metastore::TopicRecord>& topics, const std::set<TopicId>& deleted,
                       BrokerId self, WallMillis now) {
  std::set<TopicId> known = deleted;
  std::map<std::string, std::string> names;  // by collision key
  for (const metastore::TopicRecord& topic : topics) {
    known.insert(topic.id);
    names.emplace(collision_key(topic.name), topic.name);
  }
  std::map<std::string, std::vector<const storage::PartitionDir*>> unclaimed;
  for (const storage::PartitionDir& part : found)
    if (!part.topic_id || !known.contains(*part.topic_id)) unclaimed[part.name.topic].push_back(&part);

  Adoption plan;
  for (const auto& [name, parts] : unclaimed) {
    auto topic = topic_of(name, parts, self, now);
    if (!topic.ok()) {
      plan.left.push_back({name, topic.error().detail()});
    } else if (auto [at, first] = names.emplace(collision_key(name), name); !first) {
      plan.left.push_back({name, fmt::format("topic '{}' has that name, or one that collides with it", at->second)});
    } else {
      plan.topics.push_back(std::move(*topic));
    }
  }
  return plan;
}

/// The id that the directories' last owner gave them, when there is one: only a metastore that has none yet takes it.
std::string Broker::cluster_id_to_begin_with() {
  Env& env = per_shard_[0]->env;
  Uuid fresh = Uuid::from_random(env.rng.next(), env.rng.next());
  if (config().adopt_topics)
    for (const LogDirectory& directory : directories_)
      if (directory.online() && !directory.data->cluster_id().empty()) return directory.data->cluster_id();
  return fresh.to_string();
}

/// adopt.topics: makes topics of directories that the metastore does not know. Before the topics are loaded.
Task<Result<void>> Broker::adopt_topics() {
  Env& env = per_shard_[0]->env;
  if (!all_directories_online())  // a topic may have more partitions than can be seen
    co_return Error(Errc::disk_failed, "adopt.topics needs every log directory, and one could not be opened");
  std::vector<storage::PartitionDir> found;
  for (auto& directory : directories_) {
    MR_CO_TRY(auto listed, co_await offload(env, [&] { return directory.data->partitions(); }));
    found.insert(found.end(), listed.begin(), listed.end());
  }
  MR_CO_TRY(auto topics, co_await cluster_.load_topics());
  MR_CO_TRY(auto tombstones, co_await cluster_.deleted_topics());
  std::set<TopicId> deleted(tombstones.begin(), tombstones.end());
  Adoption plan = plan_adoption(found, topics, deleted, self_, env.clock.wall());
  for (const Adoption::Left& left : plan.left)
    log_warn("broker", "a topic's directories are not adopted; they are left alone",
             {{"topic", left.topic}, {"why", left.why}});
  for (const metastore::TopicRecord& topic : plan.topics) {
    MR_CO_TRY_VOID(co_await cluster_.create_topic(topic));
    adopted_.insert(topic.id);
    log_info("broker", "topic adopted: its records are looked through now, and kept until its retention is set",
             {{"topic", topic.name}, {"id", topic.id.v.to_string()}, {"partitions", topic.partitions.size()}});
  }
  co_return Result<void>{};
}

}  // namespace mr::broker
