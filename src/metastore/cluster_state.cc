#include "metastore/cluster_state.h"

#include <algorithm>
#include <charconv>

#include "metastore/metastore.h"
#include "metastore/records.h"

namespace mr::metastore {

namespace {

/// How often an operation is tried again after an unknown outcome or a lost race, before that is passed on.
constexpr int kAttemptsMax = 5;
constexpr std::int64_t kPageKeys = 1000;

/// All keys with `prefix`, page by page, as of one revision. `visit` returns Result<void>.
template <class Visit>
Task<Result<void>> for_each(Metastore& store, std::string_view prefix, Visit visit) {
  RangeRequest request{.key = std::string(prefix), .range_end = prefix_end(prefix), .limit = kPageKeys};
  for (;;) {
    RangeRequest page = request;
    MR_CO_TRY(RangeResult result, co_await store.range(std::move(page)));
    if (request.revision.v == 0) request.revision = result.revision;
    for (const KeyValue& kv : result.items) MR_CO_TRY_VOID(visit(kv));
    if (!result.more) co_return Result<void>{};
    request.key = result.items.back().key + '\0';
  }
}

/// The first item of a branch's range result.
const KeyValue* found(const TransactionResult& result, std::size_t index) {
  const auto& items = std::get<RangeResult>(result.results.at(index)).items;
  return items.empty() ? nullptr : &items.front();
}

Result<std::optional<TopicId>> id_of(const KeyValue* topic) {
  if (topic == nullptr) return std::optional<TopicId>();
  MR_TRY(auto head, records::decode_topic(topic->value));
  return std::optional(head.topic.id);
}

std::string key_suffix(const std::string& key, std::string_view prefix) { return key.substr(prefix.size()); }

}  // namespace

Task<Result<std::string>> ClusterState::ensure_cluster_id(std::string fresh) {
  Transaction transaction;
  transaction.compares.push_back(Compare::absent(std::string(records::kCluster)));
  transaction.success.push_back(Put{std::string(records::kCluster), records::encode_fields({{"id", fresh}})});
  transaction.failure.push_back(RangeRequest{.key = std::string(records::kCluster)});
  for (int attempt = 1;; ++attempt) {
    Transaction copy = transaction;
    Result<TransactionResult> result = co_await store_.transact(std::move(copy));
    if (!result.ok()) {
      // The guard makes another try harmless.
      if (result.code() == Errc::unknown_outcome && attempt < kAttemptsMax) continue;
      co_return std::move(result).error();
    }
    if (result->succeeded) co_return fresh;
    MR_CO_TRY(auto fields, records::decode_fields(found(*result, 0)->value));
    co_return fields["id"];
  }
}

Task<Result<std::vector<TopicRecord>>> ClusterState::load_topics() {
  std::vector<TopicRecord> topics;
  std::map<std::string, std::size_t> by_id;
  auto add_topic = [&](const KeyValue& kv) -> Result<void> {
    MR_TRY(auto head, records::decode_topic(kv.value));
    head.topic.name = key_suffix(kv.key, records::kTopics);
    head.topic.partitions.resize(static_cast<std::size_t>(head.partition_count), {.index = PartitionIndex{-1}});
    by_id[head.topic.id.v.to_string()] = topics.size();
    topics.push_back(std::move(head.topic));
    return {};
  };
  MR_CO_TRY_VOID(co_await for_each(store_, records::kTopics, std::move(add_topic)));
  auto add_partition = [&](const KeyValue& kv) -> Result<void> {
    const auto rest = key_suffix(kv.key, records::kPartitions);
    auto at = by_id.find(rest.substr(0, rest.find('/')));
    if (at == by_id.end()) return {};  // of a topic whose creation or deletion was cut short
    MR_TRY(auto partition, records::decode_partition(kv.value));
    auto& partitions = topics[at->second].partitions;
    if (partition.index.v < 0) return Error(Errc::corrupt_data, "a partition below 0: " + kv.key);
    // Of an addition that was cut short: it does not count until the topic says so.
    if (static_cast<std::size_t>(partition.index.v) >= partitions.size()) return {};
    partitions[static_cast<std::size_t>(partition.index.v)] = std::move(partition);
    return {};
  };
  MR_CO_TRY_VOID(co_await for_each(store_, records::kPartitions, std::move(add_partition)));
  for (const auto& topic : topics)
    for (const auto& partition : topic.partitions)
      if (partition.index.v < 0) co_return Error(Errc::corrupt_data, "a partition of " + topic.name + " is missing");
  co_return std::move(topics);
}

Task<Result<void>> ClusterState::create_topic(const TopicRecord& topic) {
  const std::string topic_key = records::topic_key(topic.name);
  const std::string name_key = records::name_key(topic.name);
  // Partitions first: nobody looks at them before the topic's own key is there, so it is the one step that counts.
  for (std::size_t from = 0; from < topic.partitions.size(); from += kOperationsMax) {
    Transaction batch;
    for (std::size_t i = from; i < std::min(from + kOperationsMax, topic.partitions.size()); ++i)
      batch.success.push_back(Put{records::partition_key(topic.id, topic.partitions[i].index),
                                  records::encode_partition(topic.partitions[i])});
    for (int attempt = 1;; ++attempt) {
      Transaction copy = batch;
      Result<TransactionResult> result = co_await store_.transact(std::move(copy));
      if (result.ok()) break;
      if (result.code() != Errc::unknown_outcome || attempt == kAttemptsMax) co_return std::move(result).error();
    }
  }
  Transaction final_step;
  final_step.compares = {Compare::absent(topic_key), Compare::absent(name_key)};
  final_step.success = {Put{topic_key, records::encode_topic(topic)},
                        Put{name_key, records::encode_fields({{"name", topic.name}})}};
  final_step.failure = {RangeRequest{.key = topic_key}, RangeRequest{.key = name_key}};
  Result<void> outcome = Errc::unknown_outcome;
  for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
    Transaction copy = final_step;
    Result<TransactionResult> result = co_await store_.transact(std::move(copy));
    if (!result.ok()) {
      if (result.code() == Errc::unknown_outcome) continue;
      outcome = std::move(result).error();
      break;
    }
    if (result->succeeded) co_return Result<void>{};
    MR_CO_TRY(auto there, id_of(found(*result, 0)));
    if (there == topic.id) co_return Result<void>{};  // an earlier try of ours did it
    if (there) {
      outcome = Error(Errc::topic_exists, "topic " + topic.name + " exists already");
    } else {
      std::string other;
      if (const KeyValue* name = found(*result, 1)) {
        MR_CO_TRY(auto fields, records::decode_fields(name->value));
        other = fields["name"];
      }
      outcome = Error(Errc::invalid_topic_name, "topic name " + topic.name + " collides with " + other);
    }
    break;
  }
  if (outcome.code() != Errc::unknown_outcome) {
    // Certainly not created: take the partitions back. Should this fail they are only a few useless keys.
    Transaction undo;
    undo.success.push_back(
        Delete{records::partitions_prefix(topic.id), prefix_end(records::partitions_prefix(topic.id))});
    (void)co_await store_.transact(std::move(undo));
  }
  co_return std::move(outcome);
}

