// Aim: memory for looking into batches is had when it is there, waited for when others have it, and refused at once
// when it never will be. Method: an account, and two who want it, in simulated time.
#include "broker/inflating.h"

#include <gtest/gtest.h>

#include "sim/world.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

TEST(Inflating, WaitsForOthersAndNotForEver) {
  sim::World world({.seed = 1});
  sim::Process& process = world.add_host("b").start(1);
  Env& env = process.env(ShardId{0});
  MemoryAccount account("inflating", 1000);
  auto test = [](Env& env, MemoryAccount& account) -> Task<void> {
    EXPECT_EQ((co_await memory_to_inflate(env, account, 1001, env.now() + 10s)).code(), Errc::too_large);
    auto first = co_await memory_to_inflate(env, account, 700, env.now());
    EXPECT_TRUE(first.ok());
    const TimePoint asked = env.now();
    EXPECT_EQ((co_await memory_to_inflate(env, account, 301, asked + 1s)).code(), Errc::request_timed_out);
    EXPECT_GE(env.now() - asked, 1s);
    auto second = co_await memory_to_inflate(env, account, 300, env.now());
    EXPECT_TRUE(second.ok());
    EXPECT_EQ(account.used(), 1000u);
  };
  world.run(process, ShardId{0}, test(env, account));
  EXPECT_EQ(account.used(), 0u);
}

}  // namespace
}  // namespace mr::broker
