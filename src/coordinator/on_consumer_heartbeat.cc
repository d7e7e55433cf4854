// ConsumerGroupHeartbeat: a member joins, lives, changes its mind or goes, and learns what it shall read (traps.md
// 87-91).
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "coordinator/consumer_change.h"

namespace mr::coordinator {

namespace {

std::optional<Error> invalid(std::string why) { return Error(Errc::invalid_argument, std::move(why)); }

bool has_text(const std::optional<std::string>& text) { return text && !text->empty(); }

std::optional<Error> check_join(const ConsumerHeartbeatRequest& request) {
  if (!request.rebalance_timeout) return invalid("RebalanceTimeoutMs must be provided in first request.");
  if (!request.owned || !request.owned->empty()) return invalid("TopicPartitions must be empty when (re-)joining.");
  if (!request.topics && !has_text(request.regex))
    return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
  return std::nullopt;
}

/// What no state of the group can make right; empty when the request is well-formed.
std::optional<Error> check_request(const ConsumerHeartbeatRequest& request, const GroupSettings& settings) {
  if (request.group.empty()) return invalid("GroupId can't be empty.");
  if (request.member.empty()) return invalid("MemberId can't be empty.");
  if (request.instance && request.instance->empty()) return invalid("InstanceId can't be empty.");
  if (request.rack && request.rack->empty()) return invalid("RackId can't be empty.");
  if (request.epoch < kStaticLeaveEpoch) return invalid(fmt::format("MemberEpoch {} is invalid.", request.epoch));
  if (request.epoch == kStaticLeaveEpoch && !request.instance) return invalid("InstanceId can't be null.");
  auto fits = [](const std::string& text) { return text.size() <= kTextBytesMax; };
  if (!fits(request.group) || !fits(request.member) || (request.instance && !fits(*request.instance)) ||
      (request.rack && !fits(*request.rack)) || !fits(request.client_id) || !fits(request.client_host))
    return invalid("a name is too long");
  if (request.rebalance_timeout && request.rebalance_timeout->count() < 0)
    return invalid("RebalanceTimeoutMs is negative.");
  if (request.epoch == kJoinEpoch)
    if (auto wrong = check_join(request)) return wrong;
  auto named = [&](const auto& assignor) { return assignor->name() == *request.assignor; };
  if (request.assignor && std::ranges::none_of(settings.assignors, named))
    return Error(Errc::unsupported_assignor, fmt::format("there is no assignor '{}'", *request.assignor));
  return std::nullopt;
}

struct Heartbeat {
  Deciding& d;
  WaiterId waiter;
  ConsumerHeartbeatRequest& request;

