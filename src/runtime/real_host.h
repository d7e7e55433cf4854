#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/duration_counts.h"
#include "runtime/env.h"
#include "runtime/shards.h"

/// The production side of env.h: shards as threads with an epoll loop each, files, sockets, signals.
namespace mr {

struct HostOptions {
  std::uint32_t shards = 1;
  /// Shard i runs on CPU cores[i % size]; empty: wherever the kernel likes.
  std::vector<int> cores;
  std::uint32_t pool_threads = 4;
  /// One turn of a shard's loop longer than this is counted and logged.
  Duration stall_after = std::chrono::milliseconds(25);
  /// SIGINT and SIGTERM ask this host to stop; a second one ends the process at once (exit code 130 or 143). One host
  /// of a process may have this.
  bool handle_signals = true;
  /// Appears in thread names and stall lines.
  std::string name = "millrace";
};

/// What one shard has done since its start. Any thread; each number is exact, the set is not a snapshot.
struct ShardCounters {
  std::uint64_t turns = 0;         ///< rounds of the loop
  std::uint64_t sleeps = 0;        ///< epoll_wait calls that could block
  std::uint64_t resumed = 0;       ///< coroutines resumed
  std::uint64_t posted = 0;        ///< callbacks from this and other threads
  std::uint64_t socket_calls = 0;  ///< recv, send, sendfile, accept
  std::uint64_t socket_waits = 0;  ///< of these, answered EAGAIN
  std::uint64_t stalls = 0;        ///< turns longer than stall_after
  std::uint64_t connections = 0;   ///< open now
};

/// Shards, pool and signal handling of one broker in this process. Several hosts may live in one process.
///   Task<int> serve(RealHost& host) { ...; co_await host.stop_requested(); ...; co_return 0; }
///   RealHost host({.shards = 2});
///   return host.run(serve);
/// Start order: pool, shards, then `main` on shard 0. Stop order: `main` has returned (it stops what it started),
/// every shard's calls() drain, shards end, pool ends. Everything made from an Env (files, streams, timers) must be
/// gone by the time `main` returns.
class RealHost {
 public:
  using Main = std::move_only_function<Task<int>(RealHost&)>;

  explicit RealHost(HostOptions options);
  /// Calls request_stop() and waits when still running.
  ~RealHost();
  RealHost(const RealHost&) = delete;
  RealHost& operator=(const RealHost&) = delete;

  /// Starts the threads and `main` on shard 0; returns its value after the stop order is through. Once per host.
  int run(Main main);
  /// The same in two halves, for programs that have their own main thread.
  void start(Main main);
  int wait();

  /// Any thread, also before start(): asks `main` to end. Idempotent.
  void request_stop();
  /// Shard 0: returns when a stop was asked for (signal or request_stop), or early when cancelled.
  Task<void> stop_requested();

  Shards& shards();
  Env& env(ShardId shard) { return shards().env(shard); }
  ShardCounters counters(ShardId shard) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// For programs without shards (the CLI's `log dump`): the same file system and clock that shards see. Process-wide,
/// stateless but for file_syncs().
FileSystem& real_files();
/// Syncs of files and directories through real_files() in this process: how long each system call took, and how many
/// failed (these have their time, too).
struct FileSyncs {
  DurationCounts<kLatencyBounds> durations;
  std::uint64_t failures = 0;
};
FileSyncs file_syncs();
Clock& real_clock();
/// Seeded from the kernel; one per user.
std::unique_ptr<Rng> make_real_rng();

/// `threads` threads of its own, for what must not share the common pool (SQLite: one thread, so that its work runs in
/// order). Runs on any CPU even when made on a pinned shard. The destructor runs what is queued, then joins: not on a
/// shard that such work posts to.
std::unique_ptr<OffloadPool> make_offload_pool(std::string name, std::uint32_t threads);

struct LogSinkOptions {
  enum class Format { text, json };
  Format format = Format::text;
  /// Standard error.
  int descriptor = 2;
  /// Colours levels; only for a terminal.
  bool color = false;
  std::size_t queue_lines_max = 8192;
};

/// Installs the log sink (base/log.h) that formats on the caller and writes on a thread of its own, and removes it,
/// flushed, when destroyed. When the queue is full lines are dropped, counted and the count is logged. Abort (MR_CHECK)
/// and std::exit flush what is queued.
class RealLogSink {
 public:
  explicit RealLogSink(LogSinkOptions options);
  ~RealLogSink();
  void flush();
  std::uint64_t dropped() const;
  /// Is this descriptor a terminal?
  static bool is_terminal(int descriptor);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace mr
