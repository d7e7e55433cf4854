#include "client/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "client/broker_error.h"
#include "wire/api/create_partitions.h"
#include "wire/api/create_topics.h"
#include "wire/api/delete_records.h"
#include "wire/api/delete_topics.h"
#include "wire/api/describe_configs.h"
#include "wire/api/incremental_alter_configs.h"
#include "wire/api/list_offsets.h"

namespace mr::client {

namespace {

/// How long the broker may take, out of what the caller has left.
std::int32_t timeout_ms(Env& env, TimePoint deadline) {
  auto left = std::chrono::duration_cast<Millis>(deadline - env.now()).count();
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(left, 1, 60'000));
}

Error silent(std::string_view what) {
  return Error(Errc::malformed, fmt::format("{}: the broker's answer does not mention it", what));
}

}  // namespace

Task<Result<CreatedTopic>> create_topic(Cluster& cluster, NewTopic topic, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.controller(deadline));
  namespace api = wire::create_topics;
  wire::Arena arena;
  api::Request request;
  request.topics = arena.list<api::CreatableTopic>(1);
  request.topics[0].name = topic.name;
  request.topics[0].num_partitions = topic.partitions;
  request.topics[0].replication_factor = topic.replication_factor;
  request.topics[0].configs = arena.list<api::CreatableTopicConfig>(topic.configs.size());
  std::size_t next = 0;
  for (const auto& [name, value] : topic.configs) request.topics[0].configs[next++] = {.name = name, .value = value};
  request.timeout_ms = timeout_ms(cluster.env(), deadline);
  request.validate_only = topic.validate_only;
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  const std::string what = fmt::format("topic '{}'", topic.name);
  if (reply->topics.empty()) co_return silent(what);
  const auto& answer = reply->topics[0];
  if (answer.error_code != wire::KafkaError::none)
    co_return broker_error(answer.error_code, what, answer.error_message);
  co_return CreatedTopic{answer.topic_id, answer.num_partitions, answer.replication_factor};
}

Task<Result<void>> delete_topic(Cluster& cluster, std::string name, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.controller(deadline));
  namespace api = wire::delete_topics;
  wire::Arena arena;
  api::Request request;
  MR_CO_TRY(wire::Version version, connection->choose(api::kApi, std::nullopt));
  if (version >= 6) {
    request.topics = arena.list<api::DeleteTopicState>(1);
    request.topics[0].name = name;
  } else {
    request.topic_names = arena.list<std::string_view>({name});
  }
  request.timeout_ms = timeout_ms(cluster.env(), deadline);
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  cluster.forget(name);
  const std::string what = fmt::format("topic '{}'", name);
  if (reply->responses.empty()) co_return silent(what);
  const auto& answer = reply->responses[0];
  if (answer.error_code != wire::KafkaError::none)
    co_return broker_error(answer.error_code, what, answer.error_message);
  co_return Result<void>{};
}

Task<Result<void>> create_partitions(Cluster& cluster, std::string topic, std::int32_t count, bool validate_only,
                                     TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.controller(deadline));
  namespace api = wire::create_partitions;
  wire::Arena arena;
  api::Request request;
  request.topics = arena.list<api::CreatePartitionsTopic>(1);
  request.topics[0].name = topic;
  request.topics[0].count = count;
  request.topics[0].assignments.reset();
  request.timeout_ms = timeout_ms(cluster.env(), deadline);
  request.validate_only = validate_only;
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  cluster.forget(topic);
  const std::string what = fmt::format("topic '{}'", topic);
  if (reply->results.empty()) co_return silent(what);
  const auto& answer = reply->results[0];
  if (answer.error_code != wire::KafkaError::none)
    co_return broker_error(answer.error_code, what, answer.error_message);
  co_return Result<void>{};
}