Task<Result<void>> ClusterState::add_partitions(const std::string& name, TopicId id,
                                                std::vector<PartitionRecord> added) {
  MR_CHECK(!added.empty());
  const std::string key = records::topic_key(name);
  const auto before = static_cast<std::size_t>(added.front().index.v);
  for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
    RangeRequest read{.key = key};
    MR_CO_TRY(RangeResult present, co_await store_.range(std::move(read)));
    const KeyValue* topic = present.items.empty() ? nullptr : &present.items.front();
    if (topic == nullptr) co_return Error(Errc::unknown_topic, "no topic " + name);
    MR_CO_TRY(auto head, records::decode_topic(topic->value));
    if (head.topic.id != id) co_return Error(Errc::unknown_topic, "no topic " + name + " with that id");
    const auto count = static_cast<std::size_t>(head.partition_count);
    if (attempt > 1 && count == before + added.size()) co_return Result<void>{};  // an earlier try of ours did it
    if (count != before) co_return Error(Errc::conflict, "topic " + name + " has another number of partitions");
    // Nobody looks at the new ones before the topic counts them, so its own key comes with the last.
    Result<TransactionResult> result = Errc::conflict;
    for (std::size_t from = 0; from < added.size(); from += kOperationsMax - 1) {
      const std::size_t end = std::min(from + kOperationsMax - 1, added.size());
      Transaction step;
      step.compares = {Compare::unchanged(*topic)};
      for (std::size_t i = from; i < end; ++i)
        step.success.push_back(Put{records::partition_key(id, added[i].index), records::encode_partition(added[i])});
      if (end == added.size())
        step.success.push_back(Put{key, records::encode_topic(head.topic, before + added.size())});
      result = co_await store_.transact(std::move(step));
      if (!result.ok() || !result->succeeded) break;
    }
    if (result.ok() && result->succeeded) co_return Result<void>{};
    if (!result.ok() && result.code() != Errc::unknown_outcome) co_return std::move(result).error();
  }
  co_return Error(Errc::unknown_outcome, "adding partitions to " + name + " may or may not have happened");
}

