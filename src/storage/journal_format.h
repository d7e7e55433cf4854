#pragma once
#include <cstdint>
#include <optional>
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
  std::uint64_t sequence = 0;  ///< from 1, no gaps within session and shard
  std::uint64_t asserted = 0;  ///< all blocks up to this one were synced when this one was written
  std::uint64_t floor = 1;     ///< blocks below this one are not needed any more (their files are synced)
};

/// A sector: what a device writes whole or not at all.
inline constexpr std::size_t kJournalAlign = 512;

}  // namespace mr::storage
