#pragma once
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "runtime/shards.h"
#include "sim/disk.h"
#include "sim/random.h"

namespace mr::sim {

class Fabric;
class Host;
class Process;
class ShardExecutor;
class World;

/// How unruly a world is; all within what real threads, timers and disks do.
struct WorldOptions {
  std::uint64_t seed = 1;
  Duration timer_late_max = std::chrono::microseconds(300);
  Duration message_delay_max = std::chrono::microseconds(30);  ///< between shards of one process
  Duration offload_delay_max = std::chrono::microseconds(800);
  std::uint64_t offload_slow_one_in = 100;  ///< then up to 40 ms
  std::uint64_t stall_one_in = 20'000;      ///< steps after which the shard sleeps up to 30 ms; 0: never
  std::uint64_t steps_max = 50'000'000;
};

/// Counts rare paths over the life of a World.
class Probes final : public Probe {
 public:
  void hit(std::string_view name) override { ++counts_[std::string(name)]; }
  std::uint64_t count(const std::string& name) const {
    auto at = counts_.find(name);
    return at == counts_.end() ? 0 : at->second;
  }
  const std::map<std::string, std::uint64_t>& counts() const { return counts_; }

 private:
  std::map<std::string, std::uint64_t> counts_;
};

enum class RunEnd {
  done,        ///< the predicate holds
  timed_out,   ///< virtual time is up
  idle,        ///< nothing will ever happen again: a deadlock, unless nobody waits
  step_limit,  ///< WorldOptions::steps_max
};
std::string_view to_string(RunEnd end);

/// Many hosts, processes and shards on the calling thread, in virtual time. Which shard runs next, how long messages,
/// calls and packets take: all from the seed. Same seed and same program: same trace_hash().
///
///   sim::World world({.seed = 7});
///   sim::Host& host = world.add_host("b0");
///   sim::Process& process = host.start(2);
///   int n = world.run(process, ShardId{0}, count_something(process.env(ShardId{0})));
class World {
 public:
  explicit World(WorldOptions options);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  /// All coroutines of all processes, also crashed ones, must have ended.
  ~World();

  /// Reachable by `name` and as 10.0.0.N, N from 1.
  Host& add_host(std::string name, std::uint64_t disk_bytes = 4_GiB);
  Fabric& network() { return *fabric_; }
  Probes& probes() { return probes_; }
  Random& rng() { return rng_; }
  const WorldOptions& options() const { return options_; }

  TimePoint now() const { return now_; }
  /// Runs until `predicate` (asked before every step) or for `limit` of virtual time.
  RunEnd run_until(const std::function<bool()>& predicate, Duration limit);
  /// Lets `time` pass. Ends early only at the step limit.
  void run_for(Duration time);
  /// Runs `task` on a shard until it has ended and brings its value. When it does not end within `limit`, prints who
  /// waits for what and throws std::runtime_error.
  template <class T>
  T run(Process& process, ShardId shard, Task<T> task, Duration limit = std::chrono::seconds(600));
  /// What is pending everywhere: for messages of failed tests.
  std::string describe() const;

  std::uint64_t trace_hash() const { return trace_; }
  std::uint64_t steps() const { return steps_; }
  void raise_step_limit(std::uint64_t by) { options_.steps_max += by; }
  /// Every value mixed into the trace is appended to `log`: the first difference of two runs is where they part.
  void record_trace(std::vector<std::uint64_t>* log) { trace_log_ = log; }
  void trace(std::uint64_t value);

  // For the other fakes of this room.
  /// Runs `fn` in the world's own context at `when`, after what was put at the same time before it.
  void at(TimePoint when, Callback fn);
  void after(Duration delay, Callback fn) { at(now_ + delay, std::move(fn)); }
  Duration random_delay(Duration max) { return Duration(rng_.below(static_cast<std::uint64_t>(max.count()) + 1)); }
  Host* find_host(const std::string& name_or_address);

 private:
  friend class ShardExecutor;
  friend class Process;
  friend class SimPool;

  bool step(TimePoint limit);
  void run_item(ShardExecutor& executor);
  [[noreturn]] void fail_run(RunEnd end);

  WorldOptions options_;
  Random rng_;
  Probes probes_;
  TimePoint now_{};
  std::map<std::pair<TimePoint, std::uint64_t>, Callback> timed_;
  std::uint64_t timed_next_ = 0;
  std::unique_ptr<Fabric> fabric_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<ShardExecutor*> executors_;  ///< of all processes, also ghosts
  std::vector<ShardExecutor*> runnable_;
  ShardExecutor* current_ = nullptr;  ///< whose item runs
  std::uint64_t sender_ = 0;          ///< the "thread" that runs: for the order of posts; 0 is the test itself
  std::uint64_t sender_next_ = 1;
  std::uint64_t steps_ = 0;
  std::uint64_t trace_ = 0;
  std::vector<std::uint64_t>* trace_log_ = nullptr;
};

/// A machine: one disk, one wall clock, any number of processes one after the other (or beside each other).
class Host {
 public:
  Host(World& world, std::string name, std::uint32_t number, std::uint64_t disk_bytes);
  ~Host();

