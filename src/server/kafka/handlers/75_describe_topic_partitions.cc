// DescribeTopicPartitions v0. Metadata of topics in order of their names, in pages: at most so many partitions an
// answer, and a cursor where the next one begins. No topics in the request: all. Rules: traps.md 40.
#include <set>

#include "server/kafka/handlers/handlers.h"
#include "wire/api/describe_topic_partitions.h"

namespace mr::server::kafka {

namespace {

using namespace wire::describe_topic_partitions;

void fill_partitions(Exchange& x, const broker::TopicInfo& topic, std::size_t from, std::size_t end,
                     DescribeTopicPartitionsResponseTopic& answer) {
  answer.partitions = x.arena.list<DescribeTopicPartitionsResponsePartition>(end - from);
  for (std::size_t p = from; p < end; ++p) {
    DescribeTopicPartitionsResponsePartition& partition = answer.partitions[p - from];
    partition.partition_index = PartitionIndex{static_cast<std::int32_t>(p)};
    fill_place(x, topic.partitions[p], partition);
    // No replica is outside the ISR, so none waits to be eligible.
    partition.eligible_leader_replicas.emplace();
    partition.last_known_elr.emplace();
  }
}

/// The page that begins at the first of `names`, its partition `start`. Leaves in `next` where the following one
/// begins.
std::vector<DescribeTopicPartitionsResponseTopic> page(Exchange& x, const broker::TopicTable& table,
                                                       const std::vector<std::string_view>& names, std::size_t start,
                                                       std::size_t limit, std::optional<Cursor>& next) {
  std::vector<DescribeTopicPartitionsResponseTopic> topics;
  std::size_t left = limit;
  for (std::string_view name : names) {
    if (left == 0) {
      next = Cursor{.topic_name = name, .partition_index = PartitionIndex{0}};
      break;
    }
    DescribeTopicPartitionsResponseTopic& answer = topics.emplace_back();
    answer.name = name;
    answer.topic_authorized_operations = kTopicOperations;
    broker::TopicRef topic = table.find(name);
    const std::size_t from = std::exchange(start, 0);
    if (topic == nullptr) {
      const bool valid = valid_topic_name(name);
      answer.error_code = valid ? KafkaError::unknown_topic_or_partition : KafkaError::invalid_topic_exception;
      continue;
    }
    answer.topic_id = topic->id;
    answer.is_internal = topic->internal;
    const std::size_t count = topic->partitions.size();
    const std::size_t end = std::min(count, std::min(from, count) + left);
    fill_partitions(x, *topic, std::min(from, count), end, answer);
    left -= answer.partitions.size();
    if (end == count) continue;
    next = Cursor{.topic_name = name, .partition_index = PartitionIndex{static_cast<std::int32_t>(end)}};
    break;
  }
  return topics;
}

Task<Result<void>> refuse(Exchange& x, const Request& request) {
  Response response;
  response.topics = x.arena.list<DescribeTopicPartitionsResponseTopic>(request.topics.size());
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    response.topics[t].name = request.topics[t].name;
    response.topics[t].error_code = KafkaError::invalid_request;
    response.topics[t].topic_authorized_operations = kNoOperations;
  }
  co_return x.answer(response);
}

}  // namespace

Task<Result<void>> handle_describe_topic_partitions(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  auto table = x.broker->topics(x.shard);
  const std::string_view first = request.cursor ? request.cursor->topic_name : std::string_view();
  std::set<std::string_view> wanted;
  for (const TopicRequest& asked : request.topics)
    if (asked.name >= first) wanted.insert(asked.name);
  // The cursor has to be one that an answer to the same question gave.
  const bool all = request.topics.empty();
  if (request.cursor && (request.cursor->partition_index.v < 0 || (!all && !wanted.contains(first))))
    co_return co_await refuse(x, request);
  std::vector<std::string_view> names(wanted.begin(), wanted.end());
  if (all)
    for (auto it = table->topics().lower_bound(first); it != table->topics().end(); ++it) names.push_back(it->first);
  std::size_t start = 0;
  if (request.cursor && !names.empty() && names.front() == first)
    start = static_cast<std::size_t>(request.cursor->partition_index.v);
  const std::int32_t most = x.broker->settings(x.shard)->config.max_request_partition_size_limit;
  const auto limit = static_cast<std::size_t>(std::clamp(request.response_partition_limit, 1, most));
  Response response;
  auto topics = page(x, *table, names, start, limit, response.next_cursor);
  response.topics = x.arena.list<DescribeTopicPartitionsResponseTopic>(topics.size());
  std::ranges::copy(topics, response.topics.begin());
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
