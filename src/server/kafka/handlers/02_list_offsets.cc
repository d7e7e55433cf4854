// ListOffsets v1-11. v2 isolation; v4 leader epochs; v6 flexible; v7, v8, v9, v11 more special timestamps; v10 timeout.
// Rules: traps.md 71-73.
#include <unordered_map>

#include "server/kafka/handlers/handlers.h"
#include "wire/api/list_offsets.h"

namespace mr::server::kafka {

namespace {

/// The version in which a special timestamp appeared; older requests must not use it, and none those that are not
/// there.
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
      return timestamp < -6 ? std::numeric_limits<wire::Version>::max() : wire::Version{0};
  }
}

Task<void> answer_one(Exchange& x, const broker::TopicRef& topic, const wire::list_offsets::ListOffsetsPartition& asked,
                      bool read_committed, wire::list_offsets::ListOffsetsPartitionResponse& answer) {
  answer.partition_index = asked.partition_index;
  if (x.head.version < since(asked.timestamp)) {
    answer.error_code = KafkaError::unsupported_version;
    co_return;
  }
  const broker::PartitionPlace* place = topic ? topic->partition(asked.partition_index) : nullptr;
  if (place == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
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

/// What is asked of one topic, wherever in the request: each partition once, with how often it stands there.
struct Asked {
  std::string_view name;
  std::vector<std::pair<const wire::list_offsets::ListOffsetsPartition*, int>> partitions;
};

/// In the order of the request. Topics of which nothing is asked are not answered.
std::vector<Asked> by_topic(const wire::list_offsets::Request& request) {
  std::vector<Asked> all;
  std::unordered_map<std::string_view, std::size_t> topics;
  std::unordered_map<std::string_view, std::unordered_map<PartitionIndex, std::size_t>> places;
  for (const auto& topic : request.topics)
    for (const auto& partition : topic.partitions) {
      auto [at, fresh] = topics.try_emplace(topic.name, all.size());
      if (fresh) all.push_back({topic.name, {}});
      auto& partitions = all[at->second].partitions;
      auto [place, first] = places[topic.name].try_emplace(partition.partition_index, partitions.size());
      if (first) partitions.emplace_back(&partition, 0);
      ++partitions[place->second].second;
    }
  return all;
}

}  // namespace

Task<Result<void>> handle_list_offsets(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::list_offsets::Request>());
  wire::list_offsets::Response response;
  std::vector<Asked> topics = by_topic(request);
  response.topics = x.arena.list<wire::list_offsets::ListOffsetsTopicResponse>(topics.size());
  auto table = x.broker->topics(x.shard);
  for (std::size_t t = 0; t < topics.size(); ++t) {
    const Asked& asked = topics[t];
    auto& answered = response.topics[t];
    answered.name = asked.name;
    answered.partitions = x.arena.list<wire::list_offsets::ListOffsetsPartitionResponse>(asked.partitions.size());
    broker::TopicRef topic = table->find(asked.name);
    for (std::size_t p = 0; p < asked.partitions.size(); ++p) {
      const auto& [partition, times] = asked.partitions[p];
      if (times > 1) {  // traps.md 73
        answered.partitions[p].partition_index = partition->partition_index;
        answered.partitions[p].error_code = KafkaError::invalid_request;
        continue;
      }
      co_await answer_one(x, topic, *partition, request.isolation_level == 1, answered.partitions[p]);
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
