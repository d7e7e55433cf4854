#include "coordinator/group_stats.h"

#include "coordinator/rebalance_history.h"

namespace mr::coordinator {

std::string_view cause_name(RebalanceCause cause) {
  switch (cause) {
    case RebalanceCause::member_joined:
      return "member_joined";
    case RebalanceCause::member_left:
      return "member_left";
    case RebalanceCause::member_expired:
      return "member_expired";
    case RebalanceCause::member_replaced:
      return "member_replaced";
    case RebalanceCause::not_synced:
      return "not_synced";
    case RebalanceCause::metadata_changed:
      return "metadata_changed";
    case RebalanceCause::not_revoked:
      return "not_revoked";
  }
  return "unknown";
}

GroupStats& GroupStats::operator+=(const GroupStats& other) {
  groups += other.groups;
  groups_active += other.groups_active;
  members += other.members;
  offsets += other.offsets;
  for (std::size_t i = 0; i < rebalances.size(); ++i) rebalances[i] += other.rebalances[i];
  rebalances_completed += other.rebalances_completed;
  flaps += other.flaps;
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
