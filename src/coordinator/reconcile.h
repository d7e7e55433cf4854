#pragma once
#include <functional>
#include <optional>

#include "coordinator/consumer_group_types.h"

/// One member's way from what it has to what it shall have (traps.md 88, 89). Pure.
namespace mr::coordinator {

/// Everything of `inner` is in `outer`.
bool within(const PartitionSet& inner, const OwnedPartitions& outer);
PartitionSet without_epochs(const OwnedPartitions& owned);
std::size_t partitions_in(const PartitionSet& set);

struct ReconcileInput {
  const CurrentAssignment& current;
  std::int32_t target_epoch = 0;
  const PartitionSet& target;
  /// What the member says it has; null: it does not say.
  const PartitionSet* owned = nullptr;
  /// Nobody has this partition any more.
  const std::function<bool(TopicId, std::int32_t)>& is_free;
  /// The member reads this topic. Targets may be older than what it asks for.
  const std::function<bool(TopicId)>& is_subscribed;
  bool subscription_changed = false;  ///< with this request
};
/// Where the member stands now. It first lets go of what it shall not have, and stays in its epoch until it says that
/// it did; then it is in the target's epoch and gets what is free, until it has all. What it has ceased to ask for it
/// lets go of at once, whatever the target says. Empty: as before.
std::optional<CurrentAssignment> reconcile(const ReconcileInput& input);

}  // namespace mr::coordinator
