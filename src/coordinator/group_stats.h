#pragma once
#include <array>
#include <cstdint>

namespace mr::coordinator {

/// Why a group began a new round.
enum class RebalanceCause : std::uint8_t {
  member_joined,     ///< a new one, or one with other protocols
  member_left,       ///< by LeaveGroup
  member_expired,    ///< its session timed out
  member_replaced,   ///< a static member came back under another member id
  not_synced,        ///< somebody did not fetch its assignment, or it could not be stored
  metadata_changed,  ///< topics that a KIP-848 group reads came, went or got partitions
  not_revoked,       ///< a member of a KIP-848 group did not let go of partitions in time
};
inline constexpr std::size_t kRebalanceCauses = 7;

/// Counters since the start, and gauges. Of one partition of __consumer_offsets or summed up.
struct GroupStats {
  std::uint64_t groups = 0;                                  ///< gauge: all that are known
  std::uint64_t groups_active = 0;                           ///< gauge: with members
  std::uint64_t members = 0;                                 ///< gauge
  std::uint64_t offsets = 0;                                 ///< gauge: committed offsets held
  std::array<std::uint64_t, kRebalanceCauses> rebalances{};  ///< begun, by cause
  std::uint64_t rebalances_completed = 0;
  std::uint64_t flaps = 0;           ///< groups found to rebalance again and again
  std::uint64_t rebalance_ns = 0;    ///< from the begin of each completed round to its last join
  std::uint64_t offset_commits = 0;  ///< partitions committed
  std::uint64_t offsets_expired = 0;
  std::uint64_t heartbeats = 0;
  std::uint64_t member_timeouts = 0;
  std::uint64_t loads = 0;  ///< of partitions
  std::uint64_t loads_failed = 0;
  std::uint64_t discarded = 0;  ///< states thrown away

  GroupStats& operator+=(const GroupStats& other);
};

}  // namespace mr::coordinator
