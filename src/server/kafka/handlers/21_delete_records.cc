// DeleteRecords v0-2. v2 flexible. Rules: traps.md 39. The timeout is a wait for followers: here are none, the answer
// comes when the new starts are on disk.
#include <map>

#include "server/kafka/handlers/handlers.h"
#include "wire/api/delete_records.h"

namespace mr::server::kafka {

namespace {

using namespace wire::delete_records;

/// Each topic once, in the order of their first appearance, and each of its partitions once: what is said last of a
/// partition counts, as in Apache Kafka.
struct Wanted {
  struct Topic {
    std::string_view name;
    std::map<PartitionIndex, Offset> before;
  };
  std::vector<Topic> topics;

  explicit Wanted(const Request& request) {
    std::unordered_map<std::string_view, std::size_t> at;
    for (const DeleteRecordsTopic& asked : request.topics) {
      if (asked.partitions.empty()) continue;
      auto [place, added] = at.emplace(asked.name, topics.size());
      if (added) topics.push_back({.name = asked.name, .before = {}});
      for (const auto& partition : asked.partitions)
        topics[place->second].before[partition.partition_index] = partition.offset;
    }
  }
};

}  // namespace

Task<Result<void>> handle_delete_records(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  const Wanted wanted(request);
  auto table = x.broker->topics(x.shard);
  Response response;
  response.topics = x.arena.list<DeleteRecordsTopicResult>(wanted.topics.size());
  std::vector<broker::Broker::RecordsToDelete> items;
  std::vector<DeleteRecordsPartitionResult*> answers;  // to `items`
  for (std::size_t t = 0; t < wanted.topics.size(); ++t) {
    const Wanted::Topic& asked = wanted.topics[t];
    DeleteRecordsTopicResult& answered = response.topics[t];
    answered.name = asked.name;
    answered.partitions = x.arena.list<DeleteRecordsPartitionResult>(asked.before.size());
    broker::TopicRef topic = table->find(asked.name);
    std::size_t p = 0;
    for (const auto& [index, before] : asked.before) {
      DeleteRecordsPartitionResult& answer = answered.partitions[p++];
      answer.partition_index = index;
      answer.low_watermark = -1;
      const broker::PartitionPlace* place = topic ? topic->partition(index) : nullptr;
      if (place == nullptr) {
        answer.error_code = KafkaError::unknown_topic_or_partition;
        continue;
      }
      items.push_back({.topic = topic->id, .partition = index, .home = place->home, .before = before});
      answers.push_back(&answer);
    }
  }
  co_await x.broker->delete_records(items);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Result<Offset>& start = items[i].log_start;
    if (start.ok()) {
      answers[i]->low_watermark = start->v;
    } else {
      // Topics are named here, so one that is gone meanwhile is an unknown one.
      answers[i]->error_code =
          start.code() == Errc::unknown_topic_id ? KafkaError::unknown_topic_or_partition : kafka_error(start.error());
    }
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
