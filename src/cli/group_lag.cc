// `group lag`: how far a group is behind, once or again and again.
#include "coordinator/lag/group_lag.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/do.h"
#include "cli/group_view.h"
#include "client/admin.h"
#include "client/read.h"

namespace mr::cli {

namespace {

using coordinator::LagAdvice;
using coordinator::LagFacts;
using coordinator::LagHistory;
using coordinator::LagSummary;
using coordinator::PartitionLag;

/// Partitions whose oldest record is read at one look; each takes a request.
constexpr std::size_t kAgesMax = 200;

/// When the record at an offset was stamped. An offset's record stays the same, so it is asked for once.
class Stamps {
 public:
  /// Empty: nothing is there, or it could not be read.
  Task<std::optional<WallMillis>> at(Session& session, const TopicPartition& name, Offset offset) {
    auto known = known_.find(name);
    if (known != known_.end() && known->second.first == offset) co_return known->second.second;
    auto fetched = co_await client::fetch(session.cluster, name, offset, {.bytes_max = 1, .wait_max = Millis(0)},
                                          session.deadline());
    std::optional<WallMillis> stamp;
    if (fetched.ok())
      (void)fetched->only().for_each(inflater_, [&](const client::Fetched::Item& item) {
        stamp = item.timestamp;
        return false;
      });
    known_[name] = {offset, stamp};
    co_return stamp;
  }

