#include "tests/simulation/consumer.h"

#include <fmt/format.h>

#include "tests/simulation/records.h"
#include "wire/api/fetch.h"
#include "wire/api/list_offsets.h"

namespace mr::sim {

using std::chrono::seconds;
using wire::KafkaError;
namespace fetch = wire::fetch;
namespace list_offsets = wire::list_offsets;

namespace {
constexpr wire::Version kFirstFetchWithZstd = 10;
constexpr Duration kAnswerLimit = seconds(90);
}  // namespace

Task<void> Consumer::run() {
  while (!seat_.stage.stop_all && ledger().ok()) {
    std::unique_ptr<Link> link = co_await find_leader(seat_, topic_name_, &topic_);
    if (!link) break;
    position_.resize(static_cast<std::size_t>(topic_.partitions), 0);
    overtaken_.assign(position_.size(), false);
    co_await talk(*link);
    link->close();
    if (!co_await pause(seat_, Millis(300))) break;
  }
  ended_ = true;
}

Task<void> Consumer::talk(Link& link) {
  while (!seat_.stage.stop_all && ledger().ok()) {
    bool list = restless_ && seat_.env.rng.below(12) == 0;
    Result<void> outcome;
    if (list) {
      outcome = co_await list_once(link);
    } else {
      outcome = co_await fetch_once(link);
      if (outcome.ok()) outcome = co_await catch_up_with_retention(link);
    }
    if (!outcome.ok()) {
      if (outcome.code() == Errc::malformed) ledger().violation(seat_.name + ": " + outcome.error().message());
      if (outcome.code() == Errc::timed_out) ledger().violation(seat_.name + ": no answer to a fetch");
      co_return;
    }
    if (restless_ && seat_.env.rng.below(40) == 0) {
      std::size_t partition = seat_.env.rng.below(position_.size());
      position_[partition] =
          static_cast<std::int64_t>(seat_.env.rng.below(static_cast<std::uint64_t>(position_[partition]) + 1));
      seat_.stage.hit("client.reread");
    }
    if (!co_await pause(seat_, restless_ ? Millis(15) : Millis(60))) co_return;
  }
}

Task<Result<void>> Consumer::fetch_once(Link& link) {
  Rng& rng = seat_.env.rng;
  std::vector<fetch::FetchPartition> parts;
  std::vector<std::int64_t> floors, start_floors;
  for (std::int32_t i = 0; i < topic_.partitions; ++i) {
    std::int32_t limit = restless_ && rng.below(3) == 0 ? static_cast<std::int32_t>(rng.below(3'000)) : 1 << 20;
    parts.push_back({.partition = PartitionIndex{i},
                     .fetch_offset = Offset{position_[static_cast<std::size_t>(i)]},
                     .partition_max_bytes = limit});
    floors.push_back(ledger().floor(name_of(i)));
    start_floors.push_back(ledger().start_floor(name_of(i)));
  }
  fetch::FetchTopic topic{
      .topic = topic_name_, .topic_id = topic_.id, .partitions = wire::List<fetch::FetchPartition>(std::span(parts))};
  fetch::Request request{.max_wait_ms = static_cast<std::int32_t>(rng.below(600)),
                         .min_bytes = rng.below(4) == 0 ? static_cast<std::int32_t>(rng.below(20'000)) : 1,
                         .isolation_level = static_cast<std::int8_t>(rng.below(2)),
                         .topics = wire::List<fetch::FetchTopic>(&topic, 1)};
  if (restless_ && rng.below(3) == 0) request.max_bytes = static_cast<std::int32_t>(rng.below(5'000));
  wire::Version least = seat_.stage.zstd_topics.contains(topic_name_) ? kFirstFetchWithZstd : 0;
  wire::Version version = pick_version(seat_, request.kApi, least);
  MR_CO_TRY(auto answer, co_await link.call<fetch::Response>(request, version, kAnswerLimit));
  if (answer.body.error_code != KafkaError::none) {
    co_return Error(Errc::malformed, fmt::format("fetch says {}", static_cast<int>(answer.body.error_code)));
  }
  for (const auto& got_topic : answer.body.responses) {
    for (const auto& got : got_topic.partitions) {
      std::int32_t i = got.partition_index.v;
      if (i < 0 || i >= topic_.partitions) co_return Error(Errc::malformed, "fetch: a partition nobody asked for");
      if (got.error_code != KafkaError::none) {
        seat_.stage.hit("client.fetch_error");
        last_error_ = got.error_code;
        if (got.error_code == KafkaError::offset_out_of_range && ledger().may_be_trimmed(name_of(i))) {
          overtaken_[static_cast<std::size_t>(i)] = true;
        } else if (got.error_code == KafkaError::corrupt_message && seat_.env.now() < seat_.stage.bad_reads_until) {
          seat_.stage.hit("client.corrupt_message");
        } else if (!may_ask_again(got.error_code)) {
          ledger().violation(fmt::format("{}: fetch of {}-{} at {} says {} (watermark {})", seat_.name, topic_name_, i,
                                         position_[static_cast<std::size_t>(i)], static_cast<int>(got.error_code),
                                         got.high_watermark.v));
        }
        continue;
      }
      ledger().watermark(name_of(i), got.high_watermark.v, floors[static_cast<std::size_t>(i)]);
      std::int64_t start_floor = start_floors[static_cast<std::size_t>(i)];
      if (version >= 5) ledger().log_start(name_of(i), got.log_start_offset.v, start_floor);
      if (position_[static_cast<std::size_t>(i)] < start_floor) {
        ledger().violation(fmt::format("{}: {}-{} can be read at {}, but is deleted up to {}", seat_.name, topic_name_,
                                       i, position_[static_cast<std::size_t>(i)], start_floor));
      }
      if (got.last_stable_offset.v != got.high_watermark.v)
        ledger().violation("last stable offset without transactions");
      take_records(i, got.records.inline_bytes);
      if (position_[static_cast<std::size_t>(i)] > got.high_watermark.v) {
        ledger().violation(fmt::format("{}: records above the watermark {} of {}-{}", seat_.name, got.high_watermark.v,
                                       topic_name_, i));
      }
    }
  }
  co_return Result<void>{};
}

void Consumer::take_records(std::int32_t partition, ByteView bytes) {
  if (bytes.empty()) return;
  std::int64_t& position = position_[static_cast<std::size_t>(partition)];
  Result<std::vector<SeenBatch>> batches = read_batches(bytes);
  if (!batches.ok()) {
    ledger().violation(fmt::format("{}: {}-{}: {}", seat_.name, topic_name_, partition, batches.error().message()));
    return;
  }
  std::size_t whole = 0;
  for (const SeenBatch& batch : *batches) {
    whole += batch.bytes;
    for (const SeenRecord& record : batch.records) {
      if (record.offset < position) continue;  // the batch around `position` comes whole
      if (record.offset != position) {
        ledger().violation(
            fmt::format("{}: {}-{}: hole from {} to {}", seat_.name, topic_name_, partition, position, record.offset));
      }
      ledger().fetched(name_of(partition), record.offset, record.value);
      position = record.offset + 1;
    }
  }
  if (batches->empty()) {
    // Kafka's promise is for the first partition with data; an answer of cut bytes alone would stop a consumer for
    // ever.
    ledger().violation(
        fmt::format("{}: {}-{}: {} bytes without a whole batch", seat_.name, topic_name_, partition, bytes.size()));
  } else if (whole < bytes.size()) {
    seat_.stage.hit("client.cut_batch");
  }
}

Task<Result<std::optional<std::int64_t>>> Consumer::ask_offset(Link& link, std::int32_t partition,
                                                               std::int64_t timestamp) {
  list_offsets::ListOffsetsPartition part{.partition_index = PartitionIndex{partition}, .timestamp = timestamp};
  list_offsets::ListOffsetsTopic topic{.name = topic_name_,
                                       .partitions = wire::List<list_offsets::ListOffsetsPartition>(&part, 1)};
  list_offsets::Request request{.replica_id = BrokerId{-1},
                                .topics = wire::List<list_offsets::ListOffsetsTopic>(&topic, 1),
                                .timeout_ms = 10'000};
  wire::Version version = pick_version(seat_, request.kApi);
  MR_CO_TRY(auto answer, co_await link.call<list_offsets::Response>(request, version, kAnswerLimit));
  if (answer.body.topics.size() != 1 || answer.body.topics[0].partitions.size() != 1) {
    co_return Error(Errc::malformed, "list offsets: one partition expected");
  }
  const auto& got = answer.body.topics[0].partitions[0];
  std::optional<std::int64_t> offset;
  if (got.error_code == KafkaError::none) {
    seat_.stage.hit("client.list_offsets");
    offset = got.offset.v;
  } else if (!may_ask_again(got.error_code)) {
    ledger().violation(fmt::format("{}: ListOffsets says {}", seat_.name, static_cast<int>(got.error_code)));
  }
  co_return offset;
}

Task<Result<void>> Consumer::list_once(Link& link) {
  auto partition = static_cast<std::int32_t>(seat_.env.rng.below(position_.size()));
  bool latest = seat_.env.rng.below(2) == 0;
  std::int64_t floor = ledger().floor(name_of(partition)), start_floor = ledger().start_floor(name_of(partition));
  MR_CO_TRY(auto offset, co_await ask_offset(link, partition, latest ? -1 : -2));
  if (!offset) co_return Result<void>{};
  if (latest) {
    ledger().watermark(name_of(partition), *offset, floor);
  } else {
    ledger().log_start(name_of(partition), *offset, start_floor);
  }
  co_return Result<void>{};
}

Task<Result<void>> Consumer::catch_up_with_retention(Link& link) {
  for (std::size_t i = 0; i < position_.size(); ++i) {
    if (!overtaken_[i]) continue;
    overtaken_[i] = false;
    MR_CO_TRY(auto first, co_await ask_offset(link, static_cast<std::int32_t>(i), -2));
    if (!first) continue;
    if (*first <= position_[i]) {
      ledger().violation(fmt::format("{}: {}-{}: {} is out of range, but the log starts at {}", seat_.name, topic_name_,
                                     i, position_[i], *first));
    }
    position_[i] = *first;
    seat_.stage.hit("client.overtaken_by_retention");
  }
  co_return Result<void>{};
}

bool Consumer::caught_up() const {
  if (position_.empty()) return false;
  for (std::size_t i = 0; i < position_.size(); ++i) {
    Ledger::PartitionName name = name_of(static_cast<std::int32_t>(i));
    if (position_[i] < seat_.stage.ledger.floor(name) && !seat_.stage.lost.contains(name)) return false;
  }
  return true;
}

std::string Consumer::describe() const {
  std::string text = fmt::format("{} (last error {}) at", seat_.name, static_cast<int>(last_error_));
  for (std::size_t i = 0; i < position_.size(); ++i) {
    text += fmt::format(" {}/{}", position_[i], seat_.stage.ledger.floor(name_of(static_cast<std::int32_t>(i))));
  }
  return text;
}

}  // namespace mr::sim
