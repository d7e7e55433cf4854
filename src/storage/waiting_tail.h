#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/units.h"
#include "runtime/env.h"

/// Small batches whose ack does not rest on the page cache wait in memory for the next write of their own file: one
/// system call for many. Whoever reads or syncs the file writes them first (Segment::file()), so nobody sees the
/// difference, but for a crash, after which the commit journal has what was acknowledged
/// (docs/decisions/waiting-tails.md).
namespace mr::storage {

class WaitingTails;

/// What waits of one segment.
class WaitingTail {
 public:
  static constexpr std::size_t kBytes = 16_KiB;
  /// A larger batch goes to its file at once: copying it costs about what is saved.
  static constexpr std::size_t kBatchBytesMax = 4_KiB;

  explicit WaitingTail(WaitingTails& of) : of_(of) {}
  WaitingTail(const WaitingTail&) = delete;
  ~WaitingTail();

  std::size_t size() const { return used_; }
  bool has_room(std::size_t bytes) const { return bytes <= kBytes - used_; }
  ByteView bytes() const { return std::span(bytes_).first(used_); }
  /// Behind the last; counts only once keep() is called.
  void copy(ByteView batch);
  void keep(std::size_t bytes) { used_ += bytes; }
  void clear() {
    used_ = 0;
    no_room_ = false;
    over_.reset();
  }
  /// The last try to write it met a full disk.
  bool no_room() const { return no_room_; }
  void note_no_room() { no_room_ = true; }
  /// `file` up to `position` and a copy of the tail behind it, for readers while it cannot be written. Reading is all
  /// it can do. One copy for all who read the same bytes.
  std::shared_ptr<File> over(const std::shared_ptr<File>& file, std::uint64_t position);

 private:
  WaitingTails& of_;
  std::size_t used_ = 0;
  bool no_room_ = false;
  std::weak_ptr<File> over_;
  std::size_t over_bytes_ = 0;
  std::array<std::byte, kBytes> bytes_;
};

/// Bounds the memory of one shard's tails. When all is in use the others write their batches at once.
/// take() on the home shard; a tail may end on any thread. Life: longer than the logs that take from it.
class WaitingTails {
 public:
  static constexpr std::size_t kTailsMax = 1024;

  explicit WaitingTails(std::size_t tails_max = kTailsMax) : tails_max_(tails_max) {}
  WaitingTails(const WaitingTails&) = delete;
  /// Null when so many wait already.
  std::unique_ptr<WaitingTail> take();
  std::size_t in_use() const { return in_use_.load(std::memory_order_relaxed); }

 private:
  friend class WaitingTail;
  std::size_t tails_max_;
  std::atomic<std::size_t> in_use_ = 0;
};

}  // namespace mr::storage
