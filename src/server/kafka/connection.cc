#include "server/kafka/connection.h"

#include "base/log.h"
#include "server/kafka/kafka_server.h"

namespace mr::server::kafka {

namespace {
/// How long answers may still go out when the server stops.
constexpr Duration kStopGrace = std::chrono::seconds(2);

/// Closes the stream a little after the server was told to stop, even when that comes after the last request was read.
class ForcedEnd final : public CancelHook {
 public:
  ForcedEnd(Env& env, Stream& stream) : env_(env), stream_(stream) {}
  ~ForcedEnd() override { env_.executor.cancel_timer(timer_); }
  void on_cancel() override {
    timer_ = env_.executor.add_timer(env_.now() + kStopGrace, [this] { stream_.close(); });
  }

 private:
  Env& env_;
  Stream& stream_;
  TimerId timer_{};
};
}  // namespace

Connection::Connection(KafkaServer& server, Env& env, std::unique_ptr<Stream> stream, BufferPool& pool,
                       std::string listener)
    : server_(server),
      env_(env),
      stream_(std::move(stream)),
      listener_(std::move(listener)),
      reader_(*stream_, pool, env, server.options().request_bytes_max),
      outgoing_(*stream_),
      scope_(env.executor) {}

Task<void> Connection::run() {
  scope_.spawn("kafka answers", write_answers());
  Result<void> outcome = co_await read_requests();
  reading_done_ = true;
  pending_changed_.notify_all();
  // What was taken in is still answered. A peer that does not read is left behind at the write deadline, and soon when
  // the server stops.
  ForcedEnd forced(env_, *stream_);
  const TaskContext& context = co_await current_context();
  if (context.cancel->cancelled()) {
    forced.on_cancel();
  } else {
    context.cancel->link(forced);
  }
  co_await scope_.drained();
  stream_->close();
  note_end(outcome);
}

void Connection::note_end(const Result<void>& outcome) {
  if (outgoing_.unread()) {
    server_.counters(env_.shard).closed_unread.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (outcome.ok()) return;
  switch (outcome.code()) {
    case Errc::cancelled:
    case Errc::connection_closed:
      return;
    case Errc::timed_out:
      server_.counters(env_.shard).closed_idle.fetch_add(1, std::memory_order_relaxed);
      return;
    case Errc::resource_exhausted:
      server_.counters(env_.shard).closed_memory.fetch_add(1, std::memory_order_relaxed);
      return;
    default:
      server_.counters(env_.shard).closed_bad_input.fetch_add(1, std::memory_order_relaxed);
      log_debug("server", "connection closed",
                {{"peer", stream_->remote().to_string()}, {"why", outcome.error().message()}});
  }
}

Task<Result<void>> Connection::read_requests() {
  for (;;) {
    while ((pending_.size() >= kPendingMax || pending_bytes_ > kPendingBytesMax) && !write_failed_)
      MR_CO_TRY_VOID(co_await pending_changed_.wait());
    if (write_failed_) co_return Errc::connection_closed;
    MR_CO_TRY(auto frame, co_await reader_.next(server_.options().idle_max));
    if (!frame) co_return Result<void>{};
    MR_CO_TRY_VOID(co_await handle_frame(*frame));
  }
}

Task<Result<void>> Connection::handle_frame(MutableBytes frame) {
  std::unique_ptr<Exchange> exchange = take_exchange();
  exchange->server = &server_;
  exchange->broker = &server_.broker();
  exchange->groups = &server_.groups();
  exchange->shard = env_.shard;
  exchange->context = {.listener = listener_,
                       .local = &stream_->local(),
                       .remote = &stream_->remote(),
                       .received = env_.now(),
                       .memory = &server_.memory()};
  ServerCounters::bump(server_.counters(env_.shard).bytes_received, frame.size() + wire::kFrameSizeBytes);
  Result<void> handled = co_await server_.dispatch(*exchange, frame);
  if (!handled.ok()) {
    give_back(std::move(exchange));
    co_return handled;
  }
  bool close_after = exchange->close_after;
  if (pending_.empty() && !writing_ && !exchange->second_stage && !reader_.ready()) {
    // Nobody is in front of it or behind it, and nothing is to be waited for: answer without waking the writer. The
    // answers to requests that came together leave together.
    writing_ = true;
    Result<void> sent = co_await gather(*exchange);
    if (sent.ok()) sent = co_await flush();
    writing_ = false;
    give_back(std::move(exchange));
    if (!sent.ok()) {
      write_failed_ = true;
      co_return sent;
    }
  } else {
    exchange->pending_bytes = exchange->arena.held_bytes() + exchange->writer.size();
    pending_bytes_ += exchange->pending_bytes;
    pending_.push_back(std::move(exchange));
    pending_changed_.notify_all();
  }
  if (close_after) co_return Error(Errc::connection_closed, "closed after the answer");
  co_return Result<void>{};
}

Task<void> Connection::write_answers() {
  for (;;) {
    while (pending_.empty() && !reading_done_) (void)co_await pending_changed_.wait();
    if (pending_.empty()) co_return;
    // They stay in front of the queue until sent, so that later answers line up behind them. Answers that one group
    // commit made ready leave together: one system call, and the client is woken once.
    std::size_t done = 0;
    Result<void> outcome;
    do {
      Exchange& exchange = *pending_[done++];
      if (exchange.second_stage) {
        Task<Result<void>> stage = std::move(*exchange.second_stage);
        outcome = co_await std::move(stage);
      }
      if (outcome.ok() && !write_failed_) outcome = co_await gather(exchange);
    } while (outcome.ok() && done < pending_.size() && pending_[done]->ends_at_once());
    if (!write_failed_) {
      Result<void> sent = co_await flush();
      if (outcome.ok()) outcome = sent;
    }
    if (!outcome.ok() && !write_failed_) {
      write_failed_ = true;
      stream_->close();  // the reader must not wait for more
    }
    for (; done > 0; --done) {
      pending_bytes_ -= pending_.front()->pending_bytes;
      give_back(std::move(pending_.front()));
      pending_.pop_front();
    }
    pending_changed_.notify_all();
  }
}

/// Lines the answer up for flush(), up to its last piece from a file: those go out here, behind what was lined up.
Task<Result<void>> Connection::gather(Exchange& exchange) {
  const TimePoint now = env_.now();
  server_.counters(env_.shard)
      .durations_by_api[static_cast<std::size_t>(exchange.head.api->key)]
      .add_alone(now - exchange.context.received);
  if (exchange.no_answer) co_return Result<void>{};
  const TimePoint deadline = now + server_.options().idle_max;
  for (const wire::Piece& piece : exchange.writer.pieces()) {
    if (!piece.is_external) {
      outgoing_.add(piece.bytes);
      continue;
    }
    for (const storage::Fragment& fragment : exchange.reads[piece.token].fragments) {
      if (fragment.file == nullptr) {
        outgoing_.add(fragment.memory);
      } else {
        MR_CO_TRY_VOID(co_await outgoing_.send_file(*fragment.file, fragment.position, fragment.length, deadline));
      }
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Connection::flush() {
  MR_CO_TRY(std::uint64_t bytes, co_await outgoing_.flush(env_.now() + server_.options().idle_max));
  ServerCounters::bump(server_.counters(env_.shard).bytes_sent, bytes);
  co_return Result<void>{};
}

std::unique_ptr<Exchange> Connection::take_exchange() {
  if (spare_.empty()) {
    auto fresh = std::make_unique<Exchange>();
    fresh->writer.count_errors_in(&server_.counters(env_.shard).errors);
    return fresh;
  }
  std::unique_ptr<Exchange> exchange = std::move(spare_.back());
  spare_.pop_back();
  return exchange;
}

void Connection::give_back(std::unique_ptr<Exchange> exchange) {
  exchange->reset();
  if (spare_.size() < 8) spare_.push_back(std::move(exchange));
}

}  // namespace mr::server::kafka
