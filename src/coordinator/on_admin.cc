// Looking in, and deleting whole groups (traps.md 82, 113).
#include <algorithm>

#include "coordinator/consumer_change.h"

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

/// What it may still read, as others see it.
PartitionSet held(const CurrentAssignment& current) {
  PartitionSet all = without_epochs(current.assigned);
  for (const auto& [topic, partitions] : current.revoking) {
    std::vector<std::int32_t>& into = all[topic];
    into.insert(into.end(), partitions.begin(), partitions.end());
    sort_once(into);
  }
  return all;
}

ConsumerGroupDescription describe(const Deciding& d, const std::string& name, const LiveConsumerGroup& live,
                                  bool with_rebalances) {
  const ConsumerGroupState& group = consumer_state(d.state, name);
  ConsumerGroupDescription into{.group = name,
                                .state = std::string(group_state_name(consumer_group_state(group))),
                                .epoch = group.epoch(),
                                .target_epoch = group.target_epoch(),
                                .session_timeout = Millis(d.consumer_times(name).session_timeout_ms)};
  std::map<std::string, std::size_t, std::less<>> votes;
  for (const auto& [id, member] : group.members()) {
    if (member.assignor) ++votes[*member.assignor];
    const CurrentAssignment& current = group.current(id);
    auto session = live.sessions.find(id);
    into.members.push_back(
        {.member = id,
         .epoch = current.epoch,
         .asks = member,
         .assigned = held(current),
         .target = group.target(id),
         .since_heartbeat = session == live.sessions.end() ? Duration(0) : d.now.mono - session->second.last_heard});
  }
  into.assignor = std::string(preferred_assignor(d.settings, votes)->name());
  if (with_rebalances) into.rebalances.assign(live.history.rounds().begin(), live.history.rounds().end());
  return into;
}

ConsumerGroupDescription no_consumer_group(const Deciding& d, const std::string& name) {
  if (name.empty()) return {.error = Errc::invalid_group_id};
  const bool classic = d.live.groups.contains(name);
  return {.error = Error(Errc::group_not_found,
                         classic ? "Group " + name + " is not a consumer group." : "Group " + name + " not found."),
          .group = name};
}

}  // namespace

void on_describe(Deciding& d, WaiterId waiter, const DescribeEvent& event) {
  std::vector<GroupDescription> answer;
  for (const std::string& name : event.groups) {
    const LiveGroup* group = d.live.find(name);
    if (group != nullptr) {
      answer.push_back(describe(d, *group, event.with_rebalances));
      continue;
    }
    const bool modern = d.live.find_consumer(name) != nullptr;
    answer.push_back({.error = Error(Errc::group_not_found, modern ? "Group " + name + " is not a classic group."
                                                                   : "Group " + name + " not found."),
                      .group = name});
  }
  d.reply(waiter, std::move(answer));
}

void on_consumer_describe(Deciding& d, WaiterId waiter, const ConsumerDescribeEvent& event) {
  std::vector<ConsumerGroupDescription> answer;
  for (const std::string& name : event.groups) {
    const LiveConsumerGroup* live = d.live.find_consumer(name);
    answer.push_back(live != nullptr ? describe(d, name, *live, event.with_rebalances) : no_consumer_group(d, name));
  }
  d.reply(waiter, std::move(answer));
}

void on_list(Deciding& d, WaiterId waiter) {
  std::vector<ListedGroup> answer;
  answer.reserve(d.live.groups.size() + d.live.consumers.size());
  for (const auto& [name, group] : d.live.groups)
    answer.push_back({name, group.protocol_type.value_or(""), group.state});
  for (const auto& [name, group] : d.live.consumers)
    answer.push_back({name, "consumer", consumer_group_state(consumer_state(d.state, name)), GroupType::consumer});
  std::ranges::sort(answer, {}, &ListedGroup::group);
  d.reply(waiter, std::move(answer));
}

void on_delete_groups(Deciding& d, WaiterId waiter, const DeleteGroupsEvent& event) {
  DeleteGroupsAnswer answer;
  for (const std::string& name : event.groups) {
    const LiveGroup* group = d.live.find(name);
    const LiveConsumerGroup* modern = d.live.find_consumer(name);
    if (name.empty()) {
      answer.groups.emplace_back(Errc::invalid_group_id);
    } else if (group == nullptr && modern == nullptr) {
      answer.groups.emplace_back(Errc::group_not_found);
    } else if (group != nullptr ? group->state != GroupStateName::empty : !modern->sessions.empty()) {
      answer.groups.emplace_back(Errc::group_not_empty);
    } else {
      erase_group(d, name);
      answer.groups.emplace_back(std::nullopt);
    }
  }
  d.reply(waiter, std::move(answer));
}

}  // namespace mr::coordinator