Task<Result<void>> ClusterState::delete_topic(const std::string& name, TopicId id) {
  const std::string key = records::topic_key(name);
  for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
    RangeRequest read{.key = key};
    MR_CO_TRY(RangeResult present, co_await store_.range(std::move(read)));
    const KeyValue* topic = present.items.empty() ? nullptr : &present.items.front();
    MR_CO_TRY(auto there, id_of(topic));
    if (there != id) {
      // Gone: by an earlier try of ours, if its tombstone is there; then this is success.
      RangeRequest ask{.key = records::deleted_key(id)};
      MR_CO_TRY(RangeResult tombstone, co_await store_.range(std::move(ask)));
      if (attempt > 1 && !tombstone.items.empty()) co_return Result<void>{};
      co_return Error(Errc::unknown_topic, "no topic " + name + " with that id");
    }
    Transaction step;
    step.compares = {Compare::unchanged(*topic)};
    // The tombstone goes in with the same step: data is deleted only on this evidence (design section 5 rule 7).
    step.success = {Put{records::deleted_key(id), records::encode_fields({{"name", name}})}, Delete{key, ""},
                    Delete{records::name_key(name), ""},
                    Delete{records::partitions_prefix(id), prefix_end(records::partitions_prefix(id))}};
    Result<TransactionResult> result = co_await store_.transact(std::move(step));
    if (result.ok() && result->succeeded) co_return Result<void>{};
    if (!result.ok() && result.code() != Errc::unknown_outcome) co_return std::move(result).error();
  }
  co_return Error(Errc::unknown_outcome, "deleting " + name + " may or may not have happened");
}

/// What is under `key` becomes what `change` makes of it.
Task<Result<ClusterState::Configs>> ClusterState::alter_configs(std::string key, const ConfigsIn& in,
                                                                const ConfigChange& change) {
  for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
    RangeRequest read{.key = key};
    MR_CO_TRY(RangeResult present, co_await store_.range(std::move(read)));
    const KeyValue* kv = present.items.empty() ? nullptr : &present.items.front();
    MR_CO_TRY(Configs stored, in.read(kv));
    MR_CO_TRY(Configs after, change(stored));
    if (after == stored) co_return std::move(after);
    Transaction step;
    step.compares = {kv != nullptr ? Compare::unchanged(*kv) : Compare::absent(key)};
    if (after.empty() && in.drops_empty) {
      step.success = {Delete{key, ""}};
    } else {
      MR_CO_TRY(std::string value, in.write(kv, after));
      step.success = {Put{key, std::move(value)}};
    }
    Result<TransactionResult> result = co_await store_.transact(std::move(step));
    if (result.ok() && result->succeeded) co_return std::move(after);
    if (!result.ok() && result.code() != Errc::unknown_outcome) co_return std::move(result).error();
  }
  co_return Error(Errc::unknown_outcome, "altering settings may or may not have happened");
}

