#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "model/ids.h"

/// The commit journal's bytes (docs/formats/commit-journal.md, why: docs/decisions/commit-journal.md). Pure.
namespace mr::storage {

/// Whole record batches, back to back in one segment file.
struct JournalRun {
  TopicId topic;
  PartitionIndex partition;
  Offset segment;              ///< base offset of the segment, which names its file
  std::uint64_t position = 0;  ///< of the first batch in the file
  std::uint32_t bytes = 0;
  Offset base;                    ///< of the first batch
  Offset next;                    ///< behind the last batch (exclusive)
  LeaderEpoch epoch;              ///< of the last batch
  std::uint32_t headers_crc = 0;  ///< CRC-32C over the 61-byte headers of the batches, in order, as stored

  std::uint64_t end() const { return position + bytes; }
  friend bool operator==(const JournalRun&, const JournalRun&) = default;
};

struct JournalEntry {
  enum class Kind : std::uint8_t {
    durable = 1,  ///< the run is synced in its own file
    carried = 2,  ///< the run's bytes are here; they may be missing in its file
  };
  Kind kind = Kind::durable;
  JournalRun run;
  ByteView carried;  ///< run.bytes bytes; empty for durable
};

/// What one sync of the journal covers. Written at a multiple of kJournalAlign, padded to one.
struct JournalBlockHeader {
  Uuid session;                ///< one life of one broker: blocks of another are stale
  std::uint32_t shard = 0;     ///< whose journal it is
  std::uint64_t sequence = 0;  ///< from 1, no gaps within session and shard
  std::uint64_t asserted = 0;  ///< all blocks up to this one were synced when this one was written
  std::uint64_t floor = 1;     ///< blocks below this one are not needed any more (their files are synced)
  friend bool operator==(const JournalBlockHeader&, const JournalBlockHeader&) = default;
};

/// A sector: what a device writes whole or not at all.
inline constexpr std::size_t kJournalAlign = 512;
inline constexpr std::size_t kJournalHeaderBytes = 64;
inline constexpr std::size_t kJournalEntryBytes = 68;  ///< without what it carries
/// Nobody writes larger blocks; a length beyond is damage.
inline constexpr std::size_t kJournalBlockBytesMax = 16u << 20;

constexpr std::size_t journal_padded(std::size_t bytes) { return (bytes + kJournalAlign - 1) & ~(kJournalAlign - 1); }

/// One block on its way to the disk. Entries are stored as they come; header and checksum last.
class JournalBlockBuilder {
 public:
  JournalBlockBuilder() { clear(); }
  bool empty() const { return entries_ == 0; }
  /// Of the block with all entries so far, padded.
  std::size_t bytes() const { return journal_padded(bytes_.size()); }
  /// What it would be with one more entry that carries `carried` bytes.
  std::size_t bytes_with(std::size_t carried) const {
    return journal_padded(bytes_.size() + kJournalEntryBytes + carried);
  }
  /// `carried` has run.bytes bytes, or none for a durable entry.
  void add(JournalEntry::Kind kind, const JournalRun& run, ByteView carried);
  /// Pads, writes the header and the checksum. The bytes stay until the next call; nothing can be added but after
  /// clear().
  ByteView finish(const JournalBlockHeader& header);
  /// An empty block; memory is kept.
  void clear();

 private:
  std::vector<std::byte> bytes_;
  std::uint32_t entries_ = 0;
};

struct JournalBlock {
  JournalBlockHeader header;
  std::size_t bytes = 0;              ///< with padding: the next block starts there
  std::vector<JournalEntry> entries;  ///< what they carry points into the bytes they were decoded from
};

/// Padded size of the block that starts at `bytes`; looks at nothing but magic and length, and not at whether the rest
/// is there. Errors: corrupt_data (no block starts here).
Result<std::size_t> journal_block_bytes(ByteView bytes);
/// What the header at the start of `bytes` (kJournalHeaderBytes) says its sequence is; 0 when it is none. Unchecked.
std::uint64_t journal_block_sequence(ByteView bytes);
/// The same of its session; zero when it is none.
Uuid journal_block_session(ByteView bytes);
/// The block at the start of `bytes`. Errors: corrupt_data (too short, wrong checksum, entries that cannot be),
/// newer_format (the checksum is right, the version is not ours).
Result<JournalBlock> decode_journal_block(ByteView bytes);

}  // namespace mr::storage
