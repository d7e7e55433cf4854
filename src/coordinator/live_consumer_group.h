#pragma once
#include <map>
#include <string>

#include "coordinator/deadlines.h"
#include "coordinator/group_alarms.h"
#include "coordinator/rebalance_history.h"

namespace mr::coordinator {

/// What no record says of a KIP-848 group: until when its members live, what it waits for. Everything else is in
/// ConsumerGroupState. Gone with the process, begun anew when the partition is loaded.
struct LiveConsumerGroup {
  struct Session {
    Deadline session;
    Deadline revoke;  ///< armed while the member shall let go of partitions
    TimePoint last_heard{};
  };
  /// By member; one for each that the records have.
  std::map<std::string, Session, std::less<>> sessions;
  Deadline assign;  ///< armed while targets are older than the group and may not be made yet
  Deadline expiry;
  TimePoint assigned_at{};       ///< when targets were made last
  bool assigned_before = false;  ///< and whether they ever were, since the load
  bool assigning = false;        ///< off the shard
  bool matching = false;         ///< patterns, off the shard
  bool match_again = false;      ///< topics or patterns have changed since that began
  WallMillis empty_since = -1;
  FlapWatch flaps;
  RebalanceHistory history;
};

}  // namespace mr::coordinator
