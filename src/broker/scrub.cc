// The scrub: reads everything that is stored, slowly, and compares it with its seals, so that damage is found while
// there is still somebody to get the records from.
#include "broker/scrub.h"

#include <algorithm>

#include "base/log.h"
#include "broker/broker.h"
#include "runtime/longest_wait.h"
#include "storage/index_file.h"

namespace mr::broker {

namespace {

/// Read by one job of the pool; between two the scrub rests, and stops when it is told to.
constexpr std::uint64_t kStepBytes = 1u << 20;
/// The first pass begins at a random time within this, so that brokers started together do not scrub together.
constexpr Duration kFirstPassWithin = std::chrono::minutes(10);
/// Compaction puts a segment in its place within milliseconds, unless the disk is full.
constexpr Duration kReplacementPatience = std::chrono::minutes(1);
constexpr Duration kLookAgainAfter = std::chrono::seconds(1);

/// On the partition's home shard. Retention or compaction may have taken the segment meanwhile: then what was found is
/// of a file that nobody reads any more, and the log, which knows segments by base and life, leaves it out.
std::size_t hand_over(ShardState& shard, PartitionKey key, const ScrubTarget& target, storage::Damage damage) {
  PartitionRef partition = shard.find(key.topic, key.partition);
  if (partition == nullptr || damage.empty()) return 0;
  std::size_t found = partition->note_damage({target.segment.base, target.life}, std::move(damage));
  if (found > 0) shard.env.probe.hit("scrub_found_damage");
  return found;
}

}  // namespace

std::optional<ScrubTarget> next_to_scrub(storage::Log& log, Offset from, bool closed) {
  if (log.failure()) return std::nullopt;
  const storage::LogConfig& config = log.config();
  auto target = [&](Offset base, Offset end, std::uint32_t life) {
    bool holes = config.compacted || !config.delete_old || base < log.cleaned_end();
    return ScrubTarget{
        {.base = base, .end = end, .newest = !closed, .holes_allowed = holes}, log.place().directory, life};
  };
  if (!closed) {
    Offset base = log.recovery_point();
    if (base < from || log.synced_end() <= base) return std::nullopt;
    return target(base, log.synced_end(), 0);  // compaction leaves it alone
  }
  for (const storage::SegmentFacts& facts : log.sealed_segments(log.synced_end()))
    if (facts.base >= from) return target(facts.base, facts.end, facts.life);
  return std::nullopt;
}

/// Reads one segment, at the rate. Errors: cancelled, those of File.
Task<Result<storage::SegmentVerdict>> Broker::scrub_segment(const ScrubTarget& target, std::size_t directory) {
  Env& env = per_shard_[0]->env;
  const auto rate = static_cast<std::uint64_t>(config().log_scrub_bytes_per_second);
  FileSystem& files = directories_[directory].data->files();
  MR_CO_TRY(auto verifier,
            co_await offload(
                env, [&] { return storage::SegmentVerifier::open(files, target.directory, target.segment); },
                Urgency::later));
  for (bool done = false; !done;) {
    const std::uint64_t before = verifier->position();
    MR_CO_TRY(done, co_await offload(env, [&] { return verifier->step(std::min(kStepBytes, rate)); }, Urgency::later));
    const std::uint64_t bytes = verifier->position() - before;
    scrubbed_.bytes += bytes;
    MR_CO_TRY_VOID(co_await sleep_until(env.now() + std::chrono::microseconds(bytes * 1'000'000 / rate)));
  }
  co_return verifier->verdict();
}

/// What to scrub next, as the partition's home shard sees it: empty when that was all. Waits while compaction puts a
/// segment in its place, since the files have no names then that one could go by. Errors: cancelled.
Task<Result<std::optional<ScrubTarget>>> Broker::find_to_scrub(PartitionKey key, Offset from, bool closed) {
  Env& env = per_shard_[0]->env;
  const ShardId home = home_of(key.topic, key.partition, shards_.count());
  const TimePoint give_up = env.now() + kReplacementPatience;
  for (;;) {
    struct Look {
      std::optional<ScrubTarget> target;
      std::string replacing;  ///< name of the partition
    };
    Look look = co_await shards_.call(home, [&]() -> Look {
      PartitionRef partition = per_shard_[home.v]->find(key.topic, key.partition);
      if (partition == nullptr) return {};
      if (closed && partition->log().replacing()) return {{}, partition->name().to_string()};
      return {next_to_scrub(partition->log(), from, closed), {}};
    });
    if (look.replacing.empty()) co_return std::move(look.target);
    env.probe.hit("scrub_waits_for_compaction");
    if (env.now() >= give_up) {
      log_warn("broker", "scrub: compaction does not get done with a partition; its rest is left to the next pass",
               {{"partition", look.replacing}, {"from", from.v}});
      co_return std::nullopt;
    }
    MR_CO_TRY_VOID(co_await sleep_until(env.now() + kLookAgainAfter));
  }
}

/// Errors: cancelled.
Task<Result<void>> Broker::scrub_partition(PartitionKey key, std::size_t directory, bool closed) {
  const ShardId home = home_of(key.topic, key.partition, shards_.count());
  std::optional<std::pair<Offset, std::uint32_t>> gone;
  for (Offset from{0};;) {
    MR_CO_TRY(auto target, co_await find_to_scrub(key, from, closed));
    if (!target) co_return Result<void>{};
    auto verdict = co_await scrub_segment(*target, directory);
    if (!verdict.ok() && verdict.code() == Errc::cancelled) co_return std::move(verdict).error();
    const std::pair which(target->segment.base, target->life);
    if (!verdict.ok() && verdict.code() == Errc::not_found && gone != which) {
      gone =
          which;  // Retention or compaction took it: what is there now? When the log still has it, the file is missing.
      continue;
    }
    from = Offset{target->segment.base.v + 1};
    if (!verdict.ok()) {
      ++scrubbed_.unreadable;
      log_error("broker", "scrub: a segment could not be read to its end",
                {{"directory", target->directory},
                 {"segment", target->segment.base.v},
                 {"error", verdict.error().message()}});
      continue;
    }
    ++scrubbed_.segments;
    if (verdict->bad_seal) {
      ++scrubbed_.bad_seals;
      log_warn("broker", "scrub: a seal does not read; the next start makes it again",
               {{"directory", target->directory}, {"error", verdict->bad_seal->message()}});
    }
    scrubbed_.damaged_ranges += co_await shards_.call(
        home, [&] { return hand_over(*per_shard_[home.v], key, *target, std::move(verdict->damage)); });
  }
}

Task<void> Broker::scrub(std::size_t directory) {
  Env& env = per_shard_[0]->env;
  std::vector<PartitionKey> keys;
  for (const auto& [key, lies_in] : directory_of_)
    if (lies_in == directory) keys.push_back(key);
  std::ranges::sort(keys, [](const PartitionKey& a, const PartitionKey& b) {
    return std::pair(a.topic, a.partition) < std::pair(b.topic, b.partition);
  });
  // Where the last pass was is not kept over a restart. Another beginning each time: a broker that is stopped often
  // gets round all the same.
  if (!keys.empty()) std::ranges::rotate(keys, keys.begin() + static_cast<std::ptrdiff_t>(env.rng.below(keys.size())));
  // What grows was written lately, and a start reads it: it comes last.
  for (bool closed : {true, false}) {
    for (const PartitionKey& key : keys) {
      if (!directories_[directory].online() || !directories_[directory].data) co_return;
      if (!(co_await scrub_partition(key, directory, closed)).ok()) co_return;
    }
  }
  ++scrubbed_.passes;
  scrubbed_.last_finished = env.clock.wall();
}

Task<void> Broker::scrub_loop(std::size_t directory) {
  Env& env = per_shard_[0]->env;
  const Duration interval = bounded_wait(config().log_scrub_interval_ms);
  const Duration within = std::min(interval, kFirstPassWithin);
  TimePoint begin = env.now() + Duration(env.rng.below(static_cast<std::uint64_t>(within.count()) + 1));
  while ((co_await sleep_until(begin)).ok()) {
    co_await outlive("scrub", scrub(directory));
    const TaskContext& context = co_await current_context();
    if (context.cancel->cancelled()) co_return;
    begin = std::max(begin + interval, env.now() + Millis(1));
  }
}

}  // namespace mr::broker
