#include "client/members.h"

#include <algorithm>
#include <map>

#include "wire/api/consumer_group_heartbeat.h"
#include "wire/api/find_coordinator.h"
#include "wire/api/heartbeat.h"
#include "wire/api/join_group.h"
#include "wire/api/leave_group.h"
#include "wire/api/offset_commit.h"
#include "wire/api/sync_group.h"
#include "wire/consumer_protocol.h"

namespace mr::client {

namespace {

using wire::KafkaError;
using wire::Version;

constexpr std::string_view kProtocolType = "consumer";
constexpr std::string_view kAssignor = "range";
/// FindCoordinator takes many groups from here on.
constexpr Version kManyKeys = 4;
constexpr std::size_t kKeysMax = 100;
/// LeaveGroup takes many members from here on.
constexpr Version kManyMembers = 3;
/// OffsetCommit names topics by their ids from here on.
constexpr Version kTopicIds = 10;

/// A subscription to one topic; the edition is data of the assignor's own, which `range` does not look at.
std::vector<std::byte> subscription(std::string_view topic, std::uint32_t edition) {
  wire::Writer data;
  data.i32(static_cast<std::int32_t>(edition));
  return wire::write_subscription({.topics = {std::string(topic)}}, data.flat());
}

wire::List<PartitionIndex> in_arena(wire::Arena& arena, const std::vector<PartitionIndex>& partitions) {
  auto list = arena.list<PartitionIndex>(partitions.size());
  std::ranges::copy(partitions, list.begin());
  return list;
}

}  // namespace

Task<Result<std::vector<std::optional<BrokerInfo>>>> find_coordinators(Cluster& cluster,
                                                                       const std::vector<std::string>& groups,
                                                                       TimePoint deadline) {
  namespace api = wire::find_coordinator;
  std::vector<std::optional<BrokerInfo>> found(groups.size());
  MR_CO_TRY(auto connection, co_await cluster.any(deadline));
  MR_CO_TRY(Version version, connection->choose(api::kApi, std::nullopt));
  if (version < kManyKeys) co_return found;
  for (std::size_t from = 0; from < groups.size(); from += kKeysMax) {
    const std::size_t count = std::min(kKeysMax, groups.size() - from);
    wire::Arena arena;
    api::Request request;
    request.coordinator_keys = arena.list<std::string_view>(count);
    std::map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < count; ++i) {
      request.coordinator_keys[i] = groups[from + i];
      places[groups[from + i]] = from + i;
    }
    MR_CO_TRY(auto reply, co_await connection->call(request, deadline, version));
    for (const api::Coordinator& one : reply->coordinators) {
      auto at = places.find(one.key);
      if (at == places.end() || one.error_code != KafkaError::none || one.port < 1 || one.port > 65'535) continue;
      found[at->second] = BrokerInfo{one.node_id, {std::string(one.host), static_cast<std::uint16_t>(one.port)}};
    }
  }
  co_return found;
}

Task<Result<Joined>> join_group(Connection& connection, const Membership& who, const JoinAs& as, TimePoint deadline) {
  namespace api = wire::join_group;
  const std::vector<std::byte> metadata = subscription(as.topic, as.edition);
  wire::Arena arena;
  api::Request request{.group_id = who.group,
                       .session_timeout_ms = static_cast<std::int32_t>(as.session.count()),
                       .rebalance_timeout_ms = static_cast<std::int32_t>(as.rebalance.count()),
                       .member_id = who.member,
                       .protocol_type = kProtocolType};
  request.protocols = arena.list<api::JoinGroupRequestProtocol>({{.name = kAssignor, .metadata = metadata}});
  MR_CO_TRY(auto reply, co_await connection.call(request, deadline));
  Joined joined{.code = reply->error_code,
                .member = std::string(reply->member_id),
                .generation = reply->generation_id,
                .leader = std::string(reply->leader)};
  for (const auto& member : reply->members) joined.members.emplace_back(member.member_id);
  co_return joined;
}

Task<Result<KafkaError>> sync_group(Connection& connection, const Membership& who, const std::vector<Share>& shares,
                                    TimePoint deadline) {
  namespace api = wire::sync_group;
  wire::Arena arena;
  api::Request request{.group_id = who.group,
                       .generation_id = who.generation,
                       .member_id = who.member,
                       .protocol_type = kProtocolType,
                       .protocol_name = kAssignor};
  request.assignments = arena.list<api::SyncGroupRequestAssignment>(shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i)
    request.assignments[i] = {.member_id = shares[i].member,
                              .assignment = arena.copy(ByteView(wire::write_assignment(0, shares[i].partitions)))};
  MR_CO_TRY(auto reply, co_await connection.call(request, deadline));
  co_return reply->error_code;
}

Task<Result<KafkaError>> heartbeat(Connection& connection, const Membership& who, TimePoint deadline) {
  wire::heartbeat::Request request{.group_id = who.group, .generation_id = who.generation, .member_id = who.member};
  MR_CO_TRY(auto reply, co_await connection.call(request, deadline));
  co_return reply->error_code;
}

Task<Result<KafkaError>> leave_group(Connection& connection, std::string group, const std::vector<std::string>& members,
                                     TimePoint deadline) {
  namespace api = wire::leave_group;
  MR_CO_TRY(Version version, connection.choose(api::kApi, std::nullopt));
  const bool together = version >= kManyMembers;
  KafkaError first = KafkaError::none;
  auto note = [&](KafkaError code) {
    if (first == KafkaError::none && code != KafkaError::unknown_member_id) first = code;
  };
  const std::size_t step = together ? members.size() : 1;
  for (std::size_t from = 0; from < members.size(); from += step) {
    wire::Arena arena;
    api::Request request{.group_id = group};
    if (together) {
      request.members = arena.list<api::MemberIdentity>(members.size());
      for (std::size_t i = 0; i < members.size(); ++i) request.members[i].member_id = members[i];
    } else {
      request.member_id = members[from];
    }
    MR_CO_TRY(auto reply, co_await connection.call(request, deadline, version));
    note(reply->error_code);
    for (const auto& member : reply->members) note(member.error_code);
  }
  co_return first;
}

Task<Result<ConsumerAnswer>> consumer_heartbeat(Connection& connection, const Membership& who, const ConsumerNews& news,
                                                TimePoint deadline) {
  namespace api = wire::consumer_group_heartbeat;
  wire::Arena arena;
  api::Request request{.group_id = who.group, .member_id = who.member, .member_epoch = who.generation};
  if (who.generation == kJoinEpoch) {
    request.rebalance_timeout_ms = static_cast<std::int32_t>(JoinAs{}.rebalance.count());
    request.subscribed_topic_names = arena.list<std::string_view>({news.topic->name});
    request.topic_partitions.emplace();
  } else if (news.owned) {
    request.topic_partitions = arena.list<api::TopicPartitions>(news.owned->empty() ? 0 : 1);
    for (auto& topic : *request.topic_partitions)
      topic = {.topic_id = news.topic->id, .partitions = in_arena(arena, *news.owned)};
  }
  MR_CO_TRY(auto reply, co_await connection.call(request, deadline));
  ConsumerAnswer answer{.code = reply->error_code,
                        .message = std::string(reply->error_message.value_or("")),
                        .epoch = reply->member_epoch};
  if (reply->assignment) {
    answer.assigned.emplace();
    for (const auto& topic : reply->assignment->topic_partitions)
      answer.assigned->insert(answer.assigned->end(), topic.partitions.begin(), topic.partitions.end());
  }
  co_return answer;
}

Task<Result<KafkaError>> commit_as_member(Connection& connection, const Membership& who, const TopicInfo& topic,
                                          const std::vector<PartitionIndex>& partitions, Offset offset,
                                          TimePoint deadline) {
  namespace api = wire::offset_commit;
  MR_CO_TRY(Version version, connection.choose(api::kApi, std::nullopt));
  if (topic.id == TopicId{}) version = std::min<Version>(version, kTopicIds - 1);
  wire::Arena arena;
  api::Request request{.group_id = who.group, .generation_id_or_member_epoch = who.generation, .member_id = who.member};
  request.topics = arena.list<api::OffsetCommitRequestTopic>(1);
  request.topics[0].name = topic.name;
  request.topics[0].topic_id = topic.id;
  request.topics[0].partitions = arena.list<api::OffsetCommitRequestPartition>(partitions.size());
  for (std::size_t i = 0; i < partitions.size(); ++i)
    request.topics[0].partitions[i] = {.partition_index = partitions[i], .committed_offset = offset};
  MR_CO_TRY(auto reply, co_await connection.call(request, deadline, version));
  for (const auto& answered : reply->topics)
    for (const auto& partition : answered.partitions)
      if (partition.error_code != KafkaError::none) co_return partition.error_code;
  co_return KafkaError::none;
}

}  // namespace mr::client
