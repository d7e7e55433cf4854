#pragma once
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>

#include "runtime/env.h"
#include "runtime/scope.h"
#include "runtime/wait.h"

namespace mr {

namespace detail {
template <class R>
struct TaskValue {
  using type = R;
  static constexpr bool is_task = false;
};
template <class T>
struct TaskValue<Task<T>> {
  using type = T;
  static constexpr bool is_task = true;
};

/// Waits until somebody on any thread posts back to our executor. Cannot be left early: the other side writes into
/// our frame.
class Rendezvous : public Waiter {
 public:
  Rendezvous() : Waiter(kForever) { set_cancellable(false); }
};

/// What a function gave on another thread: its value, or what it threw, which the caller then throws again.
template <class T>
struct Outcome {
  std::optional<T> value;
  std::exception_ptr exception;

  template <class F>
  void run(F& fn) noexcept {
    try {
      value.emplace(fn());
    } catch (...) {
      exception = std::current_exception();
    }
  }
  template <class F>
  Task<void> await(F& fn) {
    try {
      value.emplace(co_await fn());
    } catch (...) {
      exception = std::current_exception();
    }
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};
template <>
struct Outcome<void> {
  std::exception_ptr exception;

  template <class F>
  void run(F& fn) noexcept {
    try {
      fn();
    } catch (...) {
      exception = std::current_exception();
    }
  }
  template <class F>
  Task<void> await(F& fn) {
    try {
      co_await fn();
    } catch (...) {
      exception = std::current_exception();
    }
  }
  void take() {
    if (exception) std::rethrow_exception(exception);
  }
};

/// One call under way. Stands in the caller's frame, so that the messages carry one pointer and allocate nothing.
template <class T, class F>
struct RemoteCall {
  F& fn;
  Scope& calls;
  Executor& back;
  Outcome<T> outcome;
  Rendezvous rendezvous;

  void start() {
    if constexpr (TaskValue<std::invoke_result_t<F&>>::is_task) {
      calls.spawn("cross-shard call", run_task(*this));
    } else {
      outcome.run(fn);
      answer();
    }
  }
  /// Afterwards the caller may be gone, and this with it.
  void answer() {
    back.post([this] { rendezvous.finish({}); });
  }
  static Task<void> run_task(RemoteCall& call) {
    co_await call.outcome.await(call.fn);
    call.answer();
  }
};
}  // namespace detail

/// All shards of one broker (production: one pinned thread each; simulation: many on one thread). Shards talk only by
/// the calls here.
class Shards {
 public:
  virtual ~Shards() = default;
  virtual std::uint32_t count() const = 0;
  virtual Env& env(ShardId shard) = 0;
  /// Scope of work that other shards asked `shard` to do; drained before the shard stops.
  virtual Scope& calls(ShardId shard) = 0;

  /// Runs `fn` (plain or returning a Task) on `home` and brings its value, or what it threw, back to the caller's
  /// shard. At most two messages; inline when the caller already is on `home`. What goes in and out is moved, never
  /// shared mutable. Not cancellable: the caller waits for the answer, so `fn` may refer to the caller's frame.
  template <class F>
  auto call(ShardId home, F fn) -> Task<typename detail::TaskValue<std::invoke_result_t<F&>>::type> {
    using Traits = detail::TaskValue<std::invoke_result_t<F&>>;
    using T = typename Traits::type;
    const TaskContext& context = co_await current_context();
    Executor& back = *context.executor;
    if (back.shard() == home) {
      if constexpr (Traits::is_task) {
        co_return co_await fn();
      } else {
        co_return fn();
      }
    }
    detail::RemoteCall<T, F> call{.fn = fn, .calls = calls(home), .back = back, .outcome = {}, .rendezvous = {}};
    env(home).executor.post([&call] { call.start(); });
    (void)co_await call.rendezvous;
    co_return call.outcome.take();
  }
};

/// Runs blocking `fn` on the pool and brings its value, or what it threw, back. Not cancellable, so `fn` may refer to
/// the caller's frame.
///   auto synced = co_await offload(env, [&] { return file.sync(); });
template <class F>
auto offload(Env& env, F fn, Urgency urgency = Urgency::now) -> Task<std::invoke_result_t<F&>> {
  detail::Outcome<std::invoke_result_t<F&>> outcome;
  detail::Rendezvous rendezvous;
  env.pool.run([&] { outcome.run(fn); }, env.executor, [&] { rendezvous.finish({}); }, urgency);
  (void)co_await rendezvous;
  co_return outcome.take();
}

}  // namespace mr
