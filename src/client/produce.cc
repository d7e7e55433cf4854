#include "client/produce.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/broker_error.h"
#include "wire/api/init_producer_id.h"
#include "wire/api/produce.h"

namespace mr::client {

Task<Result<Produced>> Producer::send(TopicPartition partition, std::span<const NewRecord> records,
                                      TimePoint deadline) {
  MR_CHECK(!records.empty());
  BatchBuilder::Options shape{.codec = options_.codec};
  if (options_.idempotent && options_.acks == -1) {
    MR_CO_TRY_VOID(co_await take_producer_id(deadline));
    shape.producer_id = producer_id_;
    shape.producer_epoch = producer_epoch_;
    shape.base_sequence = Sequence{next_sequence_[partition]};
  }
  BatchBuilder builder(shape);
  for (const NewRecord& record : records) builder.add(record);
  MR_CO_TRY(std::vector<std::byte> batch, builder.build());
  for (;;) {
    bool again = false;
    auto produced = co_await attempt(partition, batch, deadline, again);
    if (produced.ok()) {
      auto& next = next_sequence_[partition];
      next = advance_sequence(next, builder.count());
      produced->records = builder.count();
      co_return produced;
    }
    const TimePoint next = cluster_.env().now() + cluster_.retry_pause();
    if (!again || next >= deadline) co_return produced;
    cluster_.forget(partition.topic);
    MR_CO_TRY_VOID(co_await sleep_until(next));
  }
}

Task<Result<void>> Producer::take_producer_id(TimePoint deadline) {
  if (producer_id_ != kNoProducerId) co_return Result<void>{};
  MR_CO_TRY_VOID(co_await taking_id_.acquire(1, deadline));
  Result<void> outcome;
  if (producer_id_ == kNoProducerId) outcome = co_await ask_producer_id(deadline);
  taking_id_.release(1);
  co_return outcome;
}

/// Other brokers than ours may be loading what they need for ids.
Task<Result<void>> Producer::ask_producer_id(TimePoint deadline) {
  for (;;) {
    MR_CO_TRY(auto connection, co_await cluster_.any(deadline));
    wire::init_producer_id::Request request;
    request.transactional_id.reset();
    request.transaction_timeout_ms = 60'000;
    MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
    if (reply->error_code == wire::KafkaError::none) {
      producer_id_ = reply->producer_id;
      producer_epoch_ = reply->producer_epoch;
      co_return Result<void>{};
    }
    const TimePoint next = cluster_.env().now() + cluster_.retry_pause();
    if (!worth_a_retry(reply->error_code) || next >= deadline) co_return broker_error(reply->error_code, "producer id");
    MR_CO_TRY_VOID(co_await sleep_until(next));
  }
}

Task<Result<Produced>> Producer::attempt(const TopicPartition& partition, ByteView batch, TimePoint deadline,
                                         bool& again) {
  namespace api = wire::produce;
  auto found = co_await cluster_.leader(partition, deadline);
  if (!found.ok()) {
    // A broker that restarts is waited for.
    again = producer_id_ != kNoProducerId &&
            (found.code() == Errc::connection_refused || found.code() == Errc::connection_closed);
    co_return found.error();
  }
  Cluster::Leader leader = std::move(*found);
  wire::Arena arena;
  api::Request request;
  request.transactional_id.reset();
  request.acks = options_.acks;
  auto left = std::chrono::duration_cast<Millis>(deadline - cluster_.env().now()).count();
  request.timeout_ms = static_cast<std::int32_t>(std::clamp<std::int64_t>(left, 1, 30'000));
  request.topic_data = arena.list<api::TopicProduceData>(1);
  request.topic_data[0].name = partition.topic;
  request.topic_data[0].topic_id = leader.topic;
  request.topic_data[0].partition_data = arena.list<api::PartitionProduceData>(1);
  request.topic_data[0].partition_data[0] = {.index = partition.partition, .records = wire::Records::of(batch)};
  if (options_.acks == 0) {
    MR_CO_TRY_VOID(co_await leader.connection->send(request, deadline));
    co_return Produced{};
  }
  auto reply = co_await leader.connection->call(request, deadline);
  if (!reply.ok()) {
    // Without a producer id a repeat could double the records: the caller decides.
    again = reply.code() == Errc::connection_closed && producer_id_ != kNoProducerId;
    co_return reply.error();
  }
  if ((*reply)->responses.empty() || (*reply)->responses[0].partition_responses.empty())
    co_return Error(Errc::malformed, fmt::format("{}: the broker's answer does not mention it", partition.to_string()));
  const auto& answer = (*reply)->responses[0].partition_responses[0];
  if (answer.error_code == wire::KafkaError::none || answer.error_code == wire::KafkaError::duplicate_sequence_number)
    co_return Produced{.base_offset = answer.base_offset};
  again = worth_a_retry(answer.error_code) || answer.error_code == wire::KafkaError::unknown_topic_id;
  if (answer.error_code == wire::KafkaError::request_timed_out) again = again && producer_id_ != kNoProducerId;
  co_return broker_error(answer.error_code, partition.to_string(), answer.error_message);
}

}  // namespace mr::client
