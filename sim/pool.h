#pragma once
#include <vector>

#include "runtime/env.h"
#include "sim/world.h"

namespace mr::sim {

/// The offload pool of one process: a few workers take waiting calls in any order, and each call takes effect at one
/// moment between its start and its end. That order allows for urgency, which only makes calls wait less. A call that
/// hangs holds its worker until the disk is healed.
class SimPool final : public OffloadPool {
 public:
  explicit SimPool(Host& host);
  ~SimPool() override;
  void run(Callback work, Executor& back, Callback done, Urgency urgency) override;
  std::size_t waiting() const { return jobs_.size(); }
  std::size_t running() const { return kWorkers - idle_.size(); }
  std::size_t hung() const { return hung_.size(); }

 private:
  static constexpr std::size_t kWorkers = 4;
  static constexpr std::size_t kQueueMax = 10'000;
  struct Job {
    Callback work;
    Executor* back;
    Callback done;
    std::uint64_t worker = 0;
  };
  void start_some();
  void execute(Job job);
  void finish(Job job, Duration delay);
  Duration some_delay();

  Host& host_;
  World& world_;
  std::vector<Job> jobs_;
  std::vector<Job> hung_;
  std::vector<std::uint64_t> idle_;  ///< sender numbers of free workers
};

}  // namespace mr::sim
