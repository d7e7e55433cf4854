#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"

namespace mr {

/// Inflates the records of batches. Holds the codecs' contexts and an output buffer that is used again, so keep one per
/// shard. Not for two threads at once.
class Inflater {
 public:
  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// What `compressed` inflates to; for Codec::none the input itself. Valid until the next call. All of the input is
  /// used; several frames (gzip members, lz4 and zstd frames) in a row are one stream. Snappy is read with xerial
  /// framing or raw (traps.md 118). Errors: malformed (not what the codec says), too_large (more than `bytes_max`,
  /// found before memory for it is taken), unsupported_compression.
  Result<ByteView> inflate(Codec codec, ByteView compressed, std::uint64_t bytes_max);

  /// The same in pieces, in order, each valid during the call it is handed to: holds kPieceBytes and what
  /// inflation_cost() says, however much comes out. Errors: also whatever `take` returns, which ends it.
  using Take = std::function<Result<void>(ByteView piece)>;
  Result<void> inflate_pieces(Codec codec, ByteView compressed, std::uint64_t bytes_max, const Take& take);
  static constexpr std::size_t kPieceBytes = 64 << 10;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Memory that inflating `compressed` piece by piece takes at most: windows and blocks as large as they say they are
/// (zstd frames up to 128 MiB, snappy blocks whole). Looks at headers alone; 0 for Codec::none.
std::uint64_t inflation_cost(Codec codec, ByteView compressed);

/// Compresses as Kafka's clients do: gzip, snappy with xerial framing in blocks of 32 KiB, lz4 frame with 64 KiB
/// blocks, zstd. Appends to `out`. `level` 0 is the codec's default; gzip takes 1 to 3, of which a
/// higher one is never larger, lz4 and zstd their own.
/// Errors: unsupported_compression, internal (the library refused).
Result<void> compress(Codec codec, ByteView bytes, std::vector<std::byte>& out, int level = 0);

}  // namespace mr
