#include "storage/damage.h"

#include <algorithm>

namespace mr::storage {
namespace {

void join(DamagedRange& range, const DamagedRange& more) {
  range.first = std::min(range.first, more.first);
  range.next = std::max(range.next, more.next);
  range.position = std::min(range.position, more.position);
  range.end = std::max(range.end, more.end);
}

}  // namespace

Damage normalized(Damage ranges) {
  std::ranges::sort(ranges, {}, [](const DamagedRange& r) { return std::pair(r.first, r.position); });
  Damage joined;
  for (DamagedRange& range : ranges) {
    bool touches = !joined.empty() && (range.first <= joined.back().next || range.position < joined.back().end);
    if (touches || joined.size() == kDamagedRangesMax) {
      join(joined.back(), range);
    } else {
      joined.push_back(std::move(range));
    }
  }
  return joined;
}

const DamagedRange* find_damage(std::span<const DamagedRange> damage, Offset offset) {
  auto above = std::ranges::upper_bound(damage, offset, {}, &DamagedRange::first);
  if (above == damage.begin()) return nullptr;
  const DamagedRange& candidate = *(above - 1);
  return candidate.contains(offset) ? &candidate : nullptr;
}

void DamageTotals::add(std::span<const DamagedRange> damage) {
  ranges += damage.size();
  for (const DamagedRange& range : damage) {
    bytes += range.bytes();
    offsets += static_cast<std::uint64_t>(range.next.v - range.first.v);
  }
}

}  // namespace mr::storage
