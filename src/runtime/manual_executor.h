#pragma once
#include <algorithm>
#include <deque>
#include <optional>

#include "runtime/scope.h"
#include "runtime/timer_heap.h"

namespace mr {

/// An executor for unit tests: one thread, time moves only by advance_to(). Everything runs in the order it came.
class ManualExecutor : public Executor {
 public:
  explicit ManualExecutor(ShardId shard = {}) : shard_(shard) {}

  void schedule(std::coroutine_handle<> handle) override {
    post([handle] { handle.resume(); });
  }
  void post(Callback fn) override { queue_.push_back(std::move(fn)); }
  TimerId add_timer(TimePoint when, Callback fn) override { return timers_.add(when, std::move(fn)); }
  void cancel_timer(TimerId id) override { timers_.cancel(id); }
  TimePoint now() const override { return now_; }
  ShardId shard() const override { return shard_; }

  /// Runs until nothing is ready.
  void run() {
    for (;;) {
      if (Callback timer = timers_.pop_due(now_)) {
        timer();
      } else if (!queue_.empty()) {
        Callback fn = std::move(queue_.front());
        queue_.pop_front();
        fn();
      } else {
        return;
      }
    }
  }
  void advance_to(TimePoint when) {
    run();
    while (timers_.next() <= when) {
      now_ = std::max(now_, timers_.next());
      run();
    }
    now_ = std::max(now_, when);
  }
  void advance(Duration by) { advance_to(now_ + by); }
  std::size_t timers() const { return timers_.size(); }

  /// Runs `task` to its end, moving time to the next timer whenever nothing is ready.
  template <class T>
  T run_task(Task<T> task) {
    Scope scope(*this);
    std::optional<T> value;
    scope.spawn("test", store(std::move(task), value));
    run_out(scope);
    MR_CHECK(value.has_value());
    return std::move(*value);
  }
  void run_task(Task<void> task) {
    Scope scope(*this);
    scope.spawn("test", std::move(task));
    run_out(scope);
  }

 private:
  template <class T>
  static Task<void> store(Task<T> task, std::optional<T>& into) {
    into.emplace(co_await std::move(task));
  }
  void run_out(Scope& scope) {
    run();
    while (scope.running() > 0) {
      MR_CHECK(timers_.next() != kForever);  // otherwise it would wait for ever
      now_ = std::max(now_, timers_.next());
      run();
    }
  }

  ShardId shard_;
  TimePoint now_{};
  std::deque<Callback> queue_;
  TimerHeap timers_;
};

}  // namespace mr
