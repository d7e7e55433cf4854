// Compaction of topics with cleanup.policy=compact: a coroutine per shard, the dirtiest partition first.
#include <unordered_set>

#include "base/log.h"
#include "broker/broker.h"
#include "runtime/longest_wait.h"

namespace mr::broker {

namespace {
/// Shortest wait between two looks, whatever log.cleaner.backoff.ms says: a look costs time on the shard.
constexpr Duration kBackoffLeast = Millis(1);
constexpr std::int32_t kBufferLeast = 4096;
}  // namespace

/// From one wait to the next.
struct Broker::CleanerRound {
  replication::CompactionLimits limits;
  replication::IoThrottle throttle;
  std::unordered_set<PartitionKey> left;  ///< failed, or nothing to gain: not again before the next round
};

Task<void> Broker::cleaner_loop(ShardId id) {
  ShardState& shard = *per_shard_[id.v];
  const config::BrokerConfig& settings = config();
  auto shards = static_cast<std::int64_t>(shards_.count());
  replication::CompactionLimits limits{
      .map_bytes_max = static_cast<std::uint64_t>(settings.log_cleaner_dedupe_buffer_size / shards),
      .buffer_bytes = static_cast<std::uint64_t>(std::max(settings.log_cleaner_io_buffer_size, kBufferLeast)),
      .bytes_per_second = settings.log_cleaner_io_max_bytes_per_second / static_cast<double>(shards)};
  CleanerRound round{limits, replication::IoThrottle(limits.bytes_per_second), {}};
  const Duration backoff = std::max(bounded_wait(settings.log_cleaner_backoff_ms), kBackoffLeast);
  for (;;) {
    if (!(co_await sleep_until(shard.env.now() + backoff)).ok()) co_return;
    round.left.clear();
    for (bool more = true; more;) {
      const std::size_t before = round.left.size();
      try {
        more = co_await compact_dirtiest(id, round);
      } catch (const std::exception& thrown) {
        ++shard.compaction.failures;
        log_error("broker", "compaction was ended by an exception; trying again later", {{"what", thrown.what()}});
        more = round.left.size() > before;  // it was one partition's; the others go on
      }
    }
  }
}

/// False when nothing is dirty enough.
Task<bool> Broker::compact_dirtiest(ShardId id, CleanerRound& round) {
  ShardState& shard = *per_shard_[id.v];
  struct Found {
    PartitionKey key;
    PartitionRef partition;
    replication::CompactionCandidate candidate;
  };
  std::optional<Found> best;
  double dirtiest = 0;
  for (auto& [key, partition] : shard.partitions) {
    const storage::LogConfig& log = partition->log().config();
    if (!log.compacted || partition->stopping()) continue;
    auto candidate = replication::compaction_candidate(*partition, shard.env.clock.wall());
    double ratio = candidate.dirtiness.ratio();
    dirtiest = std::max(dirtiest, ratio);
    if (!candidate.dirtiness.due(log.compaction) || round.left.contains(key)) continue;
    auto rank = [](const storage::Dirtiness& d) { return std::pair(d.overdue, d.ratio()); };
    if (!best || rank(candidate.dirtiness) > rank(best->candidate.dirtiness))
      best = Found{key, partition, std::move(candidate)};
  }
  shard.compaction.dirty_percent_max = static_cast<std::int64_t>(dirtiest * 100);
  if (!best) co_return false;
  std::size_t directory = shard.directory_of.at(best->key);
  Offset before = best->partition->log().cleaned_end();
  std::vector<std::string> given_up;
  round.left.insert(best->key);
  Result<void> outcome = co_await replication::compact(shard.env, *best->partition, std::move(best->candidate),
                                                       round.limits, round.throttle, shard.compaction, given_up);
  delete_given_up(id, best->key, directory, std::move(given_up));
  if (outcome.ok()) {
    if (best->partition->log().cleaned_end() > before) round.left.erase(best->key);
    co_return true;
  }
  if (outcome.code() == Errc::cancelled) co_return false;
  if (outcome.code() == Errc::not_leader || outcome.code() == Errc::conflict) co_return true;
  ++shard.compaction.failures;
  log_warn("broker", "a partition could not be compacted; trying again later",
           {{"partition", best->partition->name().to_string()}, {"error", outcome.error().message()}});
  co_return true;
}

}  // namespace mr::broker
