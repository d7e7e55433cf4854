#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "runtime/scope.h"
#include "server/kafka/exchange.h"
#include "server/kafka/frame_reader.h"
#include "server/kafka/outgoing.h"

namespace mr::server::kafka {

class KafkaServer;

/// One client connection. Requests take effect in order and are answered in order; a produce lets the next request
/// start once its batches have their places. Shard: the one that accepted it.
class Connection {
 public:
  Connection(KafkaServer& server, Env& env, std::unique_ptr<Stream> stream, BufferPool& pool, std::string listener);
  Connection(const Connection&) = delete;

  /// Serves until the peer leaves, breaks a rule, stays silent too long, or the coroutine is cancelled; then closes.
  Task<void> run();

 private:
  /// Answers that may wait for their second stage while further requests are read. Full: reading stops.
  static constexpr std::size_t kPendingMax = 64;
  /// Memory of such answers, likewise; the last one may go beyond.
  static constexpr std::size_t kPendingBytesMax = 16 << 20;

  Task<Result<void>> read_requests();
  Task<Result<void>> handle_frame(MutableBytes frame);
  Task<void> write_answers();
  Task<Result<void>> gather(Exchange& exchange);
  Task<Result<void>> flush();
  std::unique_ptr<Exchange> take_exchange();
  void give_back(std::unique_ptr<Exchange> exchange);
  void note_end(const Result<void>& outcome);

  KafkaServer& server_;
  Env& env_;
  std::unique_ptr<Stream> stream_;
  std::string listener_;
  FrameReader reader_;
  std::deque<std::unique_ptr<Exchange>> pending_;
  std::size_t pending_bytes_ = 0;
  std::vector<std::unique_ptr<Exchange>> spare_;
  Outgoing outgoing_;     ///< answers in front of the queue, or the one that nobody was in front of
  bool writing_ = false;  ///< an answer is on its way out
  bool write_failed_ = false;
  bool reading_done_ = false;
  Event pending_changed_;
  Scope scope_;
};

}  // namespace mr::server::kafka
