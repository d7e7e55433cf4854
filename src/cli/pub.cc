#include <fmt/format.h>

#include <algorithm>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/record_line.h"
#include "cli/session.h"
#include "client/partitioner.h"
#include "client/produce.h"
#include "runtime/machine.h"

namespace mr::cli {

namespace {

/// Well under message.max.bytes' default, large enough that one sync serves many records.
constexpr std::size_t kBatchBytes = 512 << 10;
constexpr std::size_t kBatchRecords = 20'000;
constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kLineBytesMax = 64 << 20;
/// With --rate, fast streams pause in steps of this, not before each record.
constexpr Duration kPaceStep = std::chrono::milliseconds(10);
constexpr double kStepsPerSecond = 100;

/// What went to one partition.
struct Tally {
  std::uint64_t records = 0;
  std::int64_t first = -1;
  std::int64_t last = -1;
};

class Publisher {
 public:
  Publisher(Session& session, const Pub& command)
      : session_(session),
        command_(command),
        producer_(session.cluster, {.acks = command.acks, .codec = command.codec}),
        bar_(!session.common.quiet && (!command.value || command.count > 100'000), "records") {}

  Task<Result<int>> run();

 private:
  Result<void> parse_headers();
  Task<Result<void>> publish_copies();
  Task<Result<void>> publish_lines();
  Result<Outgoing> to_record(std::string_view line) const;
  Task<Result<void>> add(Outgoing record);
  Task<Result<void>> keep_to_rate();
  Task<Result<void>> flush();
  static Task<void> send(Publisher& self, std::int32_t partition, std::span<const Outgoing> records,
                         Result<void>& outcome);
  void tell() const;

  Session& session_;
  const Pub& command_;
  client::Producer producer_;
  ProgressBar bar_;
  std::int32_t partitions_ = 0;
  std::int32_t sticky_ = 0;  ///< where records without a key go; the next one with each batch
  std::vector<std::pair<std::string, std::string>> headers_;
  std::map<std::int32_t, std::vector<Outgoing>> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::size_t waiting_records_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  TimePoint started_{};  ///< with --rate
  std::uint64_t paced_ = 0;
  std::map<std::int32_t, Tally> tallies_;
};

Result<void> Publisher::parse_headers() {
  for (const std::string& text : command_.headers) {
    std::size_t split = text.find('=');
    if (split == std::string::npos)
      return Error(Errc::invalid_argument, fmt::format("--header wants NAME=VALUE, not '{}'", text));
    headers_.emplace_back(text.substr(0, split), text.substr(split + 1));
  }
  return {};
}

Task<Result<int>> Publisher::run() {
  MR_CO_TRY_VOID(parse_headers());
  const bool create = !session_.common.dry_run;
  MR_CO_TRY(client::TopicInfo topic, co_await session_.cluster.topic(command_.topic, create, session_.deadline()));
  partitions_ = static_cast<std::int32_t>(topic.partitions.size());
  if (partitions_ == 0) co_return Error(Errc::unknown_topic, fmt::format("topic '{}' has no partitions", topic.name));
  if (command_.partition >= partitions_)
    co_return Error(Errc::unknown_partition, fmt::format("topic '{}' has no partition {}; it has 0 to {}", topic.name,
                                                         command_.partition, partitions_ - 1));
  sticky_ = static_cast<std::int32_t>(session_.env.rng.below(static_cast<std::uint64_t>(partitions_)));
  if (session_.common.dry_run) {
    say(fmt::format("would publish to topic '{}' ({} partition{})", topic.name, partitions_,
                    partitions_ == 1 ? "" : "s"));
    co_return kOk;
  }
  Result<void> outcome = co_await (command_.value || command_.tombstone ? publish_copies() : publish_lines());
  if (outcome.ok()) outcome = co_await flush();
  bar_.clear();
  if (!outcome.ok() && done_ > 0) say(fmt::format("{} records were published before this went wrong:", done_));
  if (!outcome.ok()) co_return outcome.error();
  tell();
  co_return kOk;
}

void Publisher::tell() const {
  if (session_.common.output != OutputFormat::table) {
    Value::List partitions;
    for (const auto& [index, tally] : tallies_)
      partitions.push_back(Value::Object{
          {"partition", index}, {"records", tally.records}, {"first", tally.first}, {"last", tally.last}});
    print(render_one(session_.common.output,
                     {{"topic", command_.topic}, {"records", done_}, {"partitions", partitions}}));
    return;
  }
  if (session_.common.quiet) return;
  std::string where;
  for (const auto& [index, tally] : tallies_) {
    if (where.size() > 200) {
      where += ", ...";
      break;
    }
    where += where.empty() ? " " : ", ";
    where += fmt::format("{}-{}", command_.topic, index);
    if (tally.first >= 0)
      where += tally.first == tally.last ? fmt::format(" at {}", tally.first)
                                         : fmt::format(" at {} to {}", tally.first, tally.last);
  }
  say(fmt::format("published {} record{}:{}", done_, done_ == 1 ? "" : "s", where));
}

Task<Result<void>> Publisher::publish_copies() {
  total_ = command_.count_given ? command_.count : 1;
  for (std::uint64_t i = 0; i < total_; ++i) {
    Outgoing record{.key = command_.key};
    if (!command_.tombstone) record.value = command_.value;
    MR_CO_TRY_VOID(co_await add(std::move(record)));
  }
  co_return Result<void>{};
}

Result<Outgoing> Publisher::to_record(std::string_view line) const {
  if (command_.json) {
    MR_TRY(Outgoing record, parse_record_line(line));
    if (!record.key) record.key = command_.key;
    if (record.partition >= partitions_ && command_.partition < 0)
      return Error(Errc::unknown_partition,
                   fmt::format("topic '{}' has no partition {}; it has 0 to {} (--partition N sends all to one)",
                               command_.topic, *record.partition, partitions_ - 1));
    return record;
  }
  Outgoing record{.key = command_.key};
  if (!command_.key_separator.empty()) {
    std::size_t split = line.find(command_.key_separator);
    if (split == std::string_view::npos)
      return Error(Errc::invalid_argument,
                   fmt::format("no '{}' between key and value: {}", command_.key_separator, line.substr(0, 60)));
    record.key = std::string(line.substr(0, split));
    line.remove_prefix(split + command_.key_separator.size());
  }
  record.value = std::string(line);
  return record;
}

Task<Result<void>> Publisher::publish_lines() {
  Env& env = session_.env;
  std::unique_ptr<File> file;
  std::uint64_t file_at = 0;
  if (!command_.file.empty() && command_.file != "-") {
    auto opened = co_await offload(env, [&] { return env.files.open(command_.file, OpenMode::read); });
    if (!opened.ok())  // a wrong argument, not a broker that cannot be reached
      co_return Error(Errc::invalid_argument,
                      fmt::format("cannot read {}: {}", command_.file, opened.error().message()));
    file = std::move(*opened);
  }
  std::string text;
  std::vector<std::byte> buffer(kReadBytes);
  std::uint64_t lines = 0;
  bool end = false;
  while (!end) {
    auto count = co_await offload(env, [&]() -> Result<std::size_t> {
      return file ? file->read_at(buffer, file_at) : read_standard_input(buffer);
    });
    MR_CO_TRY(std::size_t n, std::move(count));
    file_at += n;
    end = n == 0;
    text.append(reinterpret_cast<const char*>(buffer.data()), n);
    if (text.size() > kLineBytesMax + kReadBytes)
      co_return Error(Errc::too_large, fmt::format("a line has more than {} bytes", kLineBytesMax));
    std::size_t from = 0;
    for (;;) {
      std::size_t newline = text.find('\n', from);
      if (newline == std::string::npos && !(end && from < text.size())) break;
      if (command_.count_given && command_.count > 0 && lines == command_.count) co_return Result<void>{};
      std::size_t to = std::min(newline, text.size());
      ++lines;
      auto record = to_record(std::string_view(text).substr(from, to - from));
      if (!record.ok()) co_return Error(record.code(), fmt::format("line {}: {}", lines, record.error().detail()));
      MR_CO_TRY_VOID(co_await add(std::move(*record)));
      from = std::min(to + 1, text.size());
    }
    text.erase(0, from);
    // What a person or a slow program has typed goes out now; a fast one fills batches.
    if (n < kReadBytes / 16) MR_CO_TRY_VOID(co_await flush());
  }
  co_return Result<void>{};
}

Task<Result<void>> Publisher::add(Outgoing record) {
  MR_CO_TRY_VOID(co_await keep_to_rate());
  std::int32_t partition = command_.partition >= 0 ? command_.partition : record.partition.value_or(-1);
  if (partition < 0) partition = record.key ? client::partition_for_key(as_bytes(*record.key), partitions_).v : sticky_;
  waiting_bytes_ += (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0) + 32;
  for (const auto& [name, value] : record.headers) waiting_bytes_ += name.size() + (value ? value->size() : 0) + 8;
  ++waiting_records_;
  waiting_[partition].push_back(std::move(record));
  if (waiting_bytes_ >= kBatchBytes || waiting_records_ >= kBatchRecords) co_return co_await flush();
  co_return Result<void>{};
}

/// Waits until the next record is due. What is waiting goes out first: at a low rate each record has its own time.
Task<Result<void>> Publisher::keep_to_rate() {
  if (command_.rate <= 0) co_return Result<void>{};
  Env& env = session_.env;
  if (paced_ == 0) started_ = env.now();
  const TimePoint due = started_ + std::chrono::duration_cast<Duration>(
                                       std::chrono::duration<double>(static_cast<double>(paced_) / command_.rate));
  ++paced_;
  if (due - env.now() < kPaceStep && paced_ > 1 && command_.rate > kStepsPerSecond) co_return Result<void>{};
  MR_CO_TRY_VOID(co_await flush());
  if (due > env.now()) MR_CO_TRY_VOID(co_await sleep_until(due));
  co_return Result<void>{};
}

/// All partitions at once; each has one batch on the way.
Task<Result<void>> Publisher::flush() {
  if (waiting_.empty()) co_return Result<void>{};
  std::vector<Result<void>> outcomes(waiting_.size());
  Scope sends(session_.env.executor);
  std::size_t next = 0;
  for (const auto& [partition, records] : waiting_)
    sends.spawn("send", send(*this, partition, records, outcomes[next++]));
  co_await sends.drained();
  waiting_.clear();
  waiting_bytes_ = waiting_records_ = 0;
  sticky_ = (sticky_ + 1) % partitions_;
  for (Result<void>& outcome : outcomes) MR_CO_TRY_VOID(std::move(outcome));
  bar_.update(done_, total_, session_.seconds());
  co_return Result<void>{};
}

Task<void> Publisher::send(Publisher& self, std::int32_t partition, std::span<const Outgoing> records,
                           Result<void>& outcome) {
  std::vector<RecordHeader> headers;  // of all records, then of one after the other
  std::size_t headers_count = self.headers_.size();
  for (const Outgoing& record : records)
    headers_count += record.headers.empty() ? 0 : self.headers_.size() + record.headers.size();
  headers.reserve(headers_count);
  auto add_common = [&] {
    for (const auto& [name, value] : self.headers_) headers.push_back({name, as_bytes(value)});
  };
  add_common();
  const std::span<const RecordHeader> common(headers);
  std::vector<NewRecord> batch;
  batch.reserve(records.size());
  const WallMillis now = self.session_.env.clock.wall();
  for (const Outgoing& record : records) {
    NewRecord& out = batch.emplace_back();
    out.timestamp = record.timestamp.value_or(now);
    if (record.key) out.key = as_bytes(*record.key);
    if (record.value) out.value = as_bytes(*record.value);
    out.headers = common;
    if (record.headers.empty()) continue;
    const std::size_t first = headers.size();
    add_common();
    for (const auto& [name, value] : record.headers)
      headers.push_back({name, value ? std::optional(as_bytes(*value)) : std::nullopt});
    out.headers = std::span(headers).subspan(first);
  }
  auto produced =
      co_await self.producer_.send({self.command_.topic, PartitionIndex{partition}}, batch, self.session_.deadline());
  if (!produced.ok()) {
    outcome = produced.error();
    co_return;
  }
  self.done_ += batch.size();
  Tally& tally = self.tallies_[partition];
  tally.records += batch.size();
  if (produced->base_offset.v < 0) co_return;
  if (tally.first < 0) tally.first = produced->base_offset.v;
  tally.last = produced->base_offset.v + static_cast<std::int64_t>(batch.size()) - 1;
}

Task<Result<int>> publish(Session& session, const Pub& command) {
  Publisher publisher(session, command);
  co_return co_await publisher.run();
}

}  // namespace

int run(const Common& common, const Pub& command) {
  return with_cluster(common, [&](Session& session) { return publish(session, command); });
}

}  // namespace mr::cli
