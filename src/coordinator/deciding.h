#pragma once
#include "coordinator/group_machine.h"

/// What the files of one decision share. Private to this room.
namespace mr::coordinator {

/// What a classic group with members becomes when the first member of KIP-848 joins.
struct Upgrade {
  ConsumerGroupState state;
  std::vector<broker::StateRecord> records;  ///< that make it so
};

/// One decision in the making.
struct Deciding {
  const GroupSettings& settings;
  const GroupState& state;
  LiveGroups& live;
  broker::Moment now;
  broker::Decision<GroupReply> out;
  std::unique_ptr<const Upgrade> upgraded{};  ///< the group of this decision was a classic one when it began

  void reply(WaiterId waiter, GroupAnswer answer) { out.effects.push_back({waiter, std::move(answer)}); }
  void record(broker::StateRecord record) { out.records.push_back(std::move(record)); }
  const DurableGroup* durable(std::string_view group) const {
    auto at = state.groups.find(group);
    return at == state.groups.end() ? nullptr : &at->second;
  }
  /// Of a KIP-848 group: what it sets, else what the broker does.
  const config::GroupTimes& consumer_times(std::string_view group) const {
    return consumer_times(group, *live.configs);
  }
  const config::GroupTimes& consumer_times(std::string_view group, const config::GroupConfigs& configs) const {
    auto at = configs.find(group);
    return at == configs.end() ? settings.consumer_times : at->second.times;
  }
  void arm(Deadline& deadline, Duration in, DeadlineKey key) const {
    live.deadlines.arm(deadline, now.mono + in, std::move(key));
  }
  /// The member is alive: its session ends that much later.
  void heard(LiveGroup& group, Member& member, Duration timeout) const {
    member.last_heard = now.mono;
    if (live.deadlines.postpone(member.session, now.mono + timeout)) return;
    arm(member.session, timeout, {DeadlineKind::session, group.name(), member.id});
  }
  void heard(LiveGroup& group, Member& member) const { heard(group, member, member.session_timeout); }
};

// One per event; the file says its name.
void on_join(Deciding& d, WaiterId waiter, JoinEvent event);
void on_sync(Deciding& d, WaiterId waiter, SyncRequest request);
void on_heartbeat(Deciding& d, WaiterId waiter, const HeartbeatRequest& request);
void on_leave(Deciding& d, WaiterId waiter, const LeaveRequest& request);
void on_commit(Deciding& d, WaiterId waiter, CommitRequest request);
void on_fetch_offsets(Deciding& d, WaiterId waiter, const FetchOffsetsRequest& request);
void on_delete_offsets(Deciding& d, WaiterId waiter, const DeleteOffsetsRequest& request);
void on_topic_deleted(Deciding& d, const TopicDeletedEvent& event);
void on_describe(Deciding& d, WaiterId waiter, const DescribeEvent& event);
void on_list(Deciding& d, WaiterId waiter);
void on_delete_groups(Deciding& d, WaiterId waiter, const DeleteGroupsEvent& event);
void on_tick(Deciding& d);
void on_consumer_heartbeat(Deciding& d, WaiterId waiter, ConsumerHeartbeatRequest&& request);
void on_consumer_describe(Deciding& d, WaiterId waiter, const ConsumerDescribeEvent& event);
void on_group_configs(Deciding& d, GroupConfigsEvent event);
void on_topics_changed(Deciding& d, const TopicsChangedEvent& event);
void on_assigned(Deciding& d, const AssignedEvent& event);
void on_matched(Deciding& d, MatchedEvent event);

// rounds.cc

/// unknown_member, fenced_instance_id, or nothing (traps.md 78).
std::optional<Error> check_member(LiveGroup& group, std::string_view member,
                                  const std::optional<std::string>& instance);
void change_state(Deciding& d, LiveGroup& group, GroupStateName to);
Member& add_member(Deciding& d, LiveGroup& group, Member member, std::string_view type);
/// Its waiting calls are answered `why`.
void drop_member(Deciding& d, LiveGroup& group, std::string_view id, Errc why);
/// Answers a waiting join or sync, if there is one.
void answer_join(Deciding& d, LiveGroup& group, Member& member, JoinAnswer answer);
void answer_sync(Deciding& d, Member& member, SyncAnswer answer);
/// What a member is told of the current round.
JoinAnswer round_answer(const LiveGroup& group, std::string_view member, bool with_members);
/// A rebalance of a group of either kind begins. Warns when there are too many.
void count_rebalance(Deciding& d, std::string_view group, FlapWatch& flaps, RebalanceCause cause);
/// A new round begins: members shall join again.
void begin_round(Deciding& d, LiveGroup& group, RebalanceReason reason);
/// From every state but empty: begins a round, or looks whether the one under way is complete.
void begin_or_complete_round(Deciding& d, LiveGroup& group, RebalanceReason reason);
/// The round is over: everybody's assignment is there, or nobody is left. Notes what moved.
void end_round(Deciding& d, LiveGroup& group);
/// Completes the round when everybody has joined.
void maybe_complete_round(Deciding& d, LiveGroup& group);
/// Completes the round with those who have joined.
void complete_round(Deciding& d, LiveGroup& group);
/// The group as a record would have it now.
GroupRecord as_record(const LiveGroup& group);

// on_convert.cc

/// A KIP-848 group without members is a classic one from now on; its offsets stay.
LiveGroup& to_classic(Deciding& d, std::string_view group);
/// A classic group without members is a KIP-848 one from now on.
LiveConsumerGroup& to_consumer(Deciding& d, std::string_view group);
/// A classic group with members as one of KIP-848; nothing is done yet. Errors: group_not_found, with the reason why it
/// stays what it is.
Result<std::unique_ptr<const Upgrade>> plan_upgrade(const Deciding& d, const LiveGroup& group);
/// Makes it so. A ConsumerChange of this group sees it.
void upgrade(Deciding& d, std::string_view group, std::unique_ptr<const Upgrade> plan);
/// Only members of the classic protocol stay, at least one, and `joins` more come: may the group become theirs?
bool may_downgrade(const Deciding& d, std::string_view group, const std::vector<std::string>& gone, std::size_t joins);
/// It is a classic group without `gone`, and begins a round. False: nothing was done, since it does not fit a record.
bool downgrade(Deciding& d, const std::string& group, const std::vector<std::string>& gone,
               const RebalanceReason& reason);

// on_classic_of_consumer.cc: calls of the classic protocol for a KIP-848 group with members.

/// False: it is not answered, the group has become a classic one.
bool join_consumers(Deciding& d, WaiterId waiter, JoinRequest& request, std::string new_id);
void sync_consumers(Deciding& d, WaiterId waiter, const SyncRequest& request);
void heartbeat_consumers(Deciding& d, WaiterId waiter, const HeartbeatRequest& request);

// expiry.cc

/// Looks at a group's expiry that much later, unless a look is due before.
void arm_expiry(Deciding& d, LiveGroup& group, Duration in);
/// The group and all its offsets go; nobody waits.
void erase_group(Deciding& d, std::string_view group);
/// When a committed offset of the group may go; empty: not in this state.
std::optional<WallMillis> expires_at(const LiveGroup& group, std::string_view topic, const StoredOffset& offset,
                                     const GroupSettings& settings);

}  // namespace mr::coordinator
