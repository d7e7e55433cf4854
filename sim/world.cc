#include "sim/world.h"

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>
#include <utility>

#include "sim/network.h"
#include "sim/pool.h"

namespace mr::sim {

namespace {
/// 2025-10-09, so that record timestamps look like today's.
constexpr WallMillis kWallStart = 1'760'000'000'000;

std::uint64_t hash_text(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ull;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}
}  // namespace

std::string_view to_string(RunEnd end) {
  switch (end) {
    case RunEnd::done:
      return "done";
    case RunEnd::timed_out:
      return "virtual time is up";
    case RunEnd::idle:
      return "nothing can happen any more (deadlock)";
    case RunEnd::step_limit:
      return "step limit";
  }
  return "?";
}

// World

World::World(WorldOptions options) : options_(options), rng_(options.seed), fabric_(std::make_unique<Fabric>(*this)) {
  trace(options.seed);
}

World::~World() {
  for (const auto& host : hosts_) {
    for (const auto& process : host->processes_) {
      for (std::uint32_t i = 0; i < process->count(); ++i) {
        if (process->calls(ShardId{i}).running() == 0) continue;
        std::fprintf(stderr, "sim: a World ends while coroutines still run:\n%s\n", describe().c_str());
        MR_CHECK(process->calls(ShardId{i}).running() == 0);
      }
    }
  }
  // What is pending may own streams, whose end sends a last packet: take one at a time.
  while (!timed_.empty()) timed_.extract(timed_.begin());
}

Host& World::add_host(std::string name, std::uint64_t disk_bytes) {
  auto number = static_cast<std::uint32_t>(hosts_.size() + 1);
  hosts_.push_back(std::make_unique<Host>(*this, std::move(name), number, disk_bytes));
  return *hosts_.back();
}

Host* World::find_host(const std::string& name_or_address) {
  for (auto& host : hosts_) {
    if (host->name() == name_or_address || host->address() == name_or_address) return host.get();
  }
  return nullptr;
}

void World::trace(std::uint64_t value) {
  trace_ = (trace_ ^ value) * 0x9fb21c651e98df25ull;
  trace_ ^= trace_ >> 32;
  if (trace_log_ != nullptr) trace_log_->push_back(value);
}

void World::at(TimePoint when, Callback fn) {
  timed_.emplace(std::pair(std::max(when, now_), timed_next_++), std::move(fn));
}

void World::run_item(ShardExecutor& executor) {
  ShardExecutor::Item item = std::move(executor.ready_.front());
  executor.ready_.pop_front();
  current_ = &executor;
  sender_ = executor.sender_;
  trace(executor.sender_ * 4 + (item.handle ? 1 : item.callback ? 2 : 3));
  if (item.handle) {
    item.handle.resume();
  } else if (item.callback) {
    item.callback();
  } else if (auto node = executor.timers_.extract(item.timer.v)) {
    node.mapped()();
  }
  current_ = nullptr;
  sender_ = 0;
  if (Process& process = executor.process(); process.alive()) {
    Disk::Stall stall = process.host().disk().take_stall();
    if (stall.hung) {
      executor.busy_until(kForever);
    } else if (stall.delay.count() > 0) {
      executor.busy_until(now_ + stall.delay);
    }
  }
  if (rng_.one_in(options_.stall_one_in)) executor.busy_until(now_ + random_delay(Millis(30)));
}

bool World::step(TimePoint limit) {
  while (!timed_.empty() && timed_.begin()->first.first <= now_) {
    auto node = timed_.extract(timed_.begin());
    node.mapped()();
  }
  runnable_.clear();
  TimePoint next = timed_.empty() ? kForever : timed_.begin()->first.first;
  for (ShardExecutor* executor : executors_) {
    if (executor->ready_.empty()) continue;
    if (executor->busy_until_ <= now_) {
      runnable_.push_back(executor);
    } else {
      next = std::min(next, executor->busy_until_);
    }
  }
  if (!runnable_.empty()) {
    ++steps_;
    run_item(*runnable_[rng_.below(runnable_.size())]);
    now_ += Duration(200 + rng_.below(2'000));
    return true;
  }
  if (next == kForever) return false;
  now_ = std::min(next, limit);
  trace(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  return true;
}

RunEnd World::run_until(const std::function<bool()>& predicate, Duration limit) {
  TimePoint end = now_ + limit;
  while (true) {
    if (predicate()) return RunEnd::done;
    if (now_ >= end) return RunEnd::timed_out;
    if (steps_ >= options_.steps_max) return RunEnd::step_limit;
    if (!step(end)) return RunEnd::idle;
  }
}

void World::run_for(Duration time) {
  TimePoint end = now_ + time;
  if (run_until([] { return false; }, time) == RunEnd::idle) now_ = end;
}

void World::fail_run(RunEnd end) {
  std::string message = fmt::format("sim: seed {}: {}\n{}", options_.seed, to_string(end), describe());
  std::fprintf(stderr, "%s\n", message.c_str());
  throw std::runtime_error(message);
}

std::string World::describe() const {
  std::string text = fmt::format("t={:.6f}s steps={} seed={}\n",
                                 static_cast<double>(now_.time_since_epoch().count()) / 1e9, steps_, options_.seed);
  for (const auto& host : hosts_) {
    for (const auto& process : host->processes_) text += process->describe();
  }
  return text + fabric_->describe();
}

// Host

Host::Host(World& world, std::string name, std::uint32_t number, std::uint64_t disk_bytes)
    : world_(world), name_(std::move(name)), number_(number), disk_(world.rng().next(), disk_bytes) {
  disk_.on_operation([this](const Disk::Operation& operation) {
    world_.trace(static_cast<std::uint64_t>(operation.op) << 56 ^ operation.bytes << 32 ^ hash_text(operation.path));
  });
  disk_.on_fault([this](std::string_view name) { world_.probes().hit("disk." + std::string(name)); });
  disk_.on_wake([this] {
    for (auto& process : processes_) {
      for (std::uint32_t i = 0; i < process->count(); ++i) {
        static_cast<ShardExecutor&>(process->env(ShardId{i}).executor).wake();
      }
    }
  });
}
Host::~Host() = default;

Process& Host::start(std::uint32_t shards) {
  processes_.push_back(std::make_unique<Process>(*this, shards));
  return *processes_.back();
}

void Host::kill_processes() {
  for (auto& process : processes_) {
    if (!process->alive_) continue;
    process->alive_ = false;
    world_.network().process_died(*process);
  }
  world_.trace(0xc4a5);
}

void Host::crash(CrashMode mode) {
  disk_.crash(mode);
  kill_processes();
  disk_.wake_hung();
}

void Host::finish_crash() {
  MR_CHECK(disk_.crashed());
  disk_.restart();
  kill_processes();
  disk_.wake_hung();
}

WallMillis Host::wall() const {
  Duration since = world_.now().time_since_epoch();
  return kWallStart + std::chrono::duration_cast<Millis>(since).count() + wall_offset_.count();
}

// ShardExecutor

void ShardExecutor::check_owner() const { MR_CHECK(world_.current_ == nullptr || world_.current_ == this); }

void ShardExecutor::schedule(std::coroutine_handle<> handle) {
  check_owner();
  ready_.push_back({.handle = handle, .callback = nullptr, .timer = {}});
}

void ShardExecutor::post(Callback fn) {
  if (world_.current_ == this) {
    ready_.push_back({.handle = nullptr, .callback = std::move(fn), .timer = {}});
    return;
  }
  TimePoint& last = last_from_[world_.sender_];
  last = std::max(last + Duration(1), world_.now() + world_.random_delay(world_.options().message_delay_max));
  world_.at(last, [this, fn = std::move(fn)]() mutable {
    ready_.push_back({.handle = nullptr, .callback = std::move(fn), .timer = {}});
  });
}

TimerId ShardExecutor::add_timer(TimePoint when, Callback fn) {
  check_owner();
  TimerId id{timer_next_++};
  timers_[id.v] = std::move(fn);
  if (when == kForever) return id;
  TimePoint fires = std::max(when, world_.now()) + world_.random_delay(world_.options().timer_late_max);
  world_.at(fires, [this, id] {
    if (timers_.contains(id.v)) ready_.push_back({.handle = nullptr, .callback = nullptr, .timer = id});
  });
  return id;
}

void ShardExecutor::cancel_timer(TimerId id) {
  check_owner();
  timers_.erase(id.v);
}

// Process

class Process::Wall final : public Clock {
 public:
  explicit Wall(Host& host) : host_(host) {}
  TimePoint mono() const override { return host_.world().now(); }
  WallMillis wall() const override { return host_.wall(); }

 private:
  Host& host_;
};

/// Ghosts do not count: what they do never happened.
class Process::LocalProbe final : public Probe {
 public:
  explicit LocalProbe(Process& process) : process_(process) {}
  void hit(std::string_view name) override {
    if (process_.alive()) process_.host().world().probes().hit(name);
  }

 private:
  Process& process_;
};

struct Process::Shard {
  Shard(Process& process, ShardId id, std::uint64_t sender)
      : executor(process.host().world(), process, id, sender),
        rng(process.host().world().rng().next()),
        network(process.host().world().network(), process, executor),
        env{.shard = id,
            .executor = executor,
            .clock = *process.clock_,
            .rng = rng,
            .files = *process.files_,
            .network = network,
            .pool = *process.pool_,
            .probe = *process.probe_},
        calls(executor) {}
  ShardExecutor executor;
  Random rng;
  SimNetwork network;
  Env env;
  Scope calls;
};

Process::Process(Host& host, std::uint32_t shards)
    : host_(host),
      files_(host.wrap_files_ ? host.wrap_files_(host.disk().attach()) : host.disk().attach()),
      pool_(std::make_unique<SimPool>(host)),
      clock_(std::make_unique<Wall>(host)),
      probe_(std::make_unique<LocalProbe>(*this)) {
  MR_CHECK(shards > 0);
  World& world = host.world();
  for (std::uint32_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, ShardId{i}, world.sender_next_++));
    world.executors_.push_back(&shards_.back()->executor);
  }
}

Process::~Process() = default;

Env& Process::env(ShardId shard) {
  MR_CHECK(shard.v < shards_.size());
  return shards_[shard.v]->env;
}

Scope& Process::calls(ShardId shard) {
  MR_CHECK(shard.v < shards_.size());
  return shards_[shard.v]->calls;
}

std::string Process::describe() const {
  std::string text = fmt::format("{}{}: offload waiting {} running {} hung {}\n", host_.name(),
                                 alive_ ? "" : " (ghost)", pool_->waiting(), pool_->running(), pool_->hung());
  for (const auto& shard : shards_) {
    text += fmt::format("  shard {}: ready {} timers {} calls running {}\n", shard->env.shard.v,
                        shard->executor.ready(), shard->executor.timers(), shard->calls.running());
  }
  return text;
}

}  // namespace mr::sim