Task<Result<ClusterState::Configs>> ClusterState::alter_topic_configs(const std::string& name, TopicId id,
                                                                      const ConfigChange& change) {
  ConfigsIn topic{
      .read = [&](const KeyValue* kv) -> Result<Configs> {
        MR_TRY(auto there, id_of(kv));
        if (there != id) return Error(Errc::unknown_topic, "no topic " + name + " with that id");
        MR_TRY(auto head, records::decode_topic(kv->value));
        return std::move(head.topic.configs);
      },
      .write = [](const KeyValue* kv, const Configs& after) { return records::with_configs(kv->value, after); }};
  co_return co_await alter_configs(records::topic_key(name), topic, change);
}

Task<Result<ClusterState::Configs>> ClusterState::load_broker_configs(std::optional<BrokerId> broker) {
  RangeRequest read{.key = records::broker_configs_key(broker)};
  MR_CO_TRY(RangeResult present, co_await store_.range(std::move(read)));
  if (present.items.empty()) co_return Configs{};
  co_return records::decode_fields(present.items.front().value);
}

ClusterState::ConfigsIn ClusterState::plain_configs() {
  return {.read = [](const KeyValue* kv) -> Result<Configs> {
            if (kv == nullptr) return Configs{};
            return records::decode_fields(kv->value);
          },
          .write = [](const KeyValue*, const Configs& after) -> Result<std::string> {
            return records::encode_fields(after);
          }};
}

Task<Result<ClusterState::Configs>> ClusterState::alter_broker_configs(std::optional<BrokerId> broker,
                                                                       const ConfigChange& change) {
  const ConfigsIn fields = plain_configs();
  co_return co_await alter_configs(records::broker_configs_key(broker), fields, change);
}

Task<Result<std::map<std::string, ClusterState::Configs>>> ClusterState::load_group_configs() {
  std::map<std::string, Configs> groups;
  auto add = [&](const KeyValue& kv) -> Result<void> {
    MR_TRY(groups[std::string(key_suffix(kv.key, records::kGroupConfigs))], records::decode_fields(kv.value));
    return {};
  };
  MR_CO_TRY_VOID(co_await for_each(store_, records::kGroupConfigs, std::move(add)));
  co_return std::move(groups);
}

Task<Result<ClusterState::Configs>> ClusterState::alter_group_configs(const std::string& group,
                                                                      const ConfigChange& change) {
  ConfigsIn fields = plain_configs();
  fields.drops_empty = true;
  co_return co_await alter_configs(std::string(records::kGroupConfigs) + group, fields, change);
}

Task<Result<std::vector<TopicId>>> ClusterState::deleted_topics() {
  std::vector<TopicId> ids;
  auto add = [&](const KeyValue& kv) -> Result<void> {
    auto id = Uuid::parse(key_suffix(kv.key, records::kDeleted));
    if (!id) return Error(Errc::corrupt_data, "a bad tombstone: " + kv.key);
    ids.push_back(TopicId{*id});
    return {};
  };
  MR_CO_TRY_VOID(co_await for_each(store_, records::kDeleted, std::move(add)));
  co_return std::move(ids);
}

Task<Result<void>> ClusterState::forget_deleted(TopicId id) {
  for (int attempt = 1;; ++attempt) {
    Transaction step;
    step.success.push_back(Delete{records::deleted_key(id), ""});
    Result<TransactionResult> result = co_await store_.transact(std::move(step));
    if (result.ok()) co_return Result<void>{};
    if (result.code() != Errc::unknown_outcome || attempt == kAttemptsMax) co_return std::move(result).error();
  }
}

