// OffsetCommit v2-10. v5 drops the retention time; v6 leader epoch; v7 static members; v8 flexible; v9 says
// group_id_not_found where older ones say illegal_generation; v10 topic ids. Rules: traps.md 83, 85.
#include "server/kafka/handlers/groups.h"
#include "wire/api/offset_commit.h"

namespace mr::server::kafka {

namespace {

KafkaError commit_error(const Error& error, wire::Version version) {
  if (error == Errc::group_not_found && version < 9) return KafkaError::illegal_generation;
  return kafka_error(error);
}

}  // namespace

Task<Result<void>> handle_offset_commit(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::offset_commit::Request>());
  coordinator::CommitRequest wanted{.group = owned(request.group_id),
                                    .generation = coordinator::Generation{request.generation_id_or_member_epoch},
                                    .member = owned(request.member_id),
                                    .instance = owned(request.group_instance_id),
                                    .knows_epochs = x.head.version >= 9};
  if (request.retention_time_ms >= 0) wanted.retention = Millis(request.retention_time_ms);

  wire::offset_commit::Response response;
  response.topics = x.arena.list<wire::offset_commit::OffsetCommitResponseTopic>(request.topics.size());
  std::vector<KafkaError*> asked;  // of the coordinator, in its order
  auto table = x.broker->topics(x.shard);
  const bool by_id = x.head.version >= 10;
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const auto& from = request.topics[t];
    auto& to = response.topics[t];
    NamedTopic topic = find_topic(*table, by_id, from.name, from.topic_id);
    to.name = from.name;
    to.topic_id = from.topic_id;
    to.partitions = x.arena.list<wire::offset_commit::OffsetCommitResponsePartition>(from.partitions.size());
    for (std::size_t p = 0; p < from.partitions.size(); ++p) {
      const auto& partition = from.partitions[p];
      to.partitions[p].partition_index = partition.partition_index;
      if (!topic.has(partition.partition_index)) {
        to.partitions[p].error_code = topic.topic ? KafkaError::unknown_topic_or_partition : topic.error;
        continue;
      }
      asked.push_back(&to.partitions[p].error_code);
      wanted.offsets.push_back({.topic = topic.topic->name,
                                .topic_id = topic.topic->id,
                                .partition = partition.partition_index,
                                .offset = partition.committed_offset,
                                .leader_epoch = partition.committed_leader_epoch,
                                .metadata = owned(partition.committed_metadata.value_or(""))});
    }
  }
  if (asked.empty() && !request.topics.empty()) co_return x.answer(response);
  coordinator::CommitAnswer answer = co_await x.groups->commit_offsets(std::move(wanted));
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::optional<Error>& error = answer.error ? answer.error : answer.partitions[i];
    *asked[i] = error ? commit_error(*error, x.head.version) : KafkaError::none;
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
