// What happens because time has passed: sessions, rounds that somebody misses, offsets that nobody wants.
#include <algorithm>

#include "base/log.h"
#include "coordinator/consumer_change.h"

namespace mr::coordinator {

namespace {

/// Of one look; the rest comes with the next.
constexpr std::size_t kDeadlinesPerTick = 1000;
constexpr std::size_t kTombstonesPerTick = 2000;

void on_session(Deciding& d, LiveGroup& group, std::string_view id) {
  Member* member = group.find(id);
  // Whoever waits for us is alive as far as anybody can tell; the answer begins a new session. A first join is not
  // waited for like that: the client may be gone, and cannot say so.
  if (!member->never_joined && (member->joining || member->syncing)) return;
  ++d.live.stats.member_timeouts;
  log_info("coordinator", "a member's session has ended",
           {{"group", group.name()}, {"member", id}, {"session_ms", member->session_timeout.count()}});
  RebalanceReason reason{RebalanceCause::member_expired, member->id, member->session_timeout};
  drop_member(d, group, std::string(id), Errc::unknown_member);
  begin_or_complete_round(d, group, std::move(reason));
}

void on_pending(Deciding& d, LiveGroup& group, std::string_view id) {
  group.pending.erase(group.pending.find(id));
  maybe_complete_round(d, group);
}

void on_round(Deciding& d, LiveGroup& group) {
  if (group.state != GroupStateName::preparing_rebalance) return;
  auto& first = group.first_round;
  if (first.on && first.somebody_came && first.left.count() > 0) {
    first.somebody_came = false;
    first.delay = std::min(d.settings.first_round_delay, first.left);
    first.left = std::max(first.left - first.delay, Millis(0));
    d.arm(group.round, first.delay, {DeadlineKind::round, group.name(), {}});
    return;
  }
  complete_round(d, group);
}

void on_sync_missed(Deciding& d, LiveGroup& group) {
  std::vector<std::string> missing;
  for (const auto& [id, member] : group.members())
    if (member.owes_sync) missing.push_back(id);
  if (missing.empty()) return;
  log_info("coordinator", "members did not fetch their assignment in time",
           {{"group", group.name()}, {"generation", group.generation.v}, {"members", missing.size()}});
  const Millis waited = group.rebalance_timeout();
  for (const std::string& id : missing) drop_member(d, group, id, Errc::unknown_member);
  begin_round(d, group, {RebalanceCause::not_synced, missing.front(), waited});
}

/// Tombstones for what has expired. How long until something else may, and whether anything is left.
struct Expired {
  std::optional<Duration> next;
  bool nothing_left = true;
};
template <class When>
Expired expire_offsets(Deciding& d, std::string_view group, const DurableGroup& durable, When expires) {
  Expired outcome;
  for (const auto& [topic, partitions] : durable.offsets) {
    for (const auto& [partition, stored] : partitions) {
      const std::optional<WallMillis> when = expires(topic, stored);
      if (when && *when <= d.now.wall && d.out.records.size() < kTombstonesPerTick) {
        d.record(offset_tombstone(group, topic, PartitionIndex{partition}));
        ++d.live.stats.offsets_expired;
        continue;
      }
      outcome.nothing_left = false;
      if (!when) continue;
      const Duration in = Millis(std::max<WallMillis>(*when - d.now.wall, 0));
      outcome.next = std::min(outcome.next.value_or(in), in);
    }
  }
  return outcome;
}

/// Never sooner than the check interval, but for what did not fit this time. Never later than a day: the wall clock may
/// be set.
Duration next_look(const Deciding& d, const Expired& outcome) {
  if (d.out.records.size() >= kTombstonesPerTick) return Duration(0);
  const Duration check = d.settings.retention_check;
  const Duration next = outcome.next.value_or(std::chrono::hours(24));
  return std::clamp<Duration>(next, check, std::max<Duration>(check, std::chrono::hours(24)));
}

void on_expiry(Deciding& d, LiveGroup& group) {
  const DurableGroup* durable = d.durable(group.name());
  Expired outcome;
  auto expires = [&](std::string_view topic, const StoredOffset& stored) {
    return expires_at(group, topic, stored, d.settings);
  };
  if (durable != nullptr) outcome = expire_offsets(d, group.name(), *durable, expires);
  if (outcome.nothing_left && group.members().empty() && group.pending.empty()) {
    if (durable != nullptr && !durable->record.empty()) d.record(group_tombstone(group.name()));
    d.live.groups.erase(group.name());
    return;
  }
  arm_expiry(d, group, next_look(d, outcome));
}

/// A KIP-848 group's offsets: those nobody reads, counted from when the last member went or from their commit.
void on_consumer_expiry(Deciding& d, const std::string& name, LiveConsumerGroup& live) {
  const DurableGroup* durable = d.durable(name);
  const ConsumerGroupState& group = consumer_state(d.state, name);
  const bool empty = live.sessions.empty();
  auto expires = [&](std::string_view topic, const StoredOffset& stored) -> std::optional<WallMillis> {
    if (!empty && group.subscribes(topic)) return std::nullopt;
    const WallMillis from = empty ? std::max(live.empty_since, stored.committed_at) : stored.committed_at;
    return stored.expire_at >= 0 ? stored.expire_at : from + d.settings.offsets_retention.count();
  };
  Expired outcome;
  if (durable != nullptr) outcome = expire_offsets(d, name, *durable, expires);
  if (outcome.nothing_left && empty) {
    erase_consumer_group(d, name);
    return;
  }
  arm_consumer_expiry(d, name, live, next_look(d, outcome));
}

/// Those whose clients went together go together: one rebalance instead of one each.
void on_consumer_sessions(Deciding& d, const DeadlineKey& first) {
  std::vector<std::string> members{first.member};
  DeadlineKey key;
  auto find = [&](const DeadlineKey& k) { return d.live.deadline(k); };
  while (members.size() < kDeadlinesPerTick && d.live.deadlines.next_due(d.now.mono, key, find)) {
    if (key.kind != DeadlineKind::consumer_session || key.group != first.group) {
      Deadline& later = *find(key);
      d.live.deadlines.put_back(later, d.now.mono, std::move(key));
      break;
    }
    members.push_back(std::move(key.member));
  }
  Millis timeout{0};
  for (const std::string& id : members) {
    timeout = session_timeout(d, first.group, *consumer_state(d.state, first.group).member(id));
    ++d.live.stats.member_timeouts;
    log_info("coordinator", "a member's session has ended",
             {{"group", first.group}, {"member", id}, {"session_ms", timeout.count()}});
  }
  remove_consumers(d, first.group, members, {RebalanceCause::member_expired, members.back(), timeout});
}

void on_consumer_deadline(Deciding& d, const DeadlineKey& key) {
  LiveConsumerGroup& live = *d.live.find_consumer(key.group);
  auto rebalance_timeout = [&] { return consumer_state(d.state, key.group).member(key.member)->rebalance_timeout; };
  switch (key.kind) {
    case DeadlineKind::consumer_revoke:
    case DeadlineKind::consumer_rejoin:
      log_info("coordinator", "a member did not let go of its partitions in time",
               {{"group", key.group}, {"member", key.member}, {"rebalance_ms", rebalance_timeout().count()}});
      remove_consumers(d, key.group, {key.member}, {RebalanceCause::not_revoked, key.member, rebalance_timeout()});
      return;
    case DeadlineKind::consumer_sync:
      log_info("coordinator", "members did not fetch their assignment in time",
               {{"group", key.group}, {"member", key.member}, {"rebalance_ms", rebalance_timeout().count()}});
      remove_consumers(d, key.group, {key.member}, {RebalanceCause::not_synced, key.member, rebalance_timeout()});
      return;
    case DeadlineKind::consumer_assign:
      ConsumerChange(d, key.group).settle();
      return;
    case DeadlineKind::consumer_expiry:
      on_consumer_expiry(d, key.group, live);
      return;
    default:
      MR_CHECK(false);
  }
}

void on_classic_deadline(Deciding& d, const DeadlineKey& key) {
  LiveGroup& group = *d.live.find(key.group);
  switch (key.kind) {
    case DeadlineKind::session:
      on_session(d, group, key.member);
      break;
    case DeadlineKind::pending:
      on_pending(d, group, key.member);
      break;
    case DeadlineKind::round:
      on_round(d, group);
      break;
    case DeadlineKind::sync:
      on_sync_missed(d, group);
      break;
    case DeadlineKind::expiry:
      on_expiry(d, group);
      break;
    case DeadlineKind::consumer_session:
    case DeadlineKind::consumer_revoke:
    case DeadlineKind::consumer_assign:
    case DeadlineKind::consumer_expiry:
    case DeadlineKind::consumer_rejoin:
    case DeadlineKind::consumer_sync:
      MR_CHECK(false);
  }
}

}  // namespace

std::optional<WallMillis> expires_at(const LiveGroup& group, std::string_view topic, const StoredOffset& offset,
                                     const GroupSettings& settings) {
  WallMillis from = offset.committed_at;
  if (group.protocol_type && !group.protocol_type->empty()) {
    if (group.state == GroupStateName::empty) {
      // Counted from when the last member went, where that is known.
      if (group.state_since >= 0) from = group.state_since;
    } else if (!group.is_consumer() || group.state != GroupStateName::stable || !group.subscribed ||
               group.subscribes(topic)) {
      return std::nullopt;
    }
  }
  return offset.expire_at >= 0 ? offset.expire_at : from + settings.offsets_retention.count();
}

void arm_expiry(Deciding& d, LiveGroup& group, Duration in) {
  const TimePoint at = d.now.mono + in;
  if (group.expiry.at <= at) return;
  d.live.deadlines.arm(group.expiry, at, {DeadlineKind::expiry, group.name(), {}});
}

void erase_group(Deciding& d, std::string_view name) {
  erase_consumer_group(d, name);
  const DurableGroup* durable = d.durable(name);
  if (durable != nullptr) {
    for (const auto& [topic, partitions] : durable->offsets)
      for (const auto& [partition, stored] : partitions)
        d.record(offset_tombstone(name, topic, PartitionIndex{partition}));
    if (!durable->record.empty()) d.record(group_tombstone(name));
  }
  auto group = d.live.groups.find(name);
  if (group != d.live.groups.end()) d.live.groups.erase(group);
}

/// Of KIP-848 groups one event in a decision: the next one shall see its records.
void on_tick(Deciding& d) {
  DeadlineKey key;
  auto find = [&](const DeadlineKey& k) { return d.live.deadline(k); };
  for (std::size_t i = 0; i < kDeadlinesPerTick && d.live.deadlines.next_due(d.now.mono, key, find); ++i) {
    if (key.kind == DeadlineKind::consumer_session) return on_consumer_sessions(d, key);
    if (is_consumer(key.kind)) return on_consumer_deadline(d, key);
    on_classic_deadline(d, key);
  }
}

}  // namespace mr::coordinator
