#pragma once
#include <cstdint>
#include <vector>

#include "base/siphash.h"
#include "model/ids.h"

namespace mr::storage {

/// Newest offset of each key, in bounded memory: 24 bytes a slot, nothing of the keys themselves but a 128-bit hash.
/// Two keys with one hash would cost the older one its record, so the hash is keyed with a seed drawn for each pass: by
/// chance that happens once in 2^84 passes over five million keys, and nobody can prepare it.
class KeyOffsetMap {
 public:
  static constexpr std::size_t kSlotBytes = 24;
  /// Slots in use, of a hundred, at which it is full.
  static constexpr std::size_t kLoadMax = 90;

  /// Takes at most `bytes_max` bytes, growing as it is filled; room for one key at least.
  KeyOffsetMap(std::uint64_t bytes_max, HashSeed seed);

  /// Notes `offset` for `key`; offsets come in order. False when the map is full: nothing is noted.
  bool put(ByteView key, Offset offset);
  /// kNoOffset when the key is not there.
  Offset find(ByteView key) const;
  std::size_t size() const { return size_; }
  std::uint64_t bytes() const { return slots_.size() * kSlotBytes; }

 private:
  struct Slot {
    Hash128 hash;
    std::int64_t offset = -1;  ///< -1: free
  };
  static_assert(sizeof(Slot) == kSlotBytes);

  /// Where `hash` is, or the free slot where it belongs.
  std::size_t slot_of(const Hash128& hash) const;
  bool grow();

  std::size_t slots_max_;
  HashSeed seed_;
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace mr::storage
