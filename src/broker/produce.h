#pragma once
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "broker/shard_state.h"
#include "replication/partition.h"
#include "runtime/shards.h"

namespace mr::broker {

class Broker;

/// One partition's batch of a produce request, and its answer.
struct ProduceItem {
  // In. `home` comes from the topic table; an item that is refused before it gets here carries `outcome` already.
  TopicId topic;
  PartitionIndex partition;
  ShardId home;
  std::size_t in_sync = 1;   ///< of the partition's replicas
  std::size_t replicas = 1;  ///< of the partition
  MutableBytes batch;        ///< stays until append() has returned; patched in place
  // Out.
  std::expected<replication::Appended, replication::AppendFailure> outcome =
      std::unexpected(replication::AppendFailure{Errc::unknown_topic});
  bool refused = false;  ///< decided by the caller: not appended
};

/// A produce request in two stages (design section 4): once append() has returned, the batches have their places and
/// the connection may take its next request; committed() is when the answer may be sent. Shard: the connection's.
/// `items` and this object stay until committed() has returned.
class Produce {
 public:
  /// `received`: when the request was there, for the partitions' produce_durations; without it they are not counted.
  Produce(Broker& broker, replication::Acks acks, bool zstd_allowed, TimePoint deadline, TimePoint received = kUntimed)
      : broker_(broker), acks_(acks), zstd_allowed_(zstd_allowed), deadline_(deadline), received_(received) {}
  Produce(const Produce&) = delete;
  /// Both stages awaited, or never started.
  ~Produce() { MR_CHECK(appends_pending_ == 0 && commits_pending_ == 0); }

  /// Stage 1: validates and appends every item on its home shard, one message there for all of a shard's items.
  Task<void> append(std::span<ProduceItem> items);
  /// Stage 2: with acks=all waits for the watermarks; items whose wait fails get the error (request_timed_out, ...).
  /// With acks 0 and 1 returns at once.
  Task<void> committed();

 private:
  static constexpr TimePoint kUntimed = TimePoint::min();
  void note_time(replication::Partition& partition) const {
    if (received_ != kUntimed) partition.note_produced(received_);
  }
  /// False: nothing done yet, the topic wants another codec than the batch has.
  bool append_one(ShardState& shard, ProduceItem& item, PartitionRef& partition, std::size_t& faults_left,
                  std::optional<MutableBytes> recompressed = std::nullopt);
  Task<void> recompress_and_append(ShardState& shard, ProduceItem& item, PartitionRef& partition,
                                   std::size_t& faults_left);
  Task<void> commit_one(ProduceItem& item, PartitionRef partition);
  Task<void> run_remote(ShardId home, std::vector<ProduceItem*> items, Executor& back);

  Broker& broker_;
  replication::Acks acks_;
  bool zstd_allowed_;
  TimePoint deadline_;
  TimePoint received_;
  std::vector<std::pair<ProduceItem*, PartitionRef>> local_;
  std::size_t appends_pending_ = 0;
  std::size_t commits_pending_ = 0;
  detail::Rendezvous appended_;
  detail::Rendezvous committed_;
};

}  // namespace mr::broker
