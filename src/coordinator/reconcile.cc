#include "coordinator/reconcile.h"

#include <algorithm>

namespace mr::coordinator {

bool within(const PartitionSet& inner, const OwnedPartitions& outer) {
  return std::ranges::all_of(inner, [&](const auto& topic) {
    auto at = outer.find(topic.first);
    if (at == outer.end()) return topic.second.empty();
    return std::ranges::all_of(topic.second, [&](std::int32_t partition) { return at->second.contains(partition); });
  });
}

PartitionSet without_epochs(const OwnedPartitions& owned) {
  PartitionSet set;
  for (const auto& [topic, partitions] : owned) {
    std::vector<std::int32_t>& into = set[topic];
    for (const auto& [partition, epoch] : partitions) into.push_back(partition);
  }
  return set;
}

std::size_t partitions_in(const PartitionSet& set) {
  std::size_t sum = 0;
  for (const auto& [topic, partitions] : set) sum += partitions.size();
  return sum;
}

namespace {

bool has(const PartitionSet& set, TopicId topic, std::int32_t partition) {
  auto at = set.find(topic);
  return at != set.end() && std::ranges::binary_search(at->second, partition);
}

bool any_of_these(const PartitionSet& set, const PartitionSet& these) {
  return std::ranges::any_of(these, [&](const auto& topic) {
    return std::ranges::any_of(topic.second, [&](std::int32_t partition) { return has(set, topic.first, partition); });
  });
}

bool wanted(const ReconcileInput& in, TopicId topic, std::int32_t partition) {
  return has(in.target, topic, partition) && in.is_subscribed(topic);
}

CurrentAssignment next(const ReconcileInput& in) {
  CurrentAssignment to{.epoch = in.current.epoch, .previous_epoch = in.current.epoch};
  for (const auto& [topic, partitions] : in.current.assigned)
    for (const auto& [partition, epoch] : partitions) {
      if (wanted(in, topic, partition)) {
        to.assigned[topic].emplace(partition, epoch);
      } else {
        to.revoking[topic].push_back(partition);
      }
    }
  if (!to.revoking.empty() && (in.owned == nullptr || any_of_these(*in.owned, to.revoking))) {
    to.state = ReconcileState::unrevoked;
    return to;
  }
  to.revoking.clear();
  to.epoch = in.target_epoch;
  for (const auto& [topic, partitions] : in.target)
    for (std::int32_t partition : partitions) {
      auto at = to.assigned.find(topic);
      if (!in.is_subscribed(topic) || (at != to.assigned.end() && at->second.contains(partition))) continue;
      // What it has just let go of itself is nobody else's yet.
      if (in.is_free(topic, partition) || has(in.current.revoking, topic, partition)) {
        to.assigned[topic].emplace(partition, in.target_epoch);
      } else {
        to.state = ReconcileState::unreleased;
      }
    }
  return to;
}

/// The member has ceased to ask for some topics: it lets go of them before its target knows.
std::optional<CurrentAssignment> without_unsubscribed(const ReconcileInput& in) {
  CurrentAssignment to = in.current;
  to.previous_epoch = in.current.epoch;
  for (const auto& [topic, partitions] : in.current.assigned) {
    if (in.is_subscribed(topic)) continue;
    std::vector<std::int32_t>& into = to.revoking[topic];
    for (const auto& [partition, epoch] : partitions) into.push_back(partition);
    sort_once(into);
    to.assigned.erase(topic);
  }
  if (to.assigned == in.current.assigned) return std::nullopt;
  if (in.owned == nullptr || any_of_these(*in.owned, to.revoking)) {
    to.state = ReconcileState::unrevoked;
  } else {
    to.revoking = in.current.revoking;  // it has let go before it said so
  }
  return to;
}

}  // namespace

std::optional<CurrentAssignment> reconcile(const ReconcileInput& in) {
  switch (in.current.state) {
    case ReconcileState::stable:
      if (in.current.epoch != in.target_epoch) return next(in);
      return in.subscription_changed ? without_unsubscribed(in) : std::nullopt;
    case ReconcileState::unrevoked:
      if (in.owned != nullptr && !any_of_these(*in.owned, in.current.revoking)) return next(in);
      return in.subscription_changed ? without_unsubscribed(in) : std::nullopt;
    case ReconcileState::unreleased: {
      CurrentAssignment to = next(in);
      // Still waiting for the same partitions: nothing to write.
      const bool same =
          to.state == in.current.state && to.epoch == in.current.epoch && to.assigned == in.current.assigned;
      return same ? std::nullopt : std::optional(std::move(to));
    }
  }
  return std::nullopt;
}

}  // namespace mr::coordinator
