#pragma once
#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"
#include "storage/log.h"

namespace mr::storage {

/// What a partition knows of its idempotent producers: the newest epoch and the last five batches of each (traps.md 54,
/// 55). On disk it is Kafka's producer snapshot, which keeps one batch per producer
/// (docs/formats/producer-snapshot.md).
class ProducerTable {
 public:
  static constexpr std::size_t kBatchesKept = 5;

  /// See Log::check_sequence.
  Result<SequenceVerdict> check(const BatchHeader& header) const;
  /// Notes a batch that is now in the log under `header.base_offset`. No check: what is in the log is true.
  void note(const BatchHeader& header, WallMillis now);
  /// Forgets producers that have been silent for `expiration_ms`.
  void expire(WallMillis now, std::int64_t expiration_ms);
  /// Takes over the batches of producers of which `tail` (read from the end of the log) knows more.
  void take_fuller(const ProducerTable& tail);
  void clear() { producers_.clear(); }
  std::size_t size() const { return producers_.size(); }
  std::vector<Log::ProducerInfo> list() const;

  std::vector<std::byte> encode_snapshot() const;
  /// Producers of a snapshot count as seen at `now`, whatever their records' timestamps say: those may lie years back.
  /// Errors: corrupt_data, newer_format.
  static Result<ProducerTable> decode_snapshot(ByteView bytes, WallMillis now);

 private:
  struct Producer {
    ProducerEpoch epoch{-1};
    std::uint8_t count = 0;  ///< batches in use; the newest is batches[count - 1]
    std::int32_t coordinator_epoch = -1;
    std::array<ProducerBatch, kBatchesKept> batches;
    WallMillis seen = -1;
    void push(const ProducerBatch& batch);
    const ProducerBatch* newest() const { return count == 0 ? nullptr : &batches[count - 1]; }
  };
  std::unordered_map<ProducerId, Producer> producers_;
};

}  // namespace mr::storage
