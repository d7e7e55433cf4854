// `millrace bench consume`: reads a topic as fast as answers come; each connection has its share of the partitions.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cli/bench.h"
#include "cli/do.h"
#include "client/admin.h"
#include "client/follower.h"

namespace mr::cli {

namespace {

/// What is read of a partition.
struct Range {
  TopicPartition name;
  Offset start;
  Offset end;
};

class Consume {
 public:
  Consume(Session& session, const BenchConsume& command)
      : session_(session), command_(command), meter_(session, command.warm_up_seconds, command.progress) {}

  Task<Result<int>> run(std::vector<Range> ranges);

 private:
  /// One connection's part of the work.
  struct Reader {
    Reader(Consume& b, std::unique_ptr<client::Cluster> own);
    Consume& bench;
    std::unique_ptr<client::Cluster> cluster;
    client::Follower follower;
    std::map<TopicPartition, Range> ranges;
    TimePoint asked{};  ///< when the answer whose parts come was asked for
  };
  static Task<void> work(Reader& reader);
  static Task<void> end_at(Consume& self, TimePoint when);
  Result<std::optional<Offset>> take(Reader& reader, const client::Fetched::Part& part);
  void stop();
  Meter::Summary summary(std::size_t partitions) const;

  Session& session_;
  const BenchConsume& command_;
  Meter meter_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::uint64_t working_ = 0;
  Event changed_;
  bool interrupted_ = false;
};

Consume::Reader::Reader(Consume& b, std::unique_ptr<client::Cluster> own)
    : bench(b),
      cluster(std::move(own)),
      follower(*cluster, {.fetch = {.bytes_max = b.command_.fetch_bytes},
                          .answer_max = Millis(b.session_.common.timeout_ms),
                          .away_max = Millis(b.session_.common.timeout_ms),
                          .answered = [this](TimePoint t) { asked = t; }}) {}

/// Headers and checksums only: what a reader then makes of records is its own affair.
Result<std::optional<Offset>> Consume::take(Reader& reader, const client::Fetched::Part& part) {
  const Range& range = reader.ranges.at(part.name);
  Offset next = part.from;
  std::uint64_t records = 0;
  BatchReader batches(part.bytes);
  for (BatchView batch; batches.next(batch);) {
    if (!batch_crc_matches(batch.bytes))
      return Error(Errc::corrupt_batch, fmt::format("{}: the batch at offset {} arrived damaged", part.name.to_string(),
                                                    batch.header.base_offset));
    if (batch.header.next_offset() > next) next = batch.header.next_offset();
    if (!batch.header.control()) records += static_cast<std::uint64_t>(batch.header.records_count);
  }
  if (batches.problem()) return *batches.problem();
  if (records > 0) meter_.answered(reader.asked, records, part.bytes.size());
  if (command_.records > 0 && meter_.records() >= command_.records) {
    stop();
    return std::optional<Offset>{};
  }
  if (next < range.end) return std::optional(next);
  return command_.seconds > 0 ? std::optional(range.start) : std::nullopt;
}

void Consume::stop() {
  for (auto& reader : readers_) reader->follower.stop();
}

Task<void> Consume::work(Reader& reader) {
  std::vector<client::Position> positions;
  for (const auto& [name, range] : reader.ranges) positions.push_back({name, range.start});
  auto outcome = co_await reader.follower.run(std::move(positions),
                                              [&](const auto& part) { return reader.bench.take(reader, part); });
  Consume& self = reader.bench;
  if (!outcome.ok() && outcome.code() != Errc::cancelled) self.meter_.failures.add(outcome.error());
  if (--self.working_ == 0) self.changed_.notify_all();
}

Task<void> Consume::end_at(Consume& self, TimePoint when) {
  if ((co_await sleep_until(when)).ok()) self.stop();
}

Task<Result<int>> Consume::run(std::vector<Range> ranges) {
  const std::size_t count = std::min<std::size_t>(command_.connections, ranges.size());
  if (count < command_.connections && !session_.common.quiet)
    say(fmt::format("{} to read: {} of {} connections have something to do", plural(ranges.size(), "partition"), count,
                    command_.connections));
  for (std::size_t i = 0; i < count; ++i) readers_.push_back(std::make_unique<Reader>(*this, bench_client(session_)));
  for (std::size_t i = 0; i < ranges.size(); ++i) readers_[i % count]->ranges.emplace(ranges[i].name, ranges[i]);
  meter_.begin();
  Scope show(session_.env.executor), work(session_.env.executor);
  show.spawn("bench line", Meter::show(meter_));
  if (command_.seconds > 0) show.spawn("bench end", end_at(*this, meter_.counts_from() + seconds_of(command_.seconds)));
  working_ = readers_.size();
  for (auto& reader : readers_) work.spawn("bench reader", Consume::work(*reader));
  while (working_ > 0 && !interrupted_) interrupted_ = !(co_await changed_.wait()).ok();
  co_await work.stop();
  co_await show.stop();
  for (auto& reader : readers_) co_await reader->cluster->close();
  co_return meter_.finish(summary(ranges.size()));
}

Meter::Summary Consume::summary(std::size_t partitions) const {
  const std::string how = command_.follow ? "as it grows" : command_.seconds > 0 ? "over and over" : "once";
  return {.work = "consume",
          .line = fmt::format("{} ({}) {}, {}, answers of {} at most", command_.topic, plural(partitions, "partition"),
                              how, plural(readers_.size(), "connection"), human_bytes(command_.fetch_bytes)),
          .shape = {{"topic", command_.topic},
                    {"partitions", partitions},
                    {"connections", readers_.size()},
                    {"fetch_bytes", command_.fetch_bytes},
                    {"follow", command_.follow},
                    {"warm_up_seconds", command_.warm_up_seconds}},
          .interrupted = interrupted_};
}

Task<Result<int>> consume(Session& session, BenchConsume command) {
  MR_CO_TRY(client::TopicInfo topic, co_await session.cluster.topic(command.topic, false, session.deadline()));
  std::vector<TopicPartition> names;
  for (const auto& partition : topic.partitions) names.push_back({topic.name, partition.index});
  MR_CO_TRY(auto starts,
            co_await client::find_offsets(session.cluster, names, client::kEarliestOffset, session.deadline()));
  MR_CO_TRY(auto ends,
            co_await client::find_offsets(session.cluster, names, client::kLatestOffset, session.deadline()));
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!starts[i].ok()) co_return starts[i].error();
    if (!ends[i].ok()) co_return ends[i].error();
    if (command.follow) {
      ranges.push_back({names[i], ends[i]->offset, Offset{std::numeric_limits<std::int64_t>::max()}});
    } else if (starts[i]->offset < ends[i]->offset) {
      ranges.push_back({names[i], starts[i]->offset, ends[i]->offset});
    }
  }
  if (ranges.empty())
    co_return Error(Errc::invalid_argument,
                    fmt::format("topic '{}' is empty: fill it with millrace bench produce, or wait for what comes with "
                                "--follow",
                                topic.name));
  Consume bench(session, command);
  co_return co_await bench.run(std::move(ranges));
}

}  // namespace

int run(const Common& common, const BenchConsume& command) {
  return with_cluster_until_signal(common, [&](Session& session) { return consume(session, command); });
}

}  // namespace mr::cli
