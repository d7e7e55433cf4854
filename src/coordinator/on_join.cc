// JoinGroup: a member comes, comes back, or changes what it speaks (traps.md 75-78).
#include <algorithm>

#include "coordinator/deciding.h"

namespace mr::coordinator {

namespace {

/// Kafka ends the first join of a new member after this: it cannot send heartbeats yet, and its client may be gone.
constexpr Duration kNewMemberWait = std::chrono::minutes(5);

struct Join {
  Deciding& d;
  WaiterId waiter;
  JoinRequest request;
  std::string fresh_id;

  /// The id in the answer is the request's, unless `id` says otherwise.
  void refuse(Errc why, std::optional<std::string> id = std::nullopt) {
    d.reply(waiter, JoinAnswer{.error = why, .member = id ? std::move(*id) : request.member});
  }
  std::string new_id() const { return (request.instance ? *request.instance : request.client_id) + "-" + fresh_id; }
  /// The join waits for the round. The member is in the group.
  void wait(LiveGroup& group, Member& member) {
    // An earlier call of the same member, whose connection is gone.
    answer_join(d, group, member, JoinAnswer{.error = Errc::rebalance_in_progress, .member = member.id});
    ++d.live.waiting;
    group.set_joining(member, waiter);
  }
};

/// What no state of the group can make right; empty when the request is well-formed.
std::optional<Error> check_request(const JoinRequest& request, const GroupSettings& settings) {
  if (request.group.empty()) return Errc::invalid_group_id;
  if (request.session_timeout < settings.session_timeout_min || request.session_timeout > settings.session_timeout_max)
    return Errc::invalid_session_timeout;
  auto fits = [](std::string_view text) { return text.size() <= kTextBytesMax; };
  bool fine = fits(request.group) && fits(request.member) && fits(request.instance.value_or("")) &&
              fits(request.client_id) && fits(request.client_host) && fits(request.protocol_type) &&
              request.rebalance_timeout.count() >= 0;
  for (const GroupProtocol& protocol : request.protocols) fine = fine && fits(protocol.name);
  if (!fine) return Error(Errc::invalid_argument, "a name is too long, or a timeout is negative");
  return std::nullopt;
}

void drop_repeated(std::vector<GroupProtocol>& protocols) {
  std::set<std::string, std::less<>> seen;
  std::erase_if(protocols, [&](const GroupProtocol& protocol) { return !seen.insert(protocol.name).second; });
}

/// group.max.size, as Kafka counts: while members gather, those who have come; else those who are in.
bool has_room(LiveGroup& group, const JoinRequest& request, std::size_t members_max) {
  const Member* member = group.find(request.member);
  switch (group.state) {
    case GroupStateName::empty:
    case GroupStateName::dead:
    case GroupStateName::assigning:
    case GroupStateName::reconciling:
      return true;
    case GroupStateName::preparing_rebalance:
      return (member != nullptr && member->joining) || group.joining() < members_max;
    case GroupStateName::completing_rebalance:
    case GroupStateName::stable:
      return member != nullptr || group.members().size() < members_max;
  }
  return false;
}

void add_and_wait(Join& join, LiveGroup& group, std::string id) {
  JoinRequest& request = join.request;
  if (group.first_round.on) group.first_round.somebody_came = true;
  Member member{.id = std::move(id),
                .instance = request.instance,
                .client_id = request.client_id,
                .client_host = request.client_host,
                .session_timeout = request.session_timeout,
                .rebalance_timeout = request.rebalance_timeout,
                .protocols = std::move(request.protocols)};
  Member& added = add_member(join.d, group, std::move(member), request.protocol_type);
  added.never_joined = true;
  const std::string member_id = added.id;
  join.wait(group, added);
  join.d.heard(group, added, kNewMemberWait);
  begin_or_complete_round(join.d, group, {RebalanceCause::member_joined, member_id});
}

void update_and_wait(Join& join, LiveGroup& group, Member& member) {
  group.set_protocols(member, std::move(join.request.protocols));
  member.session_timeout = join.request.session_timeout;
  member.rebalance_timeout = join.request.rebalance_timeout;
  join.wait(group, member);
  const std::string member_id = member.id;
  begin_or_complete_round(join.d, group, {RebalanceCause::member_joined, member_id});
}

/// A static member is back under another id; the old one is fenced wherever it still waits.
void replace_static(Join& join, LiveGroup& group, std::string old_id) {
  Deciding& d = join.d;
  const std::string old_leader = group.leader;
  Member* old = group.find(old_id);
  answer_join(d, group, *old, JoinAnswer{.error = Errc::fenced_instance_id, .member = old_id});
  answer_sync(d, *old, SyncAnswer{.error = Errc::fenced_instance_id});
  Member& member = group.rename(old_id, join.new_id());
  d.heard(group, member);
  group.set_protocols(member, std::move(join.request.protocols));
  member.session_timeout = join.request.session_timeout;
  member.rebalance_timeout = join.request.rebalance_timeout;
  member.client_id = join.request.client_id;
  member.client_host = join.request.client_host;

  switch (group.state) {
    case GroupStateName::stable: {
      if (group.choose_protocol() != group.protocol) {
        join.wait(group, member);
        begin_round(d, group, {RebalanceCause::member_replaced, member.id});
        return;
      }
      // Nobody else notices; only the record learns the new id. A leader must not assign again (KIP-814): a client
      // that cannot be told so is told that somebody else leads.
      group.read_subscriptions();
      d.record(group_record(group.name(), as_record(group)));
      const bool leads = group.is_leader(member.id);
      JoinAnswer answer = round_answer(group, member.id, leads && join.request.skip_assignment_known);
      answer.skip_assignment = leads && join.request.skip_assignment_known;
      if (!join.request.skip_assignment_known) answer.leader = old_leader;
      d.reply(join.waiter, std::move(answer));
      return;
    }
    case GroupStateName::completing_rebalance:
      // The leader may have assigned to the old id already.
      join.wait(group, member);
      begin_round(d, group, {RebalanceCause::member_replaced, member.id});
      return;
    case GroupStateName::preparing_rebalance:
      join.wait(group, member);
      maybe_complete_round(d, group);
      return;
    case GroupStateName::empty:
    case GroupStateName::dead:
    case GroupStateName::assigning:
    case GroupStateName::reconciling:
      MR_CHECK(false);  // it has a member
  }
}

void join_new(Join& join, LiveGroup& group) {
  Deciding& d = join.d;
  if (join.request.instance) {
    const Member* holder = group.find_instance(*join.request.instance);
    if (holder != nullptr) {
      replace_static(join, group, holder->id);
    } else {
      add_and_wait(join, group, join.new_id());
    }
    return;
  }
  if (!join.request.member_id_required) {
    add_and_wait(join, group, join.new_id());
    return;
  }
  if (group.pending.size() >= d.settings.pending_max) {
    join.refuse(Errc::group_overloaded);
    return;
  }
  std::string id = join.new_id();
  d.arm(group.pending[id], join.request.session_timeout, {DeadlineKind::pending, group.name(), id});
  join.refuse(Errc::member_id_required, std::move(id));
}

void join_known(Join& join, LiveGroup& group) {
  Deciding& d = join.d;
  const std::string id = join.request.member;
  if (group.pending.contains(id)) {
    if (join.request.instance) {
      join.refuse(Errc::unknown_member);
    } else {
      add_and_wait(join, group, id);
    }
    return;
  }
  if (auto wrong = check_member(group, id, join.request.instance)) {
    join.refuse(wrong->code());
    return;
  }
  Member& member = *group.find(id);
  const bool same = member.protocols == join.request.protocols;
  switch (group.state) {
    case GroupStateName::preparing_rebalance:
      update_and_wait(join, group, member);
      return;
    case GroupStateName::completing_rebalance:
      // With nothing new it has missed the answer.
      if (!same) {
        update_and_wait(join, group, member);
      } else {
        d.reply(join.waiter, round_answer(group, id, group.is_leader(id)));
      }
      return;
    case GroupStateName::stable:
      // The leader asks for a round by joining: something that members do not see, such as a topic, has changed.
      if (!same || group.is_leader(id)) {
        update_and_wait(join, group, member);
      } else {
        d.reply(join.waiter, round_answer(group, id, false));
      }
      return;
    case GroupStateName::empty:
    case GroupStateName::dead:
    case GroupStateName::assigning:
    case GroupStateName::reconciling:
      join.refuse(Errc::unknown_member);
  }
}

}  // namespace

void on_join(Deciding& d, WaiterId waiter, JoinEvent event) {
  Join join{d, waiter, std::move(event.request), std::move(event.fresh_id)};
  JoinRequest& request = join.request;
  if (auto wrong = check_request(request, d.settings)) {
    d.reply(waiter, JoinAnswer{.error = std::move(wrong), .member = request.member});
    return;
  }
  drop_repeated(request.protocols);
  const LiveConsumerGroup* modern = d.live.find_consumer(request.group);
  if (modern != nullptr && !modern->sessions.empty()) {
    if (join_consumers(d, waiter, request, join.new_id())) return;
    modern = d.live.find_consumer(request.group);
  }
  LiveGroup* group = d.live.find(request.group);
  if (group == nullptr && !request.member.empty()) {
    join.refuse(Errc::unknown_member);
    return;
  }
  if (d.live.waiting >= d.settings.waiting_max) {
    join.refuse(Errc::group_overloaded);
    return;
  }
  if (modern != nullptr) group = &to_classic(d, request.group);
  const bool made = group == nullptr;
  if (made) {
    group = &d.live.find_or_make(request.group);
    group->state_since = d.now.wall;
    arm_expiry(d, *group, d.settings.retention_check);
  }
  std::size_t blobs = group->blob_bytes();
  for (const GroupProtocol& protocol : request.protocols) blobs += protocol.metadata.size();
  if (!has_room(*group, request, d.settings.members_max)) {
    // The last to come back to a group that is too large is out.
    if (group->find(request.member) != nullptr) drop_member(d, *group, request.member, Errc::group_max_size_reached);
    group->pending.erase(request.member);
    join.refuse(Errc::group_max_size_reached, "");
    maybe_complete_round(d, *group);
  } else if (!group->supports(request.protocol_type, request.protocols)) {
    join.refuse(Errc::inconsistent_group_protocol);
  } else if (blobs > d.settings.blob_bytes_max) {
    join.refuse(Errc::group_record_too_large);
  } else if (request.member.empty()) {
    join_new(join, *group);
  } else {
    join_known(join, *group);
  }
  if (made && group->members().empty() && group->pending.empty()) erase_group(d, group->name());
}

}  // namespace mr::coordinator
