#include "sim/pool.h"

#include <utility>

namespace mr::sim {

SimPool::SimPool(Host& host) : host_(host), world_(host.world()) {
  for (std::size_t i = 0; i < kWorkers; ++i) idle_.push_back(world_.sender_next_++);
  host.disk().on_wake([this] {
    for (Job& job : std::exchange(hung_, {})) finish(std::move(job), some_delay());
  });
}
SimPool::~SimPool() = default;

Duration SimPool::some_delay() {
  if (world_.rng().one_in(world_.options().offload_slow_one_in)) return world_.random_delay(Millis(40));
  return world_.random_delay(world_.options().offload_delay_max);
}

void SimPool::run(Callback work, Executor& back, Callback done, Urgency) {
  MR_CHECK(jobs_.size() < kQueueMax);
  jobs_.push_back({.work = std::move(work), .back = &back, .done = std::move(done)});
  world_.after(world_.random_delay(std::chrono::microseconds(20)), [this] { start_some(); });
}

void SimPool::start_some() {
  while (!idle_.empty() && !jobs_.empty()) {
    std::size_t chosen = world_.rng().below(jobs_.size());
    Job job = std::move(jobs_[chosen]);
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(chosen));
    job.worker = idle_.back();
    idle_.pop_back();
    world_.after(some_delay(), [this, job = std::move(job)]() mutable { execute(std::move(job)); });
  }
}

void SimPool::execute(Job job) {
  world_.trace(0x700 + job.worker);
  world_.sender_ = job.worker;
  job.work();
  world_.sender_ = 0;
  Disk::Stall stall = host_.disk().take_stall();
  if (stall.hung) {
    hung_.push_back(std::move(job));
    return;
  }
  finish(std::move(job), some_delay() + stall.delay);
}

void SimPool::finish(Job job, Duration delay) {
  world_.after(delay, [this, job = std::move(job)]() mutable {
    world_.sender_ = job.worker;
    idle_.push_back(job.worker);
    job.back->post(std::move(job.done));
    world_.sender_ = 0;
    start_some();
  });
}

}  // namespace mr::sim
