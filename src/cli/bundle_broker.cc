// What a running broker tells for a bundle.
#include <fmt/format.h>

#include "cli/bundle.h"
#include "cli/http_get.h"
#include "cli/redact.h"
#include "client/admin.h"
#include "client/groups.h"

namespace mr::cli {

namespace {

constexpr std::size_t kTopicsMax = 1000;  ///< whose configs are asked for
constexpr std::size_t kGroupsMax = 500;   ///< that are described
constexpr Duration kOffsetsPatience = std::chrono::seconds(10);

struct Page {
  const char* target;
  const char* name;
};
constexpr Page kPages[] = {{"/readyz?verbose", "http/readyz.txt"},
                           {"/health", "http/health.json"},
                           {"/version", "http/version.json"},
                           {"/metrics", "http/metrics.txt"}};

Value::List ids(const std::vector<BrokerId>& brokers) {
  Value::List list;
  for (BrokerId id : brokers) list.emplace_back(id.v);
  return list;
}

Value offset_of(const Result<client::FoundOffset>& found) {
  return found.ok() ? Value(found->offset.v) : Value(nullptr);
}

Task<void> ask_for_topics(client::Cluster& cluster, Bundle& bundle, TimePoint deadline) {
  auto info = co_await cluster.describe(deadline);
  if (!info.ok()) {
    bundle.lacks("topics.json", info.error());
    bundle.lacks("groups.json", info.error());
    co_return;
  }
  Value::List brokers;
  for (const client::BrokerInfo& b : info->brokers)
    brokers.push_back(Value::Object{{"id", b.id.v}, {"address", b.address.to_string()}});
  bundle.add_json("cluster.json", "the broker's metadata",
                  Value::Object{{"cluster_id", info->cluster_id},
                                {"controller", info->controller.v},
                                {"brokers", brokers},
                                {"topics", info->topics.size()}});
  std::vector<TopicPartition> names;
  for (const client::TopicInfo& topic : info->topics)
    for (const client::PartitionInfo& p : topic.partitions)
      if (p.leader.v >= 0) names.push_back({topic.name, p.index});
  const TimePoint soon = std::min(deadline, cluster.env().now() + kOffsetsPatience);
  auto starts = co_await client::find_offsets(cluster, names, client::kEarliestOffset, soon);
  auto ends = co_await client::find_offsets(cluster, names, client::kLatestOffset, soon);
  if (!starts.ok()) bundle.lacks("offsets in topics.json", starts.error());
  Value::List topics;
  std::size_t at = 0, asked = 0;
  for (const client::TopicInfo& topic : info->topics) {
    Value::List partitions;
    for (const client::PartitionInfo& p : topic.partitions) {
      Value::Object row = {{"partition", p.index.v},    {"leader", p.leader.v},
                           {"epoch", p.leader_epoch.v}, {"replicas", ids(p.replicas)},
                           {"in_sync", ids(p.isr)},     {"error", static_cast<std::int64_t>(p.error)}};
      if (p.leader.v >= 0) {
        row.emplace_back("start", starts.ok() ? offset_of((*starts)[at]) : Value(nullptr));
        row.emplace_back("end", ends.ok() ? offset_of((*ends)[at]) : Value(nullptr));
        ++at;
      }
      partitions.emplace_back(std::move(row));
    }
    Value::Object row = {{"name", topic.name},
                         {"id", topic.id.v.to_string()},
                         {"internal", topic.internal},
                         {"partitions", std::move(partitions)}};
    if (asked++ < kTopicsMax) {
      auto configs = co_await client::topic_configs(cluster, topic.name, deadline);
      Value::Object shown;
      if (configs.ok()) {
        for (const client::ConfigValue& c : *configs)
          shown.emplace_back(c.name, c.sensitive ? Value("[redacted]")
                                     : c.value   ? Value(redact_value(c.name, *c.value))
                                                 : Value(nullptr));
      } else {
        bundle.lacks(fmt::format("configs of topic {}", topic.name), configs.error());
      }
      row.emplace_back("configs", std::move(shown));
    }
    topics.emplace_back(std::move(row));
  }
  if (asked > kTopicsMax)
    bundle.lacks(fmt::format("configs of {} more topics", asked - kTopicsMax),
                 Error(Errc::too_large, fmt::format("only the first {} are asked for", kTopicsMax)));
  bundle.add_json("topics.json", "the broker's metadata and configs", std::move(topics));
}

Value::Object to_value(const client::GroupDescription& group) {
  Value::List members;
  for (const client::GroupMember& m : group.members) {
    Value::List partitions;
    if (m.assignment)
      for (const TopicPartition& name : *m.assignment) partitions.emplace_back(name.to_string());
    members.push_back(Value::Object{{"member", m.id},
                                    {"instance", m.instance ? Value(*m.instance) : Value(nullptr)},
                                    {"client_id", m.client_id},
                                    {"host", m.client_host},
                                    {"partitions", std::move(partitions)}});
  }
  return {{"protocol", group.protocol}, {"coordinator", group.coordinator.id.v}, {"members", std::move(members)}};
}

Task<void> ask_for_groups(client::Cluster& cluster, Bundle& bundle, TimePoint deadline) {
  auto groups = co_await client::list_groups(cluster, {}, deadline);
  if (!groups.ok()) {
    bundle.lacks("groups.json", groups.error());
    co_return;
  }
  Value::List rows;
  for (const client::ListedGroup& group : *groups) {
    Value::Object row = {
        {"group", group.name}, {"state", group.state}, {"type", group.type}, {"protocol_type", group.protocol_type}};
    if (rows.size() < kGroupsMax) {
      auto described = co_await client::describe_group(cluster, group.name, deadline);
      if (described.ok())
        for (auto& member : to_value(*described)) row.push_back(std::move(member));
      else
        bundle.lacks(fmt::format("members of group {}", group.name), described.error());
      auto committed = co_await client::committed_offsets(cluster, group.name, deadline);
      Value::Object offsets;
      if (committed.ok())
        for (const client::CommittedOffset& c : *committed) offsets.emplace_back(c.name.to_string(), c.offset.v);
      row.emplace_back("committed", std::move(offsets));
    }
    rows.emplace_back(std::move(row));
  }
  if (rows.size() > kGroupsMax)
    bundle.lacks(fmt::format("members of {} more groups", rows.size() - kGroupsMax),
                 Error(Errc::too_large, fmt::format("only the first {} are asked for", kGroupsMax)));
  bundle.add_json("groups.json", "the broker's groups", std::move(rows));
}

}  // namespace

Task<void> ask_broker(Env& env, Bundle& bundle, BundleQuestions q) {
  const TimePoint deadline = env.now() + q.patience;
  for (const Page& page : kPages) {
    if (!q.http) {
      bundle.lacks(page.name, Error(Errc::not_found, "no HTTP address: no ready.json, and no --http"));
      continue;
    }
    auto answer = co_await http_get(env, *q.http, page.target, deadline);
    const std::string from = fmt::format("http://{}{}", q.http->to_string(), page.target);
    if (!answer.ok()) {
      bundle.lacks(page.name, answer.error());
    } else if (answer->status == 404) {
      bundle.lacks(page.name, Error(Errc::not_found, from + " answers 404"));
    } else {
      bundle.add(page.name, from, std::move(answer->body));
    }
  }
  if (q.bootstrap.empty()) {
    for (const char* name : {"topics.json", "groups.json"})
      bundle.lacks(name, Error(Errc::not_found, "no broker's address: no ready.json, and no -b"));
    co_return;
  }
  client::Cluster::Options options{.bootstrap = std::move(q.bootstrap)};
  options.connection.client_id = "millrace-cli";
  client::Cluster cluster(env, std::move(options));
  auto connection = co_await cluster.any(deadline);
  if (connection.ok()) {
    co_await ask_for_topics(cluster, bundle, deadline);
    co_await ask_for_groups(cluster, bundle, deadline);
  } else {
    for (const char* name : {"topics.json", "groups.json"}) bundle.lacks(name, connection.error());
  }
  co_await cluster.close();
}

}  // namespace mr::cli
