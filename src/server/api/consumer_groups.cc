#include "server/api/consumer_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "coordinator/lag/group_lag.h"
#include "server/api/group_answers.h"

namespace mr::server::api {

namespace {

using coordinator::DescribedMember;
using coordinator::GroupDescription;
using http::HttpRequest;
using http::HttpResponse;
using http::json_string;

struct PartitionRow {
  Offset committed{-1};  ///< -1: none
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
  Offset end{-1};  ///< -1: not known
  const DescribedMember* owner = nullptr;

  std::optional<std::int64_t> lag() const { return coordinator::lag_of(committed, end); }
};
/// By topic, then partition.
using Rows = std::map<std::pair<std::string, PartitionIndex>, PartitionRow>;

std::string json_or_null(const std::optional<std::string>& text) { return text ? json_string(*text) : "null"; }
std::string number_or_null(std::optional<std::int64_t> number) { return number ? std::to_string(*number) : "null"; }

std::string member_json(const ShownGroup& shown, std::size_t index) {
  const DescribedMember& member = shown.group.members[index];
  std::string topics;
  if (const auto& all = shown.assigned[index]) {
    std::string_view last;
    for (const TopicPartition& one : *all) {
      if (topics.empty() || one.topic != last) {
        topics += fmt::format(R"({}{{"topic":{},"partitions":[{})", topics.empty() ? "" : "]},", json_string(one.topic),
                              one.partition.v);
      } else {
        topics += fmt::format(",{}", one.partition.v);
      }
      last = one.topic;
    }
    topics = "[" + topics + (topics.empty() ? "]" : "]}]");
  } else {
    topics = "null";
  }
  return fmt::format(
      R"({{"member":{},"instance":{},"client_id":{},"host":{},"heartbeat_age_seconds":{:.3f},"session_timeout_ms":{},)"
      R"("assignment_bytes":{},"assignment":{}}})",
      json_string(member.member), json_or_null(member.instance), json_string(member.client_id),
      json_string(member.client_host), std::chrono::duration<double>(member.since_heartbeat).count(),
      member.session_timeout.count(), member.assignment.size(), topics);
}

std::string row_json(const std::pair<std::string, PartitionIndex>& name, const PartitionRow& row) {
  return fmt::format(R"("topic":{},"partition":{},"committed_offset":{},"end_offset":{},"lag":{})",
                     json_string(name.first), name.second.v, offset_or_null(row.committed), offset_or_null(row.end),
                     number_or_null(row.lag()));
}

std::string head_json(const ShownGroup& shown) {
  const GroupDescription& group = shown.group;
  return fmt::format(
      R"("group":{},"type":"{}","state":"{}","protocol_type":{},"protocol":{},"generation":{},"leader":{}{})",
      json_string(group.group), shown.type, shown.state, json_string(group.protocol_type), json_string(group.protocol),
      group.generation.v, json_string(group.leader), shown.more);
}

std::int64_t total_lag(const Rows& rows) {
  std::int64_t sum = 0;
  for (const auto& [name, row] : rows) sum += row.lag().value_or(0);
  return sum;
}

struct Whole {
  ShownGroup shown;
  Rows rows;
};

/// What the coordinator and the logs know of one group. The second points into the first.
Task<Result<std::unique_ptr<Whole>>> look_at(const GroupSources& sources, std::string name) {
  coordinator::GroupCoordinator& groups = *sources.groups();
  auto whole = std::make_unique<Whole>();
  MR_CO_TRY(whole->shown, co_await find_group(*sources.broker(), groups, name));
  auto fetched = co_await groups.fetch_offsets({.group = name, .topics = std::nullopt});
  if (fetched.error) co_return *fetched.error;
  for (const coordinator::FetchedTopic& topic : fetched.topics)
    for (const coordinator::FetchedOffset& one : topic.partitions)
      whole->rows[{topic.topic, one.partition}] = {one.offset, one.leader_epoch, one.metadata};
  for (std::size_t m = 0; m < whole->shown.group.members.size(); ++m)
    for (const TopicPartition& one : whole->shown.assigned[m].value_or(std::vector<TopicPartition>{}))
      whole->rows[{one.topic, one.partition}].owner = &whole->shown.group.members[m];
  std::vector<coordinator::GroupPosition> positions;
  for (const auto& [at, row] : whole->rows) positions.push_back({name, at.first, at.second, row.committed});
  const auto readers = co_await sources.lags()->look_at(std::move(positions), false);
  auto reader = readers.begin();
  for (auto& [at, row] : whole->rows) row.end = (reader++)->end;
  co_return whole;
}

Task<HttpResponse> list(const GroupSources& sources, HttpRequest& request) {
  coordinator::GroupCoordinator* groups = sources.groups();
  if (groups == nullptr) co_return groups_starting();
  auto listing = co_await groups->list();
  if (listing.error) co_return group_refused(*listing.error);
  auto state = request.query_value("state");
  std::string body;
  for (const coordinator::ListedGroup& group : listing.groups) {
    if (state && *state != group_state_name(group.state)) continue;
    body += fmt::format(R"({}{{"group":{},"type":"{}","state":"{}","protocol_type":{}}})", body.empty() ? "" : ",",
                        json_string(group.group), group_type_name(group.type), group_state_name(group.state),
                        json_string(group.protocol_type));
  }
  co_return HttpResponse::json("{\"groups\":[" + body + "]}\n");
}

Task<HttpResponse> show(const GroupSources& sources, HttpRequest& request) {
  coordinator::GroupCoordinator* groups = sources.groups();
  if (groups == nullptr) co_return groups_starting();
  broker::Broker& broker = *sources.broker();
  auto found = co_await look_at(sources, std::string(request.path_value("group")));
  if (!found.ok()) co_return group_refused(found.error());
  const Whole& whole = **found;
  std::string members, offsets;
  for (std::size_t m = 0; m < whole.shown.group.members.size(); ++m)
    members += (members.empty() ? "" : ",") + member_json(whole.shown, m);
  for (const auto& [name, row] : whole.rows)
    offsets += fmt::format(R"({}{{{},"leader_epoch":{},"metadata":{},"member":{}}})", offsets.empty() ? "" : ",",
                           row_json(name, row), row.leader_epoch.v, json_string(row.metadata),
                           row.owner ? json_string(row.owner->member) : "null");
  co_return HttpResponse::json(fmt::format(R"({{{},"coordinator":{},"members":[{}],"offsets":[{}],"lag":{}}})"
                                           "\n",
                                           head_json(whole.shown), broker.self().v, members, offsets,
                                           total_lag(whole.rows)));
}

Task<HttpResponse> show_assignments(const GroupSources& sources, HttpRequest& request) {
  coordinator::GroupCoordinator* groups = sources.groups();
  if (groups == nullptr) co_return groups_starting();
  auto found = co_await look_at(sources, std::string(request.path_value("group")));
  if (!found.ok()) co_return group_refused(found.error());
  const Whole& whole = **found;
  std::string rows;
  for (const auto& [name, row] : whole.rows) {
    const DescribedMember* owner = row.owner;
    rows += fmt::format(
        R"({}{{{},"member":{},"instance":{},"client_id":{},"host":{},"heartbeat_age_seconds":{}}})",
        rows.empty() ? "" : ",", row_json(name, row), owner ? json_string(owner->member) : "null",
        owner ? json_or_null(owner->instance) : "null", owner ? json_string(owner->client_id) : "null",
        owner ? json_string(owner->client_host) : "null",
        owner ? fmt::format("{:.3f}", std::chrono::duration<double>(owner->since_heartbeat).count()) : "null");
  }
  co_return HttpResponse::json(fmt::format(R"({{{},"assignments":[{}],"lag":{}}})"
                                           "\n",
                                           head_json(whole.shown), rows, total_lag(whole.rows)));
}

}  // namespace

void add_consumer_group_routes(http::HttpRouter& router, GroupSources sources) {
  auto add = [&](std::string_view pattern, Task<HttpResponse> (*answer)(const GroupSources&, HttpRequest&)) {
    router.add("GET", pattern, [sources, answer](HttpRequest& request) { return answer(sources, request); });
  };
  add("/consumer-groups", list);
  add("/consumer-groups/{group}", show);
  add("/consumer-groups/{group}/assignments", show_assignments);
}

}  // namespace mr::server::api
