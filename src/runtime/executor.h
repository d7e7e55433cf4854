#pragma once
#include <coroutine>
#include <cstdint>
#include <functional>

#include "base/ids.h"
#include "base/units.h"

namespace mr {

using ShardId = Id<struct ShardIdTag, std::uint32_t>;
using Callback = std::move_only_function<void()>;
/// 0 is never a live timer.
using TimerId = Id<struct TimerIdTag, std::uint64_t>;

/// One shard's event loop: a single thread that runs coroutines, callbacks and timers one at a time.
/// Everything but post() and shard() is for that thread only.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Resumes `handle` soon, after what was scheduled before it. Never inline.
  virtual void schedule(std::coroutine_handle<> handle) = 0;
  /// Any thread: runs `fn` on this shard. What one thread posts runs in the order it was posted.
  virtual void post(Callback fn) = 0;
  /// Runs `fn` once at `when` or soon after; a time that has passed means soon. kForever never fires.
  virtual TimerId add_timer(TimePoint when, Callback fn) = 0;
  /// After return `fn` will not run. Unknown and fired ids are ignored.
  virtual void cancel_timer(TimerId id) = 0;
  virtual TimePoint now() const = 0;
  virtual ShardId shard() const = 0;
};

}  // namespace mr
