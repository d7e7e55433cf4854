#include <fmt/format.h>

#include <algorithm>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/record_format.h"
#include "cli/session.h"
#include "cli/where.h"
#include "client/admin.h"
#include "client/read.h"

namespace mr::cli {

namespace {

constexpr std::size_t kPrintBytes = 256 << 10;

class Subscriber {
 public:
  Subscriber(Session& session, const Sub& command)
      : session_(session), command_(command), readers_(session.env.executor) {}
  Task<Result<int>> run();

 private:
  struct Reading {
    TopicPartition name;
    Offset next;
    std::optional<Offset> stop;  ///< with --exit
  };
  Task<Result<void>> prepare();
  Task<Result<Offset>> start_of(const TopicPartition& name, const Where& where, Offset end);
  static Task<void> follow(Subscriber& self, Reading reading);
  Task<Result<void>> read_on(Reading& reading);
  static Task<void> watch_silence(Subscriber& self);
  void show(const TopicPartition& name, const client::Fetched::Item& item);
  void print_out();
  void finish(Result<void> outcome);

  Session& session_;
  const Sub& command_;
  std::optional<RecordFormat> format_;
  std::vector<Reading> readings_;
  Inflater inflater_;
  std::string out_;
  std::uint64_t shown_ = 0;
  TimePoint last_record_{};
  bool done_ = false;
  Result<void> outcome_;
  std::size_t reading_ = 0;
  Event ended_;
  Scope readers_;
};

Task<Result<int>> Subscriber::run() {
  if (!command_.format.empty()) {
    MR_CO_TRY(format_.emplace(), RecordFormat::compile(command_.format));
  }
  MR_CO_TRY_VOID(co_await prepare());
  last_record_ = session_.env.now();
  reading_ = readings_.size();
  for (const Reading& reading : readings_) readers_.spawn("follow", follow(*this, reading));
  if (session_.common.timeout_given && !command_.exit_at_end) readers_.spawn("silence", watch_silence(*this));
  while (!done_ && reading_ > 0) (void)co_await ended_.wait();
  co_await readers_.stop();
  print_out();
  if (!outcome_.ok()) co_return outcome_.error();
  co_return kOk;
}

Task<Result<void>> Subscriber::prepare() {
  MR_CO_TRY(Where where, parse_where(command_.from));
  MR_CO_TRY(client::TopicInfo topic, co_await session_.cluster.topic(command_.topic, false, session_.deadline()));
  std::vector<std::int32_t> wanted = command_.partitions;
  if (wanted.empty())
    for (const auto& p : topic.partitions) wanted.push_back(p.index.v);
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
  for (std::int32_t index : wanted) {
    TopicPartition name{command_.topic, PartitionIndex{index}};
    MR_CO_TRY(auto end,
              co_await client::find_offset(session_.cluster, name, client::kLatestOffset, session_.deadline()));
    MR_CO_TRY(Offset start, co_await start_of(name, where, end.offset));
    std::optional<Offset> stop;
    if (command_.exit_at_end) stop = end.offset;
    readings_.push_back({name, start, stop});
  }
  co_return Result<void>{};
}

Task<Result<Offset>> Subscriber::start_of(const TopicPartition& name, const Where& where, Offset end) {
  if (where.kind == Where::Kind::end) co_return end;
  const WallMillis asked = where.kind == Where::Kind::time ? where.number : client::kEarliestOffset;
  MR_CO_TRY(auto found, co_await client::find_offset(session_.cluster, name, asked, session_.deadline()));
  switch (where.kind) {
    case Where::Kind::offset:
      if (where.number < found.offset.v || where.number > end.v)
        co_return Error(Errc::offset_out_of_range, fmt::format("{} has offsets {} to {}, not {}", name.to_string(),
                                                               found.offset.v, end.v, where.number));
      co_return Offset{where.number};
    case Where::Kind::before_end:
      co_return Offset{std::max(found.offset.v, end.v - where.number)};
    default:
      co_return found.offset.v < 0 ? end : found.offset;  // nothing is as young as the time asked for
  }
}

void Subscriber::finish(Result<void> outcome) {
  if (done_) return;
  done_ = true;
  outcome_ = std::move(outcome);
  ended_.notify_all();
}

Task<void> Subscriber::follow(Subscriber& self, Reading reading) {
  // A broker that restarts is waited for as long as one answer may take.
  std::optional<TimePoint> lost_since;
  while (!self.done_ && (!reading.stop || reading.next < *reading.stop)) {
    auto read = co_await self.read_on(reading);
    if (self.done_ || (!read.ok() && read.code() == Errc::cancelled)) break;
    if (read.ok()) {
      lost_since.reset();
      continue;
    }
    const bool lost = read.code() == Errc::connection_closed || read.code() == Errc::connection_refused;
    const TimePoint now = self.session_.env.now();
    if (lost && !lost_since) lost_since = now;
    if (!lost || now - *lost_since > Millis(self.session_.common.timeout_ms)) {
      self.finish(read);
      break;
    }
    if (!(co_await sleep_until(now + Millis(200))).ok()) break;
  }
  --self.reading_;
  self.ended_.notify_all();
}

Task<Result<void>> Subscriber::read_on(Reading& reading) {
  client::FetchOptions options{.read_committed = command_.read_committed};
  auto fetched =
      co_await client::fetch(session_.cluster, reading.name, reading.next, std::move(options), session_.deadline());
  if (!fetched.ok()) co_return fetched.error();
  auto next = fetched->only().for_each(inflater_, [&](const client::Fetched::Item& item) {
    if (done_ || (reading.stop && item.offset >= *reading.stop)) return false;
    show(reading.name, item);
    if (command_.count > 0 && shown_ == command_.count) finish({});
    return !done_;
  });
  print_out();
  if (!next.ok()) co_return next.error();
  if (*next > reading.next) last_record_ = session_.env.now();
  reading.next = *next;
  co_return Result<void>{};
}

void Subscriber::show(const TopicPartition& name, const client::Fetched::Item& item) {
  ++shown_;
  if (format_) {
    format_->append(out_, name.topic, name.partition, item);
  } else if (session_.common.output == OutputFormat::table) {
    if (item.record->value) out_ += as_text(*item.record->value);
    out_ += '\n';
  } else {
    // A stream has no end, so JSON comes one object per line; a line that begins with "- " is an item of a YAML list.
    if (session_.common.output == OutputFormat::yaml) out_ += "- ";
    append_record_json(out_, name.topic, name.partition, item);
  }
  if (out_.size() >= kPrintBytes) print_out();
}

void Subscriber::print_out() {
  if (!out_.empty() && !print(out_)) finish({});  // nobody reads: `sub | head` is a fine way to stop
  out_.clear();
}

Task<void> Subscriber::watch_silence(Subscriber& self) {
  const Millis limit(self.session_.common.timeout_ms);
  while (!self.done_) {
    const TimePoint until = self.last_record_ + limit;
    if (!(co_await sleep_until(until)).ok()) co_return;
    if (self.last_record_ + limit <= self.session_.env.now())
      self.finish(Error(Errc::timed_out, fmt::format("no record came within {} ms", limit.count())));
  }
}

Task<Result<int>> subscribe(Session& session, const Sub& command) {
  Subscriber subscriber(session, command);
  co_return co_await subscriber.run();
}

}  // namespace

int run(const Common& common, const Sub& command) {
  return with_cluster(common, [&](Session& session) { return subscribe(session, command); });
}

}  // namespace mr::cli
