#include "storage/key_offset_map.h"

#include <algorithm>

namespace mr::storage {
namespace {
constexpr std::size_t kSlotsFirst = 1024;
constexpr std::size_t kSlotsLeast = 2;  ///< one key and the free slot that ends a search
}  // namespace

KeyOffsetMap::KeyOffsetMap(std::uint64_t bytes_max, HashSeed seed)
    : slots_max_(std::max<std::size_t>(bytes_max / kSlotBytes, kSlotsLeast)), seed_(seed) {
  slots_.resize(std::min(kSlotsFirst, slots_max_));
}

std::size_t KeyOffsetMap::slot_of(const Hash128& hash) const {
  std::size_t at = hash.low % slots_.size();
  while (slots_[at].offset >= 0 && slots_[at].hash != hash) at = at + 1 == slots_.size() ? 0 : at + 1;
  return at;
}

/// Old and new slots together stay within the bound.
bool KeyOffsetMap::grow() {
  std::size_t next = std::min(slots_.size() * 2, slots_max_ - slots_.size());
  if (next <= slots_.size()) return false;
  std::vector<Slot> old(next);
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.offset >= 0) slots_[slot_of(slot.hash)] = slot;
  return true;
}

bool KeyOffsetMap::put(ByteView key, Offset offset) {
  Hash128 hash = siphash128(key, seed_);
  std::size_t at = slot_of(hash);
  if (slots_[at].offset < 0) {
    std::size_t used_max = std::max<std::size_t>(slots_.size() * kLoadMax / 100, 1);
    if (size_ + 1 > used_max) {
      if (!grow()) return false;
      at = slot_of(hash);
    }
    ++size_;
  }
  slots_[at] = {hash, offset.v};
  return true;
}

Offset KeyOffsetMap::find(ByteView key) const { return Offset{slots_[slot_of(siphash128(key, seed_))].offset}; }

}  // namespace mr::storage
