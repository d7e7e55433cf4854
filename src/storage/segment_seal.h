#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"
#include "runtime/env.h"
#include "storage/segment_walk.h"

/// OFFSET.seal, beside a segment: what was in it when it was synced (docs/formats/segment-seal.md). Kafka's checksum
/// covers the records but neither base offset nor epoch; a seal covers all 61 bytes of every header, and through each
/// header's own checksum the records. It says where the segment ends, which no missing or shortened file can deny, and
/// tells the file from another one. A segment without one (a directory of Kafka's) is fine.
namespace mr::storage {

struct SegmentSeal {
  /// The chain at the end of a batch.
  struct Mark {
    std::uint32_t end = 0;
    std::uint32_t crc = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  Offset base;
  Offset end;               ///< behind the last batch (exclusive)
  std::uint64_t bytes = 0;  ///< of the file, when it was synced; a segment that went on growing has more
  std::uint32_t batches = 0;
  LeaderEpoch epoch = kNoLeaderEpoch;  ///< of the last batch
  std::uint32_t crc = 0;               ///< CRC-32C over the headers of all batches; of no use when there are no batches
  std::vector<Mark> marks;             ///< the same for some of the leading batches, in order
  bool damaged = false;                ///< some of it did not read when it was last looked at: look again at a start
  bool compacted = false;              ///< compaction wrote the file: offsets may be missing, and what was said of
                                       ///< positions below `end` before speaks of another file

  /// What the walk can compare.
  std::vector<HeaderFact> facts() const;
  std::vector<std::byte> encode() const;
  /// Errors: corrupt_data, newer_format.
  static Result<SegmentSeal> decode(ByteView bytes);
  friend bool operator==(const SegmentSeal&, const SegmentSeal&) = default;
};

/// Makes the checksums of a seal while batches are appended. O(1) memory: at most kMarks marks; when there would be
/// more, every second goes and the next ones keep twice the distance.
class HeaderChain {
 public:
  static constexpr std::size_t kMarks = 32;
  static constexpr std::uint32_t kMarkBytes = 256;  ///< distance of the first ones

  /// `header`: 61 bytes as stored, of a batch that ends at `end` in the file.
  void add(ByteView header, std::uint64_t end);
  /// Goes on where `seal` ended.
  static HeaderChain resume(const SegmentSeal& seal);
  SegmentSeal seal(Offset base, Offset end) const;
  std::uint64_t bytes() const { return bytes_; }
  std::uint32_t crc() const { return crc_; }

 private:
  std::uint64_t bytes_ = 0;
  std::uint32_t batches_ = 0;
  std::uint32_t crc_ = 0;
  LeaderEpoch epoch_ = kNoLeaderEpoch;
  std::uint32_t mark_bytes_ = kMarkBytes;
  std::vector<SegmentSeal::Mark> marks_;
};

/// Replaces the seal of a segment; the caller syncs the directory. Pool.
Result<void> write_seal(FileSystem& files, const std::string& directory, const SegmentSeal& seal);
/// Empty without one. Errors: corrupt_data, newer_format, those of File.
Result<std::optional<SegmentSeal>> read_seal(FileSystem& files, const std::string& directory, Offset base);

}  // namespace mr::storage
