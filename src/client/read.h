#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "model/compression.h"
#include "model/record.h"
#include "wire/api/fetch.h"
#include "wire/kafka_error.h"

namespace mr::client {

struct FetchOptions {
  std::int32_t bytes_max = 8 << 20;
  Millis wait_max{500};
  bool read_committed = false;
};

/// Where reading goes on in a partition.
struct Position {
  TopicPartition name;
  Offset next;
};

/// What one fetch brought, with the memory it stands in.
class Fetched {
 public:
  /// One record as a consumer sees it; views die with the Fetched or at the next record.
  struct Item {
    Offset offset;
    WallMillis timestamp = -1;
    bool log_append_time = false;
    const Record* record = nullptr;
  };
  /// What it brought of one partition.
  struct Part {
    TopicPartition name;
    Offset from;
    wire::KafkaError error{};
    Offset high_watermark{-1};
    Offset log_start{-1};
    ByteView bytes;

    /// Calls `each` for every record from the wanted offset on until it returns false; control batches are passed
    /// over. Returns where to go on. Errors: malformed, corrupt_batch (the checksum does not match),
    /// unsupported_compression.
    Result<Offset> for_each(Inflater& inflater, const std::function<bool(const Item&)>& each) const;
  };

  /// Errors: malformed (a partition that was not asked for, or one left out).
  static Result<Fetched> read(Reply<wire::fetch::Response> reply, std::vector<Position> asked,
                              const std::map<std::string, TopicId>& ids);

  /// One for each partition that was asked for, in that order.
  const std::vector<Part>& parts() const { return parts_; }
  /// Of a fetch of one partition.
  const Part& only() const { return parts_.front(); }

 private:
  Fetched(Reply<wire::fetch::Response> reply, std::vector<Part> parts)
      : reply_(std::move(reply)), parts_(std::move(parts)) {}

  Reply<wire::fetch::Response> reply_;
  std::vector<Part> parts_;
};

/// One fetch of `positions` (at least one, each partition once) at the broker `leader`; waits up to wait_max for a
/// first record. What holds for one partition only is its part's error. Errors: broker_error's, those of a connection,
/// unknown_topic.
Task<Result<Fetched>> fetch_at(Cluster& cluster, BrokerId leader, std::vector<Position> positions, FetchOptions options,
                               TimePoint deadline);
/// Asking the partition's leader of now may help.
bool leader_has_moved(wire::KafkaError error);
/// The error of a part that has one, with what was asked for.
Error fetch_error(const Fetched::Part& part);

/// One fetch of one partition from `from` on; waits up to wait_max for a first record. Follows a moved leader.
/// Errors: offset_out_of_range (with the range in the sentence), unknown_topic, those of a connection.
Task<Result<Fetched>> fetch(Cluster& cluster, TopicPartition partition, Offset from, FetchOptions options,
                            TimePoint deadline);

}  // namespace mr::client
