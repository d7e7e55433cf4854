#include <algorithm>

#include "broker/broker.h"

namespace mr::broker {

Task<Result<Broker::EpochAnswer>> Broker::epoch_end(EpochQuery query) {
  co_return co_await shards_.call(query.home, [this, &query]() -> Task<Result<EpochAnswer>> {
    ShardState& shard = *per_shard_[query.home.v];
    PartitionRef partition = shard.find(query.topic, query.partition);
    if (partition == nullptr) co_return Errc::not_leader;
    MR_CO_TRY_VOID(partition->check_leader_epoch(query.current_epoch));
    Offset watermark = partition->high_watermark();
    LeaderEpoch now = partition->leader_epoch();
    if (query.epoch > now || query.epoch == kNoLeaderEpoch) co_return EpochAnswer{};
    // Every start is a new epoch, and one in which nothing was appended has no line in the log's table.
    LeaderEpoch written = partition->log().latest_epoch();
    if (query.epoch == now) co_return EpochAnswer{.epoch = now, .end = watermark};
    if (written == kNoLeaderEpoch) co_return EpochAnswer{.epoch = query.epoch, .end = watermark};
    if (query.epoch >= written) co_return EpochAnswer{.epoch = written, .end = watermark};
    storage::Log::EpochEnd found = partition->log().epoch_end(query.epoch);
    co_return EpochAnswer{.epoch = found.epoch, .end = std::min(found.end, watermark)};
  });
}

}  // namespace mr::broker
