#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "model/batch_header.h"
#include "model/record.h"

namespace mr {

/// A record to be put into a batch. Views must live until add() returns.
struct NewRecord {
  WallMillis timestamp = 0;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::span<const RecordHeader> headers;
};

/// Builds one batch v2 from records: clients, coordinators, tests. Produced batches are stored as they came and never
/// pass through here.
class BatchBuilder {
 public:
  struct Options {
    Codec codec = Codec::none;
    int level = 0;
    Offset base_offset{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    ProducerId producer_id = kNoProducerId;
    ProducerEpoch producer_epoch{-1};
    Sequence base_sequence{-1};
    bool transactional = false;
    bool control = false;
    bool log_append_time = false;
  };

  explicit BatchBuilder(Options options) : options_(options) {}
  BatchBuilder() : BatchBuilder(Options{}) {}

  /// The next record; its offset delta is one more than that of the last, or `offset_delta` (which must be larger).
  void add(const NewRecord& record, std::optional<std::int32_t> offset_delta = std::nullopt);

  std::int32_t count() const { return count_; }
  /// Size of the batch if it were built uncompressed now.
  std::size_t bytes() const { return BatchHeader::kBytes + records_.size(); }

  /// The whole batch with its checksum. At least one record must have been added. May be called again after more
  /// records. Errors: as compress().
  Result<std::vector<std::byte>> build() const;

  /// Forgets the records, keeps options and memory.
  void clear();

 private:
  Options options_;
  std::vector<std::byte> records_;
  std::int32_t count_ = 0;
  std::int32_t last_delta_ = -1;
  WallMillis base_timestamp_ = 0;
  WallMillis max_timestamp_ = -1;
};

/// Replaces the largest timestamp, and the timestamp type when `log_append_time`, and computes the checksum again
/// (traps.md 49). The records' deltas stay.
void restamp_batch(MutableBytes batch, WallMillis max_timestamp, bool log_append_time);

}  // namespace mr
