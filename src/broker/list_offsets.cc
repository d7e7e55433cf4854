#include <fmt/format.h>

#include "broker/broker.h"
#include "broker/inflating.h"
#include "model/compression.h"
#include "model/record_scan.h"
#include "model/validate_batch.h"

namespace mr::broker {

namespace {

// Special timestamps of ListOffsets (traps.md 71).
constexpr WallMillis kLatest = -1;
constexpr WallMillis kEarliest = -2;
constexpr WallMillis kMaxTimestamp = -3;
constexpr WallMillis kEarliestLocal = -4;
constexpr WallMillis kLatestTiered = -5;
constexpr WallMillis kEarliestPendingUpload = -6;

/// How long a look into a batch may wait for memory.
constexpr Duration kInflatePatience = std::chrono::seconds(30);

using Hit = storage::Log::TimestampHit;

/// First record of the batch at or after `wanted` in time and at `from` or above, looking inside (compressed or not):
/// the record, not the batch. Offset -1: none.
Result<Broker::OffsetAnswer> record_at(const Hit& hit, WallMillis wanted, Offset from) {
  Inflater inflater;
  RecordScan in(hit.header.records_count);
  std::optional<Broker::OffsetAnswer> found;
  auto look = [&](const RecordScan::Seen& record) {
    const WallMillis timestamp =
        hit.header.log_append_time() ? hit.header.max_timestamp : hit.header.base_timestamp + record.timestamp_delta;
    const Offset offset{hit.header.base_offset + record.offset_delta};
    if (timestamp < wanted || offset < from) return true;
    found = {.offset = offset, .timestamp = timestamp, .leader_epoch = LeaderEpoch{hit.header.leader_epoch}};
    return false;
  };
  auto inflated = inflater.inflate_pieces(hit.header.codec(), ByteView(hit.batch).subspan(BatchHeader::kBytes),
                                          kInflatedBytesMax, [&](ByteView piece) -> Result<void> {
                                            if (in.feed(piece, look)) return {};
                                            return Errc::cancelled;  // found, or in.problem()
                                          });
  if (found) return *found;
  if (inflated.ok()) (void)in.finish();
  if (in.problem() != nullptr) return Error(Errc::corrupt_batch, in.problem());
  MR_TRY_VOID(std::move(inflated));
  return Broker::OffsetAnswer{};
}

/// The largest timestamp of a readable record, else the first record at `wanted` or later.
Task<Result<Broker::OffsetAnswer>> find_record(Env& env, MemoryAccount& inflating, PartitionRef partition,
                                               WallMillis wanted, Offset end) {
  const bool largest = wanted == kMaxTimestamp;
  // A batch that the log start lies in may owe its largest timestamp to a record below: then the next one is asked.
  for (Offset from = partition->log_start();;) {
    MR_CO_TRY(std::optional<Hit> hit,
              largest ? partition->log().find_max_timestamp(end) : partition->log().find_timestamp(wanted, end, from));
    if (!hit) co_return Broker::OffsetAnswer{};
    const WallMillis at_least = largest ? hit->header.max_timestamp : wanted;
    const Offset readable = largest ? Offset{0} : from;
    const std::uint64_t cost = inflation_cost(hit->header.codec(), ByteView(hit->batch).subspan(BatchHeader::kBytes));
    MR_CO_TRY(auto memory, co_await memory_to_inflate(env, inflating, cost, env.now() + kInflatePatience));
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
    co_return co_await find_record(shard.env, inflating_, partition, query.timestamp, end);
  });
}

}  // namespace mr::broker
