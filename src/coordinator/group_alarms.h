#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "base/units.h"

/// What an operator should hear of groups before it hurts (docs/groups.md). Pure.
namespace mr::coordinator {

inline constexpr std::uint64_t kGroupsAlarm = 5'000;
inline constexpr std::uint64_t kMembersAlarm = 50'000;

/// A number that should stay below a bound: heard once when it crosses it, and again only after it was well below.
class SizeAlarm {
 public:
  explicit SizeAlarm(std::uint64_t most) : most_(most) {}
  std::uint64_t most() const { return most_; }
  /// It has crossed the bound with this look.
  bool crosses(std::uint64_t now) {
    const bool was = above_;
    if (now > most_) above_ = true;
    if (now <= most_ - most_ / 10) above_ = false;
    return above_ && !was;
  }

 private:
  std::uint64_t most_;
  bool above_ = false;
};

/// A group flaps when so many rebalances began in the window; those that follow closely are one, since a start or a
/// change of several members makes a burst of them.
inline constexpr std::size_t kFlapRebalances = 15;
inline constexpr Duration kFlapWindow = std::chrono::minutes(15);
inline constexpr Duration kFlapBurst = std::chrono::seconds(30);

/// The last rebalances of one group, as far as that takes them.
class FlapWatch {
 public:
  /// A rebalance begins. True: the group flaps; said once in a window while it does.
  bool begins(TimePoint now);

 private:
  std::array<TimePoint, kFlapRebalances> bursts_{};  ///< a ring: when each began
  std::size_t count_ = 0;
  TimePoint last_{};
  std::optional<TimePoint> told_;
};

}  // namespace mr::coordinator