  const std::string& name() const { return name_; }
  std::string address() const { return "10.0.0." + std::to_string(number_); }
  World& world() { return world_; }
  Disk& disk() { return disk_; }

  Process& start(std::uint32_t shards);
  /// From now on each process gets what `wrap` makes of the disk: mutation tests spoil it.
  void wrap_files(std::function<std::unique_ptr<FileSystem>(std::unique_ptr<FileSystem>)> wrap) {
    wrap_files_ = std::move(wrap);
  }
  /// Every process of the host dies: its files go to a ghost, its connections break, its listeners are gone. Whoever
  /// owns the program inside stops it afterwards, in peace and without effect.
  void crash(CrashMode mode);
  /// As crash(), for a power cut that Disk::crash_after() made: kills the processes and restarts the disk.
  void finish_crash();

  WallMillis wall() const;
  void jump_wall(Millis by) { wall_offset_ += by; }

 private:
  friend class World;
  friend class Process;
  void kill_processes();

  World& world_;
  std::string name_;
  std::uint32_t number_;
  Disk disk_;
  Millis wall_offset_{0};
  std::function<std::unique_ptr<FileSystem>(std::unique_ptr<FileSystem>)> wrap_files_;
  std::vector<std::unique_ptr<Process>> processes_;
};

/// One shard's event loop. Aborts when another shard's item touches it other than by post().
class ShardExecutor final : public Executor {
 public:
  ShardExecutor(World& world, Process& process, ShardId shard, std::uint64_t sender)
      : world_(world), process_(process), shard_(shard), sender_(sender) {}
  void schedule(std::coroutine_handle<> handle) override;
  void post(Callback fn) override;
  TimerId add_timer(TimePoint when, Callback fn) override;
  void cancel_timer(TimerId id) override;
  TimePoint now() const override { return world_.now(); }
  ShardId shard() const override { return shard_; }

  Process& process() { return process_; }
  std::size_t timers() const { return timers_.size(); }
  std::size_t ready() const { return ready_.size(); }
  /// Nothing of this shard runs before `when`: the thread sleeps or sits in a system call.
  void busy_until(TimePoint when) { busy_until_ = std::max(busy_until_, when); }
  void wake() { busy_until_ = world_.now(); }

 private:
  friend class World;
  struct Item {
    std::coroutine_handle<> handle;
    Callback callback;
    TimerId timer;
  };
  void check_owner() const;

  World& world_;
  Process& process_;
  ShardId shard_;
  std::uint64_t sender_;
  std::deque<Item> ready_;
  std::map<std::uint64_t, Callback> timers_;
  std::uint64_t timer_next_ = 1;
  TimePoint busy_until_{};
  std::map<std::uint64_t, TimePoint> last_from_;  ///< arrival of each sender's latest post
};

/// One run of a program on a host: shards, a file system view, network ends, an offload pool of four "threads".
class Process final : public Shards {
 public:
  Process(Host& host, std::uint32_t shards);
  ~Process() override;
  std::uint32_t count() const override { return static_cast<std::uint32_t>(shards_.size()); }
  Env& env(ShardId shard) override;
  Scope& calls(ShardId shard) override;
  Host& host() { return host_; }
  /// False after a crash: it goes on as a ghost.
  bool alive() const { return alive_; }
  /// Starts `task` on a shard; it belongs to calls(shard).
  void spawn(ShardId shard, std::string_view name, Task<void> task) { calls(shard).spawn(name, std::move(task)); }
  std::string describe() const;

 private:
  friend class Host;
  friend class World;
  struct Shard;
  class Wall;
  class LocalProbe;

  Host& host_;
  bool alive_ = true;
  std::unique_ptr<FileSystem> files_;
  std::unique_ptr<class SimPool> pool_;
  std::unique_ptr<Wall> clock_;
  std::unique_ptr<LocalProbe> probe_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

namespace detail {
template <class T>
Task<void> store(Task<T> task, std::shared_ptr<std::optional<T>> into) {
  into->emplace(co_await std::move(task));
}
inline Task<void> mark(Task<void> task, std::shared_ptr<bool> done) {
  co_await std::move(task);
  *done = true;
}
}  // namespace detail

// The outcome is shared: a run that fails leaves its coroutine behind, which may end later and still writes there.
template <class T>
T World::run(Process& process, ShardId shard, Task<T> task, Duration limit) {
  if constexpr (std::is_void_v<T>) {
    auto done = std::make_shared<bool>(false);
    process.spawn(shard, "test", detail::mark(std::move(task), done));
    if (RunEnd end = run_until([&] { return *done; }, limit); end != RunEnd::done) fail_run(end);
  } else {
    auto value = std::make_shared<std::optional<T>>();
    process.spawn(shard, "test", detail::store(std::move(task), value));
    if (RunEnd end = run_until([&] { return value->has_value(); }, limit); end != RunEnd::done) fail_run(end);
    return std::move(**value);
  }
}

}  // namespace mr::sim
