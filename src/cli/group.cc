// `group list`, `describe`, `members`: what there is. group_lag.cc watches it, group_change.cc and group_seek.cc change
// it.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/do.h"
#include "cli/group_view.h"
#include "client/admin.h"

namespace mr::cli {

Task<Result<std::map<TopicPartition, Offset>>> committed_of(Session& session, std::string group, Choice choice) {
  MR_CO_TRY(auto all, co_await client::committed_offsets(session.cluster, std::move(group), session.deadline()));
  std::map<TopicPartition, Offset> committed;
  for (client::CommittedOffset& c : all)
    if (choice.holds(c.name)) committed.emplace(std::move(c.name), c.offset);
  co_return committed;
}

Task<Result<std::optional<client::GroupDescription>>> look_up(Session& session, std::string group) {
  auto found = co_await client::describe_group(session.cluster, std::move(group), session.deadline());
  if (found.ok()) co_return std::optional(std::move(*found));
  if (found.code() == Errc::group_not_found) co_return std::optional<client::GroupDescription>();
  co_return found.error();
}

std::string counted(std::size_t n, std::string_view what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

std::string describe_activity(const client::GroupDescription& group) {
  return fmt::format("{} ({})", counted(group.members.size(), "member"), group.state);
}

Value to_value(const std::optional<Offset>& offset) { return offset ? Value(offset->v) : Value(nullptr); }

namespace {

/// One partition that a group has committed or was assigned.
struct Position {
  TopicPartition name;
  std::optional<Offset> committed;
  std::optional<Offset> end;  ///< unset: the topic or partition is gone
  const client::GroupMember* owner = nullptr;

  std::optional<std::int64_t> lag() const {
    if (!committed || !end) return std::nullopt;
    return std::max<std::int64_t>(0, end->v - committed->v);
  }
};

struct LagTotals {
  std::map<std::string, std::int64_t> topics;
  std::int64_t all = 0;
};

LagTotals totals_of(const std::vector<Position>& positions) {
  LagTotals totals;
  for (const Position& p : positions) {
    const std::int64_t lag = p.lag().value_or(0);
    totals.topics[p.name.topic] += lag;
    totals.all += lag;
  }
  return totals;
}

Value::List to_values(const LagTotals& totals) {
  Value::List list;
  for (const auto& [topic, lag] : totals.topics) list.push_back(Value::Object{{"topic", topic}, {"lag", lag}});
  return list;
}

Value::Object to_row(const Position& p) {
  return {{"topic", p.name.topic},
          {"partition", p.name.partition.v},
          {"committed", to_value(p.committed)},
          {"end", to_value(p.end)},
          {"lag", p.lag() ? Value(*p.lag()) : Value(nullptr)}};
}

/// Ends of what was committed or assigned. Odd ones are told on standard error.
Task<Result<std::vector<Position>>> positions_of(Session& session, std::map<TopicPartition, Offset> committed,
                                                 const client::GroupDescription& group) {
  std::map<TopicPartition, Position> all;
  for (const auto& [name, offset] : committed) all[name].committed = offset;
  for (const client::GroupMember& member : group.members)
    if (member.assignment)
      for (const TopicPartition& name : *member.assignment) all[name].owner = &member;
  std::vector<TopicPartition> names;
  for (const auto& [name, position] : all) names.push_back(name);
  MR_CO_TRY(auto ends,
            co_await client::find_offsets(session.cluster, names, client::kLatestOffset, session.deadline()));
  std::vector<Position> positions;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Position position = all[names[i]];
    position.name = names[i];
    if (ends[i].ok()) position.end = ends[i]->offset;
    if (!session.common.quiet) {
      if (!ends[i].ok()) say(fmt::format("millrace: no lag of {}: {}", names[i].to_string(), ends[i].error().detail()));
      if (position.committed && position.end && *position.committed > *position.end)
        say(fmt::format("millrace: {} is committed at {}, beyond its end {}", names[i].to_string(),
                        position.committed->v, position.end->v));
    }
    positions.push_back(std::move(position));
  }
  co_return positions;
}

Task<Result<int>> list(Session& session, GroupList command) {
  MR_CO_TRY(auto groups, co_await client::list_groups(session.cluster, std::move(command.states), session.deadline()));
  if (command.names) {
    std::string names;
    for (const client::ListedGroup& group : groups) names += printable(group.name) + "\n";
    print(names);
    co_return kOk;
  }
  auto known = [](const std::string& text) { return text.empty() ? Value(nullptr) : Value(text); };
  Value::List rows;
  for (const client::ListedGroup& group : groups)
    rows.push_back(Value::Object{{"group", group.name},
                                 {"state", known(group.state)},
                                 {"type", known(group.type)},
                                 {"protocol_type", known(group.protocol_type)},
                                 {"coordinator", group.coordinator.v}});
  if (rows.empty() && !session.common.quiet && session.common.output == OutputFormat::table) say("no groups");
  print(render_rows(session.common.output, rows));
  co_return kOk;
}

Task<Result<int>> describe(Session& session, GroupDescribe command) {
  MR_CO_TRY(auto group, co_await client::describe_group(session.cluster, command.group, session.deadline()));
  MR_CO_TRY(auto committed, co_await committed_of(session, command.group, {}));
  MR_CO_TRY(auto positions, co_await positions_of(session, std::move(committed), group));
  const LagTotals totals = totals_of(positions);
  Value::List rows;
  for (const Position& p : positions) {
    Value::Object row = to_row(p);
    row.emplace_back("member", p.owner != nullptr ? Value(p.owner->id) : Value(nullptr));
    row.emplace_back("client_id", p.owner != nullptr ? Value(p.owner->client_id) : Value(nullptr));
    row.emplace_back("host", p.owner != nullptr ? Value(p.owner->client_host) : Value(nullptr));
    rows.emplace_back(std::move(row));
  }
  const std::string address = group.coordinator.address.to_string();
  Value::Object head = {{"group", group.name},
                        {"state", group.state},
                        {"protocol_type", group.protocol_type},
                        {"protocol", group.protocol},
                        {"members", group.members.size()}};
  if (session.common.output == OutputFormat::table) {
    head.emplace_back("coordinator", fmt::format("{} ({})", group.coordinator.id.v, address));
    head.emplace_back("lag", totals.all);
    print(render_one(OutputFormat::table, head) + (rows.empty() ? "" : "\n") + render_rows(OutputFormat::table, rows));
  } else {
    head.emplace_back("coordinator", Value::Object{{"id", group.coordinator.id.v}, {"address", address}});
    head.emplace_back("lag", totals.all);
    head.emplace_back("topics", to_values(totals));
    head.emplace_back("partitions", rows);
    print(render_one(session.common.output, head));
  }
  co_return kOk;
}

/// [{"topic", "partitions"}]; `names` are sorted.
Value::List assignment_value(const std::vector<TopicPartition>& names) {
  std::map<std::string, Value::List> topics;
  for (const TopicPartition& name : names) topics[name.topic].emplace_back(name.partition.v);
  Value::List list;
  for (auto& [topic, partitions] : topics)
    list.push_back(Value::Object{{"topic", topic}, {"partitions", std::move(partitions)}});
  return list;
}

Task<Result<int>> members(Session& session, GroupMembers command) {
  MR_CO_TRY(auto group, co_await client::describe_group(session.cluster, command.group, session.deadline()));
  const bool table = session.common.output == OutputFormat::table;
  Value::List rows;
  for (const client::GroupMember& member : group.members) {
    Value::Object row = {{"member", member.id},
                         {"instance", member.instance ? Value(*member.instance) : Value(nullptr)},
                         {"client_id", member.client_id},
                         {"host", member.client_host}};
    row.emplace_back("partitions", member.assignment ? Value(member.assignment->size()) : Value(nullptr));
    if (table) {
      row.emplace_back("assignment",
                       member.assignment ? Value(describe_partitions(*member.assignment)) : Value(nullptr));
    } else {
      Value::List topics;
      if (member.topics)
        for (const std::string& topic : *member.topics) topics.emplace_back(topic);
      row.emplace_back("subscription", member.topics ? Value(std::move(topics)) : Value(nullptr));
      row.emplace_back("assignment", member.assignment ? Value(assignment_value(*member.assignment)) : Value(nullptr));
    }
    rows.emplace_back(std::move(row));
  }
  if (rows.empty() && table && !session.common.quiet)
    say(fmt::format("group '{}' has no members ({})", group.name, group.state));
  print(render_rows(session.common.output, rows));
  co_return kOk;
}

}  // namespace

int run(const Common& common, const GroupList& command) {
  return with_cluster(common, [&](Session& session) { return list(session, command); });
}
int run(const Common& common, const GroupDescribe& command) {
  return with_cluster(common, [&](Session& session) { return describe(session, command); });
}
int run(const Common& common, const GroupMembers& command) {
  return with_cluster(common, [&](Session& session) { return members(session, command); });
}

}  // namespace mr::cli
