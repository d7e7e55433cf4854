#include "broker/replay.h"

#include "model/compression.h"
#include "runtime/shards.h"

namespace mr::broker {

namespace {

constexpr std::uint64_t kPieceBytes = 1u << 20;
constexpr std::uint64_t kInflatedBytesMax = 256u << 20;

/// On the pool: the bytes of a read, in one piece.
Result<std::vector<std::byte>> gather(const storage::ReadResult& read) {
  std::vector<std::byte> bytes(read.bytes);
  std::size_t at = 0;
  for (const storage::Fragment& fragment : read.fragments) {
    if (fragment.file == nullptr) {
      std::memcpy(bytes.data() + at, fragment.memory.data(), fragment.memory.size());
      at += fragment.memory.size();
      continue;
    }
    MutableBytes into(bytes.data() + at, fragment.length);
    MR_TRY(std::size_t n, fragment.file->read_at(into, fragment.position));
    if (n != fragment.length) return Error(Errc::corrupt_batch, "segment ends within a batch");
    at += n;
  }
  return bytes;
}

/// Applies the whole batches of `bytes`; the offset behind them, or `from` when there is none.
Result<Offset> apply_batches(ByteView bytes, Offset from, Inflater& inflater,
                             const std::function<void(const Record&, WallMillis)>& apply) {
  BatchReader in(bytes);
  for (BatchView batch; in.next(batch);) {
    from = batch.header.next_offset();
    if (batch.header.control()) continue;
    MR_TRY(ByteView records, inflater.inflate(batch.header.codec(), batch.records(), kInflatedBytesMax));
    RecordReader reader(records, batch.header.records_count);
    for (Record record; reader.next(record);) apply(record, batch.header.base_timestamp + record.timestamp_delta);
    if (!reader.ok()) return Error(Errc::corrupt_batch, reader.problem());
  }
  if (in.problem()) return *in.problem();
  return from;
}

}  // namespace

Task<Result<void>> replay(Env& env, PartitionRef partition, std::function<void(const Record&, WallMillis)> apply) {
  Inflater inflater;
  Offset next = partition->log_start();
  while (next < partition->high_watermark()) {
    MR_CO_TRY(auto read, partition->read(next, partition->high_watermark(), kPieceBytes, true));
    MR_CO_TRY(auto bytes, co_await offload(env, [&] { return gather(read); }));
    MR_CO_TRY(Offset after, apply_batches(bytes, next, inflater, apply));
    if (after <= next) co_return Error(Errc::corrupt_batch, "replay made no progress");
    next = after;
  }
  co_return Result<void>{};
}

}  // namespace mr::broker
