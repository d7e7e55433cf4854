// OffsetForLeaderEpoch v2-4. v3 replica id; v4 flexible. Consumers ask after FENCED_LEADER_EPOCH whether what they have
// read is still there; here each start of the broker is a new epoch. Rules: traps.md 74.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/offset_for_leader_epoch.h"

namespace mr::server::kafka {

namespace {

using namespace wire::offset_for_leader_epoch;

Task<void> answer_one(Exchange& x, const broker::TopicRef& topic, const OffsetForLeaderPartition& asked,
                      EpochEndOffset& answer) {
  answer.partition = asked.partition;
  const broker::PartitionPlace* place = topic ? topic->partition(asked.partition) : nullptr;
  if (place == nullptr) {
    answer.error_code = KafkaError::unknown_topic_or_partition;
    co_return;
  }
  auto found = co_await x.broker->epoch_end({.topic = topic->id,
                                             .partition = asked.partition,
                                             .home = place->home,
                                             .current_epoch = asked.current_leader_epoch,
                                             .epoch = asked.leader_epoch});
  if (!found.ok()) {
    answer.error_code = kafka_error(found.error());
    co_return;
  }
  answer.leader_epoch = found->epoch;
  answer.end_offset = found->end;
}

}  // namespace

Task<Result<void>> handle_offset_for_leader_epoch(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  Response response;
  response.topics = x.arena.list<OffsetForLeaderTopicResult>(request.topics.size());
  auto table = x.broker->topics(x.shard);
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    const auto& asked = request.topics[t];
    auto& answered = response.topics[t];
    answered.topic = asked.topic;
    answered.partitions = x.arena.list<EpochEndOffset>(asked.partitions.size());
    broker::TopicRef topic = table->find(asked.topic);
    for (std::size_t p = 0; p < asked.partitions.size(); ++p)
      co_await answer_one(x, topic, asked.partitions[p], answered.partitions[p]);
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
