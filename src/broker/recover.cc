// The part of a start that may take long: opening all logs, which after a crash reads what was not known to be whole.
// How far it is, how fast it may go, and how it is ended early.
#include "base/log.h"
#include "broker/broker.h"
#include "broker/open_partition.h"
#include "runtime/longest_wait.h"
#include "storage/recovery_estimate.h"

namespace mr::broker {

/// On the job's home shard: how much there is to look through.
Task<Result<void>> Broker::measure_log(OpenJob& job) {
  if (job.clean_stop) co_return Result<void>{};
  storage::DataDir& data = *directories_[job.directory].data;
  Env& env = per_shard_[job.home().v]->env;
  std::string path = data.partition_path(job.name());
  auto bytes = co_await offload(env, [&] { return storage::bytes_to_recover(data.files(), path); });
  job.bytes_to_recover = bytes.ok() ? *bytes : 0;  // opening it will say what is wrong
  co_return Result<void>{};
}

Task<Result<void>> Broker::recover(std::vector<OpenJob>& jobs) {
  Env& env = per_shard_[0]->env;
  StartProgress& progress = recovery_.progress;
  recovery_.running = true;
  recovery_.began = env.now();
  for (LogDirectory& directory : directories_)
    if (directory.data != nullptr) directory.read_before_recovery = directory.data->files().bytes_read();
  for (const OpenJob& job : jobs)
    if (job.placed()) ++progress.partitions_total;
  co_await for_all(jobs, &Broker::measure_log);
  for (const OpenJob& job : jobs) progress.bytes_total += job.bytes_to_recover;
  recovery_.measured = true;
  recovery_.began = env.now();
  Scope reports(env.executor);
  reports.spawn("recovery progress", report_progress());
  co_await for_all(jobs, &Broker::open_log);
  co_await reports.stop();
  recovery_.running = false;
  if (recovery_.interrupted) co_return Error(Errc::cancelled, "stopped while logs were being recovered");
  if (progress.bytes_total > 0)
    log_info("broker", "logs recovered",
             {{"partitions", progress.partitions_total},
              {"bytes", progress.bytes_total},
              {"seconds", std::chrono::duration<double>(env.now() - recovery_.began).count()}});
  co_return Result<void>{};
}

Task<bool> Broker::may_recover_more(const LogDirectory& directory) {
  const std::int64_t limit = config().recovery_io_max_bytes_per_second;
  while (recovery_.running && limit > 0 && !recovery_.interrupted) {
    std::uint64_t bytes = directory.data->files().bytes_read() - directory.read_before_recovery;
    std::chrono::duration<double> due(static_cast<double>(bytes) / static_cast<double>(limit));
    due = std::min<std::chrono::duration<double>>(due, kLongestWait);
    TimePoint when = recovery_.began + std::chrono::duration_cast<Duration>(due);
    if (when <= per_shard_[0]->env.now()) break;
    (void)co_await recovery_.interruption.wait(when);
  }
  co_return !(recovery_.running && recovery_.interrupted);
}

Task<void> Broker::report_progress() {
  constexpr Duration kEvery = std::chrono::seconds(5);
  while ((co_await sleep_until(per_shard_[0]->env.now() + kEvery)).ok()) {
    StartProgress now = progress();
    auto left = now.left();
    log_info("broker", "recovering logs",
             {{"partitions", now.partitions_done},
              {"of_partitions", now.partitions_total},
              {"bytes", now.bytes_done},
              {"of_bytes", now.bytes_total},
              {"seconds_left", left ? std::chrono::duration<double>(*left).count() : -1.0}});
  }
}

StartProgress Broker::progress() const {
  StartProgress now = recovery_.progress;
  now.ready = started_;
  if (!recovery_.running) {
    now.bytes_done = started_ ? now.bytes_total : 0;
    return now;
  }
  now.elapsed = per_shard_[0]->env.now() - recovery_.began;
  std::uint64_t bytes = 0;
  for (const LogDirectory& directory : directories_)
    if (directory.data != nullptr) bytes += directory.data->files().bytes_read() - directory.read_before_recovery;
  // Indexes and snapshots are read too, and tails twice: an estimate, kept within what is known.
  now.bytes_done = std::clamp(bytes, recovery_.bytes_ended, recovery_.bytes_begun);
  return now;
}

void Broker::interrupt_start() {
  recovery_.interrupted = true;
  if (!recovery_.running) return;  // before it, it will see; behind it the start is as good as done
  recovery_.interruption.notify_all();
  for (const LogDirectory& directory : directories_)
    if (directory.data != nullptr) directory.data->files().interrupt();
}

}  // namespace mr::broker