Task<Result<std::vector<LeaderEpoch>>> ClusterState::bump_epochs(const std::vector<EpochBump>& partitions) {
  std::vector<LeaderEpoch> epochs(partitions.size());
  // Where each partition's record lies: its key, by the present id of its topic.
  std::map<std::string, TopicId> ids;
  auto add_id = [&](const KeyValue& kv) -> Result<void> {
    MR_TRY(auto head, records::decode_topic(kv.value));
    ids[key_suffix(kv.key, records::kTopics)] = head.topic.id;
    return {};
  };
  if (!partitions.empty()) MR_CO_TRY_VOID(co_await for_each(store_, records::kTopics, std::move(add_id)));

  for (std::size_t from = 0; from < partitions.size(); from += kOperationsMax) {
    const std::size_t end = std::min(from + kOperationsMax, partitions.size());
    for (int attempt = 1;; ++attempt) {
      // Reads are operations too, so a batch is read in one transaction and written in the next.
      Transaction read, write;
      for (std::size_t i = from; i < end; ++i) {
        auto at = ids.find(partitions[i].topic);
        if (at == ids.end()) co_return Error(Errc::unknown_topic, "no topic " + partitions[i].topic);
        read.success.push_back(RangeRequest{.key = records::partition_key(at->second, partitions[i].partition)});
      }
      MR_CO_TRY(TransactionResult present, co_await store_.transact(std::move(read)));
      for (std::size_t i = from; i < end; ++i) {
        const KeyValue* kv = found(present, i - from);
        if (kv == nullptr)
          co_return Error(Errc::unknown_partition, "no record of a partition of " + partitions[i].topic);
        MR_CO_TRY(PartitionRecord record, records::decode_partition(kv->value));
        record.leader_epoch.v = std::max(record.leader_epoch.v, partitions[i].floor.v) + 1;
        if (!partitions[i].directory.is_zero()) record.directory = partitions[i].directory;
        epochs[i] = record.leader_epoch;
        write.compares.push_back(Compare::unchanged(*kv));
        write.success.push_back(Put{kv->key, records::encode_partition(record)});
      }
      Result<TransactionResult> result = co_await store_.transact(std::move(write));
      if (result.ok() && result->succeeded) break;
      // Again from what is there now: an epoch that is bumped twice is as good as once.
      const Errc why = result.ok() ? Errc::conflict : result.code();
      if ((why != Errc::conflict && why != Errc::unknown_outcome) || attempt == kAttemptsMax)
        co_return result.ok() ? Error(Errc::conflict, "leader epochs keep changing under us") : result.error();
    }
  }
  co_return std::move(epochs);
}

Task<Result<ProducerIdBlock>> ClusterState::allocate_producer_ids(std::int64_t count, std::int64_t floor) {
  const std::string key(records::kProducerIds);
  Errc why = Errc::conflict;
  for (int attempt = 1; attempt <= kAttemptsMax; ++attempt) {
    RangeRequest read{.key = key};
    MR_CO_TRY(RangeResult present, co_await store_.range(std::move(read)));
    ProducerIdBlock block;
    Transaction step;
    if (present.items.empty()) {
      step.compares = {Compare::absent(key)};
    } else {
      const KeyValue& kv = present.items.front();
      MR_CO_TRY(auto fields, records::decode_fields(kv.value));
      const std::string& text = fields["next"];
      auto parsed = std::from_chars(text.data(), text.data() + text.size(), block.first);
      if (parsed.ec != std::errc{} || block.first < 0) co_return Error(Errc::corrupt_data, "bad value of " + key);
      step.compares = {Compare::unchanged(kv)};
    }
    block.first = std::max(block.first, floor);
    if (count <= 0 || __builtin_add_overflow(block.first, count, &block.end))
      co_return Error(Errc::resource_exhausted, "no producer ids are left");
    step.success = {Put{key, records::encode_fields({{"next", std::to_string(block.end)}})}};
    Result<TransactionResult> result = co_await store_.transact(std::move(step));
    if (result.ok() && result->succeeded) co_return block;
    // After an unknown outcome the block may be taken; the next try begins behind it. Ids are never given twice.
    why = result.ok() ? Errc::conflict : result.code();
    if (why != Errc::conflict && why != Errc::unknown_outcome) co_return std::move(result).error();
  }
  co_return Error(why, "could not take a block of producer ids");
}

}  // namespace mr::metastore
