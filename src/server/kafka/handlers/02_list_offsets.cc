// ListOffsets v1-11. v2 isolation; v4 leader epochs; v6 flexible; v7, v8, v9, v11 more special timestamps; v10 timeout.
// Rules: traps.md 71-73.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/list_offsets.h"

namespace mr::server::kafka {

namespace {

/// The version in which a special timestamp appeared; older requests must not use it.
wire::Version since(WallMillis timestamp) {
  switch (timestamp) {
    case -3:
      return 7;
    case -4:
      return 8;
    case -5:
      return 9;
    case -6:
      return 11;
    default:
      return 0;
  }
}

Task<void> answer_one(Exchange& x, const broker::TopicRef& topic, const wire::list_offsets::ListOffsetsPartition& asked,
                      bool read_committed, wire::list_offsets::ListOffsetsPartitionResponse& answer) {
  answer.partition_index = asked.partition_index;
  const broker::PartitionPlace* place = topic ? topic->partition(asked.partition_index) : nullptr;
  if (place == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
    co_return;
  }
  if (x.head.version < since(asked.timestamp)) {
    answer.error_code = KafkaError::unsupported_version;
    co_return;
  }
  auto found = co_await x.broker->list_offset({.topic = topic->id,
                                               .partition = asked.partition_index,
                                               .home = place->home,
                                               .current_epoch = asked.current_leader_epoch,
                                               .timestamp = asked.timestamp,
                                               .read_committed = read_committed});
  if (!found.ok()) {
    answer.error_code = kafka_error(found.error());
    co_return;
  }
  answer.offset = found->offset;
  answer.timestamp = found->timestamp;
  if (x.head.version >= 4) answer.leader_epoch = found->leader_epoch;
}

/// Partitions that stand in the topic more than once (INVALID_REQUEST, traps.md 73), in order.
std::vector<PartitionIndex> asked_twice(const wire::list_offsets::ListOffsetsTopic& topic) {
  std::vector<PartitionIndex> all;
  all.reserve(topic.partitions.size());
  for (const auto& partition : topic.partitions) all.push_back(partition.partition_index);
  std::ranges::sort(all);
  std::vector<PartitionIndex> twice;
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i] == all[i - 1]) twice.push_back(all[i]);
  return twice;
}

}  // namespace

Task<Result<void>> handle_list_offsets(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::list_offsets::Request>());
  wire::list_offsets::Response response;
  response.topics = x.arena.list<wire::list_offsets::ListOffsetsTopicResponse>(request.topics.size());
  auto table = x.broker->topics(x.shard);
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const auto& asked = request.topics[t];
    auto& answered = response.topics[t];
    answered.name = asked.name;
    answered.partitions = x.arena.list<wire::list_offsets::ListOffsetsPartitionResponse>(asked.partitions.size());
    broker::TopicRef topic = table->find(asked.name);
    std::vector<PartitionIndex> twice = asked_twice(asked);
    for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
      if (std::ranges::binary_search(twice, asked.partitions[p].partition_index)) {
        answered.partitions[p].partition_index = asked.partitions[p].partition_index;
        answered.partitions[p].error_code = KafkaError::invalid_request;
        continue;
      }
      co_await answer_one(x, topic, asked.partitions[p], request.isolation_level == 1, answered.partitions[p]);
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
