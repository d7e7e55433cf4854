// Heartbeat: a member lives, and learns whether it shall join again (traps.md 80).
#include "coordinator/deciding.h"

namespace mr::coordinator {

void on_heartbeat(Deciding& d, WaiterId waiter, const HeartbeatRequest& request) {
  auto answer = [&](std::optional<Error> why) { d.reply(waiter, HeartbeatAnswer{.error = std::move(why)}); };
  ++d.live.stats.heartbeats;
  if (request.group.empty()) return answer(Errc::invalid_group_id);
  if (d.live.find_consumer(request.group) != nullptr) return heartbeat_consumers(d, waiter, request);
  LiveGroup* group = d.live.find(request.group);
  if (group == nullptr) return answer(Errc::unknown_member);
  if (auto wrong = check_member(*group, request.member, request.instance)) return answer(std::move(wrong));
  if (request.generation != group->generation) return answer(Errc::illegal_generation);
  d.heard(*group, *group->find(request.member));
  // While assignments are made members are alive all the same.
  if (group->state == GroupStateName::preparing_rebalance) return answer(Errc::rebalance_in_progress);
  answer(std::nullopt);
}

}  // namespace mr::coordinator
