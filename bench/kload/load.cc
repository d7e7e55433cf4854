#include "bench/kload/load.h"

#include <unistd.h>

#include <algorithm>

namespace mr::bench {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kAnswerBytes = 32 << 10;  ///< of a produce answer, at first
constexpr std::size_t kUnsentMax = 32;
constexpr std::uint64_t kBarrier = 1;  ///< tag

}  // namespace

Load::Load(const Options& options)
    : options_(options),
      connections_(options.connections),
      wire_(options.host, options.port, options.connections, options.mode == Mode::produce ? kAnswerBytes : kReadBytes,
            [this](std::size_t c, const Sent& sent, ByteView body) { answered(connections_[c], sent, body); }) {
  Bytes batch = build_batch(options);
  Socket control(options.host, options.port);
  const std::int32_t frames = options.partitions / options.spread;
  for (std::int32_t p = 0; p < frames; ++p) {
    if (produces()) {
      produce_.push_back(produce_frame(options, p, batch));
    } else {
      fetch_.push_back(fetch_frame(options, p));
      start_offsets_.push_back(listed_offset(control.call(list_offsets_frame(options, p, options.from_end ? -1 : -2))));
    }
  }
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& c = connections_[i];
    c.partition = static_cast<std::int32_t>(i) % frames;
    if (!produces()) c.offset = start_offsets_[static_cast<std::size_t>(c.partition)];
  }
}

Figures Load::run(double seconds, std::uint64_t count) {
  figures_ = {};
  figures_.latencies.reserve(1 << 20);
  count_ = count;
  issued_ = issued_bytes_ = due_ = 0;
  double own = cpu_seconds_of(getpid());
  double server = cpu_seconds_of(options_.server_pid);
  started_ = now_seconds();
  until_ = count != 0 ? 1e300 : started_ + seconds;
  bool closing = false;
  while (true) {
    double now = now_seconds();
    if (options_.rate > 0) {
      issue_due(now);
    } else {
      for (std::size_t c = 0; c < connections_.size(); ++c) fill(c, now);
    }
    if (!may_send(now) && !closing) {
      closing = true;
      if (produces() && options_.acks == 0) send_barriers();
    }
    if (closing && wire_.outstanding() == 0) break;
    wire_.wait(pause(now));
  }
  figures_.seconds = now_seconds() - started_;
  figures_.server_cpu_seconds = cpu_seconds_of(options_.server_pid) - server;
  figures_.own_cpu_seconds = cpu_seconds_of(getpid()) - own;
  return std::move(figures_);
}

bool Load::may_send(double now) const {
  if (!produces() && !options_.repeat && std::ranges::all_of(connections_, &Connection::at_end)) return false;
  if (options_.bytes_max != 0 && (produces() ? issued_bytes_ : figures_.bytes) >= options_.bytes_max) return false;
  return count_ != 0 ? issued_ < count_ : now < until_;
}

void Load::fill(std::size_t c, double now) {
  // Without answers the socket's buffer is the window.
  const bool silent = produces() && options_.acks == 0;
  while (may_send(now) && !connections_[c].at_end &&
         (silent ? wire_.unsent(c) : wire_.unanswered(c)) < options_.in_flight) {
    issue(c, now);
    if (wire_.unsent(c) >= kUnsentMax || silent) wire_.flush(c);
    if (wire_.blocked(c)) break;
  }
  if (wire_.unsent(c) != 0 && !wire_.blocked(c)) wire_.flush(c);
}

/// Open loop: request k is due at start + k / rate, whether or not the earlier ones were answered.
void Load::issue_due(double now) {
  while (may_send(now)) {
    double at = started_ + static_cast<double>(due_) / options_.rate;
    if (at > now || at >= until_) break;
    ++due_;
    std::size_t c = next_connection_++ % connections_.size();
    issue(c, at);
    if (!wire_.blocked(c)) wire_.flush(c);
  }
}

void Load::issue(std::size_t connection, double at) {
  Connection& c = connections_[connection];
  auto p = static_cast<std::size_t>(c.partition);
  ++issued_;
  if (!produces()) {
    set_fetch_offset(fetch_[p], c.offset);
    queue_frame(connection, fetch_[p], nullptr, {.at = at});
    return;
  }
  const ProduceFrame& frame = produce_[p];
  issued_bytes_ += frame.batch_bytes;
  queue_frame(connection, frame.head, &frame.body, {.at = at});
  advance(c);
}

/// Each connection visits its own partitions in turn; with a spread, all of them.
void Load::advance(Connection& c) const {
  const auto frames = static_cast<std::int32_t>(produce_.size());
  c.partition = (c.partition + (options_.spread > 1 ? 1 : static_cast<std::int32_t>(connections_.size()))) % frames;
}

void Load::queue_frame(std::size_t c, ByteView head, const Bytes* body, Sent sent) {
  bool answer = sent.tag == kBarrier || !produces() || options_.acks != 0;
  wire_.queue(c, head, body, sent, answer);
  if (answer) return;
  ++figures_.requests;
  figures_.messages += messages_each();
  figures_.bytes += produce_[static_cast<std::size_t>(connections_[c].partition)].batch_bytes;
}

/// With acks 0 nothing is answered; the answer to this comes after everything before it was handled.
void Load::send_barriers() {
  Bytes frame = api_versions_frame();
  for (std::size_t c = 0; c < connections_.size(); ++c) {
    queue_frame(c, frame, nullptr, {.tag = kBarrier});
    wire_.flush(c);
  }
}

/// Until the next request is due.
double Load::pause(double now) const {
  if (options_.rate <= 0 || !may_send(now)) return 0.05;
  double left = started_ + static_cast<double>(due_) / options_.rate - now_seconds();
  return std::clamp(left - 20e-6, 0.0, 0.05);
}

void Load::answered(Connection& c, const Sent& sent, ByteView body) {
  if (sent.tag == kBarrier) return;
  figures_.latencies.push_back(now_seconds() - sent.at);
  ++figures_.requests;
  if (!produces()) return count_fetch(c, body);
  if (auto error = produce_error(body); error != 0) return figures_.note_error(error);
  figures_.messages += messages_each();
  figures_.bytes += produce_.front().batch_bytes;
}

void Load::count_fetch(Connection& c, ByteView body) {
  Fetched got = read_fetch(body);
  if (got.error != 0) return figures_.note_error(got.error);
  figures_.messages += got.messages;
  figures_.bytes += got.bytes;
  if (got.next_offset >= 0) c.offset = got.next_offset;
  if (c.offset < got.high_watermark || options_.from_end) return;
  c.at_end = !options_.repeat;
  if (options_.repeat) {
    c.offset = start_offsets_[static_cast<std::size_t>(c.partition)];
  }
}

}  // namespace mr::bench
