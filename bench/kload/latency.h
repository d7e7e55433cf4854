#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace mr::bench {

/// The nearest rank's value; 0 when there is none.
inline double percentile(const std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(sorted.size())));
  return sorted[std::min(std::max<std::size_t>(rank, 1), sorted.size()) - 1];
}

}  // namespace mr::bench
