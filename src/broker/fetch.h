#pragma once
#include <optional>
#include <span>
#include <vector>

#include "broker/shard_state.h"
#include "runtime/shards.h"
#include "runtime/wait.h"

namespace mr::broker {

class Broker;

/// One partition of a fetch, and its answer.
struct FetchItem {
  // In.
  TopicId topic;
  PartitionIndex partition;
  ShardId home;
  Offset offset;
  LeaderEpoch current_epoch = kNoLeaderEpoch;       ///< -1: no check
  LeaderEpoch last_fetched_epoch = kNoLeaderEpoch;  ///< -1: no divergence check
  std::uint64_t bytes_max = 0;
  bool refused = false;  ///< decided by the caller (`error` is set): not read
  // Out.
  std::optional<Error> error;
  Offset high_watermark{-1};
  Offset last_stable{-1};
  Offset log_start{-1};
  std::optional<storage::Log::EpochEnd> diverging;  ///< the reader's history forks from ours: no records
  storage::ReadResult data;
  bool to_check = false;  ///< `data` has to be checked before it is sent; false at the end
};

struct FetchOptions {
  TimePoint deadline;  ///< now or earlier: answer at once
  std::uint64_t bytes_min = 1;
  std::uint64_t bytes_max = 0;
  bool read_committed = false;
  MemoryAccount* memory = nullptr;  ///< charged for checking what was not checked lately; null: not charged
};

/// A long poll over many partitions (traps.md 59-64): answers when enough bytes are readable, something is wrong with a
/// partition, or the deadline has come. Waits for watermarks to move, not for timers. What is answered was checked
/// where design section 5 rule 4 asks for it; partitions that would have to be checked after the deadline come back
/// empty when another has data. Shard: the connection's. Cancelled: returns early with what was read last.
Task<void> fetch(Broker& broker, std::span<FetchItem> items, FetchOptions options);

}  // namespace mr::broker
