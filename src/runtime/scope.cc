#include "runtime/scope.h"

#include "base/log.h"

namespace mr {

/// The bottom frame of a spawned coroutine: gives the task its context and frees itself at the end.
struct Scope::Root {
  struct promise_type {
    const TaskContext* context = nullptr;

    promise_type(Scope&, std::string_view, Task<void>&, Spawned* spawned) : context(&spawned->context) {}
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }  // run() catches everything
  };
  std::coroutine_handle<promise_type> handle;
};

Scope::Root Scope::run(Scope& scope, std::string_view name, Task<void> task, Spawned* spawned) {
  try {
    co_await std::move(task);
  } catch (const std::exception& e) {
    log_error("runtime", "coroutine ended by an exception", {{"task", name}, {"what", e.what()}});
  } catch (...) {
    log_error("runtime", "coroutine ended by an unknown exception", {{"task", name}});
  }
  {
    Task<void> finished = std::move(task);  // the frame and what it owns go before the scope is told
  }
  scope.ended(spawned);
}

void Scope::spawn(std::string_view name, Task<void> task) {
  auto* spawned = new Spawned;
  spawned->context = TaskContext{.executor = &executor_, .cancel = &spawned->cancel};
  spawned->next = first_;
  if (first_) first_->previous = spawned;
  first_ = spawned;
  ++running_;
  if (stopping_) spawned->cancel.cancel();
  executor_.schedule(run(*this, name, std::move(task), spawned).handle);
}

void Scope::ended(Spawned* spawned) {
  (spawned->previous ? spawned->previous->next : first_) = spawned->next;
  if (spawned->next) spawned->next->previous = spawned->previous;
  delete spawned;
  if (--running_ == 0) empty_.notify_all();
}

void Scope::cancel() {
  stopping_ = true;
  // on_cancel only schedules, so the list does not change under us.
  for (Spawned* s = first_; s != nullptr; s = s->next) s->cancel.cancel();
}

Task<void> Scope::stop() {
  cancel();
  co_await drained();
}

Task<void> Scope::drained() {
  // Waits even when the caller is cancelled: leaving early would leave coroutines behind.
  while (running_ > 0) {
    auto wait = empty_.wait();
    wait.set_cancellable(false);
    (void)co_await wait;
  }
}

}  // namespace mr
