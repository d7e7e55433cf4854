// Aim: a World is deterministic, really shuffles what may be shuffled, keeps the orders that the contracts promise, and
// says who waits when nothing can move. Method: small coroutine programs over many seeds.
#include "sim/world.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "sim/network.h"

namespace mr::sim {
namespace {

using std::chrono::seconds;

Task<void> sleeper(Env& env, Duration time, std::string name, std::vector<std::string>* order) {
  (void)co_await sleep_until(env.now() + time);
  order->push_back(name);
}

TEST(SimWorld, TimePassesOnlyVirtuallyAndTimersFireInOrder) {
  World world({.seed = 1});
  Process& process = world.add_host("a").start(1);
  std::vector<std::string> order;
  Env& env = process.env(ShardId{0});
  process.spawn(ShardId{0}, "t", sleeper(env, seconds(3600), "late", &order));
  process.spawn(ShardId{0}, "t", sleeper(env, seconds(5), "early", &order));
  world.run_for(seconds(10));
  EXPECT_EQ(order, (std::vector<std::string>{"early"}));
  EXPECT_EQ(world.now().time_since_epoch(), seconds(10));
  world.run_for(seconds(4000));
  EXPECT_EQ(order, (std::vector<std::string>{"early", "late"}));
}

TEST(SimWorld, CancelledTimerNeverRunsEvenWhenItIsDue) {
  int ran = 0, cancelled = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    World world({.seed = seed});
    Process& process = world.add_host("a").start(1);
    Executor& executor = process.env(ShardId{0}).executor;
    // Both are due at the same moment; whichever comes first decides.
    bool was_cancelled = false;
    TimerId victim{};
    executor.add_timer(world.now() + Millis(1), [&] {
      executor.cancel_timer(victim);
      was_cancelled = true;
    });
    victim = executor.add_timer(world.now() + Millis(1), [&] {
      EXPECT_FALSE(was_cancelled) << "seed " << seed;
      ++ran;
    });
    world.run_for(Millis(10));
    cancelled += was_cancelled;
  }
  EXPECT_EQ(cancelled, 60);
  EXPECT_GT(ran, 5);
  EXPECT_LT(ran, 55);
}

Task<int> add_on(Shards& shards, ShardId home, int a, int b) {
  co_return co_await shards.call(home, [&] { return a + b; });
}

TEST(SimWorld, CallsCrossShardsAndPoolWorkComesBack) {
  World world({.seed = 3});
  Process& process = world.add_host("a").start(3);
  EXPECT_EQ(world.run(process, ShardId{0}, add_on(process, ShardId{2}, 2, 3)), 5);
  EXPECT_EQ(world.run(process, ShardId{2}, add_on(process, ShardId{2}, 2, 4)), 6);
  int value = world.run(process, ShardId{1}, offload(process.env(ShardId{1}), [] { return 7; }));
  EXPECT_EQ(value, 7);
}

TEST(SimWorld, PostsKeepTheOrderOfOneSenderButMixBetweenSenders) {
  std::set<std::string> mixes;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    World world({.seed = seed});
    Process& process = world.add_host("a").start(3);
    Executor& target = process.env(ShardId{2}).executor;
    std::string arrived;
    for (std::uint32_t sender : {0u, 1u}) {
      process.env(ShardId{sender}).executor.post([&, sender] {
        for (int i = 0; i < 3; ++i) {
          target.post([&arrived, sender, i] { arrived += static_cast<char>((sender == 0 ? 'a' : 'x') + i); });
        }
      });
    }
    world.run_for(Millis(10));
    ASSERT_EQ(arrived.size(), 6u);
    std::string a, x;
    for (char c : arrived) (c < 'x' ? a : x) += c;
    ASSERT_EQ(a + x, "abcxyz") << "seed " << seed;
    mixes.insert(arrived);
  }
  EXPECT_GT(mixes.size(), 4u);
}

TEST(SimWorld, PoolRunsCallsInAnyOrder) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    World world({.seed = seed});
    Process& process = world.add_host("a").start(1);
    Env& env = process.env(ShardId{0});
    std::string order;
    int done = 0;
    for (char c : {'a', 'b', 'c', 'd', 'e', 'f'}) {
      env.pool.run([&order, c] { order += c; }, env.executor, [&done] { ++done; }, Urgency::now);
    }
    ASSERT_EQ(world.run_until([&] { return done == 6; }, seconds(1)), RunEnd::done);
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 10u);
}

