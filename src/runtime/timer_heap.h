#pragma once
#include <vector>

#include "runtime/executor.h"

namespace mr {

/// Timers of one shard: a binary heap with back references, so that cancelling is O(log n) and a cancelled timer takes
/// no room. Timers for one instant fire in the order they were added. Allocates only while it grows.
class TimerHeap {
 public:
  TimerId add(TimePoint when, Callback fn);
  /// False when it has fired, was cancelled or never was.
  bool cancel(TimerId id);
  /// When the first is due; kForever when there is none.
  TimePoint next() const { return heap_.empty() ? kForever : heap_.front().when; }
  /// Takes the first out when it is due at `now`; an empty callback otherwise.
  Callback pop_due(TimePoint now);
  std::size_t size() const { return heap_.size(); }

 private:
  struct Node {
    TimePoint when;
    std::uint64_t order;
    std::uint32_t slot;
  };
  struct Slot {
    Callback fn;
    std::uint32_t generation = 1;
    std::uint32_t position = 0;
  };
  static bool before(const Node& a, const Node& b) { return a.when != b.when ? a.when < b.when : a.order < b.order; }
  void place(std::size_t position, Node node) {
    heap_[position] = node;
    slots_[node.slot].position = static_cast<std::uint32_t>(position);
  }
  void sift_up(std::size_t position, Node node);
  void sift_down(std::size_t position, Node node);
  Callback remove(std::size_t position);

  std::vector<Node> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_order_ = 0;
};

}  // namespace mr
