#include <fmt/format.h>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/session.h"
#include "client/admin.h"

namespace mr::cli {

namespace {

Task<Result<int>> create(Session& session, TopicCreate command) {
  client::NewTopic topic{.name = command.name,
                         .partitions = command.partitions,
                         .replication_factor = command.replication_factor,
                         .validate_only = session.common.dry_run};
  for (const std::string& text : command.configs) {
    std::size_t split = text.find('=');
    if (split == std::string::npos || split == 0)
      co_return Error(Errc::invalid_argument, fmt::format("--config wants NAME=VALUE, not '{}'", text));
    topic.configs[text.substr(0, split)] = text.substr(split + 1);
  }
  auto created = co_await client::create_topic(session.cluster, std::move(topic), session.deadline());
  if (!created.ok()) {
    if (created.code() == Errc::topic_exists && command.if_not_exists) {
      if (!session.common.quiet) say(fmt::format("topic '{}' exists already", command.name));
      co_return kOk;
    }
    co_return created.error();
  }
  Value::Object answer = {{"name", command.name}};
  if (!created->id.v.is_zero()) answer.emplace_back("id", created->id.v.to_string());
  answer.emplace_back("partitions", created->partitions);
  answer.emplace_back("replication_factor", created->replication_factor);
  if (session.common.dry_run) answer.emplace_back("dry_run", true);
  if (session.common.output != OutputFormat::table) {
    print(render_one(session.common.output, answer));
  } else if (!session.common.quiet) {
    say(fmt::format("{} topic '{}' with {} partition{}", session.common.dry_run ? "would create" : "created",
                    command.name, created->partitions, created->partitions == 1 ? "" : "s"));
  }
  co_return kOk;
}

Task<Result<int>> list(Session& session, TopicList command) {
  MR_CO_TRY(client::ClusterInfo info, co_await session.cluster.describe(session.deadline()));
  Value::List rows;
  std::string names;
  for (const client::TopicInfo& topic : info.topics) {
    if (topic.internal && !command.internal) continue;
    if (command.names) {
      names += topic.name + "\n";
      continue;
    }
    std::size_t replicas = topic.partitions.empty() ? 0 : topic.partitions.front().replicas.size();
    rows.push_back(Value::Object{{"name", topic.name},
                                 {"partitions", topic.partitions.size()},
                                 {"replicas", replicas},
                                 {"id", topic.id.v.to_string()}});
  }
  if (command.names) {
    print(names);
    co_return kOk;
  }
  if (rows.empty() && !session.common.quiet && session.common.output == OutputFormat::table)
    say("no topics; create one with: millrace topic create NAME");
  print(render_rows(session.common.output, rows));
  co_return kOk;
}

Value::List ids(const std::vector<BrokerId>& brokers) {
  Value::List list;
  for (BrokerId id : brokers) list.emplace_back(id.v);
  return list;
}

Task<Result<int>> describe(Session& session, TopicDescribe command) {
  const TimePoint deadline = session.deadline();
  MR_CO_TRY(client::TopicInfo topic, co_await session.cluster.topic(command.name, false, deadline));
  MR_CO_TRY(auto configs, co_await client::topic_configs(session.cluster, command.name, deadline));
  Value::List partitions;
  std::int64_t records = 0;
  for (const client::PartitionInfo& p : topic.partitions) {
    TopicPartition name{command.name, p.index};
    MR_CO_TRY(auto first, co_await client::find_offset(session.cluster, name, client::kEarliestOffset, deadline));
    MR_CO_TRY(auto end, co_await client::find_offset(session.cluster, name, client::kLatestOffset, deadline));
    records += end.offset.v - first.offset.v;
    partitions.push_back(Value::Object{{"partition", p.index.v},
                                       {"leader", p.leader.v},
                                       {"epoch", p.leader_epoch.v},
                                       {"replicas", ids(p.replicas)},
                                       {"in_sync", ids(p.isr)},
                                       {"start", first.offset.v},
                                       {"end", end.offset.v}});
  }
  Value::Object own, all;
  for (const client::ConfigValue& c : configs) {
    Value value = c.value ? Value(*c.value) : Value(nullptr);
    if (c.source == 1) own.emplace_back(c.name, value);  // set on the topic itself
    all.emplace_back(c.name, value);
  }
  if (session.common.output == OutputFormat::table) {
    Value::Object head = {
        {"name", topic.name}, {"id", topic.id.v.to_string()}, {"internal", topic.internal}, {"offsets", records}};
    for (const auto& [name, value] : own) head.emplace_back(name, value);
    print(render_one(OutputFormat::table, head) + "\n" + render_rows(OutputFormat::table, partitions));
  } else {
    Value::Object whole = {{"name", topic.name},
                           {"id", topic.id.v.to_string()},
                           {"internal", topic.internal},
                           {"partitions", partitions},
                           {"set", own},
                           {"configs", all}};
    print(render_one(session.common.output, whole));
  }
  co_return kOk;
}

Task<Result<int>> remove(Session& session, TopicDelete command) {
  Result<void> deleted;
  if (session.common.dry_run) {
    auto topic = co_await session.cluster.topic(command.name, false, session.deadline());
    if (!topic.ok()) deleted = topic.error();
  } else {
    deleted = co_await client::delete_topic(session.cluster, command.name, session.deadline());
  }
  if (!deleted.ok()) {
    if (deleted.code() == Errc::unknown_topic && command.if_exists) {
      if (!session.common.quiet) say(fmt::format("topic '{}' does not exist", command.name));
      co_return kOk;
    }
    co_return deleted.error();
  }
  if (session.common.output != OutputFormat::table) {
    print(render_one(session.common.output, {{"name", command.name}, {"deleted", !session.common.dry_run}}));
  } else if (!session.common.quiet) {
    say(fmt::format("{} topic '{}'", session.common.dry_run ? "would delete" : "deleted", command.name));
  }
  co_return kOk;
}

}  // namespace

int run(const Common& common, const TopicCreate& command) {
  return with_cluster(common, [&](Session& session) { return create(session, command); });
}
int run(const Common& common, const TopicList& command) {
  return with_cluster(common, [&](Session& session) { return list(session, command); });
}
int run(const Common& common, const TopicDescribe& command) {
  return with_cluster(common, [&](Session& session) { return describe(session, command); });
}
int run(const Common& common, const TopicDelete& command) {
  return with_cluster(common, [&](Session& session) { return remove(session, command); });
}

}  // namespace mr::cli
