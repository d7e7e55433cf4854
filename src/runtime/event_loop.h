#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "runtime/real_host.h"
#include "runtime/timer_heap.h"

namespace mr {

/// Somebody interested in a descriptor. Registered once, edge-triggered, for both directions.
class FdWatch {
 public:
  /// On the loop, between coroutines: note the epoll bits and wake waiters; runs nothing else, destroys nothing.
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~FdWatch() = default;
};

/// A queue that reuses its memory.
template <class T>
class Ring {
 public:
  bool empty() const { return head_ == tail_; }
  std::size_t size() const { return tail_ - head_; }
  void push(T value) {
    if (size() == items_.size()) grow();
    items_[tail_++ & (items_.size() - 1)] = std::move(value);
  }
  T pop() { return std::move(items_[head_++ & (items_.size() - 1)]); }

 private:
  void grow() {
    std::vector<T> bigger(items_.empty() ? 64 : items_.size() * 2);
    std::size_t n = 0;
    while (!empty()) bigger[n++] = pop();
    items_ = std::move(bigger);
    head_ = 0;
    tail_ = n;
  }
  std::vector<T> items_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

/// One shard's loop over epoll (docs/decisions/event_loop.md says why not Asio's).
/// A turn: mail from other threads, due timers, then callbacks and coroutines until none is ready or the turn's budget
/// is spent, then one epoll_wait, which blocks only when nothing is ready.
/// Bounds: ready coroutines are bounded by those alive; posts by the calls under way between shards and on the pool,
/// each of which a suspended coroutine stands behind.
class EventLoop final : public Executor {
 public:
  EventLoop(ShardId shard, std::string name, Duration stall_after);
  ~EventLoop() override;

  void schedule(std::coroutine_handle<> handle) override { ready_.push(handle); }
  void post(Callback fn) override;
  TimerId add_timer(TimePoint when, Callback fn) override;
  void cancel_timer(TimerId id) override { timers_.cancel(id); }
  TimePoint now() const override;
  ShardId shard() const override { return shard_; }

  /// Runs on the calling thread until finish(); nothing ready is left behind.
  void run();
  /// On the loop.
  void finish() { finishing_ = true; }

  /// The descriptor stays watched until it is closed; the watch must live that long.
  Result<void> watch(int descriptor, FdWatch& watch);
  void unwatch(int descriptor);
  /// For a coroutine that could go on without waiting: true when it has done its share of this turn and should let
  /// others run.
  bool should_yield() { return ++unyielded_ > kCallsWithoutYield; }

  ShardCounters counters() const;
  // Counted by the sockets of this shard.
  void count_socket_call() { bump(socket_calls_); }
  void count_socket_wait() { bump(socket_waits_); }
  void count_connection(int change) {
    bump(connections_, static_cast<std::uint64_t>(static_cast<std::int64_t>(change)));
  }

 private:
  static constexpr std::uint32_t kCallsWithoutYield = 64;
  static constexpr std::uint32_t kTurnItems = 1024;
  static constexpr Duration kCpuMarkEvery = std::chrono::milliseconds(5);
  static constexpr Duration kStallLineEvery = std::chrono::seconds(1);

  /// Written by this thread, read by any: no locked instruction.
  static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void take_mail();
  void run_timers();
  void run_ready();
  void poll();
  void begin_turn();
  void end_turn();
  int wait_for_events(Duration timeout);

  const ShardId shard_;
  const std::string name_;
  const Duration stall_after_;
  int epoll_ = -1;
  int wake_ = -1;
  bool finishing_ = false;
  bool has_pwait2_ = true;

  Ring<std::coroutine_handle<>> ready_;
  Ring<Callback> local_;
  TimerHeap timers_;
  std::uint32_t unyielded_ = 0;

  // The stall watch. The thread's CPU clock costs a system call, so it is marked every few milliseconds only.
  TimePoint turn_began_;
  std::uint64_t turn_items_ = 0;
  TimePoint cpu_marked_at_;
  Duration cpu_mark_{};
  TimePoint stall_said_;
  std::uint64_t stalls_unsaid_ = 0;

  std::mutex mail_mutex_;
  std::vector<Callback> mail_;        // guarded by mail_mutex_
  std::vector<Callback> mail_taken_;  // this thread
  std::atomic<bool> has_mail_{false};
  std::atomic<bool> asleep_{false};

  std::atomic<std::uint64_t> turns_{0}, sleeps_{0}, resumed_{0}, posted_{0}, socket_calls_{0}, socket_waits_{0},
      stalls_{0}, connections_{0};
};

/// The calling thread's loop, or null.
EventLoop* current_loop();

}  // namespace mr
