// `millrace bench e2e`: how long a record takes from when it was meant to be sent to when a reader has it. Writers and
// reader are in this process, so one clock times both ends.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cli/bench_sender.h"
#include "cli/do.h"
#include "client/admin.h"
#include "client/follower.h"

namespace mr::cli {

namespace {

/// How long the reader waits for what was acknowledged and has not come.
constexpr std::chrono::seconds kLastOnesMax(10);

class EndToEnd {
 public:
  EndToEnd(Session& session, const BenchLoad& load, std::int32_t partitions)
      : session_(session),

        run_(session.env.rng.next()),
        meter_(session, load.warm_up_seconds, load.progress),
        sender_(session, load, partitions, meter_, {.run = run_}),
        reading_(bench_client(session)),
        follower_(*reading_,
                  {.answer_max = Millis(session.common.timeout_ms), .away_max = Millis(session.common.timeout_ms)}) {}

  /// Reads from `positions`, the ends of all partitions.
  Task<Result<int>> run(std::vector<client::Position> positions);

 private:
  static Task<void> read(EndToEnd& self, std::vector<client::Position> positions);
  Result<std::optional<Offset>> take(const client::Fetched::Part& part);
  Task<void> wait_for_the_last();

  Session& session_;
  const std::uint64_t run_;
  Meter meter_;
  LoadSender sender_;
  std::unique_ptr<client::Cluster> reading_;
  client::Follower follower_;
  Inflater inflater_;
  std::uint64_t received_ = 0;
  bool reader_ended_ = false;
  Event progress_;
};

Result<std::optional<Offset>> EndToEnd::take(const client::Fetched::Part& part) {
  const std::uint64_t before = received_;
  auto next = part.for_each(inflater_, [&](const client::Fetched::Item& item) {
    const auto& value = item.record->value;
    Stamp stamp;
    if (!value || value->size() < sizeof(stamp)) return true;
    std::memcpy(&stamp, value->data(), sizeof(stamp));
    if (stamp.run != run_) return true;  // somebody else's
    meter_.done({.start = TimePoint(Duration(stamp.due)), .count = 1}, value->size(), value->size());
    ++received_;
    return true;
  });
  if (!next.ok()) return next.error();
  if (received_ > before) progress_.notify_all();
  return std::optional(*next);
}

Task<void> EndToEnd::read(EndToEnd& self, std::vector<client::Position> positions) {
  auto outcome = co_await self.follower_.run(std::move(positions), [&](const auto& part) { return self.take(part); });
  if (!outcome.ok() && outcome.code() != Errc::cancelled) self.meter_.failures.add(outcome.error());
  self.reader_ended_ = true;
  self.progress_.notify_all();
}

Task<void> EndToEnd::wait_for_the_last() {
  const TimePoint late = session_.env.now() + kLastOnesMax;
  Result<void> waited;
  while (waited.ok() && !reader_ended_ && received_ < sender_.acknowledged()) waited = co_await progress_.wait(late);
  if (waited.ok() || waited.code() == Errc::timed_out)
    if (received_ < sender_.acknowledged())
      meter_.failures.add(
          "missing", Error(Errc::timed_out,
                           fmt::format("{} acknowledged did not come back within {} s",
                                       plural(sender_.acknowledged() - received_, "record"), kLastOnesMax.count())));
}

Task<Result<int>> EndToEnd::run(std::vector<client::Position> positions) {
  Scope show(session_.env.executor), reader(session_.env.executor);
  reader.spawn("bench reader", read(*this, std::move(positions)));
  show.spawn("bench line", Meter::show(meter_));
  Result<void> outcome = co_await sender_.run();
  if (outcome.ok() && !sender_.interrupted()) co_await wait_for_the_last();
  follower_.stop();
  co_await reader.stop();
  co_await show.stop();
  co_await sender_.close();
  co_await reading_->close();
  if (!outcome.ok()) co_return outcome.error();
  co_return meter_.finish({.work = "e2e",
                           .line = sender_.line(),
                           .shape = sender_.shape(),
                           .interrupted = sender_.interrupted(),
                           .owed = sender_.owed()});
}

Task<Result<int>> end_to_end(Session& session, BenchLoad load) {
  if (load.record_bytes < sizeof(Stamp))
    co_return Error(Errc::invalid_argument,
                    fmt::format("--size is {} at least: a value carries its time", sizeof(Stamp)));
  if (load.acks == 0)
    co_return Error(Errc::invalid_argument, "--acks 0 does not tell how many records shall come back");
  MR_CO_TRY_VOID(check_load(load));
  MR_CO_TRY(client::TopicInfo topic, co_await bench_topic(session, load.topic, load.partitions));
  std::vector<TopicPartition> names;
  for (const auto& partition : topic.partitions) names.push_back({topic.name, partition.index});
  MR_CO_TRY(auto ends,
            co_await client::find_offsets(session.cluster, names, client::kLatestOffset, session.deadline()));
  std::vector<client::Position> positions;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!ends[i].ok()) co_return ends[i].error();
    positions.push_back({names[i], ends[i]->offset});
  }
  EndToEnd bench(session, load, static_cast<std::int32_t>(names.size()));
  co_return co_await bench.run(std::move(positions));
}

}  // namespace

int run(const Common& common, const BenchEndToEnd& command) {
  return with_cluster_until_signal(common, [&](Session& session) { return end_to_end(session, command.load); });
}

}  // namespace mr::cli
