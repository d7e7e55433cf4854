#include "cli/bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/admin.h"

namespace mr::cli {

namespace {

double milliseconds(Duration took) { return std::chrono::duration<double, std::milli>(took).count(); }
double per_second(std::uint64_t n, double seconds) { return seconds > 0 ? static_cast<double>(n) / seconds : 0; }

struct Share {
  std::string_view name;   ///< for people
  std::string_view field;  ///< for programs
  double share;
};
constexpr Share kShares[] = {{"p50", "p50_ms", 0.5},
                             {"p90", "p90_ms", 0.9},
                             {"p99", "p99_ms", 0.99},
                             {"p99.9", "p999_ms", 0.999},
                             {"p99.99", "p9999_ms", 0.9999}};

/// Three digits that say something.
std::string shown(Duration took) {
  const double ms = milliseconds(took);
  return ms < 10 ? fmt::format("{:.3f}", ms) : ms < 100 ? fmt::format("{:.2f}", ms) : fmt::format("{:.1f}", ms);
}

constexpr Duration kDrawEvery = std::chrono::milliseconds(500);
constexpr Duration kLineEvery = std::chrono::seconds(1);

}  // namespace

Duration seconds_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

LoadLine::LoadLine(const Common& common, bool asked_for) : line_(!common.quiet) {
  if (common.quiet) return;
  drawn_over_ = RealLogSink::is_terminal(2);
  if (drawn_over_) {
    every_ = kDrawEvery;
  } else if (asked_for) {
    every_ = kLineEvery;
  }
}

void LoadLine::show(const std::string& text) {
  if (drawn_over_) {
    line_.show(text);
  } else {
    say(text);
  }
}

void Failures::add(std::string_view name, const Error& why) {
  ++count_;
  auto at = kinds_.find(name);
  if (at == kinds_.end()) {
    at = kinds_.emplace(std::string(name), Kind{}).first;
    at->second.first = why.detail().empty() ? why.message() : why.detail();
  }
  ++at->second.count;
}

Value::List Failures::rows() const {
  Value::List rows;
  for (const auto& [name, kind] : kinds_)
    rows.push_back(Value::Object{{"name", name}, {"count", kind.count}, {"first", kind.first}});
  return rows;
}

void Failures::tell() const {
  for (const auto& [name, kind] : kinds_)
    say(fmt::format("millrace: {} x {}{}: {}", kind.count, name, kind.count > 1 ? ", first" : "", kind.first));
}

Value::Object percentiles(const Latency& latency) {
  Value::Object figures;
  if (latency.count() == 0) return figures;
  for (const Share& one : kShares)
    figures.emplace_back(std::string(one.field), milliseconds(latency.percentile(one.share)));
  figures.emplace_back("max_ms", milliseconds(latency.max()));
  figures.emplace_back("mean_ms", milliseconds(latency.mean()));
  return figures;
}

std::string percentiles_line(const Latency& latency) {
  if (latency.count() == 0) return "-";
  std::string line;
  for (const Share& one : kShares) line += fmt::format("{} {}  ", one.name, shown(latency.percentile(one.share)));
  return line + fmt::format("max {}  mean {} ms", shown(latency.max()), shown(latency.mean()));
}

std::string plural(std::uint64_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

Meter::Meter(Session& session, double warm_up_seconds, bool progress, std::string_view unit)
    : session_(session), line_(session.common, progress), warm_up_seconds_(warm_up_seconds), unit_(unit) {}

void Meter::begin() {
  alive_ = session_.env.now();
  counts_from_ = last_ = alive_ + seconds_of(warm_up_seconds_);
}

void Meter::done(const DueRecords& due, std::uint64_t bytes, std::uint64_t wire_bytes) {
  const TimePoint now = alive_ = session_.env.now();
  lately_done_.records += due.count;
  lately_done_.bytes += bytes;
  lately_.add(now - due.due(0), due.count);
  std::uint32_t counted = due.count;
  if (due.apart_ns <= 0) {
    if (due.start < counts_from_) return;
    latency_.add(now - due.start, due.count);
  } else {
    while (counted > 0 && due.due(due.count - counted) < counts_from_) --counted;
    for (std::uint32_t i = due.count - counted; i < due.count; ++i) latency_.add(now - due.due(i));
    if (counted == 0) return;
  }
  last_ = now;
  records_ += counted;
  bytes_ += bytes * counted / due.count;
  wire_bytes_ += wire_bytes * counted / due.count;
}

void Meter::answered(TimePoint asked, std::uint64_t records, std::uint64_t bytes) {
  const TimePoint now = alive_ = session_.env.now();
  lately_done_.records += records;
  lately_done_.bytes += bytes;
  lately_.add(now - asked);
  if (asked < counts_from_) return;
  last_ = now;
  records_ += records;
  bytes_ += bytes;
  wire_bytes_ += bytes;
  latency_.add(now - asked);
}

double Meter::seconds() const { return std::chrono::duration<double>(last_ - counts_from_).count(); }

Task<void> Meter::show(Meter& self) {
  const auto every = self.line_.every();
  if (!every) co_return;
  TimePoint drawn = self.session_.env.now();
  while ((co_await sleep_until(drawn + *every)).ok()) {
    const TimePoint now = self.session_.env.now();
    const double took = std::chrono::duration<double>(now - drawn).count();
    drawn = now;
    const double records = per_second(self.lately_done_.records, took);
    std::string text =
        now < self.counts_from_ ? std::string("warming up") : human_count(static_cast<double>(self.records_));
    text += fmt::format(": {}/s", human_count(records));
    if (self.of_records()) text += fmt::format(", {:.1f} MB/s", per_second(self.lately_done_.bytes, took) / 1e6);
    if (self.lately_.count() > 0)
      text += fmt::format(", p50 {} p99 {} max {} ms", shown(self.lately_.percentile(0.5)),
                          shown(self.lately_.percentile(0.99)), shown(self.lately_.max()));
    if (self.failures.count() > 0) text += fmt::format(", {}", plural(self.failures.count(), "error"));
    self.line_.show(text);
    self.lately_done_ = {};
    self.lately_.clear();
  }
  self.line_.clear();
}

std::string Meter::as_text(const Summary& summary) const {
  const double took = seconds();
  std::string rate = fmt::format("{} {}s/s", human_count(per_second(records_, took)), unit_);
  if (of_records()) rate += fmt::format(", {:.1f} MB/s", per_second(bytes_, took) / 1e6);
  Value::Object lines = {{std::string(summary.work), summary.line},
                         {fmt::format("{}s", unit_), fmt::format("{} in {:.2f} s", records_, took)},
                         {"rate", std::move(rate)}};
  if (wire_bytes_ < bytes_ * 9 / 10)
    lines.emplace_back("compressed",
                       fmt::format("{:.1f} MB/s, {:.2f} times smaller", per_second(wire_bytes_, took) / 1e6,
                                   static_cast<double>(bytes_) / static_cast<double>(wire_bytes_)));
  lines.emplace_back("latency", percentiles_line(latency_));
  if (summary.owed > 0)
    lines.emplace_back("not sent", fmt::format("{} that were due: the rate was more than broker or client could do",
                                               plural(summary.owed, unit_)));
  lines.emplace_back("errors", std::to_string(failures.count()));
  return render_one(OutputFormat::table, lines);
}

Value::Object Meter::as_object(const Summary& summary) const {
  const double took = seconds();
  Value::Object figures = {{"work", summary.work}};
  std::ranges::copy(summary.shape, std::back_inserter(figures));
  figures.emplace_back("interrupted", summary.interrupted);
  figures.emplace_back(fmt::format("{}s", unit_), records_);
  if (of_records()) {
    figures.emplace_back("bytes", bytes_);
    figures.emplace_back("wire_bytes", wire_bytes_);
  }
  figures.emplace_back("seconds", took);
  figures.emplace_back(fmt::format("{}s_per_second", unit_), per_second(records_, took));
  if (of_records()) figures.emplace_back("mb_per_second", per_second(bytes_, took) / 1e6);
  std::ranges::move(percentiles(latency_), std::back_inserter(figures));
  figures.emplace_back("not_sent", summary.owed);
  figures.emplace_back("errors", failures.count());
  figures.emplace_back("errors_by_name", failures.rows());
  return figures;
}

int Meter::finish(const Summary& summary) {
  line_.clear();
  if (summary.interrupted && !session_.common.quiet) say("interrupted: these are the figures so far");
  const OutputFormat format = session_.common.output;
  print(format == OutputFormat::table ? as_text(summary) : render_one(format, as_object(summary)));
  failures.tell();
  if (records_ == 0 && failures.count() == 0 && !summary.interrupted)
    say("millrace: nothing was done in the time that counts; see --duration and --warm-up");
  return failures.count() == 0 && (records_ > 0 || summary.interrupted) ? kOk : kFailed;
}

std::unique_ptr<client::Cluster> bench_client(Session& session) {
  auto bootstrap = parse_bootstrap(session.common.bootstrap);
  MR_CHECK(bootstrap.ok());  // the session's own cluster has it too
  client::Cluster::Options options{.bootstrap = std::move(*bootstrap)};
  options.connection.client_id = "millrace-bench";
  return std::make_unique<client::Cluster>(session.env, std::move(options));
}

namespace {

/// Waits until each partition's leader answers for it: Apache Kafka tells who leads before the leader knows.
Task<Result<void>> served(Session& session, const client::TopicInfo& topic) {
  std::vector<TopicPartition> names;
  for (const auto& partition : topic.partitions) names.push_back({topic.name, partition.index});
  MR_CO_TRY(auto found, co_await client::find_offsets(session.cluster, std::move(names), client::kLatestOffset,
                                                      session.deadline()));
  for (const auto& one : found)
    if (!one.ok()) co_return one.error();
  co_return Result<void>{};
}

}  // namespace

Task<Result<client::TopicInfo>> bench_topic(Session& session, std::string name, std::int32_t partitions) {
  auto there = co_await session.cluster.topic(name, false, session.deadline());
  if (there.ok() || there.code() != Errc::unknown_topic) co_return there;
  client::NewTopic wanted{.name = name, .partitions = partitions};
  auto made = co_await client::create_topic(session.cluster, std::move(wanted), session.deadline());
  // Somebody else may have made it meanwhile, as they liked.
  if (!made.ok() && made.code() != Errc::topic_exists) co_return made.error();
  if (made.ok() && !session.common.quiet)
    say(fmt::format("made topic '{}' with {}; it stays: millrace topic delete {}", name,
                    plural(static_cast<std::uint64_t>(partitions), "partition"), name));
  MR_CO_TRY(client::TopicInfo topic, co_await session.cluster.topic(name, true, session.deadline()));
  MR_CO_TRY_VOID(co_await served(session, topic));
  co_return topic;
}

}  // namespace mr::cli
