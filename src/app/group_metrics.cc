#include "app/group_metrics.h"

#include <algorithm>
#include <cmath>

namespace mr::app {

namespace {

using coordinator::GroupStats;
using coordinator::RebalanceCause;
using S = const GroupStats&;

struct GroupCounter {
  std::string_view name;
  std::string_view help;
  std::uint64_t (*of)(S);
  std::string_view cause = {};  ///< the label's value; empty: no label
  double per_unit = 1;          ///< how many of what it counts make one on the page
};
constexpr std::string_view kRebalancesHelp = "Rebalances begun, by what caused them.";

template <RebalanceCause cause>
constexpr std::uint64_t begun(S s) {
  return s.rebalances[static_cast<std::size_t>(cause)];
}

constexpr GroupCounter kCounters[] = {
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::member_joined>, "member_joined"},
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::member_left>, "member_left"},
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::member_expired>, "member_expired"},
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::member_replaced>, "member_replaced"},
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::not_synced>, "not_synced"},
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::metadata_changed>, "metadata_changed"},
    {"millrace_group_rebalances_total", kRebalancesHelp, begun<RebalanceCause::not_revoked>, "not_revoked"},
    {"millrace_group_rebalances_completed_total", "Rebalances whose members have all joined.",
     [](S s) { return s.rebalances_completed; }},
    {"millrace_group_flaps_total",
     "Groups found to rebalance again and again, at most once in a quarter of an hour each.",
     [](S s) { return s.flaps; }},
    {"millrace_group_rebalance_seconds_total",
     "Time from the begin of completed rebalances to their last join.",
     [](S s) { return s.rebalance_ns; },
     {},
     1e9},
    {"millrace_group_offset_commits_total", "Offsets committed, one per partition.",
     [](S s) { return s.offset_commits; }},
    {"millrace_group_offsets_expired_total", "Offsets removed by retention.", [](S s) { return s.offsets_expired; }},
    {"millrace_group_heartbeats_total", "Heartbeats of members.", [](S s) { return s.heartbeats; }},
    {"millrace_group_member_timeouts_total", "Members removed because they were silent for their session timeout.",
     [](S s) { return s.member_timeouts; }},
    {"millrace_group_loads_total", "Partitions of __consumer_offsets replayed.", [](S s) { return s.loads; }},
    {"millrace_group_loads_failed_total", "Replays of them that failed.", [](S s) { return s.loads_failed; }},
    {"millrace_group_states_discarded_total", "States thrown away after a failed write, to be replayed.",
     [](S s) { return s.discarded; }},
};

struct GroupGauge {
  std::string_view name;
  std::string_view help;
  std::uint64_t (*of)(S);
};
constexpr GroupGauge kGauges[] = {
    {"millrace_groups", "Groups that are known, with members or offsets.", [](S s) { return s.groups; }},
    {"millrace_groups_active", "Groups with members.", [](S s) { return s.groups_active; }},
    {"millrace_group_members", "Members of all groups.", [](S s) { return s.members; }},
    {"millrace_group_offsets", "Committed offsets held.", [](S s) { return s.offsets; }},
};

}  // namespace

GroupMetrics::GroupMetrics(MetricsRegistry& registry, coordinator::GroupCoordinator& groups,
                           coordinator::LagWatch& lags)
    : registry_(registry),
      groups_(groups),
      watch_(lags),
      left_out_(registry.gauge("millrace_metrics_left_out",
                               "How many have no series of their own because there are too many.",
                               {{"what", "group_partitions"}})) {
  for (const GroupCounter& c : kCounters)
    counters_.push_back({c.cause.empty() ? registry.counter(c.name, c.help, {}, c.per_unit)
                                         : registry.counter(c.name, c.help, {{"cause", c.cause}}, c.per_unit)});
  for (const GroupGauge& g : kGauges) gauges_.push_back(registry.gauge(g.name, g.help));
}

void GroupMetrics::follow(const GroupStats& now) {
  for (std::size_t i = 0; i < counters_.size(); ++i) counters_[i].follow(kCounters[i].of(now));
  for (std::size_t i = 0; i < gauges_.size(); ++i) gauges_[i].set(static_cast<std::int64_t>(kGauges[i].of(now)));
}

Task<void> GroupMetrics::refresh() {
  follow(co_await groups_.stats());
  const std::uint64_t round = ++round_;
  auto stand = co_await groups_.positions(kGroupSeriesMax);
  const auto readers = co_await watch_.look_at(stand.positions);
  std::size_t left_out = stand.left_out;
  for (std::size_t i = 0; i < stand.positions.size(); ++i) {
    const coordinator::GroupPosition& at = stand.positions[i];
    if (readers[i].end < Offset{0}) continue;
    if (take(at, readers[i].end)) {
      take_age(at, readers[i]);
    } else {
      ++left_out;
    }
  }
  left_out_.set(static_cast<std::int64_t>(left_out));
  // What could not be asked just now keeps its series.
  if (!stand.whole) co_return;
  std::erase_if(lags_, [&](const auto& entry) { return entry.second.round < round; });
  std::erase_if(ages_, [&](const auto& entry) { return entry.second.round < round; });
  for (auto& [of, consumed] : consumed_)
    if (consumed.round < round) consumed.counter.forget();
  std::erase_if(consumed_, [&](const auto& entry) { return entry.second.round < round; });
}

void GroupMetrics::take_age(const coordinator::GroupPosition& position, const broker::Broker::ReaderStanding& reader) {
  auto at = ages_.find(position.group);
  if (at == ages_.end()) {
    Age fresh{.gauge = registry_.gauge("millrace_group_lag_seconds",
                                       "Age of the oldest record that a group has not committed.",
                                       {{"consumer_group", position.group}}, 1000)};
    at = ages_.emplace(position.group, std::move(fresh)).first;
  }
  Age& age = at->second;
  if (age.round < round_) age.seconds = 0;
  age.round = round_;
  if (reader.oldest) age.seconds = std::max(age.seconds, coordinator::age_of(*reader.oldest, watch_.wall()));
  age.gauge.set(std::llround(age.seconds * 1000));
}

bool GroupMetrics::take(const coordinator::GroupPosition& position, Offset end) {
  const auto& [group, topic, partition, committed] = position;
  auto at = lags_.find({group, topic, partition});
  if (at == lags_.end()) {
    if (lags_.size() >= kGroupSeriesMax) return false;
    std::string index = std::to_string(partition.v);
    Lag fresh{.gauge = registry_.gauge("queue_consumer_lag", "Records between a group's commit and the log's end.",
                                       {{"topic", topic}, {"partition", index}, {"consumer_group", group}}),
              .committed = committed};
    at = lags_.emplace(std::tuple(group, topic, partition), std::move(fresh)).first;
  }
  auto counted = consumed_.find({group, topic});
  if (counted == consumed_.end()) {
    Consumed fresh{.counter = registry_.counter(
                       "queue_messages_consumed_total",
                       "Records that a group's commits have passed, from the first scrape on that saw it.",
                       {{"topic", topic}, {"consumer_group", group}})};
    counted = consumed_.emplace(std::pair(group, topic), std::move(fresh)).first;
  }
  Lag& lag = at->second;
  if (committed > lag.committed) counted->second.counter.add(static_cast<std::uint64_t>(committed.v - lag.committed.v));
  lag.committed = committed;
  lag.gauge.set(std::max<std::int64_t>(0, end.v - committed.v));
  lag.round = counted->second.round = round_;
  return true;
}

}  // namespace mr::app
