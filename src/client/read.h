#pragma once
#include <functional>
#include <span>
#include <vector>

#include "client/cluster.h"
#include "model/compression.h"
#include "model/record.h"
#include "wire/api/fetch.h"

namespace mr::client {

struct FetchOptions {
  std::int32_t bytes_max = 8 << 20;
  Millis wait_max{500};
  bool read_committed = false;
};

/// What one fetch brought, with the memory it stands in.
class Fetched {
 public:
  Fetched(Reply<wire::fetch::Response> reply, Offset from) : reply_(std::move(reply)), from_(from) {}

  Offset high_watermark() const { return data().high_watermark; }
  Offset log_start() const { return data().log_start_offset; }
  ByteView bytes() const { return data().records.inline_bytes; }

  /// One record as a consumer sees it; views die with this object or at the next record.
  struct Item {
    Offset offset;
    WallMillis timestamp = -1;
    bool log_append_time = false;
    const Record* record = nullptr;
  };
  /// Calls `each` for every record from the wanted offset on until it returns false; control batches are passed over.
  /// Returns where to go on. Errors: malformed, corrupt_batch (the checksum does not match), unsupported_compression.
  Result<Offset> for_each(Inflater& inflater, const std::function<bool(const Item&)>& each) const;

 private:
  const wire::fetch::PartitionData& data() const { return reply_->responses[0].partitions[0]; }
  Reply<wire::fetch::Response> reply_;
  Offset from_;
};

/// One fetch of one partition from `from` on; waits up to wait_max for a first record. Follows a moved leader.
/// Errors: offset_out_of_range (with the range in the sentence), unknown_topic, those of a connection.
Task<Result<Fetched>> fetch(Cluster& cluster, TopicPartition partition, Offset from, FetchOptions options,
                            TimePoint deadline);

}  // namespace mr::client
