#pragma once
#include <cstdint>
#include <limits>
#include <optional>

#include "base/units.h"

namespace mr::cli {

/// Records of a load that go together: when each of them was meant to be sent.
struct DueRecords {
  TimePoint start;          ///< of the load, or with nothing between them when all of these are due
  double apart_ns = 0;      ///< from one to the next; 0: all at once
  std::uint64_t first = 0;  ///< the first one's number in the load
  std::uint32_t count = 0;

  TimePoint due(std::uint32_t i) const {
    return start + Duration(static_cast<std::int64_t>(apart_ns * static_cast<double>(first + i)));
  }
};

/// Decides what one producer of a load sends when, from times alone. With a rate record i is due i/rate after the
/// start, whether the broker keeps up or not (an open loop); without one a full batch is due whenever there is room.
class Pacer {
 public:
  static constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();
  struct Options {
    double rate = 0;  ///< records per second; 0: whenever there is room
    TimePoint start;
    TimePoint counts_from;                 ///< what is due before is warm-up
    TimePoint ends = kForever;             ///< nothing is due from then on
    std::uint64_t records_max = kNoBound;  ///< nor after so many that count
    std::uint32_t batch_records_max = 1;
    Duration linger{};  ///< how long the first record of a batch waits for others
  };
  explicit Pacer(const Options& options);

  /// When there is something to send; nothing when there is no more. What was due in time is still sent for
  /// kLateMax after `ends`.
  std::optional<TimePoint> ready(TimePoint now) const;
  /// What goes at `now`, which ready() has reached: at most a batch, at least a record.
  DueRecords take(TimePoint now);
  /// Records that were due before `now` and were not taken; 0 without a rate.
  std::uint64_t owed(TimePoint now) const;

  static constexpr Duration kLateMax = std::chrono::seconds(1);

 private:
  TimePoint due(std::uint64_t record) const;
  /// Records that are due by `now`, taken or not.
  std::uint64_t due_by(TimePoint now) const;
  std::uint64_t last() const { return records_max_ == kNoBound ? kNoBound : warm_up_ + records_max_; }

  const Options options_;
  const std::uint64_t records_max_;
  const double apart_ns_;
  std::uint64_t warm_up_ = 0;  ///< records before those that count
  std::uint64_t taken_ = 0;
};

}  // namespace mr::cli