/// A program with every kind of event in it.
Task<void> busy(Process& process, ShardId self, int rounds) {
  Env& env = process.env(self);
  auto file = env.files.open("/f" + std::to_string(self.v), OpenMode::create);
  for (int i = 0; i < rounds; ++i) {
    (void)co_await sleep_until(env.now() + Duration(env.rng.below(1'000'000)));
    ShardId other{static_cast<std::uint32_t>(env.rng.below(process.count()))};
    (void)co_await process.call(other, [i] { return i; });
    std::string text(1 + env.rng.below(100), 'x');
    (void)(*file)->write_at(as_bytes(text), env.rng.below(10'000));
    (void)co_await offload(env, [&] { return (*file)->sync(); });
  }
}

std::uint64_t trace_of(std::uint64_t seed, std::vector<std::uint64_t>* log = nullptr) {
  World world({.seed = seed});
  world.record_trace(log);
  for (const char* name : {"a", "b"}) {
    Process& process = world.add_host(name).start(2);
    for (std::uint32_t i = 0; i < 2; ++i) process.spawn(ShardId{i}, "busy", busy(process, ShardId{i}, 20));
  }
  world.run_for(seconds(5));
  world.record_trace(nullptr);
  return world.trace_hash();
}

TEST(SimWorld, SameSeedSameTraceOtherSeedOtherTrace) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<std::uint64_t> first, second;
    std::uint64_t hash = trace_of(seed, &first);
    EXPECT_EQ(hash, trace_of(seed, &second));
    EXPECT_EQ(first, second);
    EXPECT_GT(first.size(), 500u);
    hashes.insert(hash);
  }
  EXPECT_EQ(hashes.size(), 20u);
}

Task<void> wait_for_ever(Event& event) { (void)co_await event.wait(); }

TEST(SimWorld, DeadlockIsSeenAndDescribed) {
  World world({.seed = 1});
  Process& process = world.add_host("stuck host").start(1);
  Event event;
  process.spawn(ShardId{0}, "w", wait_for_ever(event));
  EXPECT_EQ(world.run_until([] { return false; }, seconds(1)), RunEnd::idle);
  EXPECT_NE(world.describe().find("stuck host"), std::string::npos);
  EXPECT_NE(world.describe().find("calls running 1"), std::string::npos);
  EXPECT_THROW(world.run(process, ShardId{0}, wait_for_ever(event)), std::runtime_error);
  event.notify_all();
  world.run_for(Millis(1));
}

Task<void> spin(Env& env) {
  while ((co_await sleep_until(env.now())).ok()) {
  }
}

