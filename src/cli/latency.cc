#include "cli/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mr::cli {

namespace {

/// Values below twice this have a place each; above, each doubling has so many.
constexpr std::int64_t kPlaces = 1024;

std::size_t place_of(std::int64_t value) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value))) - 11);
  return static_cast<std::size_t>(shift * kPlaces + (value >> shift));
}

/// The largest value that has this place.
std::int64_t last_value(std::size_t place) {
  const auto at = static_cast<std::int64_t>(place);
  const std::int64_t shift = std::max<std::int64_t>(0, at / kPlaces - 1);
  return static_cast<std::int64_t>((static_cast<std::uint64_t>(at - shift * kPlaces + 1) << shift) - 1);
}

}  // namespace

void Latency::add(Duration took, std::uint64_t times) {
  if (times == 0) return;
  const std::int64_t value = std::max<std::int64_t>(0, took.count());
  const std::size_t place = place_of(value);
  if (place >= counts_.size()) counts_.resize(place + 1);
  counts_[place] += times;
  count_ += times;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(times);
}

void Latency::clear() {
  std::ranges::fill(counts_, 0);
  count_ = 0;
  max_ = 0;
  sum_ = 0;
}

Duration Latency::mean() const {
  return Duration(count_ == 0 ? 0 : static_cast<std::int64_t>(sum_ / static_cast<double>(count_)));
}

Duration Latency::percentile(double share) const {
  if (count_ == 0) return Duration(0);
  const auto rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t place = 0; place < counts_.size(); ++place) {
    seen += counts_[place];
    if (seen >= rank) return Duration(std::min(last_value(place), max_));
  }
  return max();
}

}  // namespace mr::cli
