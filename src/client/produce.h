#pragma once
#include <map>

#include "client/cluster.h"
#include "model/batch_builder.h"

namespace mr::client {

struct ProducerOptions {
  std::int16_t acks = -1;  ///< -1 all, 1 leader, 0 nobody
  Codec codec = Codec::none;
  /// Repeats after a lost answer are recognised by the broker; needs acks -1.
  bool idempotent = true;
};

struct Produced {
  Offset base_offset{-1};  ///< -1 with acks 0
  std::int32_t records = 0;
};

/// Writes batches to partitions, one at a time per partition; different partitions may overlap. Tries again, without
/// making doubles when idempotent, until the deadline. One shard; the cluster must outlive it.
class Producer {
 public:
  Producer(Cluster& cluster, ProducerOptions options) : cluster_(cluster), options_(options) {}

  /// One batch of `records` (at least one); they must stay until it returns. Errors: those of broker_error and of a
  /// connection; after timed_out the batch may or may not be there.
  Task<Result<Produced>> send(TopicPartition partition, std::span<const NewRecord> records, TimePoint deadline);

 private:
  Task<Result<void>> take_producer_id(TimePoint deadline);
  Task<Result<void>> ask_producer_id(TimePoint deadline);
  Task<Result<Produced>> attempt(const TopicPartition& partition, ByteView batch, TimePoint deadline, bool& again);

  Cluster& cluster_;
  const ProducerOptions options_;
  ProducerId producer_id_ = kNoProducerId;
  ProducerEpoch producer_epoch_{-1};
  std::map<TopicPartition, std::int32_t> next_sequence_;
  Semaphore taking_id_{1};
};

}  // namespace mr::client
