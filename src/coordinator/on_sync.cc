// SyncGroup: the leader hands in what everybody gets, the others wait for it (traps.md 79).
#include "base/log.h"
#include "coordinator/deciding.h"

namespace mr::coordinator {

namespace {

std::optional<Error> check_sync(LiveGroup& group, const SyncRequest& request) {
  if (auto wrong = check_member(group, request.member, request.instance)) return wrong;
  if (request.generation != group.generation) return Errc::illegal_generation;
  if (request.protocol_type && request.protocol_type != group.protocol_type) return Errc::inconsistent_group_protocol;
  if (request.protocol && request.protocol != group.protocol) return Errc::inconsistent_group_protocol;
  return std::nullopt;
}

SyncAnswer assignment_of(const LiveGroup& group, const Member& member) {
  return {.protocol_type = group.protocol_type, .protocol = group.protocol, .assignment = member.assignment};
}

void settle_sync(Deciding& d, LiveGroup& group, Member& member) {
  member.owes_sync = false;
  if (!group.anybody_owes_sync()) d.live.deadlines.disarm(group.sync);
}

/// All that waits is answered `why`, and the group gathers again.
void fail_round(Deciding& d, LiveGroup& group, Errc why) {
  group.for_each_member([&](Member& member) {
    member.assignment = Blob{};
    answer_sync(d, member, SyncAnswer{.error = why});
    d.heard(group, member);
  });
  begin_round(d, group, RebalanceCause::not_synced);
}

/// From the leader: every member gets its part, those it left out get nothing.
void take_assignments(Deciding& d, LiveGroup& group, std::vector<MemberAssignment> assignments) {
  group.for_each_member([](Member& member) { member.assignment = Blob{}; });
  for (MemberAssignment& one : assignments)
    if (Member* member = group.find(one.member)) member->assignment = std::move(one.assignment);
  change_state(d, group, GroupStateName::stable);
  broker::StateRecord record = group_record(group.name(), as_record(group));
  if (record.key.size() + record.value->size() > d.settings.record_bytes_max) {
    log_warn("coordinator", "a group's subscriptions and assignments do not fit a record",
             {{"group", group.name()}, {"bytes", record.value->size()}, {"members", group.members().size()}});
    change_state(d, group, GroupStateName::completing_rebalance);
    fail_round(d, group, Errc::group_record_too_large);
    return;
  }
  d.record(std::move(record));
  end_round(d, group);
  group.for_each_member([&](Member& member) {
    if (!member.syncing) return;
    answer_sync(d, member, assignment_of(group, member));
    d.heard(group, member);
  });
}

}  // namespace

void on_sync(Deciding& d, WaiterId waiter, SyncRequest request) {
  auto refuse = [&](Error why) { d.reply(waiter, SyncAnswer{.error = std::move(why)}); };
  if (request.group.empty()) return refuse(Errc::invalid_group_id);
  if (d.live.find_consumer(request.group) != nullptr) return sync_consumers(d, waiter, request);
  LiveGroup* group = d.live.find(request.group);
  if (group == nullptr) return refuse(Errc::unknown_member);
  if (auto wrong = check_sync(*group, request)) return refuse(std::move(*wrong));
  Member& member = *group->find(request.member);
  switch (group->state) {
    case GroupStateName::preparing_rebalance:
      return refuse(Errc::rebalance_in_progress);
    case GroupStateName::stable:
      settle_sync(d, *group, member);
      d.reply(waiter, assignment_of(*group, member));
      return;
    case GroupStateName::completing_rebalance:
      if (d.live.waiting >= d.settings.waiting_max) return refuse(Errc::group_overloaded);
      // Its earlier call, if any, lost its connection.
      answer_sync(d, member, SyncAnswer{.error = Errc::rebalance_in_progress});
      ++d.live.waiting;
      member.syncing = waiter;
      settle_sync(d, *group, member);
      if (group->is_leader(member.id)) take_assignments(d, *group, std::move(request.assignments));
      return;
    case GroupStateName::empty:
    case GroupStateName::dead:
    case GroupStateName::assigning:
    case GroupStateName::reconciling:
      return refuse(Errc::unknown_member);
  }
}

}  // namespace mr::coordinator
