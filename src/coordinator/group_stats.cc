#include "coordinator/group_stats.h"

namespace mr::coordinator {

GroupStats& GroupStats::operator+=(const GroupStats& other) {
  groups += other.groups;
  groups_active += other.groups_active;
  members += other.members;
  offsets += other.offsets;
  for (std::size_t i = 0; i < rebalances.size(); ++i) rebalances[i] += other.rebalances[i];
  rebalances_completed += other.rebalances_completed;
  rebalance_ns += other.rebalance_ns;
  offset_commits += other.offset_commits;
  offsets_expired += other.offsets_expired;
  heartbeats += other.heartbeats;
  member_timeouts += other.member_timeouts;
  loads += other.loads;
  loads_failed += other.loads_failed;
  discarded += other.discarded;
  return *this;
}

}  // namespace mr::coordinator
