#include "bench/groupload/runner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace mr::bench {
namespace {

constexpr std::size_t kReadBytes = 16 << 10;
constexpr double kSilenceMax = 60;  ///< seconds

/// Who does what when, in one run.
class Schedule {
 public:
  Schedule(Work& work, const RunLimits& limits) : work_(work), limits_(limits), began_at_(work.actors()) {
    for (std::size_t a = 0; a < work.actors(); ++a) idle_.push_back(a);
    window_ = limits.rate > 0 ? work.at_once() : std::min(work.at_once(), limits.window);
    start_ = now_seconds();
  }
  bool more(double now) const { return limits_.count != 0 ? issued_ < limits_.count : now < start_ + limits_.seconds; }
  bool over(double now) const { return !more(now) && running_ == 0 && due_.empty(); }
  double started() const { return start_; }

  void begin_what_may(double now) {
    if (limits_.rate > 0) {
      for (double at; more(now) && (at = next_due()) <= now; ++issued_) due_.push_back(at);
      for (; !due_.empty() && can_begin(); due_.pop_front()) begin(due_.front());
    } else {
      for (; more(now) && can_begin(); ++issued_) begin(now);
    }
  }
  void ended(std::size_t actor, RunFigures& figures) {
    figures.latencies.push_back(now_seconds() - began_at_[actor]);
    ++figures.operations;
    idle_.push_back(actor);
    --running_;
  }
  double pause(double now) const {
    if (limits_.rate <= 0 || !more(now)) return 0.05;
    return std::clamp(next_due() - now_seconds() - 20e-6, 0.0, 0.05);
  }

 private:
  double next_due() const { return start_ + static_cast<double>(issued_) / limits_.rate; }
  bool can_begin() const { return !idle_.empty() && running_ < window_; }
  void begin(double at) {
    std::size_t actor = idle_.front();
    idle_.pop_front();
    began_at_[actor] = at;
    ++running_;
    work_.begin(actor);
  }

  Work& work_;
  const RunLimits& limits_;
  std::vector<double> began_at_;  ///< intended time of each actor's operation
  std::deque<std::size_t> idle_;
  std::deque<double> due_;  ///< open loop: whose time has come and who wait for an idle actor
  std::size_t window_ = 0;
  std::size_t running_ = 0;
  std::uint64_t issued_ = 0;
  double start_ = 0;
};

}  // namespace

Runner::Runner(const GroupOptions& options)
    : wire_(options.host, options.port, options.connections, kReadBytes,
            [this](std::size_t, const Sent& sent, ByteView answer) {
              last_answer_ = now_seconds();
              (*each_)(sent.tag, answer);
            }),
      server_pid_(options.server_pid) {}

void Runner::send(std::size_t connection, ByteView frame, std::uint64_t tag) {
  wire_.queue(connection, frame, nullptr, {.tag = tag});
  if (wire_.unsent(connection) == 1) dirty_.push_back(connection);
}

void Runner::flush() {
  for (std::size_t connection : dirty_)
    if (!wire_.blocked(connection)) wire_.flush(connection);
  dirty_.clear();
}

void Runner::poll(double seconds, const Each& each) {
  if (!dirty_.empty()) last_answer_ = now_seconds();  // silence begins where there is something to answer
  flush();
  each_ = &each;
  wire_.wait(seconds);
  flush();
  if (wire_.outstanding() == 0) last_answer_ = now_seconds();
  if (now_seconds() - last_answer_ < kSilenceMax) return;
  fmt::print(stderr, "groupload: no answer within {} s\n", kSilenceMax);
  std::exit(1);
}

RunFigures Runner::run(Work& work, const RunLimits& limits) {
  RunFigures figures;
  Schedule schedule(work, limits);
  const Each each = [&](std::uint64_t tag, ByteView answer) {
    auto actor = static_cast<std::size_t>(tag & UINT32_MAX);
    ++figures.requests;
    if (work.answered(actor, static_cast<std::uint32_t>(tag >> 32), answer)) schedule.ended(actor, figures);
  };
  double server = server_cpu(), own = cpu_seconds_of(getpid());
  last_answer_ = now_seconds();
  for (double now = now_seconds(); !schedule.over(now); now = now_seconds()) {
    schedule.begin_what_may(now);
    poll(schedule.pause(now), each);
  }
  figures.seconds = now_seconds() - schedule.started();
  figures.server_cpu_seconds = server_cpu() - server;
  figures.own_cpu_seconds = cpu_seconds_of(getpid()) - own;
  return figures;
}

}  // namespace mr::bench
