#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/env.h"

namespace mr::storage {

/// Where a log lives; outlives everything that refers to it.
struct LogPlace {
  FileSystem& files;
  std::string directory;
};

/// A file of fixed-size entries that only grows (.index, .timeindex). Entries of the last few appends wait in memory
/// and are written in groups, so that an append costs no second system call; a crash may lose them, recovery makes them
/// again. Of the file one block is kept in memory once it was looked up, so that a reader that goes on finds its next
/// place without a system call; otherwise look-ups read it (page cache). The file is opened when first needed. Home
/// shard, or the pool while nobody else uses the log.
class IndexFile {
 public:
  /// Entries that wait before a write; at 4 KiB an entry that is one write per 256 KiB of log or less.
  static constexpr std::size_t kPendingMax = 64;
  /// Of the block that the last look-up ended in.
  static constexpr std::size_t kBlockEntries = 256;

  IndexFile(const LogPlace& place, Offset base, std::string_view suffix, std::size_t entry_bytes)
      : place_(&place), base_(base), suffix_(suffix), entry_bytes_(entry_bytes) {}

  /// Takes over what is on disk; a missing file is an empty index, a cut entry at the end is dropped.
  Result<void> load();
  /// Empties the file, for a rebuild. Pool.
  Result<void> reset();
  std::uint64_t entries() const { return written_ + pending_.size() / entry_bytes_; }
  /// Queues `entry`; writes when kPendingMax wait. A full disk or want of descriptors is no error here: the entries
  /// keep waiting.
  Result<void> append(ByteView entry);
  /// Writes what waits. Errors: those of File.
  Result<void> flush();
  /// Flushes; on return the file exists, even empty, as Kafka wants it of a sealed segment.
  Result<std::shared_ptr<File>> flushed_file();
  /// Entry `n` < entries(), into `entry`.
  Result<void> read(std::uint64_t n, MutableBytes entry);
  /// Number of leading entries for which `before(entry)` holds; it must hold for a prefix only.
  template <class Before>
  Result<std::uint64_t> partition_point(Before before);
  void close_file() {
    file_.reset();
    forget_block();
  }
  bool is_open() const { return file_ != nullptr; }
  std::string path() const;
  /// The file has been renamed: so it is called when it is opened next.
  void set_suffix(std::string_view suffix) { suffix_ = suffix; }
  std::size_t memory_bytes() const { return pending_.capacity() + block_.capacity(); }

 private:
  Result<File*> file();
  /// Makes the kBlockEntries entries of the file from `low` on the block (fewer at its end).
  Result<void> load_block(std::uint64_t low);
  void forget_block() { block_ = {}; }
  std::uint64_t block_end() const { return block_first_ + block_.size() / entry_bytes_; }

  const LogPlace* place_;
  Offset base_;
  std::string_view suffix_;
  std::size_t entry_bytes_;
  std::uint64_t written_ = 0;
  std::vector<std::byte> pending_;
  std::shared_ptr<File> file_;
  std::vector<std::byte> block_;  ///< entries [block_first_, block_end()) as the file has them; entries never change
  std::uint64_t block_first_ = 0;
};

template <class Before>
Result<std::uint64_t> IndexFile::partition_point(Before before) {
  std::array<std::byte, 16> entry;
  MutableBytes slot(entry.data(), entry_bytes_);
  std::uint64_t low = 0, high = entries();
  // Newest first: readers near the tail are answered from the waiting entries.
  if (high > written_ && written_ > 0) {
    MR_TRY_VOID(read(written_, slot));
    if (before(entry.data())) {
      low = written_ + 1;
    } else {
      high = written_;
    }
  }
  if (!block_.empty() && low <= block_first_ && block_end() <= high) {
    // Mostly the answer is inside the block of last time.
    if (before(block_.data())) {
      low = block_first_ + 1;
      if (!before(block_.data() + block_.size() - entry_bytes_)) high = block_end() - 1;
    } else {
      high = block_first_;
    }
  }
  while (low < high) {
    if (high <= written_ && high - low <= kBlockEntries && (low < block_first_ || high > block_end()))
      MR_TRY_VOID(load_block(low));
    std::uint64_t middle = low + (high - low) / 2;
    MR_TRY_VOID(read(middle, slot));
    if (before(entry.data())) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// .index: where batches lie. Entry: last offset of a batch (relative to the segment's base), position of that batch.
class OffsetIndex {
 public:
  static constexpr std::size_t kEntryBytes = 8;
  OffsetIndex(const LogPlace& place, Offset base, std::string_view suffix)
      : file_(place, base, suffix, kEntryBytes), base_(base) {}

  Result<void> append(Offset last_offset, std::uint64_t position);
  /// Position of the newest entry whose offset is at or below `offset`; 0 when none.
  Result<std::uint64_t> position_for(Offset offset);
  /// Position of the newest entry at or below `position`; 0 when none.
  Result<std::uint64_t> position_before(std::uint64_t position);
  IndexFile& file() { return file_; }

 private:
  Result<std::uint64_t> position_of_entry_before(std::uint64_t n);

  IndexFile file_;
  Offset base_;
};

/// .timeindex: largest timestamps. Entry: timestamp, last offset of the batch that has it; no batch up to that offset
/// has a larger one. Both columns grow.
class TimeIndex {
 public:
  static constexpr std::size_t kEntryBytes = 12;
  struct Entry {
    WallMillis timestamp = -1;
    Offset offset;
  };
  TimeIndex(const LogPlace& place, Offset base, std::string_view suffix)
      : file_(place, base, suffix, kEntryBytes), base_(base) {}

  /// Reads what append() must know, so that append() opens no file. Errors: those of File.
  Result<void> prepare_append();
  /// Ignored unless the timestamp is larger than the newest entry's.
  Result<void> append(WallMillis timestamp, Offset offset);
  /// {-1, base} when empty.
  Result<Entry> last();
  /// Newest entry whose timestamp is below `timestamp`; {-1, base} when none.
  Result<Entry> last_before(WallMillis timestamp);
  /// Newest entry whose offset is below `offset`; {-1, base} when none.
  Result<Entry> last_below(Offset offset);
  IndexFile& file() { return file_; }

 private:
  Entry decode(const std::byte* at) const;
  Result<Entry> entry_before(std::uint64_t n);

  IndexFile file_;
  Offset base_;
  std::optional<WallMillis> newest_;  ///< timestamp of the last entry, once known
};

}  // namespace mr::storage
