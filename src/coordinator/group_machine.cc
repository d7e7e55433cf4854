#include "coordinator/group_machine.h"

#include "base/log.h"
#include "coordinator/consumer_change.h"

namespace mr::coordinator {

namespace {

void restore_members(Deciding& d, LiveGroup& group, GroupRecord record) {
  group.generation = record.generation;
  group.protocol = record.protocol;
  group.state_since = record.state_since;
  if (!record.protocol_type.empty()) group.protocol_type = record.protocol_type;
  for (StoredMember& stored : record.members) {
    const bool twice =
        group.find(stored.member) != nullptr || (stored.instance && group.find_instance(*stored.instance) != nullptr);
    if (twice) continue;  // no broker writes that
    Member member{.id = std::move(stored.member),
                  .instance = std::move(stored.instance),
                  .client_id = std::move(stored.client_id),
                  .client_host = std::move(stored.client_host),
                  .session_timeout = stored.session_timeout,
                  .rebalance_timeout = stored.rebalance_timeout,
                  .protocols = {{record.protocol.value_or(""), std::move(stored.subscription)}},
                  .assignment = stored.assignment,
                  .last_assignment = std::move(stored.assignment)};
    d.heard(group, add_member(d, group, std::move(member), record.protocol_type));
  }
  if (group.members().empty()) return;
  group.state = GroupStateName::stable;
  if (record.leader && group.find(*record.leader) != nullptr) group.leader = *record.leader;
  group.read_subscriptions();
  // It had just become a classic group; the round that was to follow went with the process.
  if (!record.leader) begin_round(d, group, RebalanceCause::member_left);
}

void restore_consumers(Deciding& d, const std::string& name, const ConsumerGroupState& group) {
  LiveConsumerGroup& live = d.live.consumers[name];
  for (const auto& [id, member] : group.members()) {
    live.sessions.try_emplace(id);
    heard_consumer(d, name, live, id, session_timeout(d, name, member));
    if (group.current(id).state == ReconcileState::unrevoked)
      d.arm(live.sessions.find(id)->second.revoke, member.rebalance_timeout, {DeadlineKind::consumer_revoke, name, id});
  }
  if (live.sessions.empty()) live.empty_since = group.epoch_since();
  d.live.stats.members += live.sessions.size();
  d.live.stats.groups_active += live.sessions.empty() ? 0 : 1;
  arm_consumer_expiry(d, name, live, d.settings.retention_check);
}

}  // namespace

LiveGroups GroupMachine::begin(const State& state, broker::Moment now) const {
  LiveGroups live;
  live.deadlines = Deadlines(SessionSteps{settings.session_step});
  Deciding d{settings, state, live, now, {}};
  for (const auto& [name, group] : state.consumers) restore_consumers(d, name, group);
  for (const auto& [name, durable] : state.groups) {
    if (state.consumers.contains(name)) continue;
    LiveGroup& group = live.find_or_make(name);
    if (!durable.record.empty()) {
      auto record = read_group(durable.record);
      MR_CHECK(record.ok());  // apply() has read it
      restore_members(d, group, std::move(*record));
    }
    arm_expiry(d, group, settings.retention_check);
  }
  return live;
}

broker::Decision<GroupReply> GroupMachine::decide(const State& state, LiveGroups& live, GroupEvent event,
                                                  broker::Moment now) const {
  Deciding d{settings, state, live, now, {}};
  const WaiterId waiter = event.waiter;
  struct Visit {
    Deciding& d;
    WaiterId waiter;
    void operator()(TickEvent) { on_tick(d); }
    void operator()(JoinEvent& e) { on_join(d, waiter, std::move(e)); }
    void operator()(SyncRequest& e) { on_sync(d, waiter, std::move(e)); }
    void operator()(HeartbeatRequest& e) { on_heartbeat(d, waiter, e); }
    void operator()(LeaveRequest& e) { on_leave(d, waiter, e); }
    void operator()(CommitRequest& e) { on_commit(d, waiter, std::move(e)); }
    void operator()(FetchOffsetsRequest& e) { on_fetch_offsets(d, waiter, e); }
    void operator()(DeleteOffsetsRequest& e) { on_delete_offsets(d, waiter, e); }
    void operator()(DescribeEvent& e) { on_describe(d, waiter, e); }
    void operator()(ListEvent) { on_list(d, waiter); }
    void operator()(DeleteGroupsEvent& e) { on_delete_groups(d, waiter, e); }
    void operator()(TopicDeletedEvent& e) { on_topic_deleted(d, e); }
    void operator()(ConsumerHeartbeatRequest& e) { on_consumer_heartbeat(d, waiter, std::move(e)); }
    void operator()(ConsumerDescribeEvent& e) { on_consumer_describe(d, waiter, e); }
    void operator()(TopicsChangedEvent& e) { on_topics_changed(d, e); }
    void operator()(GroupConfigsEvent& e) { on_group_configs(d, std::move(e)); }
    void operator()(AssignedEvent& e) { on_assigned(d, e); }
    void operator()(MatchedEvent& e) { on_matched(d, std::move(e)); }
  };
  std::visit(Visit{d, waiter}, event.what);
  return std::move(d.out);
}

}  // namespace mr::coordinator
