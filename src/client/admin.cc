#include "client/admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/broker_error.h"
#include "wire/api/create_topics.h"
#include "wire/api/delete_topics.h"
#include "wire/api/describe_configs.h"
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

Task<Result<std::vector<ConfigValue>>> topic_configs(Cluster& cluster, std::string name, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await cluster.any(deadline));
  namespace api = wire::describe_configs;
  wire::Arena arena;
  api::Request request;
  request.resources = arena.list<api::DescribeConfigsResource>(1);
  request.resources[0].resource_type = 2;  // topic
  request.resources[0].resource_name = name;
  request.resources[0].configuration_keys.reset();  // all
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  const std::string what = fmt::format("topic '{}'", name);
  if (reply->results.empty()) co_return silent(what);
  const auto& answer = reply->results[0];
  if (answer.error_code != wire::KafkaError::none)
    co_return broker_error(answer.error_code, what, answer.error_message);
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

Task<Result<FoundOffset>> find_offset(Cluster& cluster, TopicPartition partition, WallMillis timestamp,
                                      TimePoint deadline) {
  namespace api = wire::list_offsets;
  for (;;) {
    MR_CO_TRY(Cluster::Leader leader, co_await cluster.leader(partition, deadline));
    wire::Arena arena;
    api::Request request;
    request.replica_id = BrokerId{-1};
    request.topics = arena.list<api::ListOffsetsTopic>(1);
    request.topics[0].name = partition.topic;
    request.topics[0].partitions = arena.list<api::ListOffsetsPartition>(1);
    request.topics[0].partitions[0] = {.partition_index = partition.partition, .timestamp = timestamp};
    request.timeout_ms = timeout_ms(cluster.env(), deadline);
    MR_CO_TRY(auto reply, co_await leader.connection->call(request, deadline));
    if (reply->topics.empty() || reply->topics[0].partitions.empty()) co_return silent(partition.to_string());
    const auto& answer = reply->topics[0].partitions[0];
    if (answer.error_code == wire::KafkaError::none) co_return FoundOffset{answer.offset, answer.timestamp};
    cluster.forget(partition.topic);
    const TimePoint next = cluster.env().now() + cluster.retry_pause();
    if (!worth_a_retry(answer.error_code) || next >= deadline)
      co_return broker_error(answer.error_code, partition.to_string());
    MR_CO_TRY_VOID(co_await sleep_until(next));
  }
}

}  // namespace mr::client
