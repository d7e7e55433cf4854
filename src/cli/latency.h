#pragma once
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace mr::cli {

/// How long things took, by value, to three significant digits: the layout of HdrHistogram, whose C code no package of
/// Debian 12 has. Memory: 8 KiB for each doubling of the longest, from 2 us on.
class Latency {
 public:
  /// `times` things took so long.
  void add(Duration took, std::uint64_t times = 1);
  void clear();

  std::uint64_t count() const { return count_; }
  Duration max() const { return Duration(max_); }
  Duration mean() const;
  /// The nearest rank's value, never below what was measured and at most 0.1 % above; `share` is 0 to 1. 0 without any.
  Duration percentile(double share) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace mr::cli
