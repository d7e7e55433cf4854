#pragma once
#include <memory>
#include <string_view>

#include "runtime/task.h"
#include "runtime/wait.h"

namespace mr {

/// Owns running coroutines. Nothing outlives its scope: `co_await scope.stop()` cancels all and returns after the last
/// has ended; destroying a scope that still has coroutines is a bug and aborts. One shard.
class Scope {
 public:
  explicit Scope(Executor& executor) : executor_(executor) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { MR_CHECK(first_ == nullptr); }

  /// Starts `task` soon. `name` must be static text; it appears in logs. An exception that escapes is logged as an
  /// error. After stop() or cancel() the task still starts, already cancelled, so that it can clean up.
  void spawn(std::string_view name, Task<void> task);
  /// Asks all to end.
  void cancel();
  /// cancel(), then waits for the last. Not itself cancellable.
  Task<void> stop();
  /// Waits, without cancelling, until nothing runs.
  Task<void> drained();
  std::size_t running() const { return running_; }
  bool stopping() const { return stopping_; }
  Executor& executor() { return executor_; }

 private:
  struct Root;
  struct Spawned {
    TaskContext context;
    CancelState cancel;
    Spawned* previous = nullptr;
    Spawned* next = nullptr;
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* spawned, std::size_t size) noexcept { free_frame(spawned, size); }
  };
  static Root run(Scope& scope, std::string_view name, Task<void> task, Spawned* spawned);
  void ended(Spawned* spawned);

  Executor& executor_;
  Spawned* first_ = nullptr;
  std::size_t running_ = 0;
  bool stopping_ = false;
  Event empty_;
};

}  // namespace mr
