#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/units.h"
#include "coordinator/group_stats.h"

namespace mr::coordinator {

/// Why a group begins a round, as far as anybody can tell: who made it, and which timeout that member has hit.
struct RebalanceReason {
  RebalanceReason(RebalanceCause cause, std::string member = {}, Millis timeout = Millis(0))  // NOLINT: a cause is one
      : cause(cause), member(std::move(member)), timeout(timeout) {}
  RebalanceCause cause;
  std::string member;
  Millis timeout;  ///< 0: none was hit
};
/// "member_joined", ...
std::string_view cause_name(RebalanceCause cause);

/// One round of a group, from its begin until everybody's assignment was there. Of a KIP-848 group: from the rise of
/// its epoch until every member has what its target says; rises that the same targets answer are one.
struct Rebalance {
  WallMillis began = -1;
  TimePoint began_mono{};
  std::optional<Duration> took;  ///< empty: it is under way, or another one took its place
  RebalanceReason reason;
  std::int32_t generation = -1;  ///< that it made, or epoch; -1: none yet
  std::size_t members = 0;       ///< when it ended
  /// Partitions that have another owner than after the round before, or one at all; empty: the members' assignments do
  /// not read like consumers'.
  std::optional<std::size_t> moved;
};

/// The last rounds of one group, youngest first. Volatile: of this load of the group.
class RebalanceHistory {
 public:
  static constexpr std::size_t kKept = 16;

  Rebalance& begin(WallMillis wall, TimePoint now, RebalanceReason reason) {
    rounds_.push_front({.began = wall, .began_mono = now, .reason = std::move(reason)});
    if (rounds_.size() > kKept) rounds_.pop_back();
    return rounds_.front();
  }
  /// Null: there is none.
  Rebalance* under_way() { return !rounds_.empty() && !rounds_.front().took ? &rounds_.front() : nullptr; }
  const std::deque<Rebalance>& rounds() const { return rounds_; }

 private:
  std::deque<Rebalance> rounds_;
};

}  // namespace mr::coordinator