namespace {

/// Whose settings: the protocol's number and name, and how a sentence calls it.
struct ConfigResource {
  std::int8_t type = 0;
  std::string name;
  std::string what;
};
ConfigResource of_topic(const std::string& name) { return {2, name, fmt::format("topic '{}'", name)}; }
ConfigResource of_group(const std::string& name) { return {32, name, fmt::format("group '{}'", name)}; }
ConfigResource of_broker(std::optional<BrokerId> broker) {
  if (!broker) return {4, "", "the settings of all brokers"};
  return {4, std::to_string(broker->v), fmt::format("broker {}", broker->v)};
}

Task<Result<std::shared_ptr<Connection>>> connect(Cluster& cluster, std::optional<BrokerId> broker,
                                                  TimePoint deadline) {
  if (!broker) co_return co_await cluster.any(deadline);
  MR_CO_TRY(auto brokers, co_await cluster.brokers(deadline));  // or its address would not be known
  for (const BrokerInfo& one : brokers)
    if (one.id == *broker) co_return co_await cluster.broker(one, deadline);
  co_return Error(Errc::invalid_argument, fmt::format("there is no broker {} in this cluster", broker->v));
}

Task<Result<std::vector<ConfigValue>>> describe(std::shared_ptr<Connection> connection, ConfigResource resource,
                                                TimePoint deadline) {
  namespace api = wire::describe_configs;
  wire::Arena arena;
  api::Request request;
  request.resources = arena.list<api::DescribeConfigsResource>(1);
  request.resources[0].resource_type = resource.type;
  request.resources[0].resource_name = resource.name;
  request.resources[0].configuration_keys.reset();  // all
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  if (reply->results.empty()) co_return silent(resource.what);
  const auto& answer = reply->results[0];
  if (answer.error_code != wire::KafkaError::none)
    co_return broker_error(answer.error_code, resource.what, answer.error_message);
  std::vector<ConfigValue> values;
  for (const auto& c : answer.configs) {
    values.push_back({.name = std::string(c.name),
                      .source = c.config_source,
                      .read_only = c.read_only,
                      .sensitive = c.is_sensitive});
    if (c.value) values.back().value = std::string(*c.value);
  }
  co_return values;
}

Task<Result<void>> alter(std::shared_ptr<Connection> connection, ConfigResource resource, std::vector<ConfigEdit> edits,
                         bool validate_only, TimePoint deadline) {
  namespace api = wire::incremental_alter_configs;
  constexpr std::int8_t kSet = 0, kDelete = 1;
  wire::Arena arena;
  api::Request request;
  request.resources = arena.list<api::AlterConfigsResource>(1);
  request.resources[0].resource_type = resource.type;
  request.resources[0].resource_name = resource.name;
  request.resources[0].configs = arena.list<api::AlterableConfig>(edits.size());
  for (std::size_t i = 0; i < edits.size(); ++i) {
    auto& config = request.resources[0].configs[i];
    config.name = edits[i].name;
    config.config_operation = edits[i].value ? kSet : kDelete;
    config.value = edits[i].value;
  }
  request.validate_only = validate_only;
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  if (reply->responses.empty()) co_return silent(resource.what);
  const auto& answer = reply->responses[0];
  if (answer.error_code != wire::KafkaError::none)
    co_return broker_error(answer.error_code, resource.what, answer.error_message);
  co_return Result<void>{};
}

}  // namespace

Task<Result<std::vector<ConfigValue>>> topic_configs(Cluster& cluster, std::string name, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.any(deadline));
  co_return co_await describe(std::move(connection), of_topic(name), deadline);
}

Task<Result<std::vector<ConfigValue>>> broker_configs(Cluster& cluster, std::optional<BrokerId> broker,
                                                      TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await connect(cluster, broker, deadline));
  co_return co_await describe(std::move(connection), of_broker(broker), deadline);
}

Task<Result<std::vector<ConfigValue>>> group_configs(Cluster& cluster, std::string group, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.any(deadline));
  co_return co_await describe(std::move(connection), of_group(group), deadline);
}

Task<Result<void>> alter_topic_configs(Cluster& cluster, std::string name, std::vector<ConfigEdit> edits,
                                       bool validate_only, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.any(deadline));
  co_return co_await alter(std::move(connection), of_topic(name), std::move(edits), validate_only, deadline);
}

