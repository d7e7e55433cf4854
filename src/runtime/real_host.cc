#include "runtime/real_host.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "runtime/event_loop.h"
#include "runtime/real_clock.h"
#include "runtime/real_net.h"
#include "runtime/real_pool.h"

namespace mr {

namespace {

class NoProbe final : public Probe {
 public:
  void hit(std::string_view) override {}
};

/// A handler may touch little: a number and a descriptor. Process-wide as signals are.
std::atomic<int> g_signal_wake{-1};
std::atomic<int> g_signals_seen{0};

void on_stop_signal(int number) {
  if (g_signals_seen.fetch_add(1) > 0) ::_exit(128 + number);
  std::uint64_t one = 1;
  int saved = errno;
  (void)!::write(g_signal_wake.load(), &one, sizeof one);
  errno = saved;
}

struct Shard {
  Shard(ShardId id, const std::string& name, Duration stall_after, OffloadPool& pool)
      : loop(id, name, stall_after),
        rng(make_real_rng()),
        network(loop, pool),
        calls(loop),
        own(loop),
        env{.shard = id,
            .executor = loop,
            .clock = real_clock(),
            .rng = *rng,
            .files = real_files(),
            .network = network,
            .pool = pool,
            .probe = probe} {}

  EventLoop loop;
  std::unique_ptr<Rng> rng;
  RealNetwork network;
  NoProbe probe;
  Scope calls;
  Scope own;  // the host's coroutines
  Env env;
  std::thread thread;
};

}  // namespace

struct RealHost::Impl : Shards, FdWatch {
  explicit Impl(RealHost& host, HostOptions o)
      : host(host), options(std::move(o)), pool(options.name + "-pool", std::max(1u, options.pool_threads)) {
    MR_CHECK(options.shards > 0);
    for (std::uint32_t i = 0; i < options.shards; ++i) {
      std::string name = options.name + "-" + std::to_string(i);
      shards.push_back(std::make_unique<Shard>(ShardId{i}, name, options.stall_after, pool));
    }
    stop_wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    MR_CHECK(stop_wake >= 0);
  }
  ~Impl() override {
    if (signals_installed) {
      for (int number : {SIGINT, SIGTERM}) ::sigaction(number, &old_action[number == SIGTERM], nullptr);
      g_signal_wake.store(-1);
    }
    ::close(stop_wake);
  }

  // Shards.
  std::uint32_t count() const override { return static_cast<std::uint32_t>(shards.size()); }
  Env& env(ShardId shard) override { return shards[shard.v]->env; }
  Scope& calls(ShardId shard) override { return shards[shard.v]->calls; }

  // FdWatch of stop_wake, on shard 0.
  void on_ready(std::uint32_t events) override {
    if ((events & EPOLLIN) == 0 || stopping) return;
    stopping = true;
    stop_event.notify_all();
  }

  void install_signals() {
    g_signals_seen.store(0);
    g_signal_wake.store(stop_wake);
    struct sigaction action{};
    action.sa_handler = &on_stop_signal;
    action.sa_flags = SA_RESTART;
    for (int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, &old_action[number == SIGTERM]);
    signals_installed = true;
  }

  void start_threads() {
    // Sockets are written with MSG_NOSIGNAL; sendfile has no such flag.
    ::signal(SIGPIPE, SIG_IGN);
    if (options.handle_signals) install_signals();
    MR_CHECK(shards[0]->loop.watch(stop_wake, *this).ok());
    for (std::uint32_t i = 0; i < shards.size(); ++i) {
      shards[i]->thread = std::thread([this, i] {
        name_thread(options.name + "-" + std::to_string(i));
        if (options.cores.empty()) {
          unpin_thread();
        } else {
          pin_thread(options.cores[i % options.cores.size()]);
        }
        shards[i]->loop.run();
      });
    }
  }

  static Task<void> run_main(Impl& impl) {
    try {
      impl.exit_code = co_await impl.main(impl.host);
    } catch (const std::exception& e) {
      log_error("runtime", "main ended by an exception", {{"what", e.what()}});
      impl.exit_code = 1;
    }
    impl.main = nullptr;
    impl.drain_all();
  }

  /// Every shard's calls end, then all shards do. A call can only come from main's coroutines, which are done, or from
  /// another call; so once each shard has been seen empty none can come.
  void drain_all() {
    draining.store(count());
    for (auto& shard : shards) {
      Shard* s = shard.get();
      s->loop.post([this, s] { s->own.spawn("drain", drain(*this, *s)); });
    }
  }
  static Task<void> drain(Impl& impl, Shard& shard) {
    co_await shard.calls.drained();
    if (impl.draining.fetch_sub(1) == 1) {
      for (auto& each : impl.shards) {
        Shard* s = each.get();
        s->loop.post([s] { s->loop.finish(); });
      }
    }
  }

  RealHost& host;
  const HostOptions options;
  std::vector<std::unique_ptr<Shard>> shards;
  RealPool pool;  // joined before the shards that its jobs post to go
  Main main;
  int exit_code = 1;
  bool started = false;
  bool joined = false;
  std::atomic<std::uint32_t> draining{0};

  int stop_wake = -1;
  bool stopping = false;  // shard 0
  Event stop_event;       // shard 0
  bool signals_installed = false;
  struct sigaction old_action[2]{};
};

RealHost::RealHost(HostOptions options) : impl_(std::make_unique<Impl>(*this, std::move(options))) {}

RealHost::~RealHost() {
  if (impl_->started && !impl_->joined) {
    request_stop();
    wait();
  }
}

int RealHost::run(Main main) {
  start(std::move(main));
  return wait();
}

void RealHost::start(Main main) {
  MR_CHECK(!impl_->started);
  impl_->started = true;
  impl_->main = std::move(main);
  impl_->start_threads();
  Shard& first = *impl_->shards[0];
  first.loop.post([this, &first] { first.own.spawn("main", Impl::run_main(*impl_)); });
}

int RealHost::wait() {
  MR_CHECK(impl_->started);
  if (!impl_->joined) {
    for (auto& shard : impl_->shards) shard->thread.join();
    impl_->joined = true;
  }
  return impl_->exit_code;
}

void RealHost::request_stop() {
  std::uint64_t one = 1;
  (void)!::write(impl_->stop_wake, &one, sizeof one);
}

Task<void> RealHost::stop_requested() {
  while (!impl_->stopping) {
    Result<void> waited = co_await impl_->stop_event.wait();
    if (!waited.ok()) co_return;
  }
}

Shards& RealHost::shards() { return *impl_; }

ShardCounters RealHost::counters(ShardId shard) const { return impl_->shards[shard.v]->loop.counters(); }

}  // namespace mr