  void refuse(Error why) { d.reply(waiter, ConsumerHeartbeatAnswer{.error = std::move(why)}); }
  bool joins() const { return request.epoch == kJoinEpoch; }
};

/// The epoch is the member's, or the one before and the member has not got the answer that would have told it.
std::optional<Error> check_epoch(const ConsumerHeartbeatRequest& request, const CurrentAssignment& current) {
  if (request.epoch == current.epoch) return std::nullopt;
  const bool answer_lost = request.epoch < current.epoch && request.epoch == current.previous_epoch && request.owned &&
                           within(*request.owned, current.assigned);
  if (answer_lost) return std::nullopt;
  return Error(Errc::fenced_member_epoch,
               fmt::format("The consumer group member has a {} member epoch ({}) than the one known by the group "
                           "coordinator ({}). The member must abandon all its partitions and rejoin.",
                           request.epoch > current.epoch ? "greater" : "smaller", request.epoch, current.epoch));
}

/// Who the request comes from. `replaces`: the static member whose place it takes.
struct Who {
  std::optional<Error> wrong;
  std::optional<std::string> replaces;
};
Who identify(const ConsumerHeartbeatRequest& request, const ConsumerGroupState& group) {
  const ConsumerMember* member = group.member(request.member);
  const bool joins = request.epoch == kJoinEpoch;
  if (request.instance) {
    const std::string* holder = group.holder(*request.instance);
    if (holder != nullptr && *holder != request.member) {
      if (!joins) return {.wrong = Error(Errc::fenced_instance_id)};
      // Clients of the classic protocol do not say that they mean to come back, and who has no epoch was stored in
      // part, on its way in or out: nobody has been answered under that name.
      const std::int32_t epoch = group.current(*holder).epoch;
      if (!group.member(*holder)->classic && epoch != kStaticLeaveEpoch && epoch != kJoinEpoch)
        return {.wrong = Error(Errc::unreleased_instance_id, "Static member " + *holder + " with instance id " +
                                                                 *request.instance + " is still in the group.")};
      return {.replaces = *holder};
    }
    if (holder == nullptr && !joins) return {.wrong = Error(Errc::unknown_member)};
  }
  if (joins) return {};
  if (member == nullptr) return {.wrong = Error(Errc::unknown_member)};
  if (request.epoch < 0) return {};
  return {.wrong = check_epoch(request, group.current(request.member))};
}

/// What the member asks for after this request.
ConsumerMember updated(const ConsumerHeartbeatRequest& request, const ConsumerMember* before) {
  ConsumerMember member = before == nullptr ? ConsumerMember{} : *before;
  member.classic.reset();  // who calls here speaks KIP-848
  if (request.instance) member.instance = request.instance;
  if (request.rack) member.rack = request.rack;
  if (request.rebalance_timeout) member.rebalance_timeout = *request.rebalance_timeout;
  if (request.assignor) member.assignor = request.assignor;
  if (request.topics && !std::ranges::equal(*request.topics, member.topics)) {
    member.topics = *request.topics;
    sort_once(member.topics);
  }
  if (request.regex) member.regex = request.regex->empty() ? std::nullopt : request.regex;
  if (member.client_id != request.client_id) member.client_id = request.client_id;
  if (member.client_host != request.client_host) member.client_host = request.client_host;
  return member;
}
/// Can this request have changed anything? Most have nothing but the epoch.
bool brings_news(const ConsumerHeartbeatRequest& request, const ConsumerMember& member) {
  return request.instance || request.rack || request.rebalance_timeout || request.topics || request.regex ||
         request.assignor || member.classic || request.client_id != member.client_id ||
         request.client_host != member.client_host;
}

/// Every field of the request is there: the client wants to hear everything again.
bool is_full(const ConsumerHeartbeatRequest& request) {
  return request.rebalance_timeout && (request.topics || request.regex) && request.owned;
}

/// The last step: the answer takes the member's name.
void answer(Heartbeat& beat, ConsumerChange& change, const CurrentAssignment& before, const CurrentAssignment& after) {
  const bool told = beat.joins() || is_full(beat.request) || (&before != &after && before.assigned != after.assigned);
  const bool waits = change.epoch() > change.target_epoch() || after.state == ReconcileState::unreleased ||
                     change.waits_for_patterns();
  const Millis interval(beat.d.consumer_times(beat.request.group).heartbeat_interval_ms);
  ConsumerHeartbeatAnswer answer{
      .error = std::nullopt,
      .member = std::move(beat.request.member),
      .epoch = after.epoch,
      .heartbeat_interval = waits ? std::min(beat.d.settings.waiting_heartbeat_interval, interval) : interval};
  if (told) answer.assignment = without_epochs(after.assigned);
  beat.d.reply(beat.waiter, std::move(answer));
}

void leave(Heartbeat& beat, const ConsumerGroupState& group) {
  Deciding& d = beat.d;
  const std::string& id = beat.request.member;
  ConsumerHeartbeatAnswer gone{.error = std::nullopt, .member = id, .epoch = beat.request.epoch};
  if (beat.request.epoch == kLeaveEpoch) {
    log_info("coordinator", "a member leaves", {{"group", beat.request.group}, {"member", id}});
    remove_consumers(d, beat.request.group, {id}, {RebalanceCause::member_left, id});
  } else {
    // What it has stays its own until it is back or its session ends.
    CurrentAssignment away = group.current(id);
    away.epoch = kStaticLeaveEpoch;
    away.previous_epoch = group.current(id).epoch;
    away.state = ReconcileState::stable;
    away.revoking.clear();
    d.record(current_assignment_record(beat.request.group, id, away));
    LiveConsumerGroup& live = *d.live.find_consumer(beat.request.group);
    d.live.deadlines.disarm(live.sessions.find(id)->second.revoke);
  }
  d.reply(beat.waiter, std::move(gone));
}

void forget_classic_deadlines(LiveConsumerGroup::Session& session) {
  Deadlines::disarm(session.rejoin);
  Deadlines::disarm(session.sync);
}

/// Nearly all heartbeats: a member that is where it shall be and says nothing new in a group that waits for nothing. It
/// lives, and is told so, without a look at what could change. False: something may; nothing is done yet.
bool answer_quiet(Heartbeat& beat) {
  Deciding& d = beat.d;
  const ConsumerHeartbeatRequest& request = beat.request;
  LiveConsumerGroup* live = d.live.find_consumer(request.group);
  if (live == nullptr || request.epoch <= 0 || live->history.under_way() != nullptr) return false;
  const ConsumerGroupState& group = consumer_state(d.state, request.group);
  if (group.epoch() != group.target_epoch() || group.has_patterns()) return false;
  const ConsumerMember* member = group.member(request.member);
  if (member == nullptr || brings_news(request, *member)) return false;
  const CurrentAssignment& current = group.current(request.member);
  if (current.epoch != request.epoch || current.epoch != group.target_epoch() ||
      current.state != ReconcileState::stable)
    return false;
  const config::GroupTimes& times = d.consumer_times(request.group);
  heard_consumer(d, request.group, *live, request.member, Millis(times.session_timeout_ms));
  d.reply(beat.waiter, ConsumerHeartbeatAnswer{.error = std::nullopt,
                                               .member = std::move(beat.request.member),
                                               .epoch = current.epoch,
                                               .heartbeat_interval = Millis(times.heartbeat_interval_ms),
                                               .assignment = std::nullopt});
  return true;
}

}  // namespace

void on_consumer_heartbeat(Deciding& d, WaiterId waiter, ConsumerHeartbeatRequest&& request) {
  Heartbeat beat{d, waiter, request};
  ++d.live.stats.heartbeats;
  if (answer_quiet(beat)) return;
  if (auto wrong = check_request(request, d.settings)) return beat.refuse(std::move(*wrong));
  const LiveConsumerGroup* live = d.live.find_consumer(request.group);
  if (live == nullptr && !beat.joins())
    return beat.refuse(Error(Errc::group_not_found, "Group " + request.group + " is not a consumer group."));
  std::unique_ptr<const Upgrade> upgrades;
  const LiveGroup* classic = live == nullptr ? d.live.find(request.group) : nullptr;
  if (classic != nullptr && !classic->members().empty()) {
    auto plan = plan_upgrade(d, *classic);
    if (!plan.ok()) return beat.refuse(plan.error());
    upgrades = std::move(*plan);
  }

  const ConsumerGroupState& group = upgrades ? upgrades->state : consumer_state(d.state, request.group);
  Who who = identify(request, group);
  if (who.wrong) return beat.refuse(std::move(*who.wrong));
  if (request.epoch < 0) return leave(beat, group);
  const ConsumerMember* known = group.member(who.replaces ? *who.replaces : request.member);
  if (known == nullptr && group.members().size() >= d.settings.consumer_members_max)
    return beat.refuse(Errc::group_max_size_reached);

  std::optional<ConsumerMember> asks;
  if (known == nullptr || who.replaces || brings_news(request, *known)) asks = updated(request, known);
  if (asks && stored_bytes(consumer_member_record(request.group, request.member, *asks)) > d.settings.record_bytes_max)
    return beat.refuse(Error(Errc::group_record_too_large, "the subscription does not fit a record"));
  const bool upgraded = upgrades != nullptr;
  if (upgraded) {
    upgrade(d, request.group, std::move(upgrades));
  } else if (live == nullptr) {
    to_consumer(d, request.group);
  }

  ConsumerChange change(d, request.group);
  const CurrentAssignment& before = group.current(who.replaces ? *who.replaces : request.member);
  const bool bumps = upgraded || (asks && changes_targets(change, known, *asks));
  const bool subscription_changed = asks && other_subscription(known, *asks);
  const bool replaces = who.replaces.has_value();
  if (replaces) {
    take_over(change, *who.replaces, request.member, std::move(*asks));
  } else if (asks && (known == nullptr || *asks != *known)) {
    change.put_member(request.member, std::move(*asks));
  }
  heard_consumer(d, request.group, change.live(), request.member,
                 Millis(d.consumer_times(request.group).session_timeout_ms));
  forget_classic_deadlines(change.live().sessions.find(request.member)->second);
  if (bumps) change.bump({replaces ? RebalanceCause::member_replaced : RebalanceCause::member_joined, request.member});
  change.settle();
  const bool arrived = before.state == ReconcileState::stable && before.epoch == change.target_epoch() && !replaces;
  if (arrived && before.epoch != kJoinEpoch && !subscription_changed) return answer(beat, change, before, before);
  const CurrentAssignment after = move_on(d, change,
                                          {.member = request.member,
                                           .before = before,
                                           .owned = request.owned ? &*request.owned : nullptr,
                                           .subscription_changed = subscription_changed});
  answer(beat, change, before, after);
}

}  // namespace mr::coordinator
