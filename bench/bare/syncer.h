#pragma once
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace mr::bench {

/// Syncs files on threads of its own, one lot at a time, several files of a lot at once, and says so through an
/// eventfd.
class Syncer {
 public:
  Syncer();
  ~Syncer();
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  /// Becomes readable when a lot is on disk; collect() takes the signal.
  int event() const { return event_; }
  void collect() const;
  /// The lot before was collected.
  void start(std::vector<int> files);
  /// Returns when nothing is being synced.
  void wait_idle();

 private:
  void run();
  /// A file of the lot that nobody has taken, or -1 in the end.
  int next_file(std::unique_lock<std::mutex>& lock);

  int event_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;  ///< there are files to sync, or the end has come
  std::condition_variable idle_;
  std::vector<int> files_;
  std::size_t unsynced_ = 0;  ///< files of the lot that are not on disk yet
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mr::bench
