// Cross-shard calls between two manual executors: inline at home, two messages otherwise, values, errors and
// exceptions come back on the caller's shard, and cancellation does not cut a call short.
#include "runtime/shards.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "runtime/manual_executor.h"

namespace mr {
namespace {

struct NoClock : Clock {
  TimePoint mono() const override { return {}; }
  WallMillis wall() const override { return 0; }
};
struct InlinePool : OffloadPool {
  void run(Callback work, Executor& back, Callback done, Urgency) override {
    work();
    back.post(std::move(done));
  }
};

/// Two shards; only executor, pool and calls are there.
class TwoShards : public Shards {
 public:
  std::uint32_t count() const override { return 2; }
  Env& env(ShardId shard) override { return *envs_[shard.v]; }
  Scope& calls(ShardId shard) override { return *calls_[shard.v]; }
  ManualExecutor& at(unsigned shard) { return executors_[shard]; }
  /// Both until nothing is ready.
  void run() {
    for (int i = 0; i < 8; ++i) {
      executors_[0].run();
      executors_[1].run();
    }
  }

 private:
  // Never touched by what is tested here; references must bind to something.
  template <class T>
  static T& none() {
    alignas(std::max_align_t) static std::byte nothing[64];
    return reinterpret_cast<T&>(nothing);
  }
  std::unique_ptr<Env> make(ManualExecutor& executor) {
    return std::unique_ptr<Env>(new Env{.shard = executor.shard(),
                                        .executor = executor,
                                        .clock = clock_,
                                        .rng = none<Rng>(),
                                        .files = none<FileSystem>(),
                                        .network = none<Network>(),
                                        .pool = pool_,
                                        .probe = none<Probe>()});
  }
  NoClock clock_;
  InlinePool pool_;
  ManualExecutor executors_[2]{ManualExecutor(ShardId{0}), ManualExecutor(ShardId{1})};
  std::unique_ptr<Env> envs_[2]{make(executors_[0]), make(executors_[1])};
  std::unique_ptr<Scope> calls_[2]{std::make_unique<Scope>(executors_[0]), std::make_unique<Scope>(executors_[1])};
};

Task<std::unique_ptr<int>> doubled(int n, std::uint32_t& ran_on) {
  const TaskContext& context = co_await current_context();
  ran_on = context.executor->shard().v;
  co_return std::make_unique<int>(2 * n);
}

Task<void> calls_both_kinds(TwoShards& shards, ShardId home, std::string& out) {
  std::uint32_t ran_on = 99;
  auto fn = [&ran_on] { return doubled(21, ran_on); };
  std::unique_ptr<int> value = co_await shards.call(home, fn);
  out += std::to_string(*value) + "@" + std::to_string(ran_on);
  auto plain = [] { return Result<int>(Errc::not_leader); };
  Result<int> failed = co_await shards.call(home, plain);
  out += " " + std::string(to_string(failed.code()));
  auto nothing = [&out] { out += " void"; };
  co_await shards.call(home, nothing);
  const TaskContext& context = co_await current_context();
  out += " back@" + std::to_string(context.executor->shard().v);
}

TEST(Shards, InlineAtHome) {
  TwoShards shards;
  std::string out;
  shards.at(1).run_task(calls_both_kinds(shards, ShardId{1}, out));
  EXPECT_EQ(out, "42@1 not_leader void back@1");
}

TEST(Shards, RemoteAndBack) {
  TwoShards shards;
  Scope scope(shards.at(0));
  std::string out;
  scope.spawn("caller", calls_both_kinds(shards, ShardId{1}, out));
  shards.at(0).run();
  EXPECT_EQ(out, "") << "nothing may run before the other shard does";
  shards.run();
  EXPECT_EQ(out, "42@1 not_leader void back@0");
}

Task<int> throws() {
  throw std::runtime_error("planted");
  co_return 0;
}
Task<void> calls_throwing(TwoShards& shards, ShardId home, std::string& out) {
  try {
    co_await shards.call(home, throws);
  } catch (const std::runtime_error& e) {
    out += e.what();
  }
  auto plain = []() -> int { throw std::runtime_error(" twice"); };
  try {
    co_await shards.call(home, plain);
  } catch (const std::runtime_error& e) {
    out += e.what();
  }
  try {
    co_await offload(shards.env(ShardId{0}), plain);
  } catch (const std::runtime_error& e) {
    out += " pool";
  }
}
TEST(Shards, ExceptionsComeBackToTheCaller) {
  TwoShards shards;
  Scope scope(shards.at(0));
  for (unsigned home : {0u, 1u}) {
    std::string out;
    scope.spawn("caller", calls_throwing(shards, ShardId{home}, out));
    shards.run();
    EXPECT_EQ(out, "planted twice pool") << home;
  }
}

Task<void> waits_for(Event& event) {
  Event::Wait wait = event.wait();
  (void)co_await wait;
}
Task<void> calls_long(TwoShards& shards, Event& event, std::string& out) {
  auto fn = [&event] { return waits_for(event); };
  co_await shards.call(ShardId{1}, fn);
  out += "answered";
}
TEST(Shards, CancellationWaitsForTheAnswer) {
  TwoShards shards;
  Scope scope(shards.at(0));
  Event event;
  std::string out;
  scope.spawn("caller", calls_long(shards, event, out));
  shards.run();
  scope.cancel();
  shards.run();
  EXPECT_EQ(out, "") << "the other shard still uses the caller's frame";
  EXPECT_EQ(shards.calls(ShardId{1}).running(), 1u);
  shards.at(1).run_task(shards.calls(ShardId{1}).stop());
  shards.run();
  EXPECT_EQ(out, "answered");
}

}  // namespace
}  // namespace mr