 private:
  Inflater inflater_;
  std::map<TopicPartition, std::pair<Offset, std::optional<WallMillis>>> known_;
};

/// What goes from one look to the next.
struct Watch {
  GroupLag command;
  Choice choice;
  LagHistory history;
  Stamps stamps;
  bool told_odd = false;
  bool described = false;  ///< who is in the group is known
};

void say_odd(const PartitionLag& row, const Error* no_end) {
  if (no_end != nullptr) say(fmt::format("millrace: no lag of {}: {}", row.name.to_string(), no_end->detail()));
  if (row.end >= Offset{0} && row.committed > row.end)
    say(fmt::format("millrace: {} is committed at {}, beyond its end {}", row.name.to_string(), row.committed.v,
                    row.end.v));
}

Task<Result<std::vector<PartitionLag>>> find_rows(Session& session, Watch& watch) {
  MR_CO_TRY(auto committed, co_await committed_of(session, watch.command.group, watch.choice));
  std::vector<PartitionLag> rows;
  std::vector<TopicPartition> names;
  for (const auto& [name, offset] : committed) {
    rows.push_back({.name = name, .committed = offset});
    names.push_back(name);
  }
  MR_CO_TRY(auto ends,
            co_await client::find_offsets(session.cluster, names, client::kLatestOffset, session.deadline()));
  std::size_t ages = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    PartitionLag& row = rows[i];
    if (ends[i].ok()) row.end = ends[i]->offset;
    if (!session.common.quiet && !watch.told_odd) say_odd(row, ends[i].ok() ? nullptr : &ends[i].error());
    if (!row.records()) continue;
    if (*row.records() == 0) row.age_seconds = 0;
    if (*row.records() == 0 || ++ages > kAgesMax) continue;
    const auto stamp = co_await watch.stamps.at(session, row.name, row.committed);
    const WallMillis now = session.env.clock.wall();
    if (stamp) row.age_seconds = static_cast<double>(std::max<WallMillis>(0, now - *stamp)) / 1000;
  }
  watch.told_odd = true;
  co_return rows;
}

Task<Result<LagFacts>> look(Session& session, Watch& watch) {
  LagFacts facts;
  MR_CO_TRY(facts.partitions, co_await find_rows(session, watch));
  // Nothing committed: does the group exist at all? A share group is not found here, but has offsets.
  auto group = co_await client::describe_group(session.cluster, watch.command.group, session.deadline());
  if (!group.ok() && (facts.partitions.empty() || group.code() != Errc::group_not_found)) co_return group.error();
  watch.described = group.ok();
  if (group.ok()) {
    for (const client::GroupMember& member : group->members) {
      facts.members.push_back({member.id, member.client_id, member.client_host, Millis(0)});
      for (const TopicPartition& name : member.assignment.value_or(std::vector<TopicPartition>{})) {
        auto row = std::ranges::find(facts.partitions, name, &PartitionLag::name);
        if (row != facts.partitions.end()) row->member = member.id;
      }
    }
  }
  const TimePoint now = session.env.now();
  for (PartitionLag& row : facts.partitions) {
    if (!row.records()) continue;
    row.rates = watch.history.rates(now, watch.command.group, row.name, row.committed, row.end);
    watch.history.note(now, watch.command.group, row.name, row.committed, row.end);
  }
  co_return facts;
}

Value rounded(std::optional<double> number) {
  return number ? Value(std::round(*number * 1000) / 1000) : Value(nullptr);
}
Value offset_or_null(Offset offset) { return offset.v < 0 ? Value(nullptr) : Value(offset.v); }

void add_rates(Value::Object& row, const std::optional<coordinator::LagRates>& rates) {
  row.emplace_back("produced_per_second", rounded(rates ? std::optional(rates->produced) : std::nullopt));
  row.emplace_back("consumed_per_second", rounded(rates ? std::optional(rates->consumed) : std::nullopt));
}

Value::List rows_of(const LagFacts& facts, bool watching) {
  Value::List rows;
  for (const PartitionLag& p : facts.partitions) {
    auto lag = p.records();
    Value::Object row = {{"topic", p.name.topic},
                         {"partition", p.name.partition.v},
                         {"committed", offset_or_null(p.committed)},
                         {"end", offset_or_null(p.end)},
                         {"lag", lag ? Value(*lag) : Value(nullptr)},
                         {"seconds", rounded(p.age_seconds)}};
    if (watching) add_rates(row, p.rates);
    rows.emplace_back(std::move(row));
  }
  return rows;
}

Value::List topics_of(const LagFacts& facts) {
  std::map<std::string, std::vector<PartitionLag>> topics;
  for (const PartitionLag& p : facts.partitions) topics[p.name.topic].push_back(p);
  Value::List list;
  for (const auto& [topic, partitions] : topics) {
    const LagSummary sum = coordinator::summarize(partitions);
    list.push_back(Value::Object{{"topic", topic}, {"lag", sum.records}, {"seconds", rounded(sum.age_seconds)}});
  }
  return list;
}

std::string as_table(const Watch& watch, const LagFacts& facts, const LagSummary& sum,
                     const std::vector<LagAdvice>& advice) {
  Value::List sums = topics_of(facts);
  sums.push_back(Value::Object{{"topic", "(all)"}, {"lag", sum.records}, {"seconds", rounded(sum.age_seconds)}});
  std::string text = render_rows(OutputFormat::table, rows_of(facts, watch.command.watch)) + "\n" +
                     render_rows(OutputFormat::table, sums);
  if (watch.command.watch && sum.records > 0 && sum.rates)
    text += sum.drain_seconds ? fmt::format("\nnothing will be left in {:.0f} s at these rates\n", *sum.drain_seconds)
                              : std::string("\nat these rates it never catches up\n");
  for (const LagAdvice& one : advice) text += fmt::format("\n{}: {}\n", coordinator::advice_name(one.kind), one.text);
  return text;
}

Value::Object as_object(const Watch& watch, const LagFacts& facts, const LagSummary& sum,
                        const std::vector<LagAdvice>& advice) {
  Value::Object object = {{"group", watch.command.group}, {"lag", sum.records}, {"seconds", rounded(sum.age_seconds)}};
  if (watch.command.watch) {
    add_rates(object, sum.rates);
    object.emplace_back("drain_seconds", rounded(sum.drain_seconds));
  }
  Value::List said;
  for (const LagAdvice& one : advice)
    said.push_back(Value::Object{{"advice", coordinator::advice_name(one.kind)}, {"text", one.text}});
  object.emplace_back("advice", std::move(said));
  object.emplace_back("topics", topics_of(facts));
  object.emplace_back("partitions", rows_of(facts, watch.command.watch));
  return object;
}

/// False when nobody reads it any more.
bool show(Session& session, const Watch& watch, const LagFacts& facts) {
  const LagSummary sum = coordinator::summarize(facts.partitions);
  const auto advice = watch.described ? coordinator::advise(facts) : std::vector<LagAdvice>();
  if (session.common.output != OutputFormat::table)
    return print(render_one(session.common.output, as_object(watch, facts, sum, advice)));
  if (facts.partitions.empty()) {
    if (!session.common.quiet)
      say(fmt::format("group '{}' has committed no offsets{}", watch.command.group,
                      watch.choice.everything() ? "" : " of what --topic names"));
    return true;
  }
  const bool redraw = watch.command.watch && RealLogSink::is_terminal(1);
  // Cursor home, and the rest of the screen away.
  return print((redraw ? "\x1b[H\x1b[J" : "") + as_table(watch, facts, sum, advice) +
               (watch.command.watch && !redraw ? "\n" : ""));
}

Task<Result<int>> lag(Session& session, GroupLag command) {
  MR_CO_TRY(Choice choice, Choice::parse(command.topics));
  Watch watch{.command = std::move(command), .choice = std::move(choice)};
  for (std::uint64_t looked = 1;; ++looked) {
    MR_CO_TRY(LagFacts facts, co_await look(session, watch));
    if (!show(session, watch, facts) || !watch.command.watch || looked == watch.command.looks) co_return kOk;
    MR_CO_TRY_VOID(co_await sleep_until(session.env.now() + Millis(watch.command.interval_ms)));
  }
}

}  // namespace

int run(const Common& common, const GroupLag& command) {
  return with_cluster(common, [&](Session& session) { return lag(session, command); });
}

}  // namespace mr::cli
