#include "broker/produce.h"

#include <fmt/format.h>

#include "broker/broker.h"
#include "broker/inflating.h"
#include "model/compression.h"
#include "model/recompress.h"
#include "model/validate_batch.h"

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

/// To a producer a batch that inflates to too much is a message that is too large.
AppendFailure to_producer(const Error& error) {
  if (error.code() == Errc::too_large) return {Error(Errc::message_too_large, error.detail())};
  return {error};
}

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
  struct Slow {
    ProduceItem* item;
    PartitionRef partition;
    Placed why;
  };
  std::vector<Slow> slow;
  for (ProduceItem& item : items) {
    if (item.refused) continue;
    if (item.home == here) {
      PartitionRef partition;
      if (Placed placed = append_one(shard, item, partition, faults_left); placed != Placed::done) {
        slow.push_back({&item, std::move(partition), placed});
        continue;
      }
      if (acks_ == Acks::all && item.outcome) local_.emplace_back(&item, std::move(partition));
      continue;
    }
    auto group = std::ranges::find(remote, item.home, [](const auto& g) { return g.first; });
    if (group == remote.end()) group = remote.insert(remote.end(), {item.home, {}});
    group->second.push_back(&item);
  }
  for (auto& [item, partition, why] : slow) {
    co_await append_slowly(shard, *item, partition, faults_left, why);
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

Produce::Placed Produce::append_one(ShardState& shard, ProduceItem& item, PartitionRef& partition,
                                    std::size_t& faults_left, PreparedBatch prepared) {
  partition = shard.find(item.topic, item.partition);
  if (partition == nullptr) {
    item.outcome = std::unexpected(AppendFailure{shard.missing(item.topic, item.partition)});
  } else if (acks_ == Acks::all && !enough_in_sync(item, partition->config().in_sync_min)) {
    item.outcome = std::unexpected(AppendFailure{
        Error(Errc::not_enough_replicas, fmt::format("{} of {} replicas are in sync, min.insync.replicas is {}",
                                                     item.in_sync, item.replicas, partition->config().in_sync_min))});
  } else if (auto codec = partition->config().stored_as;
             codec && !prepared.batch && has_other_codec(item.batch, *codec)) {
    return Placed::other_codec;
  } else {
    const MutableBytes batch = prepared.batch.value_or(item.batch);
    const WallMillis now = shard.env.clock.wall();
    auto facts = prepared.facts ? std::move(*prepared.facts)
                                : validate_batch(batch, partition->rules(now, rules(item, batch, faults_left)));
    if (!prepared.facts && !facts && facts.error().error.code() == Errc::too_large) return Placed::large;
    item.outcome = partition->append_looked_into(batch, now, std::move(facts), acks_);
  }
  if (item.outcome) {
    if (acks_ != Acks::all) note_time(*partition);
    return Placed::done;
  }
  if (partition != nullptr) item.outcome.error().log_start = partition->log().log_start();
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
  return Placed::done;
}

replication::AppendRules Produce::rules(const ProduceItem& item, ByteView batch, std::size_t faults_left) const {
  // What the topic made of it the request need not know (traps.md 47).
  const bool ours = batch.data() != item.batch.data();
  return {.zstd_allowed = zstd_allowed_ || ours,
          .record_faults_max = std::min(kRecordFaultsOfABatch, faults_left),
          .inflated_bytes_max = kInflatedWholeMax};
}

/// A batch that cannot be given another codec is appended as it is: whatever is wrong with it is said there.
Task<void> Produce::append_slowly(ShardState& shard, ProduceItem& item, PartitionRef& partition,
                                  std::size_t& faults_left, Placed why) {
  const auto says_all = [](Errc code) {
    return code == Errc::request_timed_out || code == Errc::cancelled || code == Errc::too_large;
  };
  MutableBytes batch = item.batch;
  Result<std::vector<std::byte>> made = Errc::internal;
  if (why == Placed::other_codec) {
    const replication::PartitionConfig& config = partition->config();
    const bool refused = batch.size() > static_cast<std::size_t>(std::max(config.batch_bytes_max, 0)) ||
                         (!zstd_allowed_ && !has_other_codec(batch, Codec::zstd));
    if (!refused) made = co_await recompress(shard, batch, *config.stored_as, config.stored_level);
    if (!made.ok() && says_all(made.code())) {
      item.outcome = std::unexpected(to_producer(made.error()));
      co_return;
    }
    if (made.ok()) {
      ++shard.recompressed;
      batch = *made;
    }
    why = append_one(shard, item, partition, faults_left, {.batch = batch});
  }
  if (why != Placed::large) co_return;
  replication::AppendRules allowed = rules(item, batch, faults_left);
  allowed.inflated_bytes_max = kInflatedBytesMax;
  auto facts = co_await look_into(shard, batch, partition->rules(shard.env.clock.wall(), allowed));
  if (!facts.ok()) {
    item.outcome = std::unexpected(to_producer(facts.error()));
    co_return;
  }
  if (!*facts) facts->error().error = to_producer(facts->error().error).error;
  append_one(shard, item, partition, faults_left, {.batch = batch, .facts = std::move(*facts)});
}

Task<Result<std::vector<std::byte>>> Produce::recompress(ShardState& shard, ByteView batch, Codec codec, int level) {
  auto work = [&](std::uint64_t bytes_max) { return recompress_batch(batch, codec, level, bytes_max); };
  if (cheap(batch, codec, level)) co_return work(kInflatedWholeMax);
  MR_CO_TRY_VOID(co_await take_turn(shard));
  Semaphore::Held held(shard.inflating);
  auto made = co_await offload(shard.env, [&] { return work(kInflatedWholeMax); });
  shard.env.probe.hit("recompressed_off_the_shard");
  if (made.ok() || made.code() != Errc::too_large) co_return made;
  // Room for all of it is taken once it is known how much that is.
  const std::uint64_t cost = inflation_cost(BatchHeader::parse(batch)->codec(), batch.subspan(BatchHeader::kBytes));
  std::uint64_t bytes = 0;
  {
    MR_CO_TRY(auto memory, co_await memory_to_inflate(shard.env, broker_.inflating(), cost, deadline_));
    MR_CO_TRY(bytes, co_await offload(shard.env, [&] { return inflated_size(batch, kInflatedBytesMax); }));
  }
  constexpr std::uint64_t kCopies = 4;  // the buffer while it grows, and what is made of it
  MR_CO_TRY(auto memory, co_await memory_to_inflate(shard.env, broker_.inflating(), cost + kCopies * bytes, deadline_));
  shard.env.probe.hit("recompressed_a_large_batch");
  co_return co_await offload(shard.env, [&] { return work(bytes); });
}

Task<Result<std::expected<BatchFacts, BatchRefusal>>> Produce::look_into(ShardState& shard, ByteView batch,
                                                                         BatchRules rules) {
  MR_CO_TRY_VOID(co_await take_turn(shard));
  Semaphore::Held held(shard.inflating);
  const std::uint64_t cost = inflation_cost(BatchHeader::parse(batch)->codec(), batch.subspan(BatchHeader::kBytes));
  MR_CO_TRY(auto memory, co_await memory_to_inflate(shard.env, broker_.inflating(), cost, deadline_));
  shard.env.probe.hit("looked_into_off_the_shard");
  co_return co_await offload(shard.env, [&] { return validate_batch(batch, rules); });
}

Task<Result<void>> Produce::take_turn(ShardState& shard) {
  Result<void> turn = co_await shard.inflating.acquire(1, deadline_);
  if (!turn.ok() && turn.code() == Errc::timed_out)
    co_return Error(Errc::request_timed_out, "no turn to inflate the batch");
  co_return turn;
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
    if (Placed placed = append_one(shard, *items[i], partitions[i], faults_left); placed != Placed::done)
      co_await append_slowly(shard, *items[i], partitions[i], faults_left, placed);
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
  for (auto& [item, partition] : local_) {
    if (is_committed(*item, *partition)) {
      note_time(*partition);
    } else {
      co_await commit_one(*item, std::move(partition));
    }
  }
  local_.clear();
  if (commits_pending_ > 0) (void)co_await committed_;
}

bool Produce::waits() const {
  return commits_pending_ > 0 ||
         std::ranges::any_of(local_, [](const Local& local) { return !is_committed(*local.first, *local.second); });
}

}  // namespace mr::broker
