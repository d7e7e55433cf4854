#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "model/batch_header.h"
#include "runtime/env.h"

namespace mr::storage {

/// Walks the batches of one segment file from a position on, a chunk of bytes at a time. Home shard or pool.
class BatchScanner {
 public:
  enum class Depth {
    headers,   ///< framing only
    checksums  ///< reads every byte and compares the CRC
  };
  struct Item {
    BatchHeader header;
    std::uint64_t position = 0;
    std::uint64_t end() const { return position + header.total_bytes(); }
  };

  /// Looks at [position, end) of `file`, which must stay. `chunk_bytes`: bytes per read.
  BatchScanner(File& file, std::uint64_t position, std::uint64_t end, Depth depth, std::size_t chunk_bytes)
      : file_(file), position_(position), end_(end), depth_(depth), chunk_bytes_(chunk_bytes) {}

  /// The next batch; empty at the end. Errors: corrupt_batch (framing, magic or checksum wrong at position(), or a
  /// batch that reaches beyond the end), those of File. After an error: stop.
  Result<std::optional<Item>> next();
  /// Where the next batch starts; after an error where the bad one starts.
  std::uint64_t position() const { return position_; }
  /// The fixed part of the batch that next() gave, as stored; valid until the next call.
  ByteView header_bytes() const { return header_; }

 private:
  /// Bytes [at, at + wanted) of the file, or fewer at its end; valid until the next call.
  Result<ByteView> bytes(std::uint64_t at, std::size_t wanted);
  Result<void> check_crc(const Item& item);
  Error bad(std::string why) const;

  File& file_;
  std::uint64_t position_;
  std::uint64_t end_;
  Depth depth_;
  std::size_t chunk_bytes_;
  std::array<std::byte, BatchHeader::kBytes> header_{};
  std::vector<std::byte> chunk_;
  std::uint64_t chunk_at_ = 0;
};

}  // namespace mr::storage
