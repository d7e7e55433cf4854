#include "tests/simulation/producer.h"

#include <fmt/format.h>

#include "tests/simulation/records.h"
#include "wire/api/init_producer_id.h"
#include "wire/api/produce.h"

namespace mr::sim {

using std::chrono::seconds;
using wire::KafkaError;
namespace produce = wire::produce;

namespace {
constexpr Duration kAnswerLimit = seconds(90);
constexpr wire::Version kFirstProduceWithZstd = 7;
constexpr std::int32_t kTimeoutMs = 20'000;
}  // namespace

Task<void> Producer::run() {
  while (!finished() && seat_.stage.ledger.ok()) {
    std::unique_ptr<Link> link = co_await find_leader(seat_, plan_.topic, &topic_);
    if (!link) break;
    if (plan_.fresh_sequences) id_ = -1;
    // Without sequences nothing orders what an old connection left in the broker and what a new one sends.
    ++links_;
    author_ = plan_.idempotent ? seat_.name : fmt::format("{}.{}", seat_.name, links_);
    if (!plan_.idempotent || co_await get_producer_id(*link)) co_await talk(*link);
    link->close();
    if (!plan_.idempotent) open_.clear();
    in_flight_ = 0;
    if (!finished() && !co_await pause(seat_, Millis(300))) break;
  }
  ended_ = true;
}

Task<bool> Producer::get_producer_id(Link& link) {
  if (id_ >= 0) co_return true;
  wire::init_producer_id::Request request{.transactional_id = std::nullopt, .transaction_timeout_ms = 60'000};
  wire::Version version = pick_version(seat_, request.kApi);
  auto answer = co_await link.call<wire::init_producer_id::Response>(request, version, kAnswerLimit);
  if (!answer.ok()) co_return false;
  if (answer->body.error_code != KafkaError::none) {
    if (!may_ask_again(answer->body.error_code)) {
      seat_.stage.ledger.violation(
          fmt::format("{}: InitProducerId says {}", seat_.name, static_cast<int>(answer->body.error_code)));
    }
    co_return false;
  }
  id_ = answer->body.producer_id.v;
  known_ = false;
  epoch_ = answer->body.producer_epoch.v;
  seat_.stage.ledger.producer_id(id_);
  next_sequence_ = 0;
  for (Batch& batch : open_) {  // only the faulty producer has any by now
    batch.base_sequence = next_sequence_;
    next_sequence_ += static_cast<std::int32_t>(batch.parts[0].values.size());
    encode(batch);
  }
  co_return true;
}

void Producer::make_next() {
  Batch next;
  std::size_t parts = plan_.idempotent ? 1 : draws().between(1, static_cast<std::uint64_t>(topic_.partitions));
  std::int32_t first = plan_.idempotent ? plan_.partition : static_cast<std::int32_t>(draws().below(8));
  for (std::size_t i = 0; i < parts; ++i) {
    Part part{.partition = (first + static_cast<std::int32_t>(i)) % topic_.partitions};
    std::uint64_t count = draws().one_in(4) ? draws().between(2, 8) : 1;
    for (std::uint64_t r = 0; r < count; ++r) {
      std::size_t bytes = draws().one_in(30) ? draws().between(8'000, 40'000) : draws().below(plan_.value_bytes_max);
      part.values.push_back(tagged_value(author_, next_number_++, bytes));
    }
    next.parts.push_back(std::move(part));
  }
  if (plan_.idempotent) {
    next.base_sequence = next_sequence_;
    next_sequence_ += static_cast<std::int32_t>(next.parts[0].values.size());
  }
  encode(next);
  open_.push_back(std::move(next));
}

void Producer::encode(Batch& batch) {
  for (Part& part : batch.parts) {
    BatchSpec spec{.values = part.values, .timestamp = seat_.env.clock.wall(), .codec = plan_.codec};
    if (plan_.idempotent) {
      spec.producer_id = id_;
      spec.producer_epoch = epoch_;
      spec.base_sequence = batch.base_sequence;
    }
    part.batch = make_batch(spec);
  }
}

Task<Result<void>> Producer::send_next(Link& link) {
  const Batch& batch = open_[in_flight_];
  std::vector<produce::PartitionProduceData> data;
  for (const Part& part : batch.parts) {
    for (const std::string& value : part.values) seat_.stage.ledger.sent({plan_.topic, part.partition}, value);
    data.push_back({.index = PartitionIndex{part.partition}, .records = wire::Records::of(part.batch)});
  }
  produce::TopicProduceData topic{.name = plan_.topic,
                                  .topic_id = topic_.id,
                                  .partition_data = wire::List<produce::PartitionProduceData>(std::span(data))};
  produce::Request request{.transactional_id = std::nullopt,
                           .acks = plan_.acks,
                           .timeout_ms = kTimeoutMs,
                           .topic_data = wire::List<produce::TopicProduceData>(&topic, 1)};
  ++in_flight_;
  wire::Version least = plan_.codec == Codec::zstd ? kFirstProduceWithZstd : 0;
  co_return co_await link.send(request, pick_version(seat_, request.kApi, least), plan_.acks != 0);
}

Task<Result<Producer::Verdict>> Producer::take_answer(Link& link, const Batch& batch) {
  MR_CO_TRY(auto answer, co_await link.receive<produce::Response>(seat_.env.now() + kAnswerLimit));
  Verdict verdict{.acked = true};
  std::size_t answered = 0;
  for (const auto& topic : answer.body.responses) {
    for (const auto& got : topic.partition_responses) {
      ++answered;
      const Part* part = nullptr;
      for (const Part& candidate : batch.parts) {
        if (candidate.partition == got.index.v) part = &candidate;
      }
      if (part == nullptr) co_return Error(Errc::malformed, "answer for a partition that was not asked");
      if (got.error_code == KafkaError::none || got.error_code == KafkaError::duplicate_sequence_number) {
        if (plan_.acks == -1) seat_.stage.ledger.acked({plan_.topic, part->partition}, got.base_offset.v, part->values);
        continue;
      }
      verdict.acked = false;
      seat_.stage.hit("client.produce_error");
      if (got.error_code == KafkaError::out_of_order_sequence_number && plan_.idempotent) {
        verdict.out_of_order = true;
      } else if (!may_ask_again(got.error_code)) {
        seat_.stage.ledger.violation(
            fmt::format("{}: produce refused with {}", seat_.name, static_cast<int>(got.error_code)));
      }
    }
  }
  if (answered != batch.parts.size()) co_return Error(Errc::malformed, "answer lacks partitions");
  co_return verdict;
}

Task<void> Producer::talk(Link& link) {
  in_flight_ = 0;
  bool resending = !open_.empty();
  // Refused batches of an idempotent producer stay in front, to be sent again together: so many answers came since.
  bool flight_failed = false;
  std::size_t kept = 0;
  while (!finished() && seat_.stage.ledger.ok()) {
    // A partition takes any first sequence of a producer that it does not know, as Apache Kafka does: when the first
    // batch is refused, the second must not be there already.
    std::size_t pipeline = plan_.idempotent && !known_ ? 1 : plan_.pipeline;
    bool may_send = !flight_failed && in_flight_ < pipeline;
    if (may_send && in_flight_ == open_.size() && !seat_.stage.stop_producing) {
      if (draws().one_in(2) && !co_await pause(seat_, Millis(60))) co_return;  // bursts, so that pipelines fill
      make_next();
    }
    if (may_send && in_flight_ < open_.size()) {
      if (resending) seat_.stage.hit("client.resend");
      if (!(co_await send_next(link)).ok()) co_return;
      if (plan_.acks == 0) {
        open_.pop_front();
        --in_flight_;
        if (!co_await pause(seat_, Millis(20))) co_return;
      }
      continue;
    }
    if (in_flight_ == 0) {
      if (seat_.stage.stop_producing && open_.empty()) co_return;
      flight_failed = false;  // all answers are in: begin again with the oldest
      kept = 0;
      resending = true;
      if (!co_await pause(seat_, Millis(200))) co_return;
      continue;
    }
    auto verdict = co_await take_answer(link, open_[kept]);
    if (!verdict.ok()) {
      if (verdict.code() == Errc::malformed)
        seat_.stage.ledger.violation(seat_.name + ": " + verdict.error().message());
      if (verdict.code() == Errc::timed_out) seat_.stage.ledger.violation(seat_.name + ": no answer to a produce");
      co_return;
    }
    --in_flight_;
    if (!flight_failed && (verdict->acked || !plan_.idempotent)) {
      known_ = known_ || verdict->acked;
      open_.pop_front();
      resending = resending && in_flight_ < open_.size();
    } else {
      // A flipped bit may hide whose a batch is.
      if (verdict->out_of_order && !flight_failed && seat_.env.now() >= seat_.stage.bad_reads_until) {
        seat_.stage.ledger.violation(seat_.name + ": out of order, although all before it was acknowledged");
      }
      flight_failed = true;
      ++kept;
    }
  }
}

}  // namespace mr::sim