Task<Result<void>> alter_broker_configs(Cluster& cluster, std::optional<BrokerId> broker, std::vector<ConfigEdit> edits,
                                        bool validate_only, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await connect(cluster, broker, deadline));
  co_return co_await alter(std::move(connection), of_broker(broker), std::move(edits), validate_only, deadline);
}

Task<Result<void>> alter_group_configs(Cluster& cluster, std::string group, std::vector<ConfigEdit> edits,
                                       bool validate_only, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.any(deadline));
  co_return co_await alter(std::move(connection), of_group(group), std::move(edits), validate_only, deadline);
}

Task<Result<FoundOffset>> find_offset(Cluster& cluster, TopicPartition partition, WallMillis timestamp,
                                      TimePoint deadline) {
  std::vector<TopicPartition> one = {std::move(partition)};
  MR_CO_TRY(auto found, co_await find_offsets(cluster, std::move(one), timestamp, deadline));
  co_return std::move(found.front());
}

namespace {

/// What one leader is asked for, by topic: partitions and where they stand among those wanted.
using Share = std::map<std::string, std::map<PartitionIndex, std::size_t>>;
struct Asked {
  std::shared_ptr<Connection> leader;
  Share share;
};

/// Asks one leader for its share, fills in what it answers and returns what should be asked for again.
Task<Result<std::vector<std::size_t>>> ask_leader(Cluster& cluster, const Asked& asked,
                                                  const std::vector<TopicPartition>& partitions, WallMillis timestamp,
                                                  std::vector<Result<FoundOffset>>& found, TimePoint deadline) {
  namespace api = wire::list_offsets;
  const Share& share = asked.share;
  wire::Arena arena;
  api::Request request;
  request.replica_id = BrokerId{-1};
  request.topics = arena.list<api::ListOffsetsTopic>(share.size());
  std::size_t next = 0;
  for (const auto& [name, wanted] : share) {
    api::ListOffsetsTopic& topic = request.topics[next++];
    topic.name = name;
    topic.partitions = arena.list<api::ListOffsetsPartition>(wanted.size());
    std::size_t i = 0;
    for (const auto& [partition, at] : wanted)
      topic.partitions[i++] = {.partition_index = partition, .timestamp = timestamp};
  }
  request.timeout_ms = timeout_ms(cluster.env(), deadline);
  MR_CO_TRY(auto reply, co_await asked.leader->call(request, deadline));
  std::vector<std::size_t> again;
  for (const auto& topic : reply->topics) {
    auto wanted = share.find(std::string(topic.name));
    if (wanted == share.end()) continue;
    for (const auto& answer : topic.partitions) {
      auto at = wanted->second.find(answer.partition_index);
      if (at == wanted->second.end()) continue;
      if (answer.error_code == wire::KafkaError::none) {
        found[at->second] = FoundOffset{answer.offset, answer.timestamp};
      } else {
        found[at->second] = broker_error(answer.error_code, partitions[at->second].to_string());
        if (worth_a_retry(answer.error_code)) again.push_back(at->second);
      }
    }
  }
  co_return again;
}

/// Only this partition, or topic, is in the way.
bool local_matter(const Error& error) {
  return error.code() == Errc::unknown_topic || error.code() == Errc::unknown_partition ||
         error.code() == Errc::invalid_topic_name;
}

/// Finds out whom to ask for `open`, by address; the metadata of each topic is looked at once.
Task<Result<std::map<std::string, Asked>>> share_out(Cluster& cluster, const std::vector<TopicPartition>& partitions,
                                                     const std::vector<std::size_t>& open,
                                                     std::vector<Result<FoundOffset>>& found, TimePoint deadline) {
  std::map<std::string, std::vector<std::size_t>> topics;
  for (std::size_t i : open) topics[partitions[i].topic].push_back(i);
  std::map<std::string, Asked> leaders;
  std::map<BrokerId, std::string> known;
  for (const auto& [topic, indexes] : topics) {
    auto info = co_await cluster.topic(topic, false, deadline);
    if (!info.ok() && !local_matter(info.error())) co_return info.error();
    for (std::size_t i : indexes) {
      if (!info.ok()) {
        found[i] = info.error();
        continue;
      }
      auto at = std::ranges::lower_bound(info->partitions, partitions[i].partition, {}, &PartitionInfo::index);
      const bool there = at != info->partitions.end() && at->index == partitions[i].partition;
      std::string& address = known[there ? at->leader : BrokerId{-1}];
      if (address.empty() || !there || at->leader.v < 0) {  // opens the connection, or waits for a leader
        auto leader = co_await cluster.leader(partitions[i], deadline);
        if (!leader.ok() && local_matter(leader.error())) {
          found[i] = leader.error();
          continue;
        }
        if (!leader.ok()) co_return leader.error();
        address = leader->connection->address().to_string();
        leaders[address].leader = std::move(leader->connection);
      }
      leaders[address].share[topic][partitions[i].partition] = i;
    }
  }
  co_return leaders;
}

}  // namespace

