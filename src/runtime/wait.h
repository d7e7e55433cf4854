#pragma once
#include <coroutine>
#include <optional>

#include "runtime/task.h"

namespace mr {

/// The one building block of waiting: a suspended coroutine that ends its wait by exactly one of finish(), its deadline
/// (timed_out) or cancellation (cancelled). Lives in the awaiting coroutine's frame. One shard.
class Waiter : public CancelHook {
 public:
  explicit Waiter(TimePoint deadline) : deadline_(deadline) {}
  ~Waiter() override { disarm(); }

  /// Ends the wait with `outcome`; the coroutine resumes soon, never inline. A second call is ignored.
  void finish(Result<void> outcome);
  bool waiting() const { return handle_ != nullptr; }
  /// For waits that must not be left early, such as for somebody who writes into our frame. Before co_await.
  void set_cancellable(bool on) { cancellable_ = on; }

  // Awaitable.
  bool await_ready() const noexcept { return outcome_.has_value(); }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> self) {
    return arm(self, *self.promise().context);
  }
  Result<void> await_resume() { return std::move(*outcome_); }

 protected:
  /// Called once when the wait ends by deadline or cancellation, so that the owner can forget the waiter.
  virtual void abandoned() {}

 private:
  bool arm(std::coroutine_handle<> self, const TaskContext& context);
  void disarm();
  void on_cancel() override;

  TimePoint deadline_;
  bool cancellable_ = true;
  std::coroutine_handle<> handle_ = nullptr;
  Executor* executor_ = nullptr;
  TimerId timer_{};
  std::optional<Result<void>> outcome_;
};

/// `co_await sleep_until(deadline)`: ok when the time came, cancelled otherwise.
class sleep_until : public Waiter {
 public:
  explicit sleep_until(TimePoint when) : Waiter(when) {}
  Result<void> await_resume() {
    Result<void> outcome = Waiter::await_resume();
    if (!outcome.ok() && outcome.code() == Errc::timed_out) return {};
    return outcome;
  }
};

/// Wakes everybody who waits at that moment; remembers nothing. Look at your condition before and after waiting:
///   while (!condition) MR_CO_TRY_VOID(co_await event.wait(deadline));
/// Errors of wait: timed_out, cancelled, shutting_down (the event was destroyed). One shard.
class Event {
 public:
  class Wait : public Waiter {
   public:
    Wait(Event& event, TimePoint deadline) : Waiter(deadline), event_(&event) {}
    ~Wait() override { leave(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> self) {
      join();
      return Waiter::await_suspend(self);
    }

   private:
    friend class Event;
    void join();
    void leave();
    void abandoned() override { leave(); }
    Event* event_;
    bool joined_ = false;
    Wait* previous_ = nullptr;
    Wait* next_ = nullptr;
  };

  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();
  [[nodiscard]] Wait wait(TimePoint deadline = kForever) { return Wait(*this, deadline); }
  void notify_all();
  bool has_waiters() const { return first_ != nullptr; }

 private:
  Wait* first_ = nullptr;
  Wait* last_ = nullptr;
};

/// A value that arrives once; one waiter. set() before wait() is fine. One shard.
template <class T>
class OneShot {
 public:
  void set(T value) {
    if (value_) return;
    value_.emplace(std::move(value));
    arrived_.notify_all();
  }
  bool is_set() const { return value_.has_value(); }
  /// Errors: timed_out, cancelled.
  Task<Result<T>> wait(TimePoint deadline = kForever) {
    while (!value_) MR_CO_TRY_VOID(co_await arrived_.wait(deadline));
    co_return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  Event arrived_;
};

/// Counts permits; acquire waits until enough are free. FIFO is not promised. One shard.
class Semaphore {
 public:
  explicit Semaphore(std::uint64_t permits) : free_(permits) {}
  Task<Result<void>> acquire(std::uint64_t permits, TimePoint deadline = kForever) {
    while (free_ < permits) MR_CO_TRY_VOID(co_await freed_.wait(deadline));
    free_ -= permits;
    co_return Result<void>{};
  }
  void release(std::uint64_t permits) {
    free_ += permits;
    freed_.notify_all();
  }
  /// One acquired permit, released at the end of the scope.
  class Held {
   public:
    explicit Held(Semaphore& semaphore) : semaphore_(semaphore) {}
    Held(const Held&) = delete;
    ~Held() { semaphore_.release(1); }

   private:
    Semaphore& semaphore_;
  };
  std::uint64_t available() const { return free_; }

 private:
  std::uint64_t free_;
  Event freed_;
};

}  // namespace mr
