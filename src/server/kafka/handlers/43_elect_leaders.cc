// ElectLeaders v0-2. v1 type of election; v2 flexible. One broker is the preferred and only leader of everything it
// has, so an election is never needed. Who asks for all partitions is told of those that needed one: none of any topic.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/elect_leaders.h"

namespace mr::server::kafka {

namespace {

using namespace wire::elect_leaders;

void answer_one(Exchange& x, bool known_type, std::int8_t type, const broker::TopicInfo* topic,
                const TopicPartitions& asked, PartitionIndex partition, PartitionResult& answer) {
  answer.partition_id = partition.v;
  if (!known_type) {
    answer.error_code = KafkaError::invalid_request;
    answer.error_message = x.arena.copy("unknown type of election: " + std::to_string(type));
  } else if (topic == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
    answer.error_message = x.arena.copy("there is no topic '" + std::string(asked.topic) + "'");
  } else if (topic->partition(partition) == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
    answer.error_message = x.arena.copy("topic '" + topic->name + "' has no partition " + std::to_string(partition.v));
  } else {
    answer.error_code = KafkaError::election_not_needed;
    answer.error_message = "the preferred leader leads it already";
  }
}

}  // namespace

Task<Result<void>> handle_elect_leaders(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  constexpr std::int8_t kPreferred = 0, kUnclean = 1;
  const bool known_type = request.election_type == kPreferred || request.election_type == kUnclean;
  auto table = x.broker->topics(x.shard);
  Response response;
  if (!known_type) response.error_code = KafkaError::invalid_request;
  if (!request.topic_partitions) {
    const std::size_t topics = known_type ? table->topics().size() : 0;
    response.replica_election_results = x.arena.list<ReplicaElectionResult>(topics);
    auto next = table->topics().begin();
    for (ReplicaElectionResult& result : response.replica_election_results)
      result.topic = x.arena.copy((next++)->first);
    co_return x.answer(response);
  }
  response.replica_election_results = x.arena.list<ReplicaElectionResult>(request.topic_partitions->size());
  for (std::size_t t = 0; t < request.topic_partitions->size(); ++t) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const TopicPartitions& asked = (*request.topic_partitions)[t];
    ReplicaElectionResult& answered = response.replica_election_results[t];
    answered.topic = asked.topic;
    answered.partition_result = x.arena.list<PartitionResult>(asked.partitions.size());
    broker::TopicRef topic = table->find(asked.topic);
    for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
      MR_CO_TRY_VOID(x.check_built_bytes());
      answer_one(x, known_type, request.election_type, topic.get(), asked, asked.partitions[p],
                 answered.partition_result[p]);
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
