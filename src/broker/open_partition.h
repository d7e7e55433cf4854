#pragma once
#include "broker/broker.h"

namespace mr::broker {

/// Why a log could not be opened that may well be opened a little later.
inline bool heals_by_itself(Errc code) { return code == Errc::disk_full || code == Errc::resource_exhausted; }

/// One partition to be opened by this broker, in two steps: its log first, then, once the new leader epoch is known,
/// the leadership over it.
struct Broker::OpenJob {
  const TopicInfo* topic = nullptr;
  PartitionIndex index;
  const config::TopicConfig* settings = nullptr;
  std::size_t directory = 0;  ///< of directories_
  Uuid directory_id;
  // As the directory's checkpoints say, of a partition that was there before. Filled in where nobody changes them: they
  // are written on the pool.
  Offset recovery_point{0};
  Offset log_start{0};
  Offset cleaned_end{0};
  bool clean_stop = false;
  std::uint64_t bytes_to_recover = 0;
  std::unique_ptr<storage::Log> log;
  LeaderEpoch epoch{0};
  Result<void> outcome;

  /// The log can be opened: where it lies is known and there.
  bool placed() const { return outcome.ok(); }
  PartitionKey key() const { return {topic->id, index}; }
  TopicPartition name() const { return {topic->name, index}; }
  ShardId home() const { return topic->partitions[static_cast<std::size_t>(index.v)].home; }
};

}  // namespace mr::broker
