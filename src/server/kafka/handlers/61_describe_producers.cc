// DescribeProducers v0. The idempotent producers that a partition knows, as its producer table has them. There are no
// transactions: no open one starts anywhere, and no coordinator has an epoch.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/describe_producers.h"

namespace mr::server::kafka {

namespace {

using namespace wire::describe_producers;

void fill(Exchange& x, const std::vector<storage::Log::ProducerInfo>& known, PartitionResponse& answer) {
  answer.active_producers = x.arena.list<ProducerState>(known.size());
  for (std::size_t i = 0; i < known.size(); ++i) {
    ProducerState& state = answer.active_producers[i];
    state.producer_id = known[i].id;
    state.producer_epoch = known[i].epoch.v;
    state.coordinator_epoch = -1;
    if (known[i].batches.empty()) continue;
    state.last_sequence = known[i].batches.back().last_sequence;
    state.last_timestamp = known[i].batches.back().timestamp;
  }
}

Task<void> answer_one(Exchange& x, std::string_view name, const broker::TopicRef& topic, PartitionIndex partition,
                      PartitionResponse& answer) {
  answer.partition_index = partition;
  answer.error_message.reset();
  if (!valid_topic_name(name)) {
    answer.error_code = KafkaError::invalid_topic_exception;
    answer.error_message = "that is no name for a topic";
    co_return;
  }
  const broker::PartitionPlace* place = topic ? topic->partition(partition) : nullptr;
  if (place == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
    co_return;
  }
  constexpr Duration kPatience = std::chrono::seconds(30);
  const TimePoint deadline = x.context.received + kPatience;
  auto known = co_await x.broker->producers(topic->id, partition, place->home, deadline);
  if (known.ok()) {
    fill(x, *known, answer);
  } else {
    answer.error_code = kafka_error(known.error());
    if (!known.error().detail().empty()) answer.error_message = x.arena.copy(known.error().detail());
  }
}

}  // namespace

Task<Result<void>> handle_describe_producers(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  auto table = x.broker->topics(x.shard);
  Response response;
  response.topics = x.arena.list<TopicResponse>(request.topics.size());
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const TopicRequest& asked = request.topics[t];
    TopicResponse& answered = response.topics[t];
    answered.name = asked.name;
    answered.partitions = x.arena.list<PartitionResponse>(asked.partition_indexes.size());
    broker::TopicRef topic = table->find(asked.name);
    for (std::size_t p = 0; p < asked.partition_indexes.size(); ++p) {
      MR_CO_TRY_VOID(x.check_built_bytes());
      co_await answer_one(x, asked.name, topic, PartitionIndex{asked.partition_indexes[p]}, answered.partitions[p]);
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
