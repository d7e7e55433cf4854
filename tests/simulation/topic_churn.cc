#include "tests/simulation/topic_churn.h"

#include <fmt/format.h>

#include "tests/simulation/records.h"
#include "wire/api/create_topics.h"
#include "wire/api/delete_topics.h"
#include "wire/api/fetch.h"
#include "wire/api/produce.h"

namespace mr::sim {

using std::chrono::seconds;
using wire::KafkaError;

namespace {
constexpr Duration kAnswerLimit = seconds(90);

Task<Result<KafkaError>> create_topic(ClientSeat seat, Link& link, NewTopic topic) {
  std::vector<wire::create_topics::CreatableTopicConfig> configs;
  for (const auto& [name, value] : topic.configs) configs.push_back({.name = name, .value = value});
  wire::create_topics::CreatableTopic wanted{
      .name = topic.name,
      .num_partitions = topic.partitions,
      .replication_factor = 1,
      .configs = wire::List<wire::create_topics::CreatableTopicConfig>(std::span(configs))};
  wire::create_topics::Request request{.topics = wire::List<wire::create_topics::CreatableTopic>(&wanted, 1),
                                       .timeout_ms = 20'000};
  wire::Version version = pick_version(seat, request.kApi);
  MR_CO_TRY(auto answer, co_await link.call<wire::create_topics::Response>(request, version, kAnswerLimit));
  if (answer.body.topics.size() != 1) co_return Error(Errc::malformed, "create topics: one topic expected");
  co_return answer.body.topics[0].error_code;
}
}  // namespace

Task<void> make_topic(ClientSeat seat, NewTopic topic, bool* done) {
  while (!seat.stage.stop_all && !*done) {
    auto link = co_await Link::open(seat.env, seat.stage.bootstrap, seat.name);
    if (link.ok()) {
      auto made = co_await create_topic(seat, **link, topic);
      // After a lost answer the topic may be there already.
      if (made.ok() && (*made == KafkaError::none || *made == KafkaError::topic_already_exists)) *done = true;
      if (made.ok() && !*done && !may_ask_again(*made)) {
        seat.stage.ledger.violation(fmt::format("create {}: {}", topic.name, static_cast<int>(*made)));
        co_return;
      }
    }
    if (!*done && !co_await pause(seat, Millis(200))) co_return;
  }
}

Task<void> TopicChurn::run() {
  while (!seat_.stage.stop_all && !seat_.stage.stop_producing && seat_.stage.ledger.ok()) {
    auto link = co_await Link::open(seat_.env, seat_.stage.bootstrap, seat_.name);
    if (link.ok()) {
      Result<void> outcome;
      while (outcome.ok() && !seat_.stage.stop_all && !seat_.stage.stop_producing && seat_.stage.ledger.ok()) {
        outcome = co_await round(**link);
      }
      if (!outcome.ok() && outcome.code() == Errc::malformed) {
        seat_.stage.ledger.violation(seat_.name + ": " + outcome.error().message());
      }
      if (!outcome.ok() && outcome.code() == Errc::timed_out) seat_.stage.ledger.violation(seat_.name + ": no answer");
      (*link)->close();
    }
    // The broker may still be working on what the lost connection asked for last: a late create or delete of ours is
    // not to be taken for somebody else's.
    if (seat_.stage.stop_producing || !(co_await sleep_until(seat_.env.now() + seconds(3))).ok()) break;
  }
  ended_ = true;
}

/// One step from whatever state we are in; retriable refusals leave the state and are tried again.
Task<Result<void>> TopicChurn::round(Link& link) {
  MR_CO_TRY(view_, co_await look(link));
  if (view_.error == KafkaError::unknown_topic_or_partition) {
    MR_CO_TRY(KafkaError made, co_await create(link));
    if (made != KafkaError::none && !may_ask_again(made)) {
      seat_.stage.ledger.violation(fmt::format("{}: create says {}", seat_.name, static_cast<int>(made)));
    }
  } else if (view_.error == KafkaError::none) {
    MR_CO_TRY_VOID(co_await write_and_read(link));
    MR_CO_TRY(KafkaError gone, co_await remove(link));
    if (gone == KafkaError::none) {
      ++rounds_;
      seat_.stage.hit("client.topic_deleted");
      MR_CO_TRY(TopicView after, co_await look(link));
      if (after.error == KafkaError::none && after.id == view_.id) {
        seat_.stage.ledger.violation(seat_.name + ": a topic is there after its deletion was answered");
      }
    } else if (!may_ask_again(gone)) {
      seat_.stage.ledger.violation(fmt::format("{}: delete says {}", seat_.name, static_cast<int>(gone)));
    }
  } else if (!may_ask_again(view_.error)) {
    seat_.stage.ledger.violation(fmt::format("{}: metadata says {}", seat_.name, static_cast<int>(view_.error)));
  }
  if (!co_await pause(seat_, Millis(100))) co_return Error(Errc::cancelled);
  co_return Result<void>{};
}

Task<Result<TopicView>> TopicChurn::look(Link& link) {
  MR_CO_TRY(ClusterView view, co_await ask_metadata(seat_, link, topic_));
  co_return view.topic;
}

Task<Result<KafkaError>> TopicChurn::create(Link& link) {
  NewTopic topic{.name = topic_, .partitions = 1 + static_cast<std::int32_t>(seat_.env.rng.below(3)), .configs = {}};
  co_return co_await create_topic(seat_, link, std::move(topic));
}

Task<Result<KafkaError>> TopicChurn::remove(Link& link) {
  namespace api = wire::delete_topics;
  wire::Version version = pick_version(seat_, api::kApi);
  std::string_view name = topic_;
  api::DeleteTopicState state{.name = name};
  if (version >= 6 && seat_.env.rng.below(2) == 0) state = {.name = std::nullopt, .topic_id = view_.id};
  api::Request request{.timeout_ms = 20'000};
  if (version >= 6) {
    request.topics = wire::List<api::DeleteTopicState>(&state, 1);
  } else {
    request.topic_names = wire::List<std::string_view>(&name, 1);
  }
  MR_CO_TRY(auto answer, co_await link.call<api::Response>(request, version, kAnswerLimit));
  if (answer.body.responses.size() != 1) co_return Error(Errc::malformed, "delete topics: one topic expected");
  co_return answer.body.responses[0].error_code;
}

/// One batch with acks=all to each life of the topic: its ledger entry is named after the topic id, so what an older
/// life held would be a record that was never sent to this one.
Task<Result<void>> TopicChurn::write_and_read(Link& link) {
  Ledger::PartitionName life{fmt::format("{} {}", topic_, view_.id.v.to_string()), 0};
  BatchSpec spec{.values = {tagged_value(seat_.name, number_++, 50)}, .timestamp = seat_.env.clock.wall()};
  std::vector<std::byte> batch = make_batch(spec);
  seat_.stage.ledger.sent(life, spec.values[0]);
  wire::produce::PartitionProduceData data{.index = PartitionIndex{0}, .records = wire::Records::of(batch)};
  wire::produce::TopicProduceData topic{.name = topic_,
                                        .topic_id = view_.id,
                                        .partition_data = wire::List<wire::produce::PartitionProduceData>(&data, 1)};
  wire::produce::Request request{.transactional_id = std::nullopt,
                                 .acks = -1,
                                 .timeout_ms = 20'000,
                                 .topic_data = wire::List<wire::produce::TopicProduceData>(&topic, 1)};
  wire::Version version = pick_version(seat_, request.kApi);
  MR_CO_TRY(auto answer, co_await link.call<wire::produce::Response>(request, version, kAnswerLimit));
  if (answer.body.responses.size() != 1 || answer.body.responses[0].partition_responses.size() != 1) {
    co_return Error(Errc::malformed, "produce: one partition expected");
  }
  const auto& got = answer.body.responses[0].partition_responses[0];
  if (got.error_code != KafkaError::none) {
    if (!may_ask_again(got.error_code)) {
      seat_.stage.ledger.violation(fmt::format("{}: produce says {}", seat_.name, static_cast<int>(got.error_code)));
    }
    co_return Result<void>{};
  }
  seat_.stage.ledger.acked(life, got.base_offset.v, spec.values);

  wire::fetch::FetchPartition part{
      .partition = PartitionIndex{0}, .fetch_offset = Offset{0}, .partition_max_bytes = 1 << 20};
  wire::fetch::FetchTopic from{
      .topic = topic_, .topic_id = view_.id, .partitions = wire::List<wire::fetch::FetchPartition>(&part, 1)};
  wire::fetch::Request read{
      .max_wait_ms = 500, .min_bytes = 1, .topics = wire::List<wire::fetch::FetchTopic>(&from, 1)};
  MR_CO_TRY(auto fetched,
            co_await link.call<wire::fetch::Response>(read, pick_version(seat_, read.kApi), kAnswerLimit));
  if (fetched.body.responses.size() != 1) co_return Result<void>{};
  const auto& records = fetched.body.responses[0].partitions[0];
  if (records.error_code != KafkaError::none) co_return Result<void>{};
  MR_CO_TRY(auto batches, read_batches(records.records.inline_bytes));
  std::int64_t next = 0;
  for (const SeenBatch& seen : batches) {
    for (const SeenRecord& record : seen.records) {
      if (record.offset != next++) co_return Error(Errc::malformed, "a hole in a young topic");
      seat_.stage.ledger.fetched(life, record.offset, record.value);
    }
  }
  if (next <= got.base_offset.v) co_return Error(Errc::malformed, "an acknowledged record cannot be fetched");
  co_return Result<void>{};
}

}  // namespace mr::sim
