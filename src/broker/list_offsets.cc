#include <fmt/format.h>

#include "broker/broker.h"
#include "model/compression.h"
#include "model/record.h"

namespace mr::broker {

namespace {

// Special timestamps of ListOffsets (traps.md 71).
constexpr WallMillis kLatest = -1;
constexpr WallMillis kEarliest = -2;
constexpr WallMillis kMaxTimestamp = -3;
constexpr WallMillis kEarliestLocal = -4;
constexpr WallMillis kLatestTiered = -5;
constexpr WallMillis kEarliestPendingUpload = -6;

/// A batch that was accepted inflates to less than this.
constexpr std::uint64_t kInflatedBytesMax = 256u << 20;

using Hit = storage::Log::TimestampHit;

/// First record of the batch at or after `wanted` in time and at `from` or above, looking inside (compressed or not):
/// the record, not the batch. Offset -1: none.
Result<Broker::OffsetAnswer> record_at(const Hit& hit, WallMillis wanted, Offset from) {
  Inflater inflater;
  ByteView stored = ByteView(hit.batch).subspan(BatchHeader::kBytes);
  MR_TRY(ByteView records, inflater.inflate(hit.header.codec(), stored, kInflatedBytesMax));
  RecordReader in(records, hit.header.records_count);
  for (Record record; in.next(record);) {
    const WallMillis timestamp =
        hit.header.log_append_time() ? hit.header.max_timestamp : hit.header.base_timestamp + record.timestamp_delta;
    const Offset offset{hit.header.base_offset + record.offset_delta};
    if (timestamp < wanted || offset < from) continue;
    return Broker::OffsetAnswer{
        .offset = offset, .timestamp = timestamp, .leader_epoch = LeaderEpoch{hit.header.leader_epoch}};
  }
  if (!in.ok()) return Error(Errc::corrupt_batch, in.problem());
  return Broker::OffsetAnswer{};
}

/// The largest timestamp of a readable record, else the first record at `wanted` or later.
Task<Result<Broker::OffsetAnswer>> find_record(Env& env, PartitionRef partition, WallMillis wanted, Offset end) {
  const bool largest = wanted == kMaxTimestamp;
  // A batch that the log start lies in may owe its largest timestamp to a record below: then the next one is asked.
  for (Offset from = partition->log_start();;) {
    MR_CO_TRY(std::optional<Hit> hit,
              largest ? partition->log().find_max_timestamp(end) : partition->log().find_timestamp(wanted, end, from));
    if (!hit) co_return Broker::OffsetAnswer{};
    const WallMillis at_least = largest ? hit->header.max_timestamp : wanted;
    const Offset readable = largest ? Offset{0} : from;
    // Looking inside may mean inflating a megabyte: not on the shard.
    MR_CO_TRY(Broker::OffsetAnswer answer, co_await offload(env, [&] { return record_at(*hit, at_least, readable); }));
    if (answer.offset >= Offset{0} || largest) co_return answer;
    from = hit->header.next_offset();
  }
}

}  // namespace

Task<Result<Broker::OffsetAnswer>> Broker::list_offset(OffsetQuery query) {
  co_return co_await shards_.call(query.home, [this, &query]() -> Task<Result<OffsetAnswer>> {
    ShardState& shard = *per_shard_[query.home.v];
    PartitionRef partition = shard.find(query.topic, query.partition);
    if (partition == nullptr) co_return shard.missing(query.topic, query.partition);
    MR_CO_TRY_VOID(partition->check_leader_epoch(query.current_epoch));
    Offset end = query.read_committed ? partition->last_stable_offset() : partition->high_watermark();
    OffsetAnswer answer{.leader_epoch = partition->leader_epoch()};
    switch (query.timestamp) {
      case kLatest:
        answer.offset = end;
        co_return answer;
      case kEarliest:
      case kEarliestLocal:
        answer.offset = partition->log_start();
        answer.leader_epoch = partition->log().earliest_epoch();
        co_return answer;
      case kLatestTiered:
      case kEarliestPendingUpload:
        answer.leader_epoch = kNoLeaderEpoch;  // nothing is tiered here: no such offset
        co_return answer;
      default:
        break;
    }
    if (query.timestamp < kMaxTimestamp)
      co_return Error(Errc::unsupported_version, fmt::format("timestamp {} has no meaning", query.timestamp));
    co_return co_await find_record(shard.env, partition, query.timestamp, end);
  });
}

}  // namespace mr::broker
