// LeaveGroup: members go, by themselves or because an administrator says so (traps.md 81).
#include <algorithm>

#include "base/log.h"
#include "coordinator/consumer_change.h"

namespace mr::coordinator {

namespace {

/// Takes one out; why not, if not.
std::optional<Error> leave_one(Deciding& d, LiveGroup& group, const LeavingMember& leaving) {
  if (leaving.member.empty()) {
    const Member* holder = leaving.instance ? group.find_instance(*leaving.instance) : nullptr;
    if (holder == nullptr) return Errc::unknown_member;
    drop_member(d, group, std::string(holder->id), Errc::unknown_member);
    return std::nullopt;
  }
  if (group.pending.erase(leaving.member) > 0) return std::nullopt;
  if (auto wrong = check_member(group, leaving.member, leaving.instance)) return wrong;
  drop_member(d, group, leaving.member, Errc::unknown_member);
  return std::nullopt;
}

/// Members of the classic protocol leave a KIP-848 group, or an administrator takes members out; those that speak
/// KIP-848 leave by heartbeat.
void leave_consumers(Deciding& d, WaiterId waiter, const LeaveRequest& request) {
  const ConsumerGroupState& group = consumer_state(d.state, request.group);
  LeaveAnswer answer;
  std::vector<std::string> out;
  for (const LeavingMember& leaving : request.members) {
    const std::string* holder = leaving.instance ? group.holder(*leaving.instance) : nullptr;
    const bool fenced = holder != nullptr && !leaving.member.empty() && leaving.member != *holder;
    const std::string id = leaving.member.empty() && holder != nullptr ? *holder : leaving.member;
    std::optional<Error> wrong;
    if (group.member(id) == nullptr || (leaving.instance && holder == nullptr)) wrong = Errc::unknown_member;
    if (fenced) wrong = Errc::fenced_instance_id;
    if (!wrong && std::ranges::find(out, id) == out.end()) out.push_back(id);
    answer.members.push_back({leaving.member, leaving.instance, std::move(wrong)});
  }
  if (!out.empty()) remove_consumers(d, request.group, out, {RebalanceCause::member_left, out.front()});
  d.reply(waiter, std::move(answer));
}

}  // namespace

void on_leave(Deciding& d, WaiterId waiter, const LeaveRequest& request) {
  LeaveAnswer answer;
  if (request.group.empty()) {
    answer.error = Errc::invalid_group_id;
    d.reply(waiter, std::move(answer));
    return;
  }
  if (d.live.find_consumer(request.group) != nullptr) return leave_consumers(d, waiter, request);
  LiveGroup* group = d.live.find(request.group);
  bool any = false;
  std::string who;  // the first that goes
  for (const LeavingMember& leaving : request.members) {
    auto wrong = group == nullptr ? Error(Errc::unknown_member) : leave_one(d, *group, leaving);
    any = any || !wrong;
    if (!wrong && who.empty()) who = leaving.member.empty() ? *leaving.instance : leaving.member;
    if (!wrong)
      log_info("coordinator", "a member leaves",
               {{"group", group->name()}, {"member", leaving.member}, {"reason", leaving.reason}});
    answer.members.push_back({leaving.member, leaving.instance, std::move(wrong)});
  }
  d.reply(waiter, std::move(answer));
  if (any && group->state != GroupStateName::empty)
    begin_or_complete_round(d, *group, {RebalanceCause::member_left, who});
}

}  // namespace mr::coordinator
