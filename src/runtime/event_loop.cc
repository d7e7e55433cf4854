#include "runtime/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/log.h"
#include "runtime/real_clock.h"
#include "runtime/real_errno.h"

namespace mr {

namespace {
thread_local EventLoop* t_loop = nullptr;
constexpr int kEventsMax = 256;
}  // namespace

EventLoop* current_loop() { return t_loop; }

EventLoop::EventLoop(ShardId shard, std::string name, Duration stall_after)
    : shard_(shard), name_(std::move(name)), stall_after_(stall_after) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  MR_CHECK(epoll_ >= 0 && wake_ >= 0);
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};  // edge-triggered: never read
  MR_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
}

EventLoop::~EventLoop() {
  ::close(wake_);
  ::close(epoll_);
}

TimePoint EventLoop::now() const { return mono_now(); }

void EventLoop::post(Callback fn) {
  if (t_loop == this) {
    local_.push(std::move(fn));
    return;
  }
  {
    std::lock_guard lock(mail_mutex_);
    mail_.push_back(std::move(fn));
    has_mail_.store(true);
  }
  // The loop says that it sleeps, then looks for mail once more; we leave mail, then look whether it sleeps. One of us
  // sees the other.
  if (asleep_.load() && asleep_.exchange(false)) {
    std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }
}

TimerId EventLoop::add_timer(TimePoint when, Callback fn) {
  if (when == kForever) return TimerId{};
  return timers_.add(when, std::move(fn));
}

Result<void> EventLoop::watch(int descriptor, FdWatch& watch) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &watch}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) return errno_error(errno, "epoll_ctl");
  return {};
}

void EventLoop::unwatch(int descriptor) { (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr); }

void EventLoop::run() {
  t_loop = this;
  for (;;) {
    begin_turn();
    take_mail();
    run_timers();
    run_ready();
    end_turn();
    if (finishing_ && ready_.empty() && local_.empty() && !has_mail_.load()) break;
    poll();
  }
  t_loop = nullptr;
}

void EventLoop::take_mail() {
  if (!has_mail_.load(std::memory_order_acquire)) return;
  {
    std::lock_guard lock(mail_mutex_);
    mail_.swap(mail_taken_);
    has_mail_.store(false);
  }
  for (Callback& fn : mail_taken_) {
    bump(posted_);
    unyielded_ = 0;
    fn();
    fn = nullptr;
  }
  mail_taken_.clear();
}

void EventLoop::run_timers() {
  if (timers_.size() == 0) return;
  TimePoint due = now();
  while (Callback fn = timers_.pop_due(due)) fn();
}

void EventLoop::run_ready() {
  for (std::uint32_t n = 0; n < kTurnItems; ++n) {
    if (!local_.empty()) {
      Callback fn = local_.pop();
      bump(posted_);
      unyielded_ = 0;
      fn();
    }
    if (ready_.empty()) {
      if (local_.empty()) return;
      continue;
    }
    bump(resumed_);
    unyielded_ = 0;
    ready_.pop().resume();
  }
}

int EventLoop::wait_for_events(Duration timeout) {
  epoll_event events[kEventsMax];
  int n;
  if (has_pwait2_ && timeout > Duration::zero()) {
    timespec spec{.tv_sec = timeout / std::chrono::seconds(1), .tv_nsec = (timeout % std::chrono::seconds(1)).count()};
    n = ::epoll_pwait2(epoll_, events, kEventsMax, timeout == Duration::max() ? nullptr : &spec, nullptr);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {  // old kernels, strict containers
      has_pwait2_ = false;
      return wait_for_events(timeout);
    }
  } else {
    int ms = -1;
    if (timeout < std::chrono::hours(1)) {
      ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count());
    } else if (timeout != Duration::max()) {
      ms = 3600 * 1000;
    }
    n = ::epoll_wait(epoll_, events, kEventsMax, ms);
  }
  asleep_.store(false, std::memory_order_relaxed);
  for (int i = 0; i < n; ++i) {
    if (auto* watch = static_cast<FdWatch*>(events[i].data.ptr)) watch->on_ready(events[i].events);
  }
  return n;
}

void EventLoop::poll() {
  Duration timeout = Duration::zero();
  if (ready_.empty() && local_.empty()) {
    asleep_.store(true);
    if (has_mail_.load()) {
      asleep_.store(false);
    } else if (timers_.next() == kForever) {
      timeout = Duration::max();
    } else {
      timeout = std::max(Duration::zero(), timers_.next() - now());
    }
  }
  if (timeout > Duration::zero()) bump(sleeps_);
  wait_for_events(timeout);
}

void EventLoop::begin_turn() {
  bump(turns_);
  turn_began_ = now();
  turn_items_ = resumed_.load(std::memory_order_relaxed) + posted_.load(std::memory_order_relaxed);
  if (turn_began_ - cpu_marked_at_ < kCpuMarkEvery) return;
  cpu_marked_at_ = turn_began_;
  cpu_mark_ = thread_cpu();
}

void EventLoop::end_turn() {
  TimePoint ended = now();
  Duration took = ended - turn_began_;
  if (took < stall_after_) [[likely]]
    return;
  bump(stalls_);
  // Little CPU in a long turn means a blocking call, or that the kernel gave the core to somebody else.
  Duration cpu = std::min(took, thread_cpu() - cpu_mark_);
  ++stalls_unsaid_;
  if (stall_said_ != TimePoint{} && ended - stall_said_ < kStallLineEvery) return;
  std::uint64_t items = resumed_.load(std::memory_order_relaxed) + posted_.load(std::memory_order_relaxed);
  log_warn("runtime", "a shard was busy for too long without looking at its sockets",
           {{"shard", name_},
            {"ms", std::chrono::duration_cast<Millis>(took).count()},
            {"cpu_ms", std::chrono::duration_cast<Millis>(cpu).count()},
            {"ran", items - turn_items_},
            {"stalls", stalls_unsaid_}});
  stall_said_ = ended;
  stalls_unsaid_ = 0;
}

ShardCounters EventLoop::counters() const {
  auto get = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  return {.turns = get(turns_),
          .sleeps = get(sleeps_),
          .resumed = get(resumed_),
          .posted = get(posted_),
          .socket_calls = get(socket_calls_),
          .socket_waits = get(socket_waits_),
          .stalls = get(stalls_),
          .connections = get(connections_)};
}

}  // namespace mr
