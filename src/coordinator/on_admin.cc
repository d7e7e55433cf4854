// Looking in, and deleting whole groups (traps.md 82, 113).
#include <algorithm>

#include "coordinator/deciding.h"

namespace mr::coordinator {

namespace {

GroupDescription describe(const Deciding& d, const LiveGroup& group, bool with_rebalances) {
  GroupDescription into{.group = group.name(),
                        .state = group.state,
                        .protocol_type = group.protocol_type.value_or(""),
                        .generation = group.generation,
                        .leader = group.leader};
  const bool stable = group.state == GroupStateName::stable;
  if (stable) into.protocol = group.protocol.value_or("");
  for (const auto& [id, member] : group.members())
    into.members.push_back({.member = id,
                            .instance = member.instance,
                            .client_id = member.client_id,
                            .client_host = member.client_host,
                            .metadata = stable ? member.metadata(into.protocol) : Blob{},
                            .assignment = member.assignment,
                            .since_heartbeat = d.now.mono - member.last_heard,
                            .session_timeout = member.session_timeout});
  if (with_rebalances) into.rebalances.assign(group.history.rounds().begin(), group.history.rounds().end());
  return into;
}

}  // namespace

void on_describe(Deciding& d, WaiterId waiter, const DescribeEvent& event) {
  std::vector<GroupDescription> answer;
  for (const std::string& name : event.groups) {
    const LiveGroup* group = d.live.find(name);
    answer.push_back(group != nullptr ? describe(d, *group, event.with_rebalances)
                                      : GroupDescription{.error = Errc::group_not_found, .group = name});
  }
  d.reply(waiter, std::move(answer));
}

void on_list(Deciding& d, WaiterId waiter) {
  std::vector<ListedGroup> answer;
  answer.reserve(d.live.groups.size());
  for (const auto& [name, group] : d.live.groups)
    answer.push_back({name, group.protocol_type.value_or(""), group.state});
  std::ranges::sort(answer, {}, &ListedGroup::group);
  d.reply(waiter, std::move(answer));
}

void on_delete_groups(Deciding& d, WaiterId waiter, const DeleteGroupsEvent& event) {
  DeleteGroupsAnswer answer;
  for (const std::string& name : event.groups) {
    const LiveGroup* group = d.live.find(name);
    if (name.empty()) {
      answer.groups.emplace_back(Errc::invalid_group_id);
    } else if (group == nullptr) {
      answer.groups.emplace_back(Errc::group_not_found);
    } else if (group->state != GroupStateName::empty) {
      answer.groups.emplace_back(Errc::group_not_empty);
    } else {
      erase_group(d, name);
      answer.groups.emplace_back(std::nullopt);
    }
  }
  d.reply(waiter, std::move(answer));
}

}  // namespace mr::coordinator
