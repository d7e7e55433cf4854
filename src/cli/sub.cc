#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/record_filter.h"
#include "cli/record_format.h"
#include "cli/session.h"
#include "cli/where.h"
#include "client/admin.h"
#include "client/follower.h"

namespace mr::cli {

namespace {

constexpr std::size_t kPrintBytes = 256 << 10;

class Subscriber {
 public:
  Subscriber(Session& session, const Sub& command)
      : session_(session),
        command_(command),
        follower_(session.cluster, {.fetch = {.read_committed = command.read_committed},
                                    .answer_max = Millis(session.common.timeout_ms),
                                    .away_max = Millis(session.common.timeout_ms)}),
        silence_(session.env.executor) {}
  Task<Result<int>> run();

 private:
  Task<Result<void>> prepare(const std::string& topic, const Where& where);
  Task<Result<Offset>> start_of(const TopicPartition& name, const Where& where, Offset end);
  Result<std::optional<Offset>> take(const client::Fetched::Part& part);
  static Task<void> watch_silence(Subscriber& self);
  void show(const TopicPartition& name, const client::Fetched::Item& item);
  void print_out();
  void finish() {
    done_ = true;
    follower_.stop();
  }

  Session& session_;
  const Sub& command_;
  std::optional<RecordFormat> format_;
  RecordFilter filter_;
  std::vector<client::Position> positions_;
  std::map<TopicPartition, Offset> stops_;  ///< with --exit
  client::Follower follower_;
  Inflater inflater_;
  std::string out_;
  std::uint64_t shown_ = 0;
  TimePoint last_record_{};
  bool done_ = false;
  std::optional<Error> silent_;
  Scope silence_;
};

Task<Result<int>> Subscriber::run() {
  if (!command_.format.empty()) {
    MR_CO_TRY(format_.emplace(), RecordFormat::compile(command_.format));
  }
  MR_CO_TRY(filter_, RecordFilter::parse(command_.where));
  MR_CO_TRY(Where where, parse_where(command_.from));
  if (!command_.partitions.empty() && command_.topics.size() > 1)
    co_return Error(Errc::invalid_argument, "--partition wants one topic");
  for (const std::string& topic : command_.topics) MR_CO_TRY_VOID(co_await prepare(topic, where));
  last_record_ = session_.env.now();
  if (session_.common.timeout_given && !command_.exit_at_end) silence_.spawn("silence", watch_silence(*this));
  auto outcome = co_await follower_.run(std::move(positions_), [this](const auto& part) { return take(part); });
  co_await silence_.stop();
  print_out();
  if (silent_) co_return *silent_;
  if (!outcome.ok()) co_return outcome.error();
  co_return kOk;
}

Task<Result<void>> Subscriber::prepare(const std::string& topic, const Where& where) {
  MR_CO_TRY(client::TopicInfo info, co_await session_.cluster.topic(topic, false, session_.deadline()));
  std::vector<std::int32_t> wanted = command_.partitions;
  if (wanted.empty())
    for (const auto& p : info.partitions) wanted.push_back(p.index.v);
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
  std::vector<TopicPartition> names;
  for (std::int32_t index : wanted) names.push_back({topic, PartitionIndex{index}});
  MR_CO_TRY(auto ends,
            co_await client::find_offsets(session_.cluster, names, client::kLatestOffset, session_.deadline()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!ends[i].ok()) co_return ends[i].error();
    const Offset end = ends[i]->offset;
    MR_CO_TRY(Offset start, co_await start_of(names[i], where, end));
    if (command_.exit_at_end && start >= end) continue;
    if (command_.exit_at_end) stops_[names[i]] = end;
    positions_.push_back({names[i], start});
  }
  co_return Result<void>{};
}

Task<Result<Offset>> Subscriber::start_of(const TopicPartition& name, const Where& where, Offset end) {
  using Kind = Where::Kind;
  if (where.kind == Kind::end) co_return end;
  WallMillis asked = client::kEarliestOffset;
  if (where.kind == Kind::time) asked = where.number;
  if (where.kind == Kind::ago) asked = std::max<WallMillis>(0, session_.env.clock.wall() - where.number);
  MR_CO_TRY(auto found, co_await client::find_offset(session_.cluster, name, asked, session_.deadline()));
  switch (where.kind) {
    case Kind::offset:
      if (where.number < found.offset.v || where.number > end.v)
        co_return Error(Errc::offset_out_of_range, fmt::format("{} has offsets {} to {}, not {}", name.to_string(),
                                                               found.offset.v, end.v, where.number));
      co_return Offset{where.number};
    case Kind::before_end:
      co_return Offset{std::max(found.offset.v, end.v - where.number)};
    default:
      co_return found.offset.v < 0 ? end : found.offset;  // nothing is as young as the time asked for
  }
}

Result<std::optional<Offset>> Subscriber::take(const client::Fetched::Part& part) {
  auto stop = stops_.find(part.name);
  auto next = part.for_each(inflater_, [&](const client::Fetched::Item& item) {
    if (stop != stops_.end() && item.offset >= stop->second) return false;
    if (filter_.passes(*item.record)) show(part.name, item);
    if (command_.count > 0 && shown_ == command_.count) finish();
    return !done_;
  });
  print_out();
  if (!next.ok()) return next.error();
  if (*next > part.from) last_record_ = session_.env.now();
  if (stop != stops_.end() && *next >= stop->second) return std::optional<Offset>{};
  return std::optional(*next);
}

void Subscriber::show(const TopicPartition& name, const client::Fetched::Item& item) {
  ++shown_;
  if (format_) {
    format_->append(out_, name.topic, name.partition, item);
  } else if (session_.common.output != OutputFormat::table) {
    // A stream has no end, so JSON comes one object per line; a line that begins with "- " is an item of a YAML list.
    if (session_.common.output == OutputFormat::yaml) out_ += "- ";
    append_record_json(out_, name.topic, name.partition, item);
  } else if (command_.readable) {
    append_record_line(out_, name.topic, name.partition, item);
  } else {
    if (item.record->value) out_ += as_text(*item.record->value);
    out_ += '\n';
  }
  if (out_.size() >= kPrintBytes) print_out();
}

void Subscriber::print_out() {
  if (!out_.empty() && !print(out_)) finish();  // nobody reads: `sub | head` is a fine way to stop
  out_.clear();
}

Task<void> Subscriber::watch_silence(Subscriber& self) {
  const Millis limit(self.session_.common.timeout_ms);
  while (!self.done_) {
    const TimePoint until = self.last_record_ + limit;
    if (!(co_await sleep_until(until)).ok()) co_return;
    if (self.last_record_ + limit > self.session_.env.now()) continue;
    self.silent_ = Error(Errc::timed_out, fmt::format("no record came within {} ms", limit.count()));
    self.finish();
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
