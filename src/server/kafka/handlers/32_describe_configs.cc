// DescribeConfigs v1-4. v1 sources and synonyms; v3 types and documentation; v4 flexible. Topics so far. Rules:
// traps.md 41.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/describe_configs.h"

namespace mr::server::kafka {

namespace {

constexpr std::int8_t kTopicResource = 2;

using wire::describe_configs::DescribeConfigsResourceResult;

void fill_entry(Exchange& x, const config::ConfigEntry& entry, const wire::describe_configs::Request& request,
                DescribeConfigsResourceResult& answer) {
  answer.name = x.arena.copy(entry.name);
  answer.value.reset();
  if (entry.value) answer.value = x.arena.copy(*entry.value);
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

void describe_topic(Exchange& x, const broker::TopicInfo& topic, const wire::describe_configs::Request& request,
                    const wire::describe_configs::DescribeConfigsResource& asked,
                    wire::describe_configs::DescribeConfigsResult& answer) {
  auto entries = config::describe_topic_config(topic.configs, x.broker->settings());
  wire::ListBuilder<DescribeConfigsResourceResult> configs(x.arena, entries.size());
  for (const config::ConfigEntry& entry : entries) {
    bool wanted = !asked.configuration_keys ||
                  std::ranges::find(*asked.configuration_keys, entry.name) != asked.configuration_keys->end();
    if (wanted) fill_entry(x, entry, request, configs.push_back());
  }
  answer.configs = configs.list();
}

}  // namespace

Task<Result<void>> handle_describe_configs(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::describe_configs::Request>());
  wire::describe_configs::Response response;
  response.results = x.arena.list<wire::describe_configs::DescribeConfigsResult>(request.resources.size());
  auto table = x.broker->topics(x.shard);
  for (std::size_t r = 0; r < request.resources.size(); ++r) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const auto& asked = request.resources[r];
    auto& answer = response.results[r];
    answer.resource_type = asked.resource_type;
    answer.resource_name = asked.resource_name;
    answer.error_message.reset();
    if (asked.resource_type != kTopicResource) {
      answer.error_code = KafkaError::invalid_request;
      answer.error_message = "only topics can be described yet";
    } else if (!valid_topic_name(asked.resource_name)) {
      answer.error_code = KafkaError::invalid_topic_exception;
      answer.error_message = "not a topic name";
    } else if (broker::TopicRef topic = table->find(asked.resource_name)) {
      describe_topic(x, *topic, request, asked, answer);
    } else {
      answer.error_code = KafkaError::unknown_topic_or_partition;
      answer.error_message = "no such topic";
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
