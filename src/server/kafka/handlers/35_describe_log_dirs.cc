// DescribeLogDirs v1-5. v2 flexible; v3 error of the whole; v4 sizes of the volume; v5 cordoned (never, here). A log
// directory that is offline is told with an error and without partitions, as Apache Kafka does. Rules: traps.md 114.
#include <algorithm>

#include "server/kafka/handlers/handlers.h"
#include "wire/api/describe_log_dirs.h"

namespace mr::server::kafka {

namespace {

using namespace wire::describe_log_dirs;
using broker::Broker;

std::optional<std::vector<broker::PartitionKey>> wanted_of(const Request& request, const broker::TopicTable& table) {
  if (!request.topics) return std::nullopt;
  std::vector<broker::PartitionKey> wanted;
  for (const DescribableLogDirTopic& asked : *request.topics) {
    broker::TopicRef topic = table.find(asked.topic);
    if (topic == nullptr) continue;
    for (PartitionIndex partition : asked.partitions) wanted.push_back({topic->id, partition});
  }
  std::ranges::sort(wanted, {}, [](const broker::PartitionKey& key) { return std::pair(key.topic, key.partition); });
  auto again = std::ranges::unique(wanted);
  wanted.erase(again.begin(), again.end());
  return wanted;
}

/// The view's partitions are in order of names, so those of a topic stand together.
void fill_topics(Exchange& x, const Broker::LogDirView& view, DescribeLogDirsResult& answer) {
  const auto& all = view.partitions;
  auto other_topic = [](const auto& a, const auto& b) { return a.name.topic != b.name.topic; };
  std::size_t topics = all.empty() ? 0 : 1;
  for (std::size_t i = 1; i < all.size(); ++i) topics += other_topic(all[i - 1], all[i]) ? 1 : 0;
  answer.topics = x.arena.list<DescribeLogDirsTopic>(topics);
  std::size_t from = 0;
  for (DescribeLogDirsTopic& topic : answer.topics) {
    std::size_t end = from + 1;
    while (end < all.size() && !other_topic(all[from], all[end])) ++end;
    topic.name = x.arena.copy(all[from].name.topic);
    topic.partitions = x.arena.list<DescribeLogDirsPartition>(end - from);
    for (DescribeLogDirsPartition& partition : topic.partitions) {
      partition.partition_index = all[from].name.partition;
      partition.partition_size = static_cast<std::int64_t>(all[from].bytes);
      ++from;
    }
  }
}

}  // namespace

Task<Result<void>> handle_describe_log_dirs(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  auto wanted = wanted_of(request, *x.broker->topics(x.shard));
  auto views = co_await x.broker->describe_log_dirs(std::move(wanted));
  Response response;
  response.results = x.arena.list<DescribeLogDirsResult>(views.size());
  for (std::size_t d = 0; d < views.size(); ++d) {
    DescribeLogDirsResult& answer = response.results[d];
    answer.log_dir = x.arena.copy(views[d].path);
    if (views[d].offline) {
      answer.error_code = KafkaError::kafka_storage_error;
      continue;
    }
    fill_topics(x, views[d], answer);
    if (!views[d].space) continue;
    answer.total_bytes = static_cast<std::int64_t>(views[d].space->total_bytes);
    answer.usable_bytes = static_cast<std::int64_t>(views[d].space->free_bytes);
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
