// Scopes: stop cancels and waits for the last, clean-up code runs to its end, exceptions become a log line.
#include "runtime/scope.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/log.h"
#include "runtime/manual_executor.h"

namespace mr {
namespace {

using namespace std::chrono_literals;

Task<void> works(std::string& out, char c, Duration cleanup) {
  const TaskContext& context = co_await current_context();
  (void)co_await sleep_until(kForever);
  // A cancelled task may still have to wait, shielded, for something it started.
  Waiter shielded(context.executor->now() + cleanup);
  shielded.set_cancellable(false);
  (void)co_await shielded;
  out += c;
}
Task<void> stops(Scope& scope, std::string& out) {
  co_await scope.stop();
  out += '.';
}

TEST(Scope, StopWaitsForTheLast) {
  ManualExecutor executor;
  Scope outer(executor), inner(executor);
  std::string out;
  inner.spawn("slow", works(out, 's', 2s));
  inner.spawn("quick", works(out, 'q', 1s));
  executor.run();
  outer.spawn("stop", stops(inner, out));
  outer.spawn("stop", stops(inner, out));
  executor.run();
  EXPECT_EQ(out, "");
  EXPECT_TRUE(inner.stopping());
  outer.cancel();  // stop() is not cancellable
  executor.advance(1s);
  EXPECT_EQ(out, "q");
  executor.advance(1s);
  EXPECT_EQ(out, "qs..");
  EXPECT_EQ(inner.running(), 0u);
  EXPECT_EQ(executor.timers(), 0u);
}

Task<void> notes(std::string& out) {
  const TaskContext& context = co_await current_context();
  out += context.cancel->cancelled() ? "cancelled" : "running";
}
TEST(Scope, SpawnedAfterStopStartsCancelled) {
  ManualExecutor executor;
  Scope scope(executor);
  std::string out;
  executor.run_task(scope.stop());
  scope.spawn("late", notes(out));
  executor.run();
  EXPECT_EQ(out, "cancelled");
}

Task<void> fails() {
  throw std::runtime_error("planted");
  co_return;
}
TEST(Scope, ExceptionsAreLoggedWithTheName) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view room, std::string_view message, LogFields fields) {
    lines.push_back(format_text(room, message, fields));
  });
  ManualExecutor executor;
  Scope scope(executor);
  scope.spawn("broken", fails());
  executor.run();
  set_log_sink(nullptr);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("task=broken what=planted"), std::string::npos) << lines[0];
  EXPECT_EQ(scope.running(), 0u);
}

Task<void> holds(std::shared_ptr<int> p) {
  (void)co_await sleep_until(kForever);
  *p = 1;
}
TEST(Scope, ArgumentsAreGoneWhenStopReturns) {
  ManualExecutor executor;
  Scope scope(executor);
  auto p = std::make_shared<int>(0);
  scope.spawn("holds", holds(p));
  executor.run();
  EXPECT_EQ(p.use_count(), 2);
  executor.run_task(scope.stop());
  EXPECT_EQ(p.use_count(), 1);
  EXPECT_EQ(*p, 1);
}

TEST(ScopeDeathTest, DestroyedWithCoroutinesInside) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ManualExecutor executor;
        Scope scope(executor);
        scope.spawn("forgotten", holds(nullptr));
      },
      "first_ == nullptr");
}

}  // namespace
}  // namespace mr
