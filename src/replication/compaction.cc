#include "replication/compaction.h"

#include <algorithm>
#include <new>

#include "base/log.h"
#include "runtime/shards.h"
#include "storage/compactor.h"

namespace mr::replication {
namespace {

using storage::Compactor;

constexpr Duration kRetryNames = std::chrono::seconds(1);
/// A partition that stops waits no longer than this for a pass that is throttled.
constexpr Duration kPauseMost = Millis(100);

bool harmless(const Error& error) { return error == Errc::disk_full || error == Errc::resource_exhausted; }

/// A step on the pool. What it throws becomes an error, so that what it has begun is taken back like after any other;
/// most memory of a pass is taken here, and none left is a reason to try again later, as a full disk is.
template <class F>
auto attempt(Env& env, F step) -> Task<std::invoke_result_t<F&>> {
  co_return co_await offload(
      env,
      [&]() -> std::invoke_result_t<F&> {
        try {
          return step();
        } catch (const std::bad_alloc&) {
          return Error(Errc::resource_exhausted, "no memory left");
        } catch (const std::exception& thrown) {
          return Error(Errc::internal, thrown.what());
        }
      },
      Urgency::later);
}

/// What begin_background() has begun.
struct Background {
  explicit Background(Partition& of) : partition(of) {}
  Background(const Background&) = delete;
  ~Background() { partition.end_background(); }
  Partition& partition;
};

storage::CompactionJob make_job(Env& env, Partition& partition, CompactionCandidate candidate,
                                const CompactionLimits& limits) {
  storage::Log& log = partition.log();
  storage::CompactionJob job;
  job.sealed = std::move(candidate.sealed);
  job.dirtiness = candidate.dirtiness;
  job.config = log.config().compaction;
  job.limits = {log.config().segment_bytes, log.config().segment_index_bytes};
  job.index_interval_bytes = log.config().index_interval_bytes;
  for (const auto& producer : log.producers())
    if (!producer.batches.empty()) job.producer_ends.insert(producer.batches.back().last_offset);
  job.map_bytes_max = limits.map_bytes_max;
  job.buffer_bytes = limits.buffer_bytes;
  job.seed = {env.rng.next(), env.rng.next()};
  job.now = env.clock.wall();
  return job;
}

Task<Result<void>> pause(Env& env, Partition& partition, TimePoint until) {
  while (env.now() < until) {
    if (partition.stopping()) co_return Errc::not_leader;
    MR_CO_TRY_VOID(co_await sleep_until(std::min(until, env.now() + kPauseMost)));
  }
  co_return Result<void>{};
}

/// The names have to become right, or the next start makes them so.
Task<Result<void>> finish(Env& env, Partition& partition, storage::SegmentReplacement& replacement) {
  bool told = false;
  for (;;) {
    Result<void> finished = co_await attempt(env, [&] { return replacement.finish(); });
    if (finished.ok() || !harmless(finished.error())) co_return finished;
    if (!told)
      log_warn("replication", "compacted segments wait for their names; trying again",
               {{"partition", partition.name().to_string()}, {"why", finished.error().message()}});
    told = true;
    env.probe.hit("compaction_names_wait");
    MR_CO_TRY_VOID(co_await pause(env, partition, env.now() + kRetryNames));
  }
}

Task<Result<void>> put_in_place(Env& env, Partition& partition, storage::CleanedGroup group,
                                std::vector<std::string>& given_up) {
  storage::Log& log = partition.log();
  storage::SegmentReplacement replacement(log.place(), group.first, group.end);
  Result<void> ready = log.begin_replacement(group.first, group.end);
  bool begun = ready.ok();
  if (begun) ready = co_await attempt(env, [&] { return replacement.publish(); });
  if (!ready.ok()) {
    env.probe.hit("compaction_withdrawn");
    Result<void> withdrawn = co_await attempt(env, [&] { return replacement.withdraw(); });
    bool whole = harmless(ready.error()) && withdrawn.ok();
    if (begun) log.end_replacement(whole ? Result<void>{} : ready);
    co_return ready;
  }
  log.replace_segments(std::move(group));
  Result<void> finished = co_await finish(env, partition, replacement);
  if (!finished.ok() && (finished.code() == Errc::not_leader || finished.code() == Errc::cancelled)) co_return finished;
  log.end_replacement(finished);
  for (std::string& path : replacement.take_deleted_files()) given_up.push_back(std::move(path));
  co_return finished;
}

void note_bad_segment(Env& env, Partition& partition, const Compactor& compactor, const Error& found,
                      CompactionStats& stats) {
  env.probe.hit("compaction_met_damage");
  ++stats.segments_left_alone;
  partition.log().leave_uncompacted(*compactor.bad_segment());
  log_error("replication", "compaction met damage; this segment is left alone",
            {{"partition", partition.name().to_string()},
             {"segment", compactor.bad_segment()->v},
             {"found", found.message()}});
}

void note_healed(Env& env, Partition& partition, std::uint64_t batches, CompactionStats& stats) {
  env.probe.hit("compaction_healed");
  stats.healed += batches;
  log_warn("replication", "compaction met bad batches that were good when they were read again from the device",
           {{"partition", partition.name().to_string()}, {"batches", batches}});
}

Task<Result<void>> run_pass(Env& env, Partition& partition, Compactor& compactor, IoThrottle& throttle,
                            CompactionStats& stats, std::vector<std::string>& given_up) {
  std::uint64_t removed = 0;  // by the groups that are in place
  for (;;) {
    storage::CompactionCounts before = compactor.counts();
    TimePoint started = env.now();
    Result<Compactor::State> state = co_await attempt(env, [&] { return compactor.step(); });
    storage::CompactionCounts after = compactor.counts();
    stats.busy_ms += static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(env.now() - started).count());
    stats.bytes_read += after.bytes_read - before.bytes_read;
    stats.bytes_written += after.bytes_written - before.bytes_written;
    if (after.healed > before.healed) note_healed(env, partition, after.healed - before.healed, stats);
    if (!state.ok()) {
      if (compactor.bad_segment()) note_bad_segment(env, partition, compactor, state.error(), stats);
      co_return state.error();
    }
    if (*state == Compactor::State::done) co_return Result<void>{};
    if (*state == Compactor::State::group_ready) {
      storage::CleanedGroup group = compactor.take_group();
      MR_CO_TRY_VOID(co_await put_in_place(env, partition, std::move(group), given_up));
      stats.records_removed += after.records_in - after.records_out - removed;
      removed = after.records_in - after.records_out;
    }
    if (partition.stopping()) co_return Errc::not_leader;
    std::uint64_t moved = after.bytes_read - before.bytes_read + after.bytes_written - before.bytes_written;
    TimePoint until = throttle.take(moved, env.now());
    MR_CO_TRY_VOID(co_await pause(env, partition, until));
  }
}

}  // namespace

