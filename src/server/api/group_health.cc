#include "server/api/group_health.h"

#include <fmt/format.h>

#include <map>

#include "coordinator/lag/group_lag.h"
#include "server/api/group_answers.h"

namespace mr::server::api {

namespace {

using coordinator::LagAdvice;
using coordinator::LagFacts;
using coordinator::PartitionLag;
using http::HttpRequest;
using http::HttpResponse;
using http::json_string;

std::string number_or_null(std::optional<double> number) { return number ? fmt::format("{:.3f}", *number) : "null"; }
std::string rates_json(const std::optional<coordinator::LagRates>& rates) {
  return fmt::format(R"("produced_per_second":{},"consumed_per_second":{})",
                     number_or_null(rates ? std::optional(rates->produced) : std::nullopt),
                     number_or_null(rates ? std::optional(rates->consumed) : std::nullopt));
}

/// Who is in the group and what each of them reads.
void take_members(const ShownGroup& shown, LagFacts& facts, std::map<TopicPartition, PartitionLag>& rows) {
  for (std::size_t m = 0; m < shown.group.members.size(); ++m) {
    const coordinator::DescribedMember& member = shown.group.members[m];
    facts.members.push_back({member.member, member.client_id, member.client_host, member.session_timeout});
    for (const TopicPartition& one : shown.assigned[m].value_or(std::vector<TopicPartition>{}))
      rows[one].member = member.member;
  }
}

coordinator::RecentRebalances recent(const std::vector<coordinator::Rebalance>& all, TimePoint now) {
  using coordinator::RebalanceCause;
  coordinator::RecentRebalances sum;
  for (const coordinator::Rebalance& one : all) {
    if (one.began_mono < now - std::chrono::minutes(10)) break;
    ++sum.all;
    if (one.reason.cause == RebalanceCause::member_expired) ++sum.session_timeouts;
    if (one.reason.cause == RebalanceCause::not_synced || one.reason.cause == RebalanceCause::not_revoked)
      ++sum.missed_rounds;
  }
  return sum;
}

Task<Result<LagFacts>> look_at(const GroupSources& sources, std::string name) {
  coordinator::GroupCoordinator& groups = *sources.groups();
  coordinator::LagWatch& watch = *sources.lags();
  MR_CO_TRY(ShownGroup shown, co_await find_group(*sources.broker(), groups, name, true));
  auto fetched = co_await groups.fetch_offsets({.group = name, .topics = std::nullopt});
  if (fetched.error) co_return *fetched.error;
  LagFacts facts;
  std::map<TopicPartition, PartitionLag> rows;
  for (const coordinator::FetchedTopic& topic : fetched.topics)
    for (const coordinator::FetchedOffset& one : topic.partitions)
      rows[{topic.topic, one.partition}].committed = one.offset;
  take_members(shown, facts, rows);
  facts.rebalances = recent(shown.group.rebalances, watch.now());
  facts.group_sets_sessions = shown.type == "consumer";
  std::vector<coordinator::GroupPosition> positions;
  for (auto& [at, row] : rows) {
    row.name = at;
    positions.push_back({name, at.topic, at.partition, row.committed});
    facts.partitions.push_back(std::move(row));
  }
  auto readers = co_await watch.look_at(std::move(positions));
  for (std::size_t i = 0; i < readers.size(); ++i) {
    PartitionLag& row = facts.partitions[i];
    row.end = readers[i].end;
    if (row.records() == 0) row.age_seconds = 0;
    if (row.records() && readers[i].oldest) row.age_seconds = coordinator::age_of(*readers[i].oldest, watch.wall());
    if (row.records()) row.rates = watch.history().rates(watch.now(), name, row.name, row.committed, row.end);
  }
  co_return facts;
}

std::string row_json(const PartitionLag& row) {
  auto lag = row.records();
  return fmt::format(
      R"({{"topic":{},"partition":{},"committed_offset":{},"end_offset":{},"lag":{},"lag_seconds":{},{},"member":{}}})",
      json_string(row.name.topic), row.name.partition.v, offset_or_null(row.committed), offset_or_null(row.end),
      lag ? std::to_string(*lag) : "null", number_or_null(row.age_seconds), rates_json(row.rates),
      row.member.empty() ? "null" : json_string(row.member));
}

Task<HttpResponse> show_lag(const GroupSources& sources, HttpRequest& request) {
  if (sources.groups() == nullptr) co_return groups_starting();
  const std::string name(request.path_value("group"));
  auto found = co_await look_at(sources, name);
  if (!found.ok()) co_return group_refused(found.error());
  const coordinator::LagSummary sum = coordinator::summarize(found->partitions);
  std::string partitions, advice;
  for (const PartitionLag& row : found->partitions) partitions += (partitions.empty() ? "" : ",") + row_json(row);
  for (const LagAdvice& one : coordinator::advise(*found))
    advice += fmt::format(R"({}{{"advice":"{}","text":{}}})", advice.empty() ? "" : ",",
                          coordinator::advice_name(one.kind), json_string(one.text));
  co_return HttpResponse::json(fmt::format(
      R"({{"group":{},"lag":{},"lag_seconds":{},{},"drain_seconds":{},"members":{},"advice":[{}],"partitions":[{}]}})"
      "\n",
      json_string(name), sum.records, number_or_null(sum.age_seconds), rates_json(sum.rates),
      number_or_null(sum.drain_seconds), found->members.size(), advice, partitions));
}

std::string rebalance_json(const coordinator::Rebalance& one) {
  auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  return fmt::format(
      R"({{"began_ms":{},"seconds":{},"cause":"{}","member":{},"timeout_ms":{},"generation":{},"members":{},"moved":{}}})",
      one.began, number_or_null(one.took ? std::optional(seconds(*one.took)) : std::nullopt),
      coordinator::cause_name(one.reason.cause), one.reason.member.empty() ? "null" : json_string(one.reason.member),
      one.reason.timeout.count() > 0 ? std::to_string(one.reason.timeout.count()) : "null",
      one.generation < 0 ? "null" : std::to_string(one.generation), one.took ? std::to_string(one.members) : "null",
      one.moved ? std::to_string(*one.moved) : "null");
}

Task<HttpResponse> show_rebalances(const GroupSources& sources, HttpRequest& request) {
  coordinator::GroupCoordinator* groups = sources.groups();
  if (groups == nullptr) co_return groups_starting();
  const std::string name(request.path_value("group"));
  auto shown = co_await find_group(*sources.broker(), *groups, name, true);
  if (!shown.ok()) co_return group_refused(shown.error());
  std::string rows;
  for (const coordinator::Rebalance& one : shown->group.rebalances)
    rows += (rows.empty() ? "" : ",") + rebalance_json(one);
  co_return HttpResponse::json(fmt::format("{{\"group\":{},\"rebalances\":[{}]}}\n", json_string(name), rows));
}

}  // namespace

void add_group_health_routes(http::HttpRouter& router, GroupSources sources) {
  router.add("GET", "/consumer-groups/{group}/lag",
             [sources](HttpRequest& request) { return show_lag(sources, request); });
  router.add("GET", "/consumer-groups/{group}/rebalances",
             [sources](HttpRequest& request) { return show_rebalances(sources, request); });
}

}  // namespace mr::server::api