TEST(SimWorld, StepLimitEndsARunThatSpins) {
  World world({.seed = 1, .steps_max = 5'000});
  Process& process = world.add_host("a").start(1);
  process.spawn(ShardId{0}, "spin", spin(process.env(ShardId{0})));
  EXPECT_EQ(world.run_until([] { return false; }, seconds(10)), RunEnd::step_limit);
  process.calls(ShardId{0}).cancel();
  world.raise_step_limit(100);
  world.run_for(Millis(1));
  World again({.seed = 1});  // time moves although a shard is never idle
  Process& free = again.add_host("a").start(1);
  free.spawn(ShardId{0}, "spin", spin(free.env(ShardId{0})));
  EXPECT_EQ(again.run_until([] { return false; }, Millis(50)), RunEnd::timed_out);
  free.calls(ShardId{0}).cancel();
  again.run_for(Millis(1));
}

TEST(SimWorld, WallClockJumpsAndMonotonicDoesNot) {
  World world({.seed = 1});
  Host& host = world.add_host("a");
  Env& env = host.start(1).env(ShardId{0});
  WallMillis before = env.clock.wall();
  TimePoint mono = env.clock.mono();
  host.jump_wall(Millis(-5'000));
  EXPECT_EQ(env.clock.wall(), before - 5'000);
  EXPECT_EQ(env.clock.mono(), mono);
  world.run_for(seconds(2));
  EXPECT_EQ(env.clock.wall(), before - 3'000);
}

TEST(SimWorld, ProbesCountOfTheLivingOnly) {
  World world({.seed = 1});
  Host& host = world.add_host("a");
  Process& process = host.start(1);
  process.env(ShardId{0}).probe.hit("rare");
  host.crash(CrashMode::keep_all);
  process.env(ShardId{0}).probe.hit("rare");
  EXPECT_EQ(world.probes().count("rare"), 1u);
  EXPECT_EQ(world.probes().count("never"), 0u);
}

TEST(SimWorld, CrashLeavesAGhostThatNobodySees) {
  World world({.seed = 1});
  Host& host = world.add_host("a");
  Process& old = host.start(1);
  FileSystem& ghost_files = old.env(ShardId{0}).files;
  auto file = ghost_files.open("/f", OpenMode::create).value();
  ASSERT_TRUE(file->write_at(as_bytes("a"), 0).ok());
  auto lock = ghost_files.lock("/lock").value();
  host.crash(CrashMode::keep_all);
  EXPECT_FALSE(old.alive());
  ASSERT_TRUE(file->write_at(as_bytes("ghost"), 0).ok());
  ASSERT_TRUE(file->sync().ok());
  FileSystem& files = host.start(1).env(ShardId{0}).files;
  EXPECT_EQ(files.open("/f", OpenMode::read).value()->size().value(), 1u);
  EXPECT_TRUE(files.lock("/lock").ok());
}

Task<void> sync_file(Env& env, File& file, bool* done) {
  (void)co_await offload(env, [&] { return file.sync(); });
  *done = true;
}

TEST(SimWorld, SlowAndHungDiskHoldBackOnlyTheCall) {
  World world({.seed = 5, .offload_slow_one_in = 0, .stall_one_in = 0});
  Host& host = world.add_host("a");
  Process& process = host.start(1);
  Env& env = process.env(ShardId{0});
  auto file = env.files.open("/f", OpenMode::create).value();
  host.disk().add_fault({.kind = Fault::Kind::delay, .op = DiskOp::sync, .delay = seconds(2)});
  bool slow = false, hung = false;
  process.spawn(ShardId{0}, "slow", sync_file(env, *file, &slow));
  world.run_for(seconds(1));
  EXPECT_FALSE(slow);
  world.run_for(seconds(2));
  EXPECT_TRUE(slow);
  host.disk().add_fault({.kind = Fault::Kind::hang, .op = DiskOp::sync});
  process.spawn(ShardId{0}, "hung", sync_file(env, *file, &hung));
  EXPECT_EQ(world.run_until([&] { return hung; }, seconds(100)), RunEnd::idle);
  EXPECT_NE(world.describe().find("hung 1"), std::string::npos);
  host.disk().heal();
  EXPECT_EQ(world.run_until([&] { return hung; }, seconds(1)), RunEnd::done);
}

TEST(SimWorld, SlowReadOnAShardStallsThatShard) {
  World world({.seed = 5, .stall_one_in = 0});
  Host& host = world.add_host("a");
  Process& process = host.start(2);
  Env& env = process.env(ShardId{0});
  auto file = env.files.open("/f", OpenMode::create).value();
  host.disk().add_fault({.kind = Fault::Kind::delay, .op = DiskOp::read, .delay = Millis(100)});
  bool same = false, other = false;
  std::byte byte{};
  env.executor.post([&] {
    (void)file->read_at(std::span(&byte, 1), 0);
    env.executor.post([&] { same = true; });
    process.env(ShardId{1}).executor.post([&] { other = true; });
  });
  world.run_for(Millis(50));
  EXPECT_TRUE(other);
  EXPECT_FALSE(same);
  world.run_for(Millis(100));
  EXPECT_TRUE(same);
}

TEST(SimWorldDeathTest, TouchingAnotherShardsExecutorAborts) {
  World world({.seed = 1});
  Process& process = world.add_host("a").start(2);
  process.env(ShardId{0}).executor.post([&] { process.env(ShardId{1}).executor.cancel_timer(TimerId{9}); });
  EXPECT_DEATH(world.run_for(Millis(1)), "check failed");
}

}  // namespace
}  // namespace mr::sim
