#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "coordinator/group_types.h"
#include "model/ids.h"

/// Groups of KIP-848 (`group.protocol=consumer`), where the broker assigns and members follow: what they ask and are
/// told, in no wire version's words. (traps.md 87-93)
namespace mr::coordinator {

/// Ascending, none twice.
template <class T>
void sort_once(std::vector<T>& all) {
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
}

/// By topic, partitions ascending and not empty.
using PartitionSet = std::map<TopicId, std::vector<std::int32_t>>;
/// Partitions that a member has, each with the member epoch in which it got it.
using OwnedPartitions = std::map<TopicId, std::map<std::int32_t, std::int32_t>>;

/// Member epochs that are not one.
inline constexpr std::int32_t kJoinEpoch = 0;
inline constexpr std::int32_t kLeaveEpoch = -1;
inline constexpr std::int32_t kStaticLeaveEpoch = -2;  ///< a static member goes and means to come back

/// Absent fields say "as before".
struct ConsumerHeartbeatRequest {
  std::string group;
  std::string member;
  std::int32_t epoch = 0;
  std::optional<std::string> instance;
  std::optional<std::string> rack;
  std::optional<Millis> rebalance_timeout;
  std::optional<std::vector<std::string>> topics;
  std::optional<std::string> regex;  ///< compiles; empty: none any more
  std::optional<std::string> assignor;
  std::optional<PartitionSet> owned;
  std::string client_id;
  std::string client_host;  ///< as Kafka shows it: "/10.0.0.1"
  bool makes_id = true;     ///< v0 of the protocol does not: who joins without one gets it
};
struct ConsumerHeartbeatAnswer {
  /// invalid_argument, invalid_regular_expression, group_not_found, unknown_member, fenced_member_epoch,
  /// fenced_instance_id, unreleased_instance_id, unsupported_assignor, group_max_size_reached, group_record_too_large;
  /// or the coordinator's.
  std::optional<Error> error;
  std::string member;
  std::int32_t epoch = 0;
  Millis heartbeat_interval{0};
  /// What the member shall read from now on; absent: as it was told last.
  std::optional<PartitionSet> assignment;
};

/// As Kafka stores it.
enum class ReconcileState : std::int8_t {
  stable = 0,
  unrevoked = 1,   ///< has not said yet that it let go of `revoking`
  unreleased = 2,  ///< waits for partitions that others still have
};

/// What a member that speaks the classic protocol said when it joined (traps.md 93).
struct ClassicSide {
  Millis session_timeout{0};
  std::vector<GroupProtocol> protocols;  ///< in its order of preference
  friend bool operator==(const ClassicSide&, const ClassicSide&) = default;
};

/// What a member asks for.
struct ConsumerMember {
  std::optional<std::string> instance;
  std::optional<std::string> rack;
  std::string client_id;
  std::string client_host;
  std::vector<std::string> topics;  ///< ascending, none twice
  std::optional<std::string> regex;
  Millis rebalance_timeout{-1};
  std::optional<std::string> assignor;
  /// Empty: it speaks KIP-848. Others come only with a log that Apache Kafka has written.
  std::optional<ClassicSide> classic;
  friend bool operator==(const ConsumerMember&, const ConsumerMember&) = default;
};

/// How far a member has come on its way to its target.
struct CurrentAssignment {
  std::int32_t epoch = kJoinEpoch;
  std::int32_t previous_epoch = kJoinEpoch;
  ReconcileState state = ReconcileState::stable;
  OwnedPartitions assigned;
  PartitionSet revoking;  ///< beside `assigned`: it may still read them
  friend bool operator==(const CurrentAssignment&, const CurrentAssignment&) = default;
};

/// Topics that a pattern has matched.
struct ResolvedRegex {
  std::vector<std::string> topics;  ///< ascending
  std::int64_t version = 0;
  WallMillis resolved_at = -1;
  friend bool operator==(const ResolvedRegex&, const ResolvedRegex&) = default;
};

// Looking in.

struct ConsumerMemberDescription {
  std::string member;
  std::int32_t epoch = 0;
  ConsumerMember asks;
  PartitionSet assigned;
  PartitionSet target;
  Duration since_heartbeat{0};
};
struct ConsumerGroupDescription {
  std::optional<Error> error;  ///< the coordinator's, invalid_group_id, group_not_found (also: a classic group)
  std::string group;
  std::string state;
  std::int32_t epoch = 0;
  std::int32_t target_epoch = 0;
  std::string assignor;
  Millis session_timeout{0};
  std::vector<ConsumerMemberDescription> members;
  std::vector<Rebalance> rebalances;  ///< the last ones, youngest first; when asked for
};

}  // namespace mr::coordinator
