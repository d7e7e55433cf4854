// OffsetDelete v0 (KIP-496). Refuses topics that a member of the group is subscribed to.
#include "server/kafka/handlers/groups.h"
#include "wire/api/offset_delete.h"

namespace mr::server::kafka {

Task<Result<void>> handle_offset_delete(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::offset_delete::Request>());
  coordinator::DeleteOffsetsRequest wanted{.group = owned(request.group_id)};
  wire::offset_delete::Response response;
  response.topics = x.arena.list<wire::offset_delete::OffsetDeleteResponseTopic>(request.topics.size());
  std::vector<KafkaError*> asked;  // of the coordinator, in its order
  auto table = x.broker->topics(x.shard);
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const auto& from = request.topics[t];
    auto& to = response.topics[t];
    NamedTopic topic = find_topic(*table, false, from.name, {});
    to.name = from.name;
    to.partitions = x.arena.list<wire::offset_delete::OffsetDeleteResponsePartition>(from.partitions.size());
    coordinator::TopicPartitionsWanted partitions{.topic = owned(from.name)};
    for (std::size_t p = 0; p < from.partitions.size(); ++p) {
      PartitionIndex index = from.partitions[p].partition_index;
      to.partitions[p].partition_index = index;
      if (!topic.has(index)) {
        to.partitions[p].error_code = KafkaError::unknown_topic_or_partition;
        continue;
      }
      partitions.topic_id = topic.topic->id;
      partitions.partitions.push_back(index);
      asked.push_back(&to.partitions[p].error_code);
    }
    if (!partitions.partitions.empty()) wanted.topics.push_back(std::move(partitions));
  }
  coordinator::DeleteOffsetsAnswer answer = co_await x.groups->delete_offsets(std::move(wanted));
  response.error_code = kafka_error(answer.error);
  if (answer.error) {
    response.topics = {};
  } else {
    for (std::size_t i = 0; i < asked.size(); ++i) *asked[i] = kafka_error(answer.partitions[i].error);
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
