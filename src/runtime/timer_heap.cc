#include "runtime/timer_heap.h"

namespace mr {

TimerId TimerHeap::add(TimePoint when, Callback fn) {
  std::uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].fn = std::move(fn);
  Node node{.when = when, .order = next_order_++, .slot = slot};
  heap_.push_back(node);
  sift_up(heap_.size() - 1, node);
  return TimerId{(static_cast<std::uint64_t>(slots_[slot].generation) << 32) | slot};
}

bool TimerHeap::cancel(TimerId id) {
  auto slot = static_cast<std::uint32_t>(id.v);
  auto generation = static_cast<std::uint32_t>(id.v >> 32);
  if (generation == 0 || slot >= slots_.size() || slots_[slot].generation != generation) return false;
  Callback dropped = remove(slots_[slot].position);
  return true;
}

Callback TimerHeap::pop_due(TimePoint now) {
  if (heap_.empty() || heap_.front().when > now) return {};
  return remove(0);
}

Callback TimerHeap::remove(std::size_t position) {
  Slot& slot = slots_[heap_[position].slot];
  Callback fn = std::move(slot.fn);
  slot.fn = nullptr;
  if (++slot.generation == 0) slot.generation = 1;  // an id of 0 is never live
  free_.push_back(heap_[position].slot);
  Node last = heap_.back();
  heap_.pop_back();
  if (position < heap_.size()) {
    if (position > 0 && before(last, heap_[(position - 1) / 2])) {
      sift_up(position, last);
    } else {
      sift_down(position, last);
    }
  }
  return fn;
}

void TimerHeap::sift_up(std::size_t position, Node node) {
  while (position > 0) {
    std::size_t parent = (position - 1) / 2;
    if (!before(node, heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, node);
}

void TimerHeap::sift_down(std::size_t position, Node node) {
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], node)) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, node);
}

}  // namespace mr
