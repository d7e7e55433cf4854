#pragma once
#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/units.h"
#include "model/ids.h"
#include "runtime/env.h"
#include "storage/index_file.h"

/// Bounds how much of what was written stays in the page cache (`log.page.cache.bytes`), so that sustained writing uses
/// the same pages again instead of taking new ones: on a virtual machine whose host has to provide them that is half of
/// the price of an append (docs/operations.md). What was read from the device since stays as it would.
namespace mr::storage {

class WrittenTail;

/// Part of a segment file. By name: nothing is kept open, and nothing of a deleted segment kept on the disk.
struct WrittenRange {
  std::shared_ptr<WrittenTail> log;
  Offset segment;
  std::uint64_t from = 0, to = 0;
  bool synced = true;  ///< what is not may have to be dropped twice: the kernel begins to write it and keeps it

  std::uint64_t bytes() const { return to - from; }
};

/// What one shard has written lately, over all its logs, in the order in which it was written.
/// Shard: the one it is made on. Life: longer than the logs that add to it.
class PageCacheWindow {
 public:
  /// Logs hand over so much at a time, which takes some 50 bytes here; what a log has beyond is not counted.
  static constexpr std::uint64_t kChunkBytes = 1_MiB;
  /// Less, at the end of a segment, is left to the kernel.
  static constexpr std::uint64_t kLeastBytes = 256_KiB;
  /// No shard keeps less, whatever its share is.
  static constexpr std::uint64_t kBytesMin = 8_MiB;
  /// What is due and nobody comes for, since the disk is slow: beyond it the oldest is left to the kernel, too. So at
  /// most (bytes_max + kOverdueMax) / kLeastBytes ranges are remembered.
  static constexpr std::uint64_t kOverdueMax = 256_MiB;

  /// Keeps `bytes_max`, at least kBytesMin. `on_due` is called from within add() whenever take_due() may have
  /// something.
  PageCacheWindow(std::uint64_t bytes_max, std::function<void()> on_due);
  void add(WrittenRange range);
  /// What is to be dropped now, oldest first, neighbours as one range: some MiB at a time, for one job.
  std::vector<WrittenRange> take_due();
  std::uint64_t bytes() const { return bytes_; }

 private:
  /// The oldest and still unsynced quarter begins to be written before its turn comes.
  std::uint64_t young_max() const { return bytes_max_ / 4 * 3; }
  void pop_oldest();
  static void hand_out(std::vector<WrittenRange>& due, const WrittenRange& next);

  std::uint64_t bytes_max_;
  std::uint64_t step_;
  std::function<void()> on_due_;
  std::deque<WrittenRange> ranges_;
  std::uint64_t bytes_ = 0;
  std::size_t old_ = 0;  ///< so many from the front are no longer young
  std::uint64_t old_bytes_ = 0;
};

/// How far one log has told the window of its shard what it wrote, and how far that is dropped again. Home shard;
/// place() anywhere. Outlives its log for as long as the window remembers ranges.
class WrittenTail : public std::enable_shared_from_this<WrittenTail> {
 public:
  struct Position {
    Offset segment;
    std::uint64_t at = 0;
    friend auto operator<=>(const Position&, const Position&) = default;
  };

  /// `from`: what lies before it is not this process's.
  WrittenTail(PageCacheWindow& window, const LogPlace& place, Position from)
      : window_(window), place_(place), told_(from), dropped_(from), taken_(from) {}
  const LogPlace& place() const { return place_; }
  /// The oldest segment that it has something to say about.
  Offset segment() const { return told_.segment; }
  /// Everything before `end` has been written. Called in order, without leaving out a segment that has something.
  /// `whole`: nothing more follows in the segment.
  void advance(Position end, bool whole, bool synced);

  /// Up to `to` it is dropped, or about to be.
  void note_dropped(Position to) { dropped_ = std::max(dropped_, to); }
  /// What was dropped since the last call: from first to second.
  std::pair<Position, Position> take_dropped() { return {std::exchange(taken_, dropped_), dropped_}; }

 private:
  PageCacheWindow& window_;
  const LogPlace place_;
  Position told_, dropped_, taken_;
};

/// Pool. Whoever has it open goes on reading. A segment that is not there any more is none of our business.
void drop_from_page_cache(const std::vector<WrittenRange>& ranges);

}  // namespace mr::storage
