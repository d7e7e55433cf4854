// Tasks: values, exceptions and cancellation hooks pass between coroutines as task.h says; a long run of calls that
// never suspend does not grow the stack.
#include "runtime/task.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "runtime/manual_executor.h"

namespace mr {
namespace {

Task<int> number(int n) { co_return n; }
Task<int> throws() {
  throw std::runtime_error("planted");
  co_return 0;
}
Task<Result<int>> adds(Result<int> a) {
  MR_CO_TRY(int x, std::move(a));
  co_return x + 1;
}

TEST(Task, ReturnsValuesAndErrors) {
  ManualExecutor executor;
  EXPECT_EQ(executor.run_task(number(3)), 3);
  EXPECT_EQ(*executor.run_task(adds(1)), 2);
  EXPECT_EQ(executor.run_task(adds(Errc::not_leader)).code(), Errc::not_leader);
}

Task<std::string> catches() {
  try {
    co_await throws();
  } catch (const std::runtime_error& e) {
    co_return e.what();
  }
  co_return "nothing";
}
TEST(Task, ExceptionsReachTheAwaiter) {
  ManualExecutor executor;
  EXPECT_EQ(executor.run_task(catches()), "planted");
}

Task<long> sums(int n) {
  long sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await number(1);
  co_return sum;
}
TEST(Task, ManyCallsThatNeverSuspend) {
  ManualExecutor executor;
  EXPECT_EQ(executor.run_task(sums(200'000)), 200'000);
}

TEST(Task, DroppedUnstartedFreesItsArguments) {
  auto alive = std::make_shared<int>(1);
  auto holds = [](std::shared_ptr<int> p) -> Task<int> { co_return *p; };
  {
    Task<int> never = holds(alive);
    EXPECT_EQ(alive.use_count(), 2);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

struct Hook : CancelHook {
  explicit Hook(std::string& out, char c) : out(out), c(c) {}
  void on_cancel() override { out += c; }
  std::string& out;
  char c;
};

TEST(CancelState, CallsHooksInOrderOnce) {
  CancelState state;
  std::string called;
  Hook a(called, 'a'), c(called, 'c');
  {
    Hook b(called, 'b');
    state.link(a);
    state.link(b);
    state.link(c);
  }  // b unlinks itself
  state.cancel();
  state.cancel();
  EXPECT_EQ(called, "ac");
  EXPECT_TRUE(state.cancelled());
}

}  // namespace
}  // namespace mr
