// AlterPartitionReassignments v0-1. v1 may forbid a change of the number of replicas. On one broker the only replica
// list is [itself]: asking for it is no change, all else is refused, and there is never a reassignment to cancel.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/alter_partition_reassignments.h"

namespace mr::server::kafka {

namespace {

using namespace wire::alter_partition_reassignments;

Result<void> check_replicas(std::span<const BrokerId> replicas, BrokerId self) {
  if (replicas.empty()) return Error(Errc::invalid_replica_assignment, "the list of replicas is empty");
  for (BrokerId replica : replicas)
    if (replica != self)
      return Error(Errc::invalid_replica_assignment, "broker " + std::to_string(replica.v) + " is not in this cluster");
  if (replicas.size() > 1) return Error(Errc::invalid_replica_assignment, "a broker is named twice");
  return {};
}

void answer_one(Exchange& x, const broker::TopicInfo* topic, const ReassignablePartition& asked,
                ReassignablePartitionResponse& answer) {
  answer.partition_index = asked.partition_index;
  answer.error_message.reset();
  if (topic == nullptr || topic->partition(asked.partition_index) == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
    answer.error_message = topic == nullptr ? "there is no such topic" : "the topic has no such partition";
    return;
  }
  if (!asked.replicas) {
    answer.error_code = KafkaError::no_reassignment_in_progress;
    return;
  }
  auto checked = check_replicas(*asked.replicas, x.broker->self());
  if (checked.ok()) return;
  answer.error_code = kafka_error(checked.error());
  answer.error_message = x.arena.copy(checked.error().detail());
}

}  // namespace

Task<Result<void>> handle_alter_partition_reassignments(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  auto table = x.broker->topics(x.shard);
  Response response;
  response.allow_replication_factor_change = request.allow_replication_factor_change;
  response.error_message.reset();
  response.responses = x.arena.list<ReassignableTopicResponse>(request.topics.size());
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const ReassignableTopic& asked = request.topics[t];
    ReassignableTopicResponse& answered = response.responses[t];
    answered.name = asked.name;
    answered.partitions = x.arena.list<ReassignablePartitionResponse>(asked.partitions.size());
    broker::TopicRef topic = table->find(asked.name);
    for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
      MR_CO_TRY_VOID(x.check_built_bytes());
      answer_one(x, topic.get(), asked.partitions[p], answered.partitions[p]);
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
