// What KIP-848 groups read has changed, or what they set: topics came, went or grew, patterns were matched, targets
// were made off the shard. Nobody waits for a heartbeat.
#include <algorithm>

#include "coordinator/consumer_change.h"

namespace mr::coordinator {

namespace {

void look_again(Deciding& d, const std::string& name, const std::string& topic) {
  ConsumerChange change(d, name);
  if (topic.empty()) change.forget_unused_patterns();  // of a decision that was stored in part
  if (change.before().members().empty()) return;
  if (change.before().has_patterns()) change.match_patterns();
  if (!topic.empty() && !change.before().subscribes(topic)) return;
  const bool torn = change.epoch() == 0;  // a member's record without that of its group's epoch
  if (torn || change.metadata_hash() != change.before().metadata_hash()) change.bump(RebalanceCause::metadata_changed);
  change.settle();  // after a load also what the last life left open
}

}  // namespace

/// Sessions that run end by the new times; intervals are told with the next heartbeat.
void on_group_configs(Deciding& d, GroupConfigsEvent event) {
  const auto before = std::exchange(d.live.configs, std::move(event.configs));
  auto obey = [&](const std::string& group) {
    LiveConsumerGroup* live = d.live.find_consumer(group);
    if (live == nullptr || d.consumer_times(group, *before) == d.consumer_times(group)) return;
    for (auto& [id, session] : live->sessions) {
      const ConsumerMember& member = *consumer_state(d.state, group).member(id);
      d.arm(session.session, session.last_heard + session_timeout(d, group, member) - d.now.mono,
            {DeadlineKind::consumer_session, group, id});
    }
  };
  for (const auto& [group, config] : *before) obey(group);
  for (const auto& [group, config] : *d.live.configs)
    if (!before->contains(group)) obey(group);
}

void on_topics_changed(Deciding& d, const TopicsChangedEvent& event) {
  d.live.topics = event.topics;
  for (const auto& [name, live] : d.live.consumers) look_again(d, name, event.topic);
}

void on_assigned(Deciding& d, const AssignedEvent& event) {
  LiveConsumerGroup* live = d.live.find_consumer(event.group);
  if (live == nullptr || live->assigning != event.input) return;
  ConsumerChange(d, event.group).settle(event);
}

void on_matched(Deciding& d, MatchedEvent event) {
  LiveConsumerGroup* live = d.live.find_consumer(event.group);
  if (live == nullptr || live->matching != event.patterns) return;
  live->matching.reset();
  ConsumerChange change(d, event.group);
  bool changed = false;
  for (auto& [pattern, topics] : event.matched) {
    if (!change.before().uses_pattern(pattern)) continue;  // its last user has gone
    const ResolvedRegex* before = change.before().regex(pattern);
    if (before != nullptr && before->topics == topics) continue;
    changed |= before == nullptr ? !topics.empty() : true;
    const std::int64_t version = before == nullptr ? 1 : before->version + 1;
    change.put_regex(pattern, {.topics = std::move(topics), .version = version, .resolved_at = d.now.wall});
  }
  if (std::exchange(live->match_again, false)) change.match_patterns();
  if (changed) change.bump(RebalanceCause::metadata_changed);
  change.settle();
}

}  // namespace mr::coordinator
