// What happens because time has passed: sessions, rounds that somebody misses, offsets that nobody wants.
#include <algorithm>

#include "base/log.h"
#include "coordinator/deciding.h"

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
Expired expire_offsets(Deciding& d, const LiveGroup& group, const DurableGroup& durable) {
  Expired outcome;
  for (const auto& [topic, partitions] : durable.offsets) {
    for (const auto& [partition, stored] : partitions) {
      const auto when = expires_at(group, topic, stored, d.settings);
      if (when && *when <= d.now.wall && d.out.records.size() < kTombstonesPerTick) {
        d.record(offset_tombstone(group.name(), topic, PartitionIndex{partition}));
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

void on_expiry(Deciding& d, LiveGroup& group) {
  const DurableGroup* durable = d.durable(group.name());
  Expired outcome;
  if (durable != nullptr) outcome = expire_offsets(d, group, *durable);
  if (outcome.nothing_left && group.members().empty() && group.pending.empty()) {
    if (durable != nullptr && !durable->record.empty()) d.record(group_tombstone(group.name()));
    d.live.groups.erase(group.name());
    return;
  }
  // Never sooner than the check interval, but for what did not fit this time. Never later than a day: the wall clock
  // may be set.
  const bool full = d.out.records.size() >= kTombstonesPerTick;
  const Duration check = d.settings.retention_check;
  const Duration next = outcome.next.value_or(std::chrono::hours(24));
  arm_expiry(d, group,
             full ? Duration(0) : std::clamp<Duration>(next, check, std::max<Duration>(check, std::chrono::hours(24))));
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

void on_tick(Deciding& d) {
  DeadlineKey key;
  auto find = [&](const DeadlineKey& k) { return d.live.deadline(k); };
  for (std::size_t i = 0; i < kDeadlinesPerTick && d.live.deadlines.next_due(d.now.mono, key, find); ++i) {
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
    }
  }
}

}  // namespace mr::coordinator
