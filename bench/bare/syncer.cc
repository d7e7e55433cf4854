#include "bench/bare/syncer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace mr::bench {
namespace {

constexpr int kThreads = 4;  ///< ext4 lets syncs of several files share a commit of its journal

}  // namespace

Syncer::Syncer() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { run(); });
}

Syncer::~Syncer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& t : threads_) t.join();
  ::close(event_);
}

void Syncer::collect() const {
  std::uint64_t ignored = 0;
  [[maybe_unused]] auto n = ::read(event_, &ignored, sizeof ignored);
}

void Syncer::start(std::vector<int> files) {
  std::lock_guard lock(mutex_);
  MR_CHECK(unsynced_ == 0 && !files.empty());
  files_ = std::move(files);
  unsynced_ = files_.size();
  for (std::size_t i = 0; i < std::min(files_.size(), threads_.size()); ++i) changed_.notify_one();
}

void Syncer::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return unsynced_ == 0; });
}

int Syncer::next_file(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [this] { return !files_.empty() || stopping_; });
  if (stopping_) return -1;
  int fd = files_.back();
  files_.pop_back();
  return fd;
}

void Syncer::run() {
  std::unique_lock lock(mutex_);
  for (int fd = next_file(lock); fd >= 0; fd = next_file(lock)) {
    lock.unlock();
    MR_CHECK(::fdatasync(fd) == 0);
    lock.lock();
    if (--unsynced_ != 0) continue;
    idle_.notify_all();
    std::uint64_t one = 1;
    MR_CHECK(::write(event_, &one, sizeof one) == sizeof one);
  }
}

}  // namespace mr::bench
