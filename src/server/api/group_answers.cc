#include "server/api/group_answers.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/consumer_protocol.h"

namespace mr::server::api {

using coordinator::DescribedMember;
using coordinator::GroupDescription;
using http::HttpResponse;

HttpResponse group_refused(const Error& error) {
  if (error == Errc::group_not_found) return HttpResponse::error(404, "group_not_found", error.message());
  if (error == Errc::invalid_group_id) return HttpResponse::error(400, "invalid_group_id", error.message());
  return HttpResponse::error(503, to_string(error.code()), error.message());
}

HttpResponse groups_starting() { return HttpResponse::error(503, "starting", "the broker does not serve groups yet"); }

std::string offset_or_null(Offset offset) { return offset.v < 0 ? "null" : std::to_string(offset.v); }

namespace {

/// Empty when it does not read like a consumer's.
std::optional<std::vector<TopicPartition>> assigned_to(const GroupDescription& group, const DescribedMember& member) {
  if (group.protocol_type != "consumer") return std::nullopt;
  auto partitions = wire::assigned_partitions(member.assignment.view());
  if (!partitions.ok()) return std::nullopt;
  return std::move(*partitions);
}

ShownGroup show_classic(GroupDescription group) {
  ShownGroup shown{.group = std::move(group), .state = {}, .more = {}, .assigned = {}};
  shown.state = group_state_name(shown.group.state);
  for (const DescribedMember& member : shown.group.members) shown.assigned.push_back(assigned_to(shown.group, member));
  return shown;
}

ShownGroup show_consumer(const broker::TopicTable& topics, coordinator::ConsumerGroupDescription group) {
  ShownGroup shown{.group = {.group = group.group,
                             .protocol_type = "consumer",
                             .protocol = group.assignor,
                             .generation = coordinator::Generation{group.epoch},
                             .rebalances = std::move(group.rebalances)},
                   .type = "consumer",
                   .state = std::move(group.state),
                   .more = fmt::format(R"(,"assignment_epoch":{})", group.target_epoch),
                   .assigned = {}};
  for (auto& member : group.members) {
    shown.group.members.push_back({.member = std::move(member.member),
                                   .instance = std::move(member.asks.instance),
                                   .client_id = std::move(member.asks.client_id),
                                   .client_host = std::move(member.asks.client_host),
                                   .since_heartbeat = member.since_heartbeat,
                                   .session_timeout = group.session_timeout});
    auto& all = shown.assigned.emplace_back(std::vector<TopicPartition>{});
    for (const auto& [id, partitions] : member.assigned)
      if (const broker::TopicRef topic = topics.find(id))
        for (std::int32_t partition : partitions) all->push_back({topic->name, PartitionIndex{partition}});
    std::ranges::sort(*all);
  }
  return shown;
}

}  // namespace

Task<Result<ShownGroup>> find_group(broker::Broker& broker, coordinator::GroupCoordinator& groups, std::string name,
                                    bool with_rebalances) {
  std::vector<GroupDescription> described = co_await groups.describe({name}, with_rebalances);
  if (!described.front().error) co_return show_classic(std::move(described.front()));
  if (*described.front().error != Errc::group_not_found) co_return *described.front().error;
  auto consumers = co_await groups.describe_consumers({name}, with_rebalances);
  if (consumers.front().error) co_return *consumers.front().error;
  co_return show_consumer(*broker.topics(ShardId{0}), std::move(consumers.front()));
}

}  // namespace mr::server::api
