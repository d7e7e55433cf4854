// DeleteTopics v1-6. v4 flexible; v5 messages; v6 by name or id, not both. Rules: traps.md 39.
#include <map>

#include "server/kafka/handlers/handlers.h"
#include "wire/api/delete_topics.h"

namespace mr::server::kafka {

namespace {

struct Wanted {
  std::optional<std::string_view> name;
  TopicId id;
  bool twice = false;
};

Task<void> delete_one(Exchange& x, Wanted wanted, wire::delete_topics::DeletableTopicResult& answer) {
  auto table = x.broker->topics(x.shard);
  bool by_id = !wanted.id.v.is_zero();
  answer.name = wanted.name;
  answer.topic_id = wanted.id;
  if (by_id == wanted.name.has_value()) {
    answer.error_code = KafkaError::invalid_request;
    answer.error_message = "a topic is named either by its name or by its id";
    co_return;
  }
  if (wanted.twice) {
    answer.error_code = KafkaError::invalid_request;
    answer.error_message = "the request names this topic twice";
    co_return;
  }
  if (!x.broker->config().delete_topic_enable) {
    answer.error_message = "delete.topic.enable is off";
    answer.error_code = x.head.version >= 3 ? KafkaError::topic_deletion_disabled : KafkaError::invalid_request;
    co_return;
  }
  broker::TopicRef topic = by_id ? table->find(wanted.id) : table->find(*wanted.name);
  if (topic == nullptr) {
    answer.error_code = by_id ? KafkaError::unknown_topic_id : KafkaError::unknown_topic_or_partition;
    answer.error_message = "there is no such topic";
    co_return;
  }
  answer.name = x.arena.copy(topic->name);
  answer.topic_id = topic->id;
  auto deleted = co_await x.broker->delete_topic(topic->name, topic->id);
  if (deleted.ok()) co_return;
  answer.error_code = kafka_error(deleted.error());
  answer.error_message = x.arena.copy(deleted.error().detail());
  // Gone meanwhile: said in the words of the request.
  if (deleted.code() == Errc::unknown_topic_id && !by_id) answer.error_code = KafkaError::unknown_topic_or_partition;
}

}  // namespace

Task<Result<void>> handle_delete_topics(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::delete_topics::Request>());
  std::vector<Wanted> wanted;
  // What stands there twice is answered once, with an error, as Apache Kafka does.
  std::map<std::pair<std::optional<std::string_view>, TopicId>, std::size_t> places;
  auto want = [&](std::optional<std::string_view> name, TopicId id) {
    auto [place, first] = places.try_emplace({name, id}, wanted.size());
    if (first) {
      wanted.push_back({name, id});
    } else {
      wanted[place->second].twice = true;
    }
  };
  for (const auto& topic : request.topics) want(topic.name, topic.topic_id);
  for (std::string_view name : request.topic_names) want(name, {});
  wire::delete_topics::Response response;
  response.responses = x.arena.list<wire::delete_topics::DeletableTopicResult>(wanted.size());
  for (std::size_t t = 0; t < wanted.size(); ++t) co_await delete_one(x, wanted[t], response.responses[t]);
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
