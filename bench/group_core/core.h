#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/group_machine.h"

namespace mr::bench {

/// One partition's GroupMachine with a clock in hand: no log, no sockets, no shard. Records are applied at once, as a
/// commit that never fails and takes no time would.
class Core {
 public:
  Core();

  /// Decides and applies; what was answered, whose errors are counted, is in last().
  void send(decltype(coordinator::GroupEvent::what) what);
  template <class Answer>
  const Answer& last() const {
    return std::get<Answer>(last_);
  }
  std::uint64_t errors = 0;
  std::uint64_t records = 0;

 private:
  void decide(decltype(coordinator::GroupEvent::what) what);

  coordinator::GroupMachine machine_;
  broker::Moment now_{TimePoint(std::chrono::hours(1)), 1'700'000'000'000};
  coordinator::GroupState state_;
  coordinator::LiveGroups live_;
  coordinator::GroupAnswer last_;
  std::uint64_t last_waiter_ = 0;
  std::vector<coordinator::GroupAnswer> jobs_;  ///< for the offload pool, which is this thread
};

/// Events that make up one operation each, built outside of the time that is measured.
using Events = std::vector<decltype(coordinator::GroupEvent::what)>;

/// What is repeated. Operations are sent in the order in which they were added, each whole.
class CoreWork {
 public:
  virtual ~CoreWork() = default;
  virtual void set_up(Core& core) = 0;
  virtual void add_operation(Events& events) = 0;
};

struct CoreSizes {
  std::size_t groups = 1000;
  std::size_t members = 5;
  std::int32_t partitions = 100;  ///< of topic "t", which the KIP-848 groups read
};
/// join, new-groups, heartbeat, heartbeat848, commit, rebalance: as groupload's; null: no such work.
std::unique_ptr<CoreWork> make_core_work(const std::string& name, const CoreSizes& sizes);

}  // namespace mr::bench
