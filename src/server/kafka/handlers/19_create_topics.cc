// CreateTopics v2-7. v4 defaults by -1; v5 flexible, effective settings in the answer; v7 topic id. Rules: traps.md
// 37, 38.
#include <fmt/format.h>

#include "server/kafka/handlers/handlers.h"
#include "wire/api/create_topics.h"

namespace mr::server::kafka {

namespace {

using wire::create_topics::CreatableTopic;
using wire::create_topics::CreatableTopicResult;

/// What the request says last of a setting counts.
broker::TopicSpec spec_of(const CreatableTopic& asked) {
  broker::TopicSpec spec{
      .name = std::string(asked.name), .partitions = asked.num_partitions, .replication = asked.replication_factor};
  for (const auto& assignment : asked.assignments) {
    std::vector<BrokerId> replicas(assignment.broker_ids.begin(), assignment.broker_ids.end());
    if (!spec.assignment.emplace(assignment.partition_index.v, std::move(replicas)).second && spec.partitions == -1 &&
        spec.replication == -1)
      spec.wrong.emplace(Errc::invalid_replica_assignment, "a partition is assigned twice");
  }
  for (const auto& config : asked.configs) {
    if (config.value) {
      spec.configs.insert_or_assign(std::string(config.name), std::string(*config.value));
    } else {
      spec.wrong.emplace(Errc::invalid_config, "null value for " + std::string(config.name));
    }
  }
  return spec;
}

/// The settings are told in the words of the request.
void fill_success(Exchange& x, const broker::TopicInfo& topic, const CreatableTopic& asked,
                  CreatableTopicResult& answer) {
  answer.topic_id = topic.id;
  answer.num_partitions = static_cast<std::int32_t>(topic.partitions.size());
  answer.replication_factor =
      static_cast<std::int16_t>(topic.partitions.empty() ? 0 : topic.partitions[0].replicas.size());
  if (x.built_too_much()) return;  // thousands of topics in one request: the settings of the last ones are left out
  auto entries = config::describe_topic_config(topic.configs, *x.broker->settings(x.shard));
  std::unordered_map<std::string_view, std::string_view> said;
  for (const auto& config : asked.configs) said[config.name] = config.value.value_or("");
  auto configs = x.arena.list<wire::create_topics::CreatableTopicConfigs>(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    configs[i].name = x.arena.copy(entries[i].name);
    configs[i].value.reset();
    if (entries[i].value) configs[i].value = x.arena.copy(*entries[i].value);
    if (auto own = said.find(entries[i].name); own != said.end()) configs[i].value = own->second;
    configs[i].config_source = static_cast<std::int8_t>(entries[i].source);
  }
  answer.configs = configs;
}

std::int64_t partitions_of(const wire::create_topics::Request& request, std::int32_t by_default) {
  std::int64_t total = 0;
  for (const CreatableTopic& topic : request.topics) {
    const std::int32_t asked = topic.num_partitions == -1 ? by_default : std::max(topic.num_partitions, 0);
    total += topic.assignments.empty() ? asked : static_cast<std::int64_t>(topic.assignments.size());
  }
  return total;
}

void fill_error(Exchange& x, const Error& error, CreatableTopicResult& answer) {
  answer.error_code = kafka_error(error);
  answer.error_message.reset();
  if (!error.detail().empty()) answer.error_message = x.arena.copy(error.detail());
}

}  // namespace

Task<Result<void>> handle_create_topics(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::create_topics::Request>());
  wire::create_topics::Response response;
  const std::int64_t partitions = partitions_of(request, x.broker->config().num_partitions);
  // A name that stands there twice is answered once, with an error, as Apache Kafka does.
  std::unordered_map<std::string_view, std::size_t> times;
  std::vector<const CreatableTopic*> wanted;
  for (const CreatableTopic& asked : request.topics)
    if (++times[asked.name] == 1) wanted.push_back(&asked);
  response.topics = x.arena.list<CreatableTopicResult>(wanted.size());
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    const CreatableTopic& asked = *wanted[t];
    CreatableTopicResult& answer = response.topics[t];
    answer.name = asked.name;
    answer.error_message.reset();
    if (times[asked.name] > 1) {
      fill_error(x, Error(Errc::invalid_argument, "the request names this topic twice"), answer);
      continue;
    }
    if (partitions > broker::kNewPartitionsMax) {
      fill_error(
          x,
          Error(Errc::policy_violation, fmt::format("{} partitions in one request: at most {} may be made at once",
                                                    partitions, broker::kNewPartitionsMax)),
          answer);
      continue;
    }
    auto created = co_await x.broker->create_topic(spec_of(asked), request.validate_only);
    if (created.ok()) {
      fill_success(x, **created, asked, answer);
    } else {
      fill_error(x, created.error(), answer);
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
