// How far behind readers are, in records and in time.
#include "broker/broker.h"
#include "broker/pass_turn.h"
#include "model/batch_header.h"
#include "model/compression.h"
#include "model/record.h"

namespace mr::broker {

namespace {

/// Batches whose records lie closer together in time are not looked into.
constexpr WallMillis kNearEnough = 500;
/// A batch that inflates to more is not looked into either: its first record's time has to do.
constexpr std::uint64_t kInflatedBytesMax = 16u << 20;

Result<std::vector<std::byte>> load(const storage::Fragment& fragment, std::uint64_t length) {
  if (fragment.file == nullptr) return std::vector(fragment.memory.begin(), fragment.memory.begin() + length);
  std::vector<std::byte> bytes(length);
  MR_TRY(std::size_t got, fragment.file->read_at(bytes, fragment.position));
  if (got != length) return Error(Errc::corrupt_batch, "the file ends inside a batch");
  return bytes;
}

/// Of the first record at `next` or above. Empty: every such record of this batch is gone.
std::optional<WallMillis> time_inside(const BatchHeader& header, ByteView batch, Offset next) {
  Inflater inflater;
  auto records = inflater.inflate(header.codec(), batch.subspan(BatchHeader::kBytes), kInflatedBytesMax);
  if (!records.ok()) return header.base_timestamp;
  RecordReader in(*records, header.records_count);
  for (Record record; in.next(record);)
    if (header.base_offset + record.offset_delta >= next.v) return header.base_timestamp + record.timestamp_delta;
  return std::nullopt;
}

/// Pool. `fragment` begins with the batch that `next` lies in, or with the one behind it.
Result<std::optional<WallMillis>> oldest_in(const storage::Fragment& fragment, Offset next) {
  if (fragment.length < BatchHeader::kBytes) return Error(Errc::corrupt_batch, "no whole header");
  MR_TRY(auto head, load(fragment, BatchHeader::kBytes));
  MR_TRY(BatchHeader header, BatchHeader::parse(head));
  if (header.log_append_time()) return std::optional(header.max_timestamp);
  const bool near = header.max_timestamp - header.base_timestamp <= kNearEnough;
  if (near || next.v <= header.base_offset) return std::optional(header.base_timestamp);
  if (fragment.length < header.total_bytes()) return Error(Errc::corrupt_batch, "no whole batch");
  MR_TRY(auto batch, load(fragment, header.total_bytes()));
  return time_inside(header, batch, next);
}

Task<Result<std::optional<WallMillis>>> oldest_at(Env& env, replication::Partition& partition, Offset next,
                                                  Offset end) {
  using Found = std::optional<WallMillis>;
  while (next < end) {
    MR_CO_TRY(storage::ReadResult read, partition.read(next, end, 1, true));
    if (read.fragments.empty()) break;
    MR_CO_TRY(Found found, co_await offload(env, [&] { return oldest_in(read.fragments.front(), next); }));
    if (found) co_return found;
    // Compacted away from there to the end of that batch.
    MR_CO_TRY(auto head, co_await offload(env, [&] { return load(read.fragments.front(), BatchHeader::kBytes); }));
    MR_CO_TRY(BatchHeader header, BatchHeader::parse(head));
    next = header.next_offset();
  }
  co_return Found();
}

Task<void> look_at_one(ShardState& shard, Broker::ReaderStanding& reader, bool times) {
  PartitionRef partition = shard.find(reader.topic, reader.partition);
  if (partition == nullptr) co_return;
  reader.start = partition->log_start();
  reader.end = partition->high_watermark();
  const Offset next = std::max(reader.next, reader.start);
  if (!times || next >= reader.end) co_return;
  auto oldest = co_await oldest_at(shard.env, *partition, next, reader.end);
  if (oldest.ok()) reader.oldest = *oldest;
}

}  // namespace

Task<void> Broker::look_at(std::span<ReaderStanding> readers, bool times) {
  std::vector<std::vector<ReaderStanding*>> by_home(shards_.count());
  for (ReaderStanding& reader : readers) by_home[reader.home.v].push_back(&reader);
  for (std::uint32_t s = 0; s < by_home.size(); ++s) {
    if (by_home[s].empty()) continue;
    co_await shards_.call(ShardId{s}, [this, s, times, &those = by_home[s]]() -> Task<void> {
      std::size_t done = 0;
      for (ReaderStanding* reader : those) {
        co_await look_at_one(*per_shard_[s], *reader, times);
        if (++done % kPartitionsATurn == 0) co_await pass_turn();
      }
    });
  }
}

}  // namespace mr::broker
