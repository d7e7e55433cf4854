#include "coordinator/lag/group_lag.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace mr::coordinator {

namespace {

using Kind = LagAdvice::Kind;

/// A lag younger than this is the way of things: batches, linger, commits now and then.
constexpr double kAgeOfConcern = 5;
/// Falling behind: what comes in is more than this part above what goes out.
constexpr double kMargin = 0.05;
constexpr std::uint64_t kManyRebalances = 5;
/// One member is the slow one when it makes this part of all growth, while others read as well.
constexpr double kMostOfGrowth = 0.8;

bool falls_behind(const LagRates& rates) { return rates.produced > rates.consumed * (1 + kMargin) + 0.1; }

std::string named(const LaggingMember& member) {
  return fmt::format("{} ({}{})", member.member, member.client_id, member.client_host);
}

void look_for_rebalances(const LagFacts& facts, std::vector<LagAdvice>& advice) {
  const RecentRebalances& recent = facts.rebalances;
  if (recent.all < kManyRebalances) return;
  std::string text = fmt::format("{} rebalances in ten minutes", recent.all);
  Millis session{0};
  for (const LaggingMember& member : facts.members) session = std::max(session, member.session_timeout);
  if (recent.session_timeouts * 2 >= recent.all && session.count() > 0) {
    text += fmt::format(
        ", {} because a member was silent for its session timeout of {} ms: try {}session.timeout.ms={}",
        recent.session_timeouts, session.count(), facts.group_sets_sessions ? "consumer." : "", session.count() * 2);
    if (facts.group_sets_sessions)
      text += " for the group (millrace config alter --group; group.consumer.max.session.timeout.ms is its bound)";
  } else if (recent.missed_rounds * 2 >= recent.all) {
    text += fmt::format(
        ", {} because a member did not come back in time: it works longer than max.poll.interval.ms between two polls; "
        "raise that or lower max.poll.records",
        recent.missed_rounds);
  } else {
    text += ": members come and go; static membership (group.instance.id) makes restarts silent";
  }
  advice.push_back({Kind::rebalances_too_often, std::move(text)});
}

/// The member that lets the lag grow while the others keep up. Null: none, or several.
const LaggingMember* slow_one(const LagFacts& facts) {
  std::map<std::string, double> growth;
  double all = 0;
  for (const PartitionLag& one : facts.partitions) {
    if (one.member.empty() || !one.rates) continue;
    const double more = std::max(0.0, one.rates->produced - one.rates->consumed);
    growth[one.member] += more;
    all += more;
  }
  if (growth.size() < 2 || all <= 0) return nullptr;
  auto most = std::ranges::max_element(growth, {}, [](const auto& entry) { return entry.second; });
  if (most->second < kMostOfGrowth * all) return nullptr;
  auto found = std::ranges::find(facts.members, most->first, &LaggingMember::member);
  return found == facts.members.end() ? nullptr : &*found;
}

void look_for_capacity(const LagFacts& facts, const LagSummary& sum, std::vector<LagAdvice>& advice) {
  if (!sum.rates || !falls_behind(*sum.rates) || sum.age_seconds.value_or(0) < kAgeOfConcern) return;
  const std::string figures =
      fmt::format("{:.1f} records a second come in, {:.1f} are consumed", sum.rates->produced, sum.rates->consumed);
  if (const LaggingMember* slow = slow_one(facts)) {
    advice.push_back({Kind::slow_member, fmt::format("{}; nearly all of the lag grows at member {}: look there first",
                                                     figures, named(*slow))});
    return;
  }
  const std::size_t members = facts.members.size(), partitions = facts.partitions.size();
  const double wanted = sum.rates->consumed > 0
                            ? static_cast<double>(members) * sum.rates->produced / sum.rates->consumed
                            : static_cast<double>(members + 1);
  if (members < partitions) {
    const auto enough = std::clamp(static_cast<std::size_t>(wanted) + 1, members + 1, partitions);
    advice.push_back({Kind::add_consumers, fmt::format("{}: {} consumers on {} partitions, at this rate {} are needed",
                                                       figures, members, partitions, enough)});
  } else {
    advice.push_back({Kind::add_partitions,
                      fmt::format("{}: every partition of {} has a consumer of its own; more consumers need more "
                                  "partitions, or each has to become faster",
                                  figures, partitions)});
  }
}

}  // namespace

std::string_view advice_name(Kind kind) {
  switch (kind) {
    case Kind::no_consumer:
      return "no_consumer";
    case Kind::rebalances_too_often:
      return "rebalances_too_often";
    case Kind::slow_member:
      return "slow_member";
    case Kind::add_consumers:
      return "add_consumers";
    case Kind::add_partitions:
      return "add_partitions";
    case Kind::idle_members:
      return "idle_members";
  }
  return "unknown";
}

LagSummary summarize(const std::vector<PartitionLag>& partitions) {
  LagSummary sum;
  for (const PartitionLag& one : partitions) {
    sum.records += one.records().value_or(0);
    if (one.age_seconds) sum.age_seconds = std::max(sum.age_seconds.value_or(0), *one.age_seconds);
    if (!one.rates) continue;
    if (!sum.rates) sum.rates.emplace();
    sum.rates->produced += one.rates->produced;
    sum.rates->consumed += one.rates->consumed;
  }
  if (sum.records == 0) {
    sum.drain_seconds = 0;
  } else if (sum.rates && sum.rates->consumed > sum.rates->produced) {
    sum.drain_seconds = static_cast<double>(sum.records) / (sum.rates->consumed - sum.rates->produced);
  }
  return sum;
}

std::vector<LagAdvice> advise(const LagFacts& facts) {
  std::vector<LagAdvice> advice;
  const LagSummary sum = summarize(facts.partitions);
  if (facts.members.empty()) {
    if (sum.records > 0)
      advice.push_back(
          {Kind::no_consumer, fmt::format("{} records wait and the group has no consumer: start one", sum.records)});
    return advice;
  }
  look_for_rebalances(facts, advice);
  look_for_capacity(facts, sum, advice);
  if (facts.members.size() > facts.partitions.size() && !facts.partitions.empty())
    advice.push_back(
        {Kind::idle_members, fmt::format("{} members on {} partitions: {} have nothing to read", facts.members.size(),
                                         facts.partitions.size(), facts.members.size() - facts.partitions.size())});
  return advice;
}

}  // namespace mr::coordinator
