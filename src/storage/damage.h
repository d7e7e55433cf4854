#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/ids.h"

/// What is known to be unreadable of a segment. Pure.
namespace mr::storage {

/// Offsets [first, next) of one segment that do not read as they were written, in bytes [position, end) of its file. No
/// bytes (position == end) where the offsets are missing altogether.
struct DamagedRange {
  Offset first;
  Offset next;
  std::uint64_t position = 0;
  std::uint64_t end = 0;
  std::string why;

  bool contains(Offset offset) const { return first <= offset && offset < next; }
  std::uint64_t bytes() const { return end - position; }
};

/// Ordered by offset and position, none touching another.
using Damage = std::vector<DamagedRange>;

/// Puts `ranges` in order and joins those that overlap in offsets or bytes; keeps the first reason of each. At most
/// kDamagedRangesMax remain: beyond that neighbours are joined, so that readable offsets between them are refused.
Damage normalized(Damage ranges);
inline constexpr std::size_t kDamagedRangesMax = 4096;

/// The range that holds `offset`; null when it is not damaged.
const DamagedRange* find_damage(std::span<const DamagedRange> damage, Offset offset);

/// Sums for metrics and logs.
struct DamageTotals {
  std::uint64_t ranges = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offsets = 0;
  void add(std::span<const DamagedRange> damage);
};

}  // namespace mr::storage
