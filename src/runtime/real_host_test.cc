// Hosts with real threads: main runs on shard 0 and its value comes back, calls cross threads, timers fire in order,
// work on the pool comes home, stop requests and signals end it, stalls are counted.
#include "runtime/real_host.h"

#include <gtest/gtest.h>

#include <csignal>
#include <future>
#include <latch>
#include <thread>

#include "base/log.h"
#include "runtime/event_loop.h"

namespace mr {
namespace {

using namespace std::chrono_literals;

HostOptions quiet(std::uint32_t shards) { return {.shards = shards, .pool_threads = 2, .handle_signals = false}; }

Task<int> returns_shard(RealHost&) {
  const TaskContext& context = co_await current_context();
  co_return static_cast<int>(context.executor->shard().v) + 40;
}
TEST(RealHost, RunsMainOnShardZero) {
  RealHost host(quiet(2));
  EXPECT_EQ(host.run(returns_shard), 40);
}

Task<void> call_around(RealHost& host, int rounds, long& sum) {
  std::uint32_t n = host.shards().count();
  for (int i = 0; i < rounds; ++i) {
    ShardId home{static_cast<std::uint32_t>(i) % n};
    auto fn = [i] { return i; };
    sum += co_await host.shards().call(home, fn);
  }
}
Task<int> many_calls(RealHost& host) {
  Scope scope(host.env(ShardId{0}).executor);
  long sum = 0;
  for (int i = 0; i < 20; ++i) scope.spawn("caller", call_around(host, 300, sum));
  co_await scope.drained();
  co_return sum == 20L * (299 * 300 / 2) ? 0 : 1;
}
TEST(RealHost, CallsCrossThreads) {
  RealHost host(quiet(3));
  EXPECT_EQ(host.run(many_calls), 0);
  EXPECT_GT(host.counters(ShardId{2}).posted, 2000u);
}

Task<void> sleep_and_note(Executor& executor, Duration d, int i, std::vector<int>& order) {
  (void)co_await sleep_until(executor.now() + d);
  order.push_back(i);
}
Task<int> timers(RealHost& host) {
  Executor& executor = host.env(ShardId{0}).executor;
  Scope scope(executor);
  std::vector<int> order;
  TimePoint began = executor.now();
  scope.spawn("b", sleep_and_note(executor, 4ms, 2, order));
  scope.spawn("a", sleep_and_note(executor, 2ms, 1, order));
  co_await scope.drained();
  bool in_time = executor.now() - began >= 4ms;
  Event never;
  Result<void> late = co_await never.wait(executor.now() + 1ms);
  co_return order == std::vector<int>{1, 2} && in_time&& late.code() == Errc::timed_out ? 0 : 1;
}
TEST(RealHost, TimersFireInOrder) {
  RealHost host(quiet(1));
  EXPECT_EQ(host.run(timers), 0);
}

Task<int> pool_work(RealHost& host) {
  auto where = [] { return current_loop() == nullptr; };
  bool off_shard = co_await offload(host.env(ShardId{0}), where);
  bool back = current_loop() != nullptr;
  co_return off_shard&& back ? 0 : 1;
}
TEST(RealHost, PoolWorkComesHome) {
  RealHost host(quiet(1));
  EXPECT_EQ(host.run(pool_work), 0);
}

Task<int> waits_for_stop(RealHost& host) {
  co_await host.stop_requested();
  co_return 7;
}
TEST(RealHost, StopFromAnotherThread) {
  RealHost host(quiet(2));
  host.start(waits_for_stop);
  host.request_stop();
  EXPECT_EQ(host.wait(), 7);
  RealHost early(quiet(1));
  early.request_stop();
  EXPECT_EQ(early.run(waits_for_stop), 7);
  RealHost dropped(quiet(1));  // its destructor stops it
  dropped.start(waits_for_stop);
}

Task<int> raises(RealHost& host) {
  ::raise(SIGTERM);
  co_await host.stop_requested();
  co_return 0;
}
TEST(RealHost, SigtermAsksToStop) {
  HostOptions options = quiet(2);
  options.handle_signals = true;
  {
    RealHost host(options);
    EXPECT_EQ(host.run(raises), 0);
  }
  RealHost again(options);
  EXPECT_EQ(again.run(raises), 0) << "the first signal of another host is not its second";
}

Task<int> raises_twice(RealHost&) {
  ::raise(SIGTERM);
  ::raise(SIGTERM);
  co_return 0;
}
TEST(RealHostDeathTest, SecondSignalEndsAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        HostOptions options = quiet(1);
        options.handle_signals = true;
        RealHost host(options);
        std::_Exit(host.run(raises_twice));
      },
      testing::ExitedWithCode(143), "");
}

Task<int> spins(RealHost& host) {
  Clock& clock = host.env(ShardId{0}).clock;
  TimePoint until = clock.mono() + 5ms;
  while (clock.mono() < until) {
  }
  co_return 0;
}
TEST(RealHost, StallsAreCountedAndSaid) {
  std::atomic<int> lines{0};
  set_log_sink([&](LogLevel, std::string_view, std::string_view message, LogFields) {
    if (message.find("busy for too long") != std::string_view::npos) ++lines;
  });
  HostOptions options = quiet(1);
  options.stall_after = 4ms;
  {
    RealHost host(options);
    EXPECT_EQ(host.run(spins), 0);
    EXPECT_GE(host.counters(ShardId{0}).stalls, 1u);
  }
  set_log_sink(nullptr);
  EXPECT_GE(lines.load(), 1);
}

Task<int> throws(RealHost&) {
  throw std::runtime_error("planted");
  co_return 0;
}
TEST(RealHost, ExceptionInMainIsAnExitCode) {
  RealHost host(quiet(1));
  EXPECT_EQ(host.run(throws), 1);
}

TEST(RealPool, DestructorRunsWhatIsQueued) {
  EventLoop loop(ShardId{0}, "none", 25ms);
  std::atomic<int> ran{0};
  {
    std::unique_ptr<OffloadPool> pool = make_offload_pool("one", 1);
    for (int i = 0; i < 100; ++i) pool->run([&ran] { ++ran; }, loop, [] {}, i % 2 == 0 ? Urgency::now : Urgency::later);
  }
  EXPECT_EQ(ran.load(), 100);
}

// Four deletions once held all threads for 200 ms, and every commit waited.
TEST(RealPool, LaterJobsLeaveThreadsToOthers) {
  EventLoop loop(ShardId{0}, "none", 25ms);
  std::promise<void> done;
  std::latch release(1);
  std::atomic<int> ran{0};
  {
    std::unique_ptr<OffloadPool> pool = make_offload_pool("four", 4);
    auto later = [&] {
      release.wait();
      ++ran;
    };
    for (int i = 0; i < 8; ++i) pool->run(later, loop, [] {}, Urgency::later);
    pool->run([&] { done.set_value(); }, loop, [] {}, Urgency::now);
    EXPECT_EQ(done.get_future().wait_for(30s), std::future_status::ready);
    release.count_down();
  }
  EXPECT_EQ(ran.load(), 8);
}

TEST(RealRng, DiffersAndSpreads) {
  auto a = make_real_rng(), b = make_real_rng();
  EXPECT_NE(a->next(), b->next());
  int ones = 0;
  for (int i = 0; i < 1000; ++i) ones += std::popcount(a->next());
  EXPECT_NEAR(ones, 32000, 1000);
}

}  // namespace
}  // namespace mr
