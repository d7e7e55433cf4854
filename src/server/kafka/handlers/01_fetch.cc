// Fetch v4-18. v5 log start; v7 sessions; v9 leader epochs; v11 rack; v12 flexible, divergence; v13 topic ids; v16
// endpoints; v17-18 replica fields. Rules: traps.md 59-70. Every fetch is a full one: session id 0 is always answered.
#include "broker/fetch.h"
#include "server/kafka/handlers/handlers.h"
#include "wire/api/fetch.h"

namespace mr::server::kafka {

namespace {

/// More than a broker has (TopicLimits): a request that names more holds memory for nothing while it waits.
constexpr std::size_t kPartitionsMax = 100'000;
/// Longer polls answer empty, and the reader asks again: until then nobody notices that it has gone.
constexpr Millis kLongPollMax{300'000};

void fill_item(broker::FetchItem& item, const broker::TopicRef& topic, Errc unknown,
               const wire::fetch::FetchPartition& asked) {
  item.partition = asked.partition;
  item.offset = asked.fetch_offset;
  item.current_epoch = asked.current_leader_epoch;
  item.last_fetched_epoch = asked.last_fetched_epoch;
  item.bytes_max = static_cast<std::uint64_t>(std::max(asked.partition_max_bytes, 0));
  const broker::PartitionPlace* place = topic ? topic->partition(asked.partition) : nullptr;
  if (place == nullptr) {
    item.refused = true;
    item.error = topic ? Errc::unknown_partition : unknown;
    return;
  }
  item.topic = topic->id;
  item.home = place->home;
}

void fill_answer(Exchange& x, wire::fetch::PartitionData& answer, broker::FetchItem& item, bool read_committed) {
  answer.partition_index = item.partition;
  answer.records = wire::Records::of({});
  if (!read_committed) answer.aborted_transactions.reset();  // null, not empty (traps.md 63)
  if (item.error) {
    answer.error_code = kafka_error(*item.error);
    // KAFKA_STORAGE_ERROR is unknown to clients before v6 (traps.md 68).
    if (answer.error_code == KafkaError::kafka_storage_error && x.head.version < 6)
      answer.error_code = KafkaError::not_leader_or_follower;
    answer.high_watermark = Offset{-1};
    return;
  }
  answer.high_watermark = item.high_watermark;
  answer.last_stable_offset = item.last_stable;
  answer.log_start_offset = item.log_start;
  if (item.diverging) answer.diverging_epoch = {item.diverging->epoch, item.diverging->end};
  if (item.data.bytes > 0) {
    answer.records = wire::Records::external(item.data.bytes, static_cast<std::uint32_t>(x.reads.size()));
    x.reads.push_back(std::move(item.data));
  }
}

/// A session that we never gave out, or one that continues: we give none, so both are unknown (traps.md 66).
bool wants_session(const wire::fetch::Request& request) { return request.session_id != 0; }

}  // namespace

Task<Result<void>> handle_fetch(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::fetch::Request>());
  wire::fetch::Response response;
  if (wants_session(request)) {
    response.error_code = KafkaError::fetch_session_id_not_found;
    co_return x.answer(response);
  }
  bool by_id = x.head.version >= 13;
  bool read_committed = request.isolation_level == 1;
  std::size_t count = 0;
  for (const auto& asked : request.topics) count += asked.partitions.size();
  if (count > kPartitionsMax) co_return Error(Errc::too_large, "a fetch of more partitions than there can be");
  std::vector<broker::FetchItem> items;
  items.reserve(count);
  {
    auto table = x.broker->topics(x.shard);
    for (const auto& asked : request.topics) {
      broker::TopicRef topic = by_id ? table->find(asked.topic_id) : table->find(asked.topic);
      for (const auto& partition : asked.partitions)
        fill_item(items.emplace_back(), topic, by_id ? Errc::unknown_topic_id : Errc::unknown_topic, partition);
    }
  }
  broker::FetchOptions options{
      .deadline = x.context.received + std::clamp(Millis(request.max_wait_ms), Millis(0), kLongPollMax),
      .bytes_min = static_cast<std::uint64_t>(std::max(request.min_bytes, 0)),
      .bytes_max = static_cast<std::uint64_t>(std::clamp(request.max_bytes, 0, x.broker->config().fetch_max_bytes)),
      .read_committed = read_committed,
      .memory = x.context.memory};
  co_await broker::fetch(*x.broker, items, options);

  response.responses = x.arena.list<wire::fetch::FetchableTopicResponse>(request.topics.size());
  std::size_t next = 0;
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const auto& asked = request.topics[t];
    auto& answered = response.responses[t];
    answered.topic = asked.topic;
    answered.topic_id = asked.topic_id;
    answered.partitions = x.arena.list<wire::fetch::PartitionData>(asked.partitions.size());
    for (auto& partition : answered.partitions) fill_answer(x, partition, items[next++], read_committed);
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
