#pragma once
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "base/units.h"
#include "model/ids.h"

namespace mr::coordinator {

/// Records per second over the last while.
struct LagRates {
  double produced = 0;
  double consumed = 0;
};

/// How ends and commits of group partitions have moved during the last minute. Volatile, one shard.
/// Bound: its owner's, on how many partitions it notes; kSamples of each.
class LagHistory {
 public:
  static constexpr std::size_t kSamples = 13;
  static constexpr Duration kWindow = std::chrono::seconds(60);

  /// What stands at `now`; partitions that are not noted between two calls of forget_others() are forgotten there.
  void note(TimePoint now, const std::string& group, const TopicPartition& name, Offset committed, Offset end);
  void forget_others();

  /// From the oldest sample of the window to now; empty when that is less than four seconds, or offsets went back
  /// (a seek, a topic made anew).
  std::optional<LagRates> rates(TimePoint now, const std::string& group, const TopicPartition& name, Offset committed,
                                Offset end) const;
  std::size_t size() const { return samples_.size(); }

 private:
  struct Sample {
    TimePoint at;
    Offset committed;
    Offset end;
  };
  struct Samples {
    std::deque<Sample> last;
    bool noted = false;
  };
  std::map<std::pair<std::string, TopicPartition>, Samples> samples_;
};

}  // namespace mr::coordinator
