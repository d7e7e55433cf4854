#include "runtime/real_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

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

void give_way() {
  constexpr int kSteps = 5;  // of the kernel's nice values: 335 of 1,024 parts; the last is 19
  const auto thread = static_cast<id_t>(::gettid());
  errno = 0;
  const int now = ::getpriority(PRIO_PROCESS, thread);
  if (errno == 0) (void)::setpriority(PRIO_PROCESS, thread, std::min(now + kSteps, 19));
}

RealPool::RealPool(std::string name, std::uint32_t threads) : name_(std::move(name)) {
  (void)process_cpus();
  for (std::uint32_t i = 0; i < threads; ++i)
    threads_.emplace_back([this, i] { work_loop(name_ + "-" + std::to_string(i), Urgency::now); });
  for (std::uint32_t i = 0; i < (threads + 3) / 4; ++i)
    threads_.emplace_back([this] { work_loop(name_ + "-l", Urgency::later); });
}

RealPool::~RealPool() {
  {
    std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  now_.queued.notify_all();
  later_.queued.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void RealPool::run(Callback work, Executor& back, Callback done, Urgency urgency) {
  std::size_t waiting;
  bool say = false;
  {
    std::lock_guard lock(mutex_);
    lane(urgency).jobs.push(Job{.work = std::move(work), .back = &back, .done = std::move(done)});
    waiting = now_.jobs.size() + later_.jobs.size();
    if (waiting >= kManyQueued && !said_many_) say = said_many_ = true;
    if (waiting < kManyQueued / 2) said_many_ = false;
  }
  lane(urgency).queued.notify_one();
  if (say)
    log_warn("runtime", "blocking calls come faster than the disk does them", {{"pool", name_}, {"waiting", waiting}});
}

void RealPool::work_loop(std::string thread_name, Urgency urgency) {
  name_thread(thread_name);
  unpin_thread();
  if (urgency == Urgency::later) give_way();
  Lane& own = lane(urgency);
  std::unique_lock lock(mutex_);
  for (;;) {
    own.queued.wait(lock, [&] { return finishing_ || !own.jobs.empty(); });
    if (own.jobs.empty()) return;
    Job job = own.jobs.pop();
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
