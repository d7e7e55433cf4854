#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/shard_metrics.h"
#include "base/metrics.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/lag/lag_watch.h"
#include "runtime/task.h"

namespace mr::app {

/// Puts into the registry what consumer groups do: the coordinator's counters, and per group how far its commits have
/// come. Two messages per shard and scrape; kGroupSeriesMax bounds both series and time.
/// Shard 0; lives while groups and lags do.
class GroupMetrics {
 public:
  /// Partitions with a lag of their own; how many have none is millrace_metrics_left_out.
  static constexpr std::size_t kGroupSeriesMax = 2000;

  GroupMetrics(MetricsRegistry& registry, coordinator::GroupCoordinator& groups, coordinator::LagWatch& lags);
  GroupMetrics(const GroupMetrics&) = delete;

  /// Brings the registry up to date; before each scrape.
  Task<void> refresh();

 private:
  struct Lag {
    Gauge gauge;
    Offset committed{-1};
    std::uint64_t round = 0;
  };
  struct Consumed {
    Counter counter;
    std::uint64_t round = 0;
  };
  void follow(const coordinator::GroupStats& now);
  struct Age {
    Gauge gauge;
    double seconds = 0;
    std::uint64_t round = 0;
  };
  /// The oldest of the group's partitions.
  void take_age(const coordinator::GroupPosition& position, const broker::Broker::ReaderStanding& reader);
  /// False: there is no room for its series.
  bool take(const coordinator::GroupPosition& position, Offset end);

  MetricsRegistry& registry_;
  coordinator::GroupCoordinator& groups_;
  coordinator::LagWatch& watch_;
  std::vector<Followed> counters_;  ///< in the order of the table in the source
  std::vector<Gauge> gauges_;
  Gauge left_out_;
  std::map<std::tuple<std::string, std::string, PartitionIndex>, Lag> lags_;  ///< group, topic, partition
  std::map<std::pair<std::string, std::string>, Consumed> consumed_;          ///< group, topic
  std::map<std::string, Age> ages_;                                           ///< by group
  std::uint64_t round_ = 0;
};

}  // namespace mr::app
