#pragma once
#include <memory>
#include <vector>

#include "broker/broker.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/lag/lag_history.h"
#include "runtime/scope.h"

namespace mr::coordinator {

/// Looks every few seconds how far groups are, so that rates are known when somebody asks.
/// Shard 0. Life: start() after the coordinator's, stop() before it.
class LagWatch {
 public:
  /// Partitions that groups have committed offsets of; of more than that, always the same ones.
  static constexpr std::size_t kPartitionsMax = 2000;
  static constexpr Duration kEvery = std::chrono::seconds(5);

  LagWatch(broker::Broker& broker, GroupCoordinator& groups);
  LagWatch(const LagWatch&) = delete;

  void start();
  Task<void> stop();

  /// Where partitions end, and (`times`) when their oldest unread record was stamped, for whoever reads at these
  /// offsets next; in their order. Below 0: from where the log starts.
  Task<std::vector<broker::Broker::ReaderStanding>> look_at(std::vector<GroupPosition> positions, bool times = true);
  const LagHistory& history() const { return history_; }
  WallMillis wall() const { return env_.clock.wall(); }
  TimePoint now() const { return env_.now(); }

 private:
  Task<void> run();
  Task<void> sample();

  broker::Broker& broker_;
  GroupCoordinator& groups_;
  Env& env_;
  Scope scope_;
  LagHistory history_;
};

/// How old a record with this timestamp is at `now`; not below 0: clients' clocks differ.
double age_of(WallMillis timestamp, WallMillis now);

}  // namespace mr::coordinator
