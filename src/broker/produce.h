#pragma once
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "broker/shard_state.h"
#include "replication/partition.h"
#include "runtime/pooled.h"
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

/// What was found out about a batch before it is appended.
struct PreparedBatch {
  std::optional<MutableBytes> batch = {};  ///< the one to append; unset: the client's
  std::optional<std::expected<BatchFacts, BatchRefusal>> facts = {};
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
  /// Once append() has returned: whether committed() would have to wait now.
  bool waits() const;

 private:
  static constexpr TimePoint kUntimed = TimePoint::min();
  void note_time(replication::Partition& partition) const {
    if (received_ != kUntimed) partition.note_produced(received_);
  }
  /// How far append_one() came. All but `done`: nothing has happened yet, the batch takes longer than a shard has.
  enum class Placed : std::uint8_t {
    done,
    other_codec,  ///< the topic wants another than the batch has
    large,        ///< inflates to more than kInflatedWholeMax
  };
  replication::AppendRules rules(const ProduceItem& item, ByteView batch, std::size_t faults_left) const;
  Placed append_one(ShardState& shard, ProduceItem& item, PartitionRef& partition, std::size_t& faults_left,
                    PreparedBatch prepared = {});
  Task<void> append_slowly(ShardState& shard, ProduceItem& item, PartitionRef& partition, std::size_t& faults_left,
                           Placed why);
  Task<Result<std::vector<std::byte>>> recompress(ShardState& shard, ByteView batch, Codec codec, int level);
  Task<Result<std::expected<BatchFacts, BatchRefusal>>> look_into(ShardState& shard, ByteView batch, BatchRules rules);
  Task<Result<void>> take_turn(ShardState& shard);
  static bool is_committed(const ProduceItem& item, const replication::Partition& partition) {
    return partition.high_watermark() >= item.outcome->end;
  }
  Task<void> commit_one(ProduceItem& item, PartitionRef partition);
  Task<void> run_remote(ShardId home, std::vector<ProduceItem*> items, Executor& back);

  Broker& broker_;
  replication::Acks acks_;
  bool zstd_allowed_;
  TimePoint deadline_;
  TimePoint received_;
  using Local = std::pair<ProduceItem*, PartitionRef>;
  std::vector<Local, Pooled<Local>> local_;
  std::size_t appends_pending_ = 0;
  std::size_t commits_pending_ = 0;
  detail::Rendezvous appended_;
  detail::Rendezvous committed_;
};

}  // namespace mr::broker
