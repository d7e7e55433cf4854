#pragma once
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"
#include "runtime/env.h"

namespace mr::cli {

/// Values for records of a load: pieces of made-up text, none like the other, that compress as text does.
class Payload {
 public:
  /// `size` bytes of each value. Memory: 1 MiB, or twice `size` when that is more.
  Payload(Rng& random, std::uint32_t size);
  std::uint32_t size() const { return size_; }
  /// Valid as long as this is.
  ByteView value();

 private:
  Rng& random_;
  const std::uint32_t size_;
  std::vector<std::byte> text_;
};

/// How many records of this size make a batch of at most `batch_bytes` (at least one), before compression.
std::uint32_t records_that_fit(std::uint32_t record_bytes, std::uint64_t batch_bytes);

/// Full batches built ahead, so that not the client's compression is measured: a dozen that go round, each with a fresh
/// time when it goes.
class ReadyBatches {
 public:
  /// Errors: as compress().
  static Result<ReadyBatches> build(Payload& payload, Codec codec, std::uint32_t records);
  /// The next, with all its records' times at `now`; the same bytes come again later.
  ByteView next(WallMillis now);

 private:
  std::vector<std::vector<std::byte>> batches_;
  std::size_t at_ = 0;
};

}  // namespace mr::cli
