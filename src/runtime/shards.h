#pragma once
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

  /// Runs `fn` (plain or returning a Task) on `home` and brings its value back to the caller's shard. At most two
  /// messages; inline when the caller already is on `home`. What goes in and out is moved, never shared mutable.
  /// Not cancellable: the caller waits for the answer, so `fn` may refer to the caller's frame.
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
    Executor& there = env(home).executor;
    detail::Rendezvous rendezvous;
    if constexpr (std::is_void_v<T>) {
      there.post([&] { start<T>(home, fn, nullptr, back, rendezvous); });
      (void)co_await rendezvous;
    } else {
      std::optional<T> value;
      there.post([&] { start<T>(home, fn, &value, back, rendezvous); });
      (void)co_await rendezvous;
      co_return std::move(*value);
    }
  }

 private:
  template <class T, class F, class V>
  void start(ShardId home, F& fn, V value, Executor& back, detail::Rendezvous& rendezvous) {
    if constexpr (detail::TaskValue<std::invoke_result_t<F&>>::is_task) {
      calls(home).spawn("cross-shard call", run_task<T>(fn, value, back, rendezvous));
    } else {
      if constexpr (std::is_void_v<T>) {
        fn();
      } else {
        value->emplace(fn());
      }
      back.post([&rendezvous] { rendezvous.finish({}); });
    }
  }
  template <class T, class F, class V>
  static Task<void> run_task(F& fn, V value, Executor& back, detail::Rendezvous& rendezvous) {
    if constexpr (std::is_void_v<T>) {
      co_await fn();
    } else {
      value->emplace(co_await fn());
    }
    back.post([&rendezvous] { rendezvous.finish({}); });
  }
};

/// Runs blocking `fn` on the pool and brings its value back. Not cancellable, so `fn` may refer to the caller's frame.
///   auto size = co_await offload(env, [&] { return file.sync(); });
template <class F>
auto offload(Env& env, F fn) -> Task<std::invoke_result_t<F&>> {
  using T = std::invoke_result_t<F&>;
  detail::Rendezvous rendezvous;
  if constexpr (std::is_void_v<T>) {
    env.pool.run([&] { fn(); }, env.executor, [&] { rendezvous.finish({}); });
    (void)co_await rendezvous;
  } else {
    std::optional<T> value;
    env.pool.run([&] { value.emplace(fn()); }, env.executor, [&] { rendezvous.finish({}); });
    (void)co_await rendezvous;
    co_return std::move(*value);
  }
}

}  // namespace mr
