#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/cluster.h"
#include "wire/kafka_error.h"

/// What members of consumer groups say to their coordinator, one request each, over a connection to it. The code that
/// the broker answered is a value, and the caller's; errors are those of Connection::call, of which
/// unsupported_version says that the broker does not know the question. References must stay until the call returns.
///
/// Groups of consumers that all read the same topic, and assign by Kafka's `range`.
namespace mr::client {

/// Who coordinates each of `groups`, as one broker says, a hundred groups a question. Nothing for those that it cannot
/// tell now, and for all when it is too old for many at once: find_coordinator() asks for one, and waits.
Task<Result<std::vector<std::optional<BrokerInfo>>>> find_coordinators(Cluster& cluster,
                                                                       const std::vector<std::string>& groups,
                                                                       TimePoint deadline);

/// A member as the coordinator knows it.
struct Membership {
  std::string group;
  std::string member;
  std::int32_t generation = -1;  ///< in groups of KIP-848 the member's epoch
};

// ---- the classic protocol -----------------------------------------------------------------------------------------

struct JoinAs {
  std::string topic;
  Millis session{45'000};
  Millis rebalance{300'000};  ///< how long others are waited for
  std::uint32_t edition = 0;  ///< of the subscription: another one is another subscription
};
struct Joined {
  wire::KafkaError code{};
  std::string member;  ///< with member_id_required: the id to ask again with
  std::int32_t generation = -1;
  std::string leader;
  std::vector<std::string> members;  ///< what the leader is shown
};
/// Returns when all members have joined: whoever is one of several needs a connection of its own meanwhile, since
/// Apache Kafka looks at nothing else on one whose member waits. `who`: an empty member is new.
Task<Result<Joined>> join_group(Connection& connection, const Membership& who, const JoinAs& as, TimePoint deadline);

struct Share {
  std::string member;
  std::vector<TopicPartition> partitions;
};
/// Returns when the leader has spoken. `shares`: of all members when `who` leads, else none.
Task<Result<wire::KafkaError>> sync_group(Connection& connection, const Membership& who,
                                          const std::vector<Share>& shares, TimePoint deadline);
Task<Result<wire::KafkaError>> heartbeat(Connection& connection, const Membership& who, TimePoint deadline);
/// The answer is the first code that is none of a member that was gone already.
Task<Result<wire::KafkaError>> leave_group(Connection& connection, std::string group,
                                           const std::vector<std::string>& members, TimePoint deadline);

// ---- the protocol of KIP-848 --------------------------------------------------------------------------------------

inline constexpr std::int32_t kJoinEpoch = 0;
inline constexpr std::int32_t kLeaveEpoch = -1;

/// Who::generation kJoinEpoch: all that a member has to say at first. kLeaveEpoch: the last word.
struct ConsumerNews {
  const TopicInfo* topic = nullptr;                  ///< needed to join and to own
  std::optional<std::vector<PartitionIndex>> owned;  ///< unset: no news
};
struct ConsumerAnswer {
  wire::KafkaError code{};
  std::string message;
  std::int32_t epoch = 0;
  std::optional<std::vector<PartitionIndex>> assigned;  ///< unset: no news
};
Task<Result<ConsumerAnswer>> consumer_heartbeat(Connection& connection, const Membership& who, const ConsumerNews& news,
                                                TimePoint deadline);

// ---- either -------------------------------------------------------------------------------------------------------

/// Commits `offset` for each of `partitions` as a member. The first code that is not none.
Task<Result<wire::KafkaError>> commit_as_member(Connection& connection, const Membership& who, const TopicInfo& topic,
                                                const std::vector<PartitionIndex>& partitions, Offset offset,
                                                TimePoint deadline);

}  // namespace mr::client
