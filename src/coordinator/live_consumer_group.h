#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/assignors/assignor.h"
#include "coordinator/deadlines.h"
#include "coordinator/group_alarms.h"
#include "coordinator/rebalance_history.h"

namespace mr::coordinator {

struct AssignorInput;

/// What no record says of a KIP-848 group: until when its members live, what it waits for. Everything else is in
/// ConsumerGroupState. Gone with the process, begun anew when the partition is loaded.
struct LiveConsumerGroup {
  struct Session {
    Deadline session;
    Deadline revoke;  ///< armed while the member shall let go of partitions
    // Of a member that speaks the classic protocol.
    Deadline rejoin;  ///< armed since it was told to join again
    Deadline sync;    ///< armed since it was told to fetch its assignment
    TimePoint last_heard{};
  };
  /// By member; one for each that the records have.
  std::map<std::string, Session, std::less<>> sessions;
  Deadline assign;  ///< armed while targets are older than the group and may not be made yet
  Deadline expiry;
  TimePoint assigned_at{};       ///< when targets were made last
  bool assigned_before = false;  ///< and whether they ever were, since the load
  /// Of the jobs that are done off the shard; null: none is. What comes back with another was asked for an earlier
  /// group of this name.
  std::shared_ptr<const AssignorInput> assigning;
  std::shared_ptr<const std::vector<std::string>> matching;  ///< patterns
  bool match_again = false;                                  ///< topics or patterns have changed since that began
  WallMillis empty_since = -1;
  FlapWatch flaps;
  RebalanceHistory history;
};

}  // namespace mr::coordinator
