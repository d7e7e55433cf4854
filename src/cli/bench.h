#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_pace.h"
#include "cli/latency.h"
#include "cli/output.h"
#include "cli/session.h"

/// What `millrace bench ...` commands share.
namespace mr::cli {

Duration seconds_of(double seconds);

/// A line about a load that goes on: drawn over on a terminal, a line each second elsewhere when that was asked for.
class LoadLine {
 public:
  LoadLine(const Common& common, bool asked_for);
  /// How often to show(); unset: never.
  std::optional<Duration> every() const { return every_; }
  void show(const std::string& text);
  void clear() { line_.clear(); }

 private:
  StatusLine line_;
  std::optional<Duration> every_;
  bool drawn_over_ = false;
};

/// Errors of a load: counted by name, of which there are few; the first of each is told.
class Failures {
 public:
  /// The name of an error that a broker did not answer.
  void add(const Error& why) { add(to_string(why.code()), why); }
  void add(std::string_view name, const Error& why);
  std::uint64_t count() const { return count_; }
  Value::List rows() const;
  /// A line for each name, to standard error.
  void tell() const;

 private:
  struct Kind {
    std::uint64_t count = 0;
    std::string first;
  };
  std::map<std::string, Kind, std::less<>> kinds_;
  std::uint64_t count_ = 0;
};

/// "p50_ms" to "p9999_ms", "max_ms", "mean_ms"; nothing when nothing was measured.
Value::Object percentiles(const Latency& latency);
/// The same in a line for people.
std::string percentiles_line(const Latency& latency);

/// Counts what is done after the warm-up, draws a progress line, and says what came out.
class Meter {
 public:
  /// `unit`: what is counted. Only records have bytes.
  Meter(Session& session, double warm_up_seconds, bool progress, std::string_view unit = kRecord);

  /// The load begins now.
  void begin();
  TimePoint counts_from() const { return counts_from_; }
  /// Records that were due then are there now: `bytes` of them, which took `wire_bytes` on the way.
  void done(const DueRecords& due, std::uint64_t bytes, std::uint64_t wire_bytes);
  /// An answer with `records` came, asked for at `asked`: one time for all of them.
  void answered(TimePoint asked, std::uint64_t records, std::uint64_t bytes);

  Failures failures;
  /// Or what else the unit is.
  std::uint64_t records() const { return records_; }
  /// When something was done last, or the load began.
  TimePoint alive() const { return alive_; }

  /// Draws the line until cancelled. Spawn it beside the load.
  static Task<void> show(Meter& self);

  struct Summary {
    std::string_view work;
    std::string line;     ///< what was done, for people
    Value::Object shape;  ///< the same, in figures
    bool interrupted = false;
    std::uint64_t owed = 0;  ///< records that were due and not sent
  };
  /// Prints the figures; the value is the exit code: not 0 when there were errors, or nothing was done.
  int finish(const Summary& summary);

 private:
  static constexpr std::string_view kRecord = "record";
  struct Totals {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
  };
  double seconds() const;
  bool of_records() const { return unit_ == kRecord; }
  std::string as_text(const Summary& summary) const;
  Value::Object as_object(const Summary& summary) const;

  Session& session_;
  LoadLine line_;
  const double warm_up_seconds_;
  const std::string_view unit_;
  TimePoint counts_from_{};
  TimePoint alive_{};
  TimePoint last_{};  ///< when the last counted one was done
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t wire_bytes_ = 0;
  Latency latency_;
  // Since the line was drawn last, warm-up or not.
  Latency lately_;
  Totals lately_done_;
};

/// A client of its own: one connection to each broker. close() before destruction.
std::unique_ptr<client::Cluster> bench_client(Session& session);

/// The topic of a load, made with so many partitions when it is not there. Errors: as create_topic().
Task<Result<client::TopicInfo>> bench_topic(Session& session, std::string name, std::int32_t partitions);

/// "1 record", "2 records"
std::string plural(std::uint64_t n, std::string_view what);

}  // namespace mr::cli
