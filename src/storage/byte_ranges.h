#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace mr::storage {

/// Some disjoint ranges of one file, for what may be forgotten: when more than kMax are known, the shortest goes.
/// Takes no memory while empty.
class ByteRanges {
 public:
  static constexpr std::size_t kMax = 8;

  /// Adds [from, to), joined with what it touches.
  void add(std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    auto first = std::ranges::lower_bound(ranges_, from, {}, &Range::to);
    auto last = std::ranges::upper_bound(ranges_, to, {}, &Range::from);
    if (first < last) {
      from = std::min(from, first->from);
      to = std::max(to, (last - 1)->to);
    }
    ranges_.insert(ranges_.erase(first, last), {from, to});
    forget_shortest();
  }
  /// Takes [from, to) out.
  void remove(std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    std::vector<Range> left;
    for (const Range& range : ranges_) {
      if (range.from < from) left.push_back({range.from, std::min(range.to, from)});
      if (range.to > to) left.push_back({std::max(range.from, to), range.to});
    }
    ranges_ = std::move(left);
    forget_shortest();
  }
  /// End of the range that holds `position`; `position` itself when none does.
  std::uint64_t covered_to(std::uint64_t position) const {
    auto range = std::ranges::upper_bound(ranges_, position, {}, &Range::to);
    return range != ranges_.end() && range->from <= position ? range->to : position;
  }
  /// Where the first range begins that ends behind `position`; `none` when there is none.
  std::uint64_t next_from(std::uint64_t position, std::uint64_t none) const {
    auto range = std::ranges::upper_bound(ranges_, position, {}, &Range::to);
    return range != ranges_.end() ? range->from : none;
  }
  bool empty() const { return ranges_.empty(); }
  std::size_t size() const { return ranges_.size(); }
  void clear() { ranges_ = {}; }
  std::size_t memory_bytes() const { return ranges_.capacity() * sizeof(Range); }

 private:
  struct Range {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  void forget_shortest() {
    if (ranges_.size() > kMax)
      ranges_.erase(std::ranges::min_element(ranges_, {}, [](const Range& r) { return r.to - r.from; }));
  }

  std::vector<Range> ranges_;  ///< by position; none touches another
};

}  // namespace mr::storage
