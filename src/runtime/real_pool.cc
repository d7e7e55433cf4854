#include "runtime/real_pool.h"

#include <pthread.h>
#include <sched.h>

#include "base/log.h"

namespace mr {

namespace {
/// The CPUs of the process before anybody was pinned.
const cpu_set_t& process_cpus() {
  static const cpu_set_t cpus = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
    return set;
  }();
  return cpus;
}
}  // namespace

void name_thread(const std::string& name) { ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str()); }

void unpin_thread() {
  if (CPU_COUNT(&process_cpus()) > 0) ::sched_setaffinity(0, sizeof(cpu_set_t), &process_cpus());
}

void pin_thread(int core) {
  (void)process_cpus();  // remembered before the first pin
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core >= 0 && core < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(core), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) {
    log_warn("runtime", "cannot pin a shard; it runs on any core", {{"core", core}});
  }
}

RealPool::RealPool(std::string name, std::uint32_t threads) : name_(std::move(name)) {
  (void)process_cpus();
  for (std::uint32_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { work_loop(i); });
  }
}

RealPool::~RealPool() {
  {
    std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  queued_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void RealPool::run(Callback work, Executor& back, Callback done) {
  std::size_t waiting;
  bool say = false;
  {
    std::lock_guard lock(mutex_);
    jobs_.push(Job{.work = std::move(work), .back = &back, .done = std::move(done)});
    waiting = jobs_.size();
    if (waiting >= kManyQueued && !said_many_) say = said_many_ = true;
    if (waiting < kManyQueued / 2) said_many_ = false;
  }
  queued_.notify_one();
  if (say)
    log_warn("runtime", "blocking calls come faster than the disk does them", {{"pool", name_}, {"waiting", waiting}});
}

void RealPool::work_loop(std::uint32_t index) {
  name_thread(name_ + "-" + std::to_string(index));
  unpin_thread();
  std::unique_lock lock(mutex_);
  for (;;) {
    queued_.wait(lock, [&] { return finishing_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = jobs_.pop();
    lock.unlock();
    job.work();
    job.work = nullptr;  // what it holds goes before the waiting coroutine goes on
    job.back->post(std::move(job.done));
    lock.lock();
  }
}

std::unique_ptr<OffloadPool> make_offload_pool(std::string name, std::uint32_t threads) {
  return std::make_unique<RealPool>(std::move(name), threads);
}

}  // namespace mr
