// Waiting ends by exactly one of event, deadline or cancellation, and leaves nothing behind: no timer, no hook, no
// place in an event's list. Time is the manual executor's.
#include "runtime/wait.h"

#include <gtest/gtest.h>

#include <memory>

#include "runtime/manual_executor.h"

namespace mr {
namespace {

using namespace std::chrono_literals;

std::string name(const Result<void>& r) { return r.ok() ? "ok" : std::string(to_string(r.code())); }

Task<void> waits(Event& event, TimePoint deadline, std::vector<std::string>& out) {
  out.push_back(name(co_await event.wait(deadline)));
}

class Wait : public testing::Test {
 protected:
  ManualExecutor executor;
  Scope scope{executor};
  std::vector<std::string> out;

  TimePoint in(Duration d) { return executor.now() + d; }
  std::vector<std::string> ended() { return std::exchange(out, {}); }
  using Strings = std::vector<std::string>;
};

TEST_F(Wait, NotifyWakesAllWhoWaitAndRemembersNothing) {
  Event event;
  scope.spawn("a", waits(event, in(1s), out));
  scope.spawn("b", waits(event, kForever, out));
  executor.run();
  EXPECT_TRUE(event.has_waiters());
  event.notify_all();
  EXPECT_TRUE(out.empty()) << "resumed inline";
  executor.run();
  EXPECT_EQ(ended(), (Strings{"ok", "ok"}));
  EXPECT_EQ(executor.timers(), 0u);
  scope.spawn("c", waits(event, in(1s), out));
  executor.advance(1s);
  EXPECT_EQ(ended(), Strings{"timed_out"});
}

TEST_F(Wait, DeadlineInThePastEndsSoon) {
  Event event;
  executor.advance(5s);
  scope.spawn("a", waits(event, in(-1s), out));
  executor.run();
  EXPECT_EQ(ended(), Strings{"timed_out"});
  EXPECT_FALSE(event.has_waiters());
}

TEST_F(Wait, CancelledWhileWaiting) {
  Event event;
  scope.spawn("a", waits(event, in(1s), out));
  executor.run();
  scope.cancel();
  event.notify_all();  // too late: one outcome only
  executor.run();
  EXPECT_EQ(ended(), Strings{"cancelled"});
  EXPECT_EQ(executor.timers(), 0u);
  EXPECT_FALSE(event.has_waiters());
}

TEST_F(Wait, CancelledBeforeWaiting) {
  Event event;
  scope.cancel();
  scope.spawn("a", waits(event, in(1s), out));
  executor.run();
  EXPECT_EQ(ended(), Strings{"cancelled"});
  EXPECT_EQ(executor.timers(), 0u);
  EXPECT_FALSE(event.has_waiters());
}

TEST_F(Wait, EventDestroyedUnderItsWaiters) {
  auto event = std::make_unique<Event>();
  scope.spawn("a", waits(*event, in(1s), out));
  scope.spawn("b", waits(*event, kForever, out));
  executor.run();
  event.reset();
  executor.run();
  EXPECT_EQ(ended(), (Strings{"shutting_down", "shutting_down"}));
  EXPECT_EQ(executor.timers(), 0u);
}

TEST_F(Wait, NotifyAndDeadlineAtOnceGiveOneOutcome) {
  Event event;
  scope.spawn("a", waits(event, in(1s), out));
  executor.run();
  executor.add_timer(in(1s), [&] { event.notify_all(); });
  executor.advance(2s);
  EXPECT_EQ(ended(), Strings{"timed_out"}) << "the waiter's timer was first";
}

Task<void> sleeps(TimePoint when, std::vector<std::string>& out) { out.push_back(name(co_await sleep_until(when))); }
TEST_F(Wait, SleepEndsWellAtItsTimeAndBadlyWhenCancelled) {
  scope.spawn("a", sleeps(in(1s), out));
  scope.spawn("b", sleeps(kForever, out));
  executor.advance(999ms);
  EXPECT_TRUE(out.empty());
  executor.advance(1ms);
  EXPECT_EQ(ended(), Strings{"ok"});
  scope.cancel();
  executor.run();
  EXPECT_EQ(ended(), Strings{"cancelled"});
}

Task<void> takes(OneShot<std::unique_ptr<int>>& shot, TimePoint deadline, std::vector<std::string>& out) {
  Result<std::unique_ptr<int>> r = co_await shot.wait(deadline);
  out.push_back(r.ok() ? std::to_string(**r) : std::string(to_string(r.code())));
}
TEST_F(Wait, OneShotBeforeAndAfter) {
  OneShot<std::unique_ptr<int>> early, late, never;
  early.set(std::make_unique<int>(1));
  early.set(std::make_unique<int>(9));  // ignored
  scope.spawn("early", takes(early, kForever, out));
  scope.spawn("late", takes(late, kForever, out));
  scope.spawn("never", takes(never, in(1s), out));
  executor.run();
  EXPECT_EQ(ended(), Strings{"1"});
  late.set(std::make_unique<int>(2));
  executor.advance(1s);
  EXPECT_EQ(ended(), (Strings{"2", "timed_out"}));
}

Task<void> acquires(Semaphore& semaphore, std::uint64_t n, TimePoint deadline, std::vector<std::string>& out) {
  out.push_back(name(co_await semaphore.acquire(n, deadline)));
}
TEST_F(Wait, SemaphoreCountsAndAbandonedWaitsTakeNothing) {
  Semaphore semaphore(3);
  scope.spawn("a", acquires(semaphore, 2, kForever, out));
  scope.spawn("b", acquires(semaphore, 2, in(1s), out));
  scope.spawn("c", acquires(semaphore, 3, kForever, out));
  executor.advance(1s);
  EXPECT_EQ(ended(), (Strings{"ok", "timed_out"}));
  EXPECT_EQ(semaphore.available(), 1u);
  semaphore.release(2);
  executor.run();
  EXPECT_EQ(ended(), Strings{"ok"});
  EXPECT_EQ(semaphore.available(), 0u);
}

}  // namespace
}  // namespace mr
