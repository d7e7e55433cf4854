#pragma once
#include <cstdint>
#include <vector>

#include "bench/kload/load.h"

namespace mr::bench {

/// Producers and consumers at once, in one loop on the calling thread. A partition has one producing connection, so the
/// n-th batch sent to it is the n-th received: what was sent when is known without a mark in the batch.
/// The topic has to be nobody else's meanwhile.
class EndToEnd {
 public:
  explicit EndToEnd(const Options& options);

  /// Sends for `seconds` (or `count` requests when not 0) and returns when every fetcher has received everything. Ends
  /// the program when nothing moves any more.
  Figures run(double seconds, std::uint64_t count);

 private:
  struct Fetcher {
    std::size_t partition = 0;
    std::int64_t offset = 0;
  };
  struct Partition {
    ProduceFrame produce;
    Bytes fetch;
    std::int64_t start = 0;
    std::vector<double> sent;  ///< intended time of the n-th batch since `start`
  };

  bool may_send(double now) const;
  bool all_received() const;
  void issue(std::size_t producer, double at);
  void produce_what_is_due(double now);
  void fetch_on(std::size_t fetcher);
  void answered(std::size_t connection, const Sent& sent, ByteView body);
  void received(Fetcher& f, const Fetched& got);
  double pause(double now) const;

  const Options& options_;
  std::vector<Partition> partitions_;
  std::vector<std::int32_t> producers_;  ///< the partition that each sends to next
  std::vector<Fetcher> fetchers_;
  Wire wire_;  ///< producers first, fetchers after them

  Figures figures_;
  std::uint64_t issued_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t unanswered_ = 0;  ///< produce requests
  double started_ = 0;
  double until_ = 0;
  double moved_ = 0;  ///< when the last answer with news came
};

}  // namespace mr::bench
