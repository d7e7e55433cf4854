#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/event_loop.h"

namespace mr {

/// Bound: a suspended coroutine stands behind every job, so the queue is bounded by the coroutines that wait, and what
/// brings those (connections, requests in flight, partitions) is bounded. Past kManyQueued the backlog is logged.
class RealPool final : public OffloadPool {
 public:
  /// One more thread for four that are asked for does what is for later.
  RealPool(std::string name, std::uint32_t threads);
  ~RealPool() override;
  void run(Callback work, Executor& back, Callback done, Urgency urgency) override;

 private:
  static constexpr std::size_t kManyQueued = 16384;
  struct Job {
    Callback work;
    Executor* back = nullptr;
    Callback done;
  };
  struct Lane {
    std::condition_variable queued;
    Ring<Job> jobs;
  };
  void work_loop(std::string thread_name, Urgency urgency);
  Lane& lane(Urgency urgency) { return urgency == Urgency::now ? now_ : later_; }

  const std::string name_;
  std::mutex mutex_;
  Lane now_, later_;
  bool finishing_ = false;
  bool said_many_ = false;
  std::vector<std::thread> threads_;
};

/// Names the calling thread (cut to the kernel's 15 characters).
void name_thread(const std::string& name);
/// Any CPU this process may use, even when the calling thread's parent was pinned.
void unpin_thread();
void pin_thread(int core);
/// A third of what another busy thread of the process gets: little enough not to hold it up, enough for deletions to
/// keep up with the writing that makes them needed.
void give_way();

}  // namespace mr
