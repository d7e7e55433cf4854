// From one generation to the next: begin a round, wait for everybody, complete it (traps.md 75-79).
#include <algorithm>

#include "base/log.h"
#include "coordinator/deciding.h"
#include "wire/consumer_protocol.h"

namespace mr::coordinator {

std::optional<Error> check_member(LiveGroup& group, std::string_view member,
                                  const std::optional<std::string>& instance) {
  if (instance) {
    const Member* holder = group.find_instance(*instance);
    if (holder == nullptr) return Errc::unknown_member;
    if (holder->id != member) return Errc::fenced_instance_id;
  }
  if (group.find(member) == nullptr) return Errc::unknown_member;
  return std::nullopt;
}

void change_state(Deciding& d, LiveGroup& group, GroupStateName to) {
  group.state = to;
  group.state_since = d.now.wall;
}

Member& add_member(Deciding& d, LiveGroup& group, Member member, std::string_view type) {
  if (group.members().empty()) ++d.live.stats.groups_active;
  ++d.live.stats.members;
  return group.add(std::move(member), type);
}

void drop_member(Deciding& d, LiveGroup& group, std::string_view id, Errc why) {
  Member* member = group.find(id);
  MR_CHECK(member != nullptr);
  answer_join(d, group, *member, JoinAnswer{.error = why});
  answer_sync(d, *member, SyncAnswer{.error = why});
  group.remove(id);
  --d.live.stats.members;
  if (group.members().empty()) --d.live.stats.groups_active;
}

void answer_join(Deciding& d, LiveGroup& group, Member& member, JoinAnswer answer) {
  if (!member.joining) return;
  d.reply(*member.joining, std::move(answer));
  group.set_joining(member, std::nullopt);
  --d.live.waiting;
}

void answer_sync(Deciding& d, Member& member, SyncAnswer answer) {
  if (!member.syncing) return;
  d.reply(*member.syncing, std::move(answer));
  member.syncing.reset();
  --d.live.waiting;
}

JoinAnswer round_answer(const LiveGroup& group, std::string_view member, bool with_members) {
  JoinAnswer answer{.generation = group.generation,
                    .protocol_type = group.protocol_type,
                    .protocol = group.protocol,
                    .leader = group.leader,
                    .member = std::string(member)};
  if (!with_members) return answer;
  for (const auto& [id, other] : group.members())
    answer.members.push_back({id, other.instance, other.metadata(group.protocol.value_or(""))});
  return answer;
}

void count_rebalance(Deciding& d, std::string_view group, FlapWatch& flaps, RebalanceCause cause) {
  ++d.live.stats.rebalances[static_cast<std::size_t>(cause)];
  if (!flaps.begins(d.now.mono)) return;
  ++d.live.stats.flaps;
  log_warn("coordinator", "a group rebalances again and again",
           {{"group", group},
            {"rebalances", kFlapRebalances},
            {"minutes", std::chrono::duration_cast<std::chrono::minutes>(kFlapWindow).count()},
            {"last_cause", cause_name(cause)}});
}

void begin_round(Deciding& d, LiveGroup& group, RebalanceReason reason) {
  if (group.state == GroupStateName::completing_rebalance) {
    group.for_each_member([&](Member& member) {
      member.assignment = Blob{};
      const bool waits = member.syncing.has_value();
      answer_sync(d, member, SyncAnswer{.error = Errc::rebalance_in_progress});
      if (waits) d.heard(group, member);
    });
  }
  group.for_each_member([](Member& member) { member.owes_sync = false; });
  d.live.deadlines.disarm(group.sync);

  const bool first = group.state == GroupStateName::empty;
  change_state(d, group, GroupStateName::preparing_rebalance);
  group.round_began = d.now.mono;
  count_rebalance(d, group.name(), group.flaps, reason.cause);
  log_debug("coordinator", "a group begins a round",
            {{"group", group.name()},
             {"generation", group.generation.v},
             {"members", group.members().size()},
             {"cause", cause_name(reason.cause)},
             {"member", reason.member}});
  group.history.begin(d.now.wall, d.now.mono, std::move(reason));

  DeadlineKey key{DeadlineKind::round, group.name(), {}};
  if (!first) {
    d.arm(group.round, group.rebalance_timeout(), std::move(key));
    maybe_complete_round(d, group);
    return;
  }
  const Millis delay = d.settings.first_round_delay;
  if (delay.count() <= 0) {
    complete_round(d, group);
    return;
  }
  group.first_round = {.on = true, .delay = delay, .left = std::max(group.rebalance_timeout() - delay, Millis(0))};
  d.arm(group.round, delay, std::move(key));
}

void begin_or_complete_round(Deciding& d, LiveGroup& group, RebalanceReason reason) {
  if (group.state == GroupStateName::preparing_rebalance) {
    maybe_complete_round(d, group);
  } else {
    begin_round(d, group, std::move(reason));
  }
}

void maybe_complete_round(Deciding& d, LiveGroup& group) {
  if (group.state != GroupStateName::preparing_rebalance || group.first_round.on) return;
  if (group.all_joined()) complete_round(d, group);
}

namespace {

/// Of a group whose last member is gone: the round ends with nobody.
void complete_with_nobody(Deciding& d, LiveGroup& group) {
  group.protocol.reset();
  group.read_subscriptions();
  change_state(d, group, GroupStateName::empty);
  d.record(group_record(group.name(), as_record(group)));
  end_round(d, group);
  arm_expiry(d, group, d.settings.retention_check);
}

/// Dynamic members who did not join are out; static ones stay until their session ends (KIP-345).
void drop_absent(Deciding& d, LiveGroup& group) {
  std::vector<std::string> absent;
  for (const auto& [id, member] : group.members())
    if (!member.joining && !member.instance) absent.push_back(id);
  for (const std::string& id : absent) drop_member(d, group, id, Errc::unknown_member);
}

/// The leader has joined, or somebody who has takes its place. False: nobody has joined.
bool settle_leader(LiveGroup& group) {
  const Member* leader = group.find(group.leader);
  if (leader != nullptr && leader->joining) return true;
  for (const auto& [id, member] : group.members()) {
    if (!member.joining) continue;
    group.leader = id;
    return true;
  }
  return false;
}

}  // namespace

void complete_round(Deciding& d, LiveGroup& group) {
  d.live.deadlines.disarm(group.round);
  group.first_round = {};
  drop_absent(d, group);
  if (!group.members().empty() && !settle_leader(group)) {
    // Only static members that are away: wait until they come back or their sessions end.
    d.arm(group.round, group.rebalance_timeout(), {DeadlineKind::round, group.name(), {}});
    return;
  }
  ++group.generation.v;
  ++d.live.stats.rebalances_completed;
  d.live.stats.rebalance_ns += static_cast<std::uint64_t>((d.now.mono - group.round_began).count());
  if (group.members().empty()) {
    complete_with_nobody(d, group);
    return;
  }
  group.protocol = group.choose_protocol();
  group.read_subscriptions();
  change_state(d, group, GroupStateName::completing_rebalance);
  group.for_each_member([&](Member& member) {
    answer_join(d, group, member, round_answer(group, member.id, group.is_leader(member.id)));
    member.never_joined = false;
    member.owes_sync = true;
    d.heard(group, member);
  });
  d.arm(group.sync, group.rebalance_timeout(), {DeadlineKind::sync, group.name(), {}});
}

namespace {

/// Partitions of whose owner this round has heard first. Empty: somebody's assignment does not read.
std::optional<std::size_t> count_moved(const LiveGroup& group) {
  if (!group.is_consumer()) return std::nullopt;
  std::size_t moved = 0;
  for (const auto& [id, member] : group.members()) {
    if (member.assignment == member.last_assignment) continue;
    auto now = wire::assigned_partitions(member.assignment.view());
    auto before = wire::assigned_partitions(member.last_assignment.view());
    if (!now.ok() || !before.ok()) return std::nullopt;
    for (const TopicPartition& one : *now)
      if (!std::ranges::binary_search(*before, one)) ++moved;
  }
  return moved;
}

}  // namespace

void end_round(Deciding& d, LiveGroup& group) {
  if (Rebalance* round = group.history.under_way()) {
    round->took = d.now.mono - round->began_mono;
    round->generation = group.generation.v;
    round->members = group.members().size();
    round->moved = count_moved(group);
  }
  group.for_each_member([](Member& member) { member.last_assignment = member.assignment; });
}

GroupRecord as_record(const LiveGroup& group) {
  GroupRecord record{.protocol_type = group.protocol_type.value_or(""),
                     .generation = group.generation,
                     .protocol = group.protocol,
                     .leader = group.leader.empty() ? std::nullopt : std::optional(group.leader),
                     .state_since = group.state_since,
                     .members = {}};
  for (const auto& [id, member] : group.members())
    record.members.push_back({.member = id,
                              .instance = member.instance,
                              .client_id = member.client_id,
                              .client_host = member.client_host,
                              .rebalance_timeout = member.rebalance_timeout,
                              .session_timeout = member.session_timeout,
                              .subscription = member.metadata(group.protocol.value_or("")),
                              .assignment = member.assignment});
  return record;
}

}  // namespace mr::coordinator
