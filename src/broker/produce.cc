#include "broker/produce.h"

#include <fmt/format.h>

#include "broker/broker.h"
#include "model/recompress.h"

namespace mr::broker {

using replication::Acks;
using replication::AppendFailure;

namespace {
/// Records at fault that one request's answer names for one shard. A small compressed batch may have a million of them,
/// and a request many such batches.
constexpr std::size_t kRecordFaultsMax = 1000;
constexpr std::size_t kRecordFaultsOfABatch = 100;

/// min.insync.replicas cannot ask for more replicas than there are: Kafka 4.3 writes to a topic that wants two of one.
bool enough_in_sync(const ProduceItem& item, std::int32_t wanted) {
  return item.in_sync >= std::min(static_cast<std::size_t>(wanted), item.replicas);
}

/// What the records of one batch may grow to while they are given another codec: as BatchRules.
constexpr std::uint64_t kInflatedBytesMax = BatchRules{}.inflated_bytes_max;

/// Small enough to be compressed on the shard, within a tenth of a millisecond or so.
bool cheap(ByteView batch, Codec codec, int level) {
  constexpr std::size_t kBytesMax = 8 << 10;
  return batch.size() <= kBytesMax && !has_other_codec(batch, Codec::none) && (codec != Codec::zstd || level <= 3);
}
}  // namespace

Task<void> Produce::append(std::span<ProduceItem> items) {
  const TaskContext& context = co_await current_context();
  ShardId here = context.executor->shard();
  ShardState& shard = broker_.shard(here);
  std::vector<std::pair<ShardId, std::vector<ProduceItem*>>> remote;
  std::size_t faults_left = kRecordFaultsMax;
  std::vector<std::pair<ProduceItem*, PartitionRef>> to_recompress;
  for (ProduceItem& item : items) {
    if (item.refused) continue;
    if (item.home == here) {
      PartitionRef partition;
      if (!append_one(shard, item, partition, faults_left)) {
        to_recompress.emplace_back(&item, std::move(partition));
        continue;
      }
      if (acks_ == Acks::all && item.outcome) local_.emplace_back(&item, std::move(partition));
      continue;
    }
    auto group = std::ranges::find(remote, item.home, [](const auto& g) { return g.first; });
    if (group == remote.end()) group = remote.insert(remote.end(), {item.home, {}});
    group->second.push_back(&item);
  }
  for (auto& [item, partition] : to_recompress) {
    co_await recompress_and_append(shard, *item, partition, faults_left);
    if (acks_ == Acks::all && item->outcome) local_.emplace_back(item, std::move(partition));
  }
  for (auto& [home, group] : remote) {
    ++appends_pending_;
    ++commits_pending_;
    broker_.shards().env(home).executor.post([this, home, group = std::move(group), back = context.executor]() mutable {
      broker_.shards().calls(home).spawn("produce", run_remote(home, std::move(group), *back));
    });
  }
  if (appends_pending_ > 0) (void)co_await appended_;
}

bool Produce::append_one(ShardState& shard, ProduceItem& item, PartitionRef& partition, std::size_t& faults_left,
                         std::optional<MutableBytes> recompressed) {
  partition = shard.find(item.topic, item.partition);
  if (partition == nullptr) {
    item.outcome = std::unexpected(AppendFailure{shard.missing(item.topic, item.partition)});
  } else if (acks_ == Acks::all && !enough_in_sync(item, partition->config().in_sync_min)) {
    item.outcome = std::unexpected(AppendFailure{
        Error(Errc::not_enough_replicas, fmt::format("{} of {} replicas are in sync, min.insync.replicas is {}",
                                                     item.in_sync, item.replicas, partition->config().in_sync_min))});
  } else if (auto codec = partition->config().stored_as;
             codec && !recompressed && has_other_codec(item.batch, *codec)) {
    return false;
  } else {
    // What the topic made of it the request need not know (traps.md 47).
    const bool ours = recompressed && recompressed->data() != item.batch.data();
    replication::AppendRules rules{.zstd_allowed = zstd_allowed_ || ours,
                                   .record_faults_max = std::min(kRecordFaultsOfABatch, faults_left)};
    item.outcome = partition->append(recompressed.value_or(item.batch), shard.env.clock.wall(), rules);
  }
  if (item.outcome) {
    if (acks_ != Acks::all) note_time(*partition);
    return true;
  }
  faults_left -= std::min(faults_left, item.outcome.error().records.size());
  switch (item.outcome.error().error.code()) {
    case Errc::disk_full:
      if (shard.gates[shard.directory_of.at({item.topic, item.partition})].closed) {
        ++shard.refused.disk_reserve;
      } else {
        ++shard.refused.disk_full;
        broker_.disk_was_full(shard);
      }
      break;
    case Errc::disk_failed:
      ++shard.refused.log_dir_offline;
      break;
    default:
      break;
  }
  return true;
}

/// A batch that cannot be given another codec is appended as it is: whatever is wrong with it is said there.
Task<void> Produce::recompress_and_append(ShardState& shard, ProduceItem& item, PartitionRef& partition,
                                          std::size_t& faults_left) {
  const replication::PartitionConfig& config = partition->config();
  const Codec codec = *config.stored_as;
  const int level = config.stored_level;
  const bool refused = item.batch.size() > static_cast<std::size_t>(std::max(config.batch_bytes_max, 0)) ||
                       (!zstd_allowed_ && !has_other_codec(item.batch, Codec::zstd));
  auto work = [&] { return recompress_batch(item.batch, codec, level, kInflatedBytesMax); };
  Result<std::vector<std::byte>> made = Errc::internal;
  if (!refused && cheap(item.batch, codec, level)) {
    made = work();
  } else if (!refused) {
    Result<void> turn = co_await shard.recompressing.acquire(1, deadline_);
    if (!turn.ok()) {
      Errc why = turn.code() == Errc::timed_out ? Errc::request_timed_out : turn.code();
      item.outcome = std::unexpected(AppendFailure{Error(why, "no turn to compress the batch")});
      co_return;
    }
    Semaphore::Held held(shard.recompressing);
    made = co_await offload(shard.env, work);
    shard.env.probe.hit("recompressed_off_the_shard");
  }
  if (made.ok()) ++shard.recompressed;
  append_one(shard, item, partition, faults_left, made.ok() ? MutableBytes(*made) : item.batch);
}

Task<void> Produce::commit_one(ProduceItem& item, PartitionRef partition) {
  Result<void> waited = co_await partition->wait_committed(item.outcome->end, deadline_);
  if (!waited.ok()) {
    item.outcome = std::unexpected(AppendFailure{waited.error()});
  } else {
    note_time(*partition);
  }
}

/// On the home shard. Posts back twice: when all have their places, and when all are committed.
Task<void> Produce::run_remote(ShardId home, std::vector<ProduceItem*> items, Executor& back) {
  ShardState& shard = broker_.shard(home);
  std::vector<PartitionRef> partitions(items.size());
  std::size_t faults_left = kRecordFaultsMax;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (!append_one(shard, *items[i], partitions[i], faults_left))
      co_await recompress_and_append(shard, *items[i], partitions[i], faults_left);
  // From here on the connection may reuse the batches, not the items.
  back.post([this] {
    if (--appends_pending_ == 0) appended_.finish({});
  });
  if (acks_ == Acks::all) {
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i]->outcome) co_await commit_one(*items[i], partitions[i]);
  }
  partitions.clear();
  back.post([this] {
    if (--commits_pending_ == 0) committed_.finish({});
  });
}

Task<void> Produce::committed() {
  for (auto& [item, partition] : local_) co_await commit_one(*item, std::move(partition));
  local_.clear();
  if (commits_pending_ > 0) (void)co_await committed_;
}

}  // namespace mr::broker
