#pragma once
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "runtime/executor.h"
#include "runtime/frame_pool.h"

namespace mr {

/// Something that wants to know when its coroutine is cancelled. Intrusive; unlinks itself when destroyed.
class CancelHook {
 public:
  CancelHook() = default;
  CancelHook(const CancelHook&) = delete;
  CancelHook& operator=(const CancelHook&) = delete;
  virtual ~CancelHook() { unlink(); }
  void unlink();
  virtual void on_cancel() = 0;

 private:
  friend class CancelState;
  class CancelState* owner_ = nullptr;
  CancelHook* previous_ = nullptr;
  CancelHook* next_ = nullptr;
};

/// Shared by all coroutines of one spawn. One shard only.
class CancelState {
 public:
  CancelState() = default;
  CancelState(const CancelState&) = delete;
  CancelState& operator=(const CancelState&) = delete;
  ~CancelState() { MR_CHECK(first_ == nullptr); }
  bool cancelled() const { return cancelled_; }
  /// Calls and unlinks every hook, in order of linking. Hooks linked later find cancelled() true.
  void cancel();
  void link(CancelHook& hook);

 private:
  friend class CancelHook;
  bool cancelled_ = false;
  CancelHook* first_ = nullptr;
  CancelHook* last_ = nullptr;
};

/// What a coroutine inherits from the one that awaits it.
struct TaskContext {
  Executor* executor = nullptr;
  CancelState* cancel = nullptr;
};

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  const TaskContext* context = nullptr;
  std::exception_ptr exception;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) noexcept {
      return self.promise().continuation;
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};
template <>
struct Promise<void> : PromiseBase {
  void return_void() noexcept {}
  void take() {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

/// A lazy coroutine: starts when awaited, runs on the awaiting coroutine's shard, inherits its cancellation. Await it
/// exactly once or drop it unstarted. Nothing is detached: roots are started by Scope::spawn.
template <class T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : detail::Promise<T> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  struct Awaiter {
    std::coroutine_handle<promise_type> child;
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
      child.promise().context = parent.promise().context;
      child.promise().continuation = parent;
      return child;
    }
    T await_resume() { return child.promise().take(); }
  };
  Awaiter operator co_await() && { return Awaiter{handle_}; }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

/// `const TaskContext& context = co_await current_context();`
struct current_context {
  const TaskContext* found = nullptr;
  bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> self) noexcept {
    found = self.promise().context;
    return false;
  }
  const TaskContext& await_resume() const noexcept { return *found; }
};

}  // namespace mr
