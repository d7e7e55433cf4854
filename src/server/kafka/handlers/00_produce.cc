// Produce v3-13 (advertised from 0: traps.md 17). v5 log start offset; v7 zstd; v8 record errors; v9 flexible; v10
// current leader; v13 topic ids. Errors per partition: traps.md 45-58.
#include "broker/produce.h"
#include "runtime/pooled.h"
#include "server/kafka/handlers/handlers.h"
#include "wire/api/produce.h"

namespace mr::server::kafka {

namespace {

using replication::Acks;
using replication::AppendFailure;

/// Everything the second stage needs; nothing of the frame.
struct State {
  State(broker::Broker& broker, Acks acks, bool zstd_allowed, TimePoint deadline, TimePoint received)
      : produce(broker, acks, zstd_allowed, deadline, received) {}
  wire::produce::Response response;
  std::vector<broker::ProduceItem, Pooled<broker::ProduceItem>> items;
  broker::Produce produce;
};

void refuse(broker::ProduceItem& item, Error error) {
  item.refused = true;
  item.outcome = std::unexpected(AppendFailure{std::move(error)});
}

/// Kafka's own tools may write to internal topics, clients may not (traps.md 58).
bool internal_and_closed(const broker::TopicInfo& topic, const Exchange& x) {
  return topic.internal && x.context.client_id != "__admin_client";
}

/// One whole batch of format 2 and nothing else. What is not even that is refused before the partition is asked.
bool is_one_batch(ByteView records) {
  if (records.size() <= BatchHeader::kMagicAt) return false;
  const auto length = load_be<std::int32_t>(records.data() + BatchHeader::kLengthAt);
  if (length <= static_cast<std::int32_t>(BatchHeader::kMagicAt)) return true;  // damaged, which the partition tells
  return records.size() == static_cast<std::size_t>(length) + BatchHeader::kLengthAt + sizeof length &&
         std::to_integer<int>(records[BatchHeader::kMagicAt]) == 2;
}

/// In Apache Kafka's order: is it there, is there a batch, may it be asked this way, may it be written.
void fill_item(Exchange& x, broker::ProduceItem& item, const broker::TopicRef& topic, Errc unknown,
               const wire::produce::PartitionProduceData& data, std::optional<Errc> asked_wrongly) {
  item.partition = data.index;
  const broker::PartitionPlace* place = topic ? topic->partition(data.index) : nullptr;
  if (topic == nullptr) return refuse(item, unknown);
  if (place == nullptr) return refuse(item, Errc::unknown_partition);
  if (data.records.is_null || !is_one_batch(data.records.inline_bytes))
    return refuse(item, Error(Errc::invalid_record, "records are sent as one whole batch of format 2"));
  if (asked_wrongly) return refuse(item, *asked_wrongly);
  if (internal_and_closed(*topic, x)) return refuse(item, Error(Errc::invalid_topic_name, "an internal topic"));
  item.topic = topic->id;
  item.home = place->home;
  item.in_sync = place->isr.size();
  item.replicas = place->replicas.size();
  item.batch = x.writable(data.records.inline_bytes);
}

/// With these Apache Kafka says nothing of the log.
bool says_log_start(Errc code) {
  return code != Errc::unknown_partition && code != Errc::unknown_topic && code != Errc::not_leader &&
         code != Errc::message_too_large && code != Errc::corrupt_batch && code != Errc::disk_failed;
}

void fill_answer(Exchange& x, wire::produce::PartitionProduceResponse& answer, const broker::ProduceItem& item) {
  answer.index = item.partition;
  if (item.outcome) {
    answer.base_offset = item.outcome->base_offset;
    answer.log_append_time_ms = item.outcome->log_append_time;
    answer.log_start_offset = item.outcome->log_start;
    return;
  }
  const AppendFailure& failure = item.outcome.error();
  answer.error_code = kafka_error(failure.error);
  if (answer.error_code == KafkaError::kafka_storage_error && x.head.version < 4)
    answer.error_code = KafkaError::not_leader_or_follower;  // unknown to clients before
  answer.base_offset = Offset{-1};
  if (says_log_start(failure.error.code())) answer.log_start_offset = failure.log_start;
  if (!failure.error.detail().empty()) answer.error_message = x.arena.copy(failure.error.detail());
  answer.record_errors = x.arena.list<wire::produce::BatchIndexAndErrorMessage>(failure.records.size());
  for (std::size_t i = 0; i < failure.records.size(); ++i) {
    answer.record_errors[i].batch_index = failure.records[i].index;
    answer.record_errors[i].batch_index_error_message = x.arena.copy(failure.records[i].why);
  }
}

Result<void> fill_and_encode(Exchange& x, State& state) {
  std::size_t next = 0;
  for (auto& topic : state.response.responses)
    for (auto& partition : topic.partition_responses) fill_answer(x, partition, state.items[next++]);
  return x.answer(state.response);
}

Task<Result<void>> second_stage(Exchange& x, State& state) {
  co_await state.produce.committed();
  co_return fill_and_encode(x, state);
}

}  // namespace

Task<Result<void>> handle_produce(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::produce::Request>());
  bool acks_known = request.acks >= -1 && request.acks <= 1;
  Acks acks = acks_known ? static_cast<Acks>(request.acks) : Acks::leader;
  TimePoint deadline = x.context.received + Millis(std::max(request.timeout_ms, 0));
  auto state =
      std::allocate_shared<State>(Pooled<State>(), *x.broker, acks, x.head.version >= 7, deadline, x.context.received);
  bool by_id = x.head.version >= 13;

  auto table = x.broker->topics(x.shard);
  std::size_t count = 0;
  std::size_t topics = 0;  // of which something is asked; the others are not answered
  for (const auto& topic : request.topic_data) {
    count += topic.partition_data.size();
    topics += topic.partition_data.empty() ? 0 : 1;
  }
  state->items.resize(count);
  state->response.responses = x.arena.list<wire::produce::TopicProduceResponse>(topics);
  auto answers = state->response.responses.begin();
  std::size_t next = 0;
  for (const auto& asked : request.topic_data) {
    if (asked.partition_data.empty()) continue;
    auto& answered = *answers++;
    answered.name = x.arena.copy(asked.name);
    answered.topic_id = asked.topic_id;
    answered.partition_responses = x.arena.list<wire::produce::PartitionProduceResponse>(asked.partition_data.size());
    broker::TopicRef topic = by_id ? table->find(asked.topic_id) : table->find(asked.name);
    for (const auto& partition : asked.partition_data) {
      broker::ProduceItem& item = state->items[next++];
      fill_item(x, item, topic, by_id ? Errc::unknown_topic_id : Errc::unknown_topic, partition,
                acks_known ? std::nullopt : std::optional(Errc::invalid_required_acks));
      if (request.transactional_id)
        refuse(item, Error(Errc::transactional_id_unsupported, "transactions are not served yet"));
    }
  }
  co_await state->produce.append(state->items);

  if (acks == Acks::none && acks_known) {
    co_await state->produce.committed();
    x.no_answer = true;
    // Nobody hears an error of acks=0 but by the end of the connection (traps.md 45).
    x.close_after = std::ranges::any_of(state->items, [](const auto& item) { return !item.outcome; });
    co_return Result<void>{};
  }
  if (acks == Acks::all) {
    x.second_stage.emplace(second_stage(x, *state));
    x.second_stage_waits = [](const void* s) { return static_cast<const State*>(s)->produce.waits(); };
    x.second_stage_state = std::move(state);
    co_return Result<void>{};
  }
  co_await state->produce.committed();
  co_return fill_and_encode(x, *state);
}

}  // namespace mr::server::kafka
