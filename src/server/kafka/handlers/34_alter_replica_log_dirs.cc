// AlterReplicaLogDirs v1-2. v2 flexible. A partition that lies where it is wanted is answered without error; one that
// would have to move to another log directory gets POLICY_VIOLATION, since moving is not supported.
#include <map>

#include "base/log.h"
#include "server/kafka/handlers/handlers.h"
#include "wire/api/alter_replica_log_dirs.h"

namespace mr::server::kafka {

namespace {

using namespace wire::alter_replica_log_dirs;

KafkaError answer_to(const Result<void>& outcome) {
  if (outcome.ok()) return KafkaError::none;
  return outcome.code() == Errc::not_found ? KafkaError::log_dir_not_found : kafka_error(outcome.error());
}

}  // namespace

Task<Result<void>> handle_alter_replica_log_dirs(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  // Each partition once; the directory that is said last counts, as in Apache Kafka.
  std::map<std::string_view, std::map<PartitionIndex, std::string_view>> wanted;
  for (const AlterReplicaLogDir& directory : request.dirs)
    for (const AlterReplicaLogDirTopic& topic : directory.topics)
      for (PartitionIndex partition : topic.partitions) wanted[topic.name][partition] = directory.path;
  auto table = x.broker->topics(x.shard);
  std::vector<broker::Broker::ReplicaMove> moves;
  for (const auto& [name, partitions] : wanted) {
    broker::TopicRef topic = table->find(name);
    for (const auto& [partition, path] : partitions)
      moves.push_back({.key = {topic ? topic->id : TopicId{}, partition}, .log_dir = std::string(path), .outcome = {}});
  }
  co_await x.broker->check_moves(moves);
  Response response;
  response.results = x.arena.list<AlterReplicaLogDirTopicResult>(wanted.size());
  std::size_t t = 0, next = 0;
  for (const auto& [name, partitions] : wanted) {
    AlterReplicaLogDirTopicResult& answered = response.results[t++];
    answered.topic_name = name;
    answered.partitions = x.arena.list<AlterReplicaLogDirPartitionResult>(partitions.size());
    std::size_t p = 0;
    for (const auto& [partition, path] : partitions) {
      const Result<void>& outcome = moves[next++].outcome;
      answered.partitions[p++] = {.partition_index = partition, .error_code = answer_to(outcome)};
      if (!outcome.ok() && outcome.code() == Errc::policy_violation)  // the answer has no room for a reason
        log_warn("server", "a partition was not moved to another log directory",
                 {{"topic", name}, {"partition", partition.v}, {"reason", outcome.error().detail()}});
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