Task<Result<std::vector<Result<FoundOffset>>>> find_offsets(Cluster& cluster, std::vector<TopicPartition> partitions,
                                                            WallMillis timestamp, TimePoint deadline) {
  std::vector<Result<FoundOffset>> found;
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    found.emplace_back(silent(partitions[i].to_string()));
    open.push_back(i);
  }
  for (;;) {
    MR_CO_TRY(auto leaders, co_await share_out(cluster, partitions, open, found, deadline));
    open.clear();
    for (const auto& [address, asked] : leaders) {
      MR_CO_TRY(auto again, co_await ask_leader(cluster, asked, partitions, timestamp, found, deadline));
      open.insert(open.end(), again.begin(), again.end());
    }
    const TimePoint next = cluster.env().now() + cluster.retry_pause();
    if (open.empty() || next >= deadline) co_return found;
    for (std::size_t i : open) cluster.forget(partitions[i].topic);
    MR_CO_TRY_VOID(co_await sleep_until(next));
  }
}

namespace {

/// Asks one leader to delete its share and fills in where logs start then.
Task<Result<void>> ask_to_delete(Env& env, const Asked& asked, const std::vector<DeleteBefore>& wanted,
                                 std::vector<Result<Offset>>& starts, TimePoint deadline) {
  namespace api = wire::delete_records;
  wire::Arena arena;
  api::Request request;
  request.timeout_ms = timeout_ms(env, deadline);
  request.topics = arena.list<api::DeleteRecordsTopic>(asked.share.size());
  std::size_t next = 0;
  for (const auto& [name, partitions] : asked.share) {
    api::DeleteRecordsTopic& topic = request.topics[next++];
    topic.name = name;
    topic.partitions = arena.list<api::DeleteRecordsPartition>(partitions.size());
    std::size_t i = 0;
    for (const auto& [partition, at] : partitions)
      topic.partitions[i++] = {.partition_index = partition, .offset = wanted[at].before};
  }
  MR_CO_TRY(auto reply, co_await asked.leader->call(request, deadline));
  for (const auto& topic : reply->topics) {
    auto share = asked.share.find(std::string(topic.name));
    if (share == asked.share.end()) continue;
    for (const auto& answer : topic.partitions) {
      auto at = share->second.find(answer.partition_index);
      if (at == share->second.end()) continue;
      if (answer.error_code == wire::KafkaError::none) {
        starts[at->second] = Offset{answer.low_watermark};
      } else {
        starts[at->second] = broker_error(answer.error_code, wanted[at->second].partition.to_string());
      }
    }
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<std::vector<Result<Offset>>>> delete_records(Cluster& cluster, std::vector<DeleteBefore> wanted,
                                                         TimePoint deadline) {
  std::vector<Result<Offset>> starts;
  std::map<std::string, Asked> leaders;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const TopicPartition& name = wanted[i].partition;
    starts.emplace_back(silent(name.to_string()));
    MR_CO_TRY(Cluster::Leader leader, co_await cluster.leader(name, deadline));
    Asked& asked = leaders[leader.connection->address().to_string()];
    asked.leader = std::move(leader.connection);
    asked.share[name.topic][name.partition] = i;
  }
  for (const auto& [address, asked] : leaders)
    MR_CO_TRY_VOID(co_await ask_to_delete(cluster.env(), asked, wanted, starts, deadline));
  co_return starts;
}

}  // namespace mr::client
