// Metadata v0-13. v1 null means all topics; v4 auto-creation flag; v5 offline replicas; v7 leader epochs; v9 flexible;
// v10 topic ids in answers, v12 in requests; v13 top-level error. Rules: traps.md 28-35.
#include <unordered_set>

#include "base/log.h"
#include "server/kafka/handlers/handlers.h"
#include "wire/api/metadata.h"

namespace mr::server::kafka {

namespace {

using wire::metadata::MetadataResponseTopic;

void describe(Exchange& x, const broker::TopicInfo& topic, MetadataResponseTopic& answer) {
  answer.name = x.arena.copy(topic.name);
  answer.topic_id = topic.id;
  answer.is_internal = topic.internal;
  answer.topic_authorized_operations = kNoOperations;
  answer.partitions = x.arena.list<wire::metadata::MetadataResponsePartition>(topic.partitions.size());
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
    answer.partitions[p].partition_index = PartitionIndex{static_cast<std::int32_t>(p)};
    fill_place(x, topic.partitions[p], answer.partitions[p]);
  }
}

/// Apache Kafka makes the topic in the background and answers UNKNOWN_TOPIC_OR_PARTITION first (traps.md 31). Here the
/// topic is there when create_topic returns, so the first answer can tell: librdkafka would wait a second before it
/// asks again.
Task<void> create_on_demand(Exchange& x, std::string name, MetadataResponseTopic& answer) {
  auto created = co_await x.broker->create_topic({.name = name}, false);
  if (created.ok()) {
    describe(x, **created, answer);
  } else if (broker::TopicRef made = x.broker->topics(x.shard)->find(name)) {
    describe(x, *made, answer);  // somebody was faster
  } else {
    answer.error_code = kafka_error(created.error());
  }
}

Task<void> answer_by_name(Exchange& x, const broker::TopicTable& table, std::string_view name, bool may_create,
                          MetadataResponseTopic& answer) {
  answer.name = name;
  answer.topic_authorized_operations = kNoOperations;
  if (broker::TopicRef topic = table.find(name)) {
    describe(x, *topic, answer);
    co_return;
  }
  if (!valid_topic_name(name)) {
    answer.error_code = KafkaError::invalid_topic_exception;
  } else if (may_create) {
    co_await create_on_demand(x, std::string(name), answer);
  } else {
    answer.error_code = KafkaError::unknown_topic_or_partition;
  }
}

void answer_by_id(Exchange& x, const broker::TopicTable& table, TopicId id, MetadataResponseTopic& answer) {
  if (broker::TopicRef topic = table.find(id)) {
    describe(x, *topic, answer);
    return;
  }
  answer.name.reset();
  answer.topic_id = id;
  answer.error_code = KafkaError::unknown_topic_id;
  answer.topic_authorized_operations = kNoOperations;
}

void fill_operations(wire::metadata::Response& response) {
  for (MetadataResponseTopic& topic : response.topics)
    if (topic.name) topic.topic_authorized_operations = kTopicOperations;  // there or not, as in Apache Kafka
}

/// What is asked for twice is answered once, as Apache Kafka does.
std::vector<const wire::metadata::MetadataRequestTopic*> asked_once(const wire::metadata::Request& request) {
  std::vector<const wire::metadata::MetadataRequestTopic*> once;
  std::unordered_set<std::string_view> names;
  std::unordered_set<TopicId> ids;
  for (const auto& asked : *request.topics)
    // The Java client asks by id with an empty name beside it, so the id decides.
    if (asked.name && asked.topic_id == TopicId{} ? names.insert(*asked.name).second
                                                  : ids.insert(asked.topic_id).second)
      once.push_back(&asked);
  return once;
}

/// Ids are for answers only in versions 10 and 11, and every topic has a name: the request as a whole is wrong.
bool asks_by_id_too_early(const wire::metadata::Request& request, wire::Version version) {
  auto by_id = [](const auto& asked) { return !asked.name || asked.topic_id != TopicId{}; };
  return version < 12 && request.topics && std::ranges::any_of(*request.topics, by_id);
}

Result<void> refuse_all(Exchange& x, const wire::metadata::Request& request) {
  wire::metadata::Response response;
  response.controller_id = BrokerId{-1};
  response.topics = x.arena.list<MetadataResponseTopic>(request.topics->size());
  for (std::size_t t = 0; t < request.topics->size(); ++t) {
    response.topics[t].name = (*request.topics)[t].name.value_or("");
    response.topics[t].topic_id = (*request.topics)[t].topic_id;
    response.topics[t].error_code = KafkaError::invalid_request;
  }
  return x.answer(response);
}

}  // namespace

Task<Result<void>> handle_metadata(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::metadata::Request>());
  if (asks_by_id_too_early(request, x.head.version)) co_return refuse_all(x, request);
  wire::metadata::Response response;
  Endpoint here = advertised(x);
  response.brokers = x.arena.list<wire::metadata::MetadataResponseBroker>(1);
  response.brokers[0] = {.node_id = x.broker->self(), .host = here.host, .port = here.port};
  response.cluster_id = x.broker->cluster_id();
  response.controller_id = x.broker->self();
  response.cluster_authorized_operations =
      request.include_cluster_authorized_operations ? kClusterOperations : kNoOperations;

  auto table = x.broker->topics(x.shard);
  bool all = !request.topics || (x.head.version == 0 && request.topics->empty());
  if (all) {
    response.topics = x.arena.list<MetadataResponseTopic>(table->topics().size());
    std::size_t next = 0;
    for (const auto& [name, topic] : table->topics()) describe(x, *topic, response.topics[next++]);
    if (request.include_topic_authorized_operations) fill_operations(response);
    co_return x.answer(response);
  }
  bool may_create = request.allow_auto_topic_creation && x.broker->config().auto_create_topics_enable;
  auto wanted = asked_once(request);
  response.topics = x.arena.list<MetadataResponseTopic>(wanted.size());
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const auto& asked = *wanted[t];
    if (asked.name && asked.topic_id == TopicId{}) {
      co_await answer_by_name(x, *table, *asked.name, may_create, response.topics[t]);
    } else {
      answer_by_id(x, *table, asked.topic_id, response.topics[t]);
    }
  }
  if (request.include_topic_authorized_operations) fill_operations(response);
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
