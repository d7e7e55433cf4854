#pragma once
#include <optional>
#include <string>
#include <vector>

#include "client/cluster.h"

/// What an operator asks about consumer groups, of either protocol. Each question goes to the group's coordinator,
/// which is found first; while it is being made, moved or loaded the question is asked again until the deadline
/// (timed_out, with the broker's last word). Other errors: broker_error's, and those of a connection.
namespace mr::client {

struct Coordinator {
  std::shared_ptr<Connection> connection;
  BrokerInfo broker;
};
Task<Result<Coordinator>> find_coordinator(Cluster& cluster, std::string group, TimePoint deadline);

struct ListedGroup {
  std::string name;
  std::string state;          ///< empty: the broker is too old to say (before version 4)
  std::string type;           ///< "classic", "consumer", ...; empty: before version 5
  std::string protocol_type;  ///< "consumer", "connect", ...; empty: only offsets were committed
  BrokerId coordinator;
};
/// The groups of all brokers by name, those in one of `states` (Kafka's names) when there are any. Errors:
/// unsupported_version (states, and a broker that does not tell them), coordinator_loading.
Task<Result<std::vector<ListedGroup>>> list_groups(Cluster& cluster, std::vector<std::string> states,
                                                   TimePoint deadline);

struct GroupMember {
  std::string id;
  std::optional<std::string> instance;  ///< static members
  std::string client_id;
  std::string client_host;
  /// Of groups of consumers; unset for others and when the member's bytes cannot be read.
  std::optional<std::vector<std::string>> topics;
  std::optional<std::vector<TopicPartition>> assignment;
};
struct GroupDescription {
  std::string name;
  std::string state;  ///< Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Stable
  std::string protocol_type;
  std::string protocol;              ///< who assigns
  std::vector<GroupMember> members;  ///< by id
  BrokerInfo coordinator;
};
/// Errors: group_not_found.
Task<Result<GroupDescription>> describe_group(Cluster& cluster, std::string group, TimePoint deadline);

struct CommittedOffset {
  TopicPartition name;
  Offset offset;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
};
/// All that the group has committed, by topic and partition; nothing for a group that does not exist.
Task<Result<std::vector<CommittedOffset>>> committed_offsets(Cluster& cluster, std::string group, TimePoint deadline);

struct NewOffset {
  TopicPartition name;
  Offset offset;
};
/// Commits as an operator, which a group with members refuses (unknown_member). A group that does not exist is made.
/// The value holds an answer for each partition, in their order.
Task<Result<std::vector<Result<void>>>> commit_offsets(Cluster& cluster, std::string group,
                                                       std::vector<NewOffset> offsets, TimePoint deadline);

/// Errors: group_not_found, group_not_empty (other groups than of consumers). Of a partition:
/// group_subscribed_to_topic, unknown_topic. The value holds an answer for each partition, in their order.
Task<Result<std::vector<Result<void>>>> delete_offsets(Cluster& cluster, std::string group,
                                                       std::vector<TopicPartition> partitions, TimePoint deadline);

/// Errors: group_not_found, group_not_empty.
Task<Result<void>> delete_group(Cluster& cluster, std::string group, TimePoint deadline);

}  // namespace mr::client
