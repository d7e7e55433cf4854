#pragma once
#include <cstdint>
#include <vector>

#include "bench/kload/frames.h"
#include "bench/kload/options.h"
#include "bench/kload/wire.h"

namespace mr::bench {

struct Figures {
  std::uint64_t requests = 0;  ///< produced or, in mode fetch, fetched
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  ///< of record batches
  std::uint64_t errors = 0;
  std::int16_t first_error = 0;
  double seconds = 0;  ///< from the first request to the last answer
  double server_cpu_seconds = 0;
  double own_cpu_seconds = 0;
  std::vector<double> latencies;  ///< seconds, of answered requests; from the intended send time in the open loop
  std::uint64_t received = 0;     ///< e2e: messages, by all fetchers together
  std::vector<double> arrivals;   ///< e2e: seconds from the intended send to the receipt, of batches

  void note_error(std::int16_t error) {
    if (errors++ == 0) first_error = error;
  }
};

/// The load on all connections: one epoll loop on the calling thread.
class Load {
 public:
  explicit Load(const Options& options);

  /// Sends for `seconds` (or `count` requests when not 0), waits for the last answer, and says what happened in
  /// between.
  Figures run(double seconds, std::uint64_t count);

 private:
  struct Connection {
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    bool at_end = false;  ///< fetch once: everything was read
  };

  bool produces() const { return options_.mode == Mode::produce; }
  std::uint64_t messages_each() const { return options_.records * static_cast<std::uint64_t>(options_.spread); }
  bool may_send(double now) const;
  void issue(std::size_t connection, double at);
  void advance(Connection& c) const;
  void queue_frame(std::size_t connection, ByteView head, const Bytes* body, Sent sent);
  void fill(std::size_t connection, double now);
  void issue_due(double now);
  void answered(Connection& c, const Sent& sent, ByteView body);
  void count_fetch(Connection& c, ByteView body);
  void send_barriers();
  double pause(double now) const;

  const Options& options_;
  std::vector<ProduceFrame> produce_;  ///< by partition or, with a spread, by group of partitions
  std::vector<Bytes> fetch_;           ///< by partition
  std::vector<std::int64_t> start_offsets_;
  std::vector<Connection> connections_;
  Wire wire_;

  Figures figures_;
  std::uint64_t issued_ = 0;
  std::uint64_t issued_bytes_ = 0;
  std::uint64_t due_ = 0;  ///< open loop: requests issued in this run
  std::uint64_t count_ = 0;
  double started_ = 0;
  double until_ = 0;
  std::size_t next_connection_ = 0;
};

}  // namespace mr::bench