TimePoint IoThrottle::take(std::uint64_t bytes, TimePoint now) {
  if (free_at_ < now) free_at_ = now;
  double seconds = static_cast<double>(bytes) / std::max(bytes_per_second_, 1.0);
  free_at_ += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  return free_at_;
}

CompactionCandidate compaction_candidate(Partition& partition, WallMillis now) {
  storage::Log& log = partition.log();
  CompactionCandidate candidate{log.sealed_segments(partition.last_stable_offset()), {}};
  candidate.dirtiness = storage::judge(candidate.sealed, log.cleaned_end(), log.config().compaction, now);
  return candidate;
}

Task<Result<void>> compact(Env& env, Partition& partition, CompactionCandidate candidate, CompactionLimits limits,
                           IoThrottle& throttle, CompactionStats& stats, std::vector<std::string>& given_up) {
  if (!partition.begin_background()) co_return Errc::not_leader;
  Background until_the_end(partition);
  storage::Log& log = partition.log();
  Offset first_dirty = candidate.dirtiness.first_dirty, first = candidate.sealed.front().base;
  Compactor compactor(log.place(), make_job(env, partition, std::move(candidate), limits));
  Result<void> outcome = co_await run_pass(env, partition, compactor, throttle, stats, given_up);
  if (outcome.ok()) {
    if (compactor.cleaned_end() > first_dirty) log.set_cleaned_end(compactor.cleaned_end());
    storage::CompactionCounts counts = compactor.counts();
    ++stats.passes;
    log_info("replication", "compacted",
             {{"partition", partition.name().to_string()},
              {"cleaned_end", compactor.cleaned_end().v},
              {"bytes_read", counts.bytes_read},
              {"bytes_written", counts.bytes_written},
              {"records", counts.records_out}});
  } else {
    (void)co_await attempt(env, [&] { return compactor.remove_output(); });
    if (outcome.code() == Errc::not_found && log.log_start() > first) outcome = Errc::conflict;  // retention was faster
  }
  co_return outcome;
}

}  // namespace mr::replication
