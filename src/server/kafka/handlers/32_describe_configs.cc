// DescribeConfigs v1-4. v1 sources and synonyms; v3 types and documentation; v4 flexible. Rules: traps.md 41.
#include <fmt/format.h>

#include "server/kafka/handlers/config_resources.h"
#include "wire/api/describe_configs.h"

namespace mr::server::kafka {

namespace {

using wire::describe_configs::DescribeConfigsResource;
using wire::describe_configs::DescribeConfigsResourceResult;
using wire::describe_configs::DescribeConfigsResult;

/// DYNAMIC_BROKER_LOGGER_CONFIG, and the type that goes with it, unknown.
constexpr std::int8_t kLoggerSource = 6;
constexpr std::int8_t kUnknownType = 0;

bool wanted(const DescribeConfigsResource& asked, std::string_view name) {
  return !asked.configuration_keys || asked.configuration_keys->empty() ||
         std::ranges::find(*asked.configuration_keys, name) != asked.configuration_keys->end();
}

void fill_entry(Exchange& x, const config::ConfigEntry& entry, const wire::describe_configs::Request& request,
                DescribeConfigsResourceResult& answer) {
  answer.name = x.arena.copy(entry.name);
  answer.value.reset();
  if (entry.value && !entry.sensitive) answer.value = x.arena.copy(*entry.value);
  answer.read_only = entry.read_only;
  answer.is_sensitive = entry.sensitive;
  answer.config_source = static_cast<std::int8_t>(entry.source);
  answer.config_type = static_cast<std::int8_t>(entry.type);
  answer.documentation.reset();
  if (request.include_documentation) answer.documentation = x.arena.copy(entry.help);
  if (!request.include_synonyms) return;
  answer.synonyms = x.arena.list<wire::describe_configs::DescribeConfigsSynonym>(entry.synonyms.size());
  for (std::size_t i = 0; i < entry.synonyms.size(); ++i) {
    answer.synonyms[i].name = x.arena.copy(entry.synonyms[i].name);
    answer.synonyms[i].value.reset();
    if (entry.synonyms[i].value) answer.synonyms[i].value = x.arena.copy(*entry.synonyms[i].value);
    answer.synonyms[i].source = static_cast<std::int8_t>(entry.synonyms[i].source);
  }
}

void fill_entries(Exchange& x, const std::vector<config::ConfigEntry>& entries,
                  const wire::describe_configs::Request& request, const DescribeConfigsResource& asked,
                  DescribeConfigsResult& answer) {
  wire::ListBuilder<DescribeConfigsResourceResult> configs(x.arena, entries.size());
  for (const config::ConfigEntry& entry : entries)
    if (wanted(asked, entry.name)) fill_entry(x, entry, request, configs.push_back());
  answer.configs = configs.list();
}

void refuse(Exchange& x, DescribeConfigsResult& answer, KafkaError code, std::string_view message) {
  answer.error_code = code;
  answer.error_message = x.arena.copy(message);
}

void describe_topic(Exchange& x, const broker::TopicTable& table, const wire::describe_configs::Request& request,
                    const DescribeConfigsResource& asked, DescribeConfigsResult& answer) {
  if (!valid_topic_name(asked.resource_name))
    return refuse(x, answer, KafkaError::invalid_topic_exception, "not a topic name");
  broker::TopicRef topic = table.find(asked.resource_name);
  if (topic == nullptr) return refuse(x, answer, KafkaError::unknown_topic_or_partition, "no such topic");
  auto settings = x.broker->settings(x.shard);
  fill_entries(x, config::describe_topic_config(topic->configs, *settings), request, asked, answer);
}

void describe_broker(Exchange& x, const wire::describe_configs::Request& request, const DescribeConfigsResource& asked,
                     DescribeConfigsResult& answer) {
  auto settings = x.broker->settings(x.shard);
  if (asked.resource_name.empty())
    return fill_entries(x, config::describe_cluster_config(*settings), request, asked, answer);
  if (auto wrong = check_broker_name(x, asked.resource_name))
    return refuse(x, answer, KafkaError::invalid_request, *wrong);
  fill_entries(x, config::describe_broker_config(*settings), request, asked, answer);
}

void describe_group(Exchange& x, const wire::describe_configs::Request& request, const DescribeConfigsResource& asked,
                    DescribeConfigsResult& answer) {
  if (asked.resource_name.empty())
    return refuse(x, answer, KafkaError::invalid_request, "Group name must not be empty");
  const auto groups = x.broker->group_configs(x.shard);
  const auto at = groups->find(asked.resource_name);
  const config::GroupOverrides own = at == groups->end() ? config::GroupOverrides{} : at->second.overrides;
  fill_entries(x, config::describe_group_config(own, *x.broker->settings(x.shard)), request, asked, answer);
}

void describe_loggers(Exchange& x, const DescribeConfigsResource& asked, DescribeConfigsResult& answer) {
  if (asked.resource_name.empty()) return refuse(x, answer, KafkaError::invalid_request, "Broker id must not be empty");
  if (auto wrong = check_broker_name(x, asked.resource_name))
    return refuse(x, answer, KafkaError::invalid_request, *wrong);
  if (!wanted(asked, kRootLogger)) return;
  auto configs = x.arena.list<DescribeConfigsResourceResult>(1);
  configs[0].name = kRootLogger;
  configs[0].value = root_logger_level();
  configs[0].config_source = kLoggerSource;
  configs[0].config_type = kUnknownType;
  configs[0].documentation.reset();
  answer.configs = configs;
}

}  // namespace

Task<Result<void>> handle_describe_configs(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::describe_configs::Request>());
  wire::describe_configs::Response response;
  auto results = x.arena.list<DescribeConfigsResult>(request.resources.size());
  auto table = x.broker->topics(x.shard);
  for (std::size_t r = 0; r < request.resources.size(); ++r) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const auto& asked = request.resources[r];
    auto& answer = results[r];
    answer.resource_type = asked.resource_type;
    answer.resource_name = asked.resource_name;
    answer.error_message.reset();
    switch (static_cast<ConfigResource>(asked.resource_type)) {
      case ConfigResource::topic:
        describe_topic(x, *table, request, asked, answer);
        break;
      case ConfigResource::broker:
        describe_broker(x, request, asked, answer);
        break;
      case ConfigResource::broker_logger:
        describe_loggers(x, asked, answer);
        break;
      case ConfigResource::group:
        describe_group(x, request, asked, answer);
        break;
      case ConfigResource::client_metrics:  // none is collected, so none has a setting
        if (asked.resource_name.empty())
          refuse(x, answer, KafkaError::invalid_request, "the name of the resource must not be empty");
        break;
      default:
        refuse(x, answer, KafkaError::invalid_request,
               x.arena.copy(fmt::format("Unknown resource type {}", asked.resource_type)));
    }
  }
  response.results = results;
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
