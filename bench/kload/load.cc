#include "bench/kload/load.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace mr::bench {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kPiecesMax = 64;

}  // namespace

Load::Load(const Options& options) : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  prctl(PR_SET_TIMERSLACK, 1);  // wake on time in the open loop
  Bytes batch = build_batch(options);
  Socket control(options.host, options.port);
  for (std::int32_t p = 0; p < options.partitions; ++p) {
    if (produces()) {
      produce_.push_back(produce_frame(options, p, batch));
      MR_CHECK(produce_.back().head.size() <= sizeof(Outgoing::head));
    } else {
      fetch_.push_back(fetch_frame(options, p));
      MR_CHECK(fetch_.back().size() <= sizeof(Outgoing::head));
      start_offsets_.push_back(listed_offset(control.call(list_offsets_frame(options, p, options.from_end ? -1 : -2))));
    }
  }
  connections_.resize(options.connections);
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& c = connections_[i];
    c.socket = std::make_unique<Socket>(options.host, options.port);
    c.socket->set_nonblocking();
    c.partition = static_cast<std::int32_t>(i) % options.partitions;
    if (!produces()) c.offset = start_offsets_[static_cast<std::size_t>(c.partition)];
    c.in.resize(kReadBytes);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, c.socket->fd(), &event);
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
      for (Connection& c : connections_) fill(c, now);
    }
    if (!may_send(now) && !closing) {
      closing = true;
      if (produces() && options_.acks == 0) send_barriers();
    }
    if (closing && outstanding() == 0) break;
    wait(now);
  }
  figures_.seconds = now_seconds() - started_;
  figures_.server_cpu_seconds = cpu_seconds_of(options_.server_pid) - server;
  figures_.own_cpu_seconds = cpu_seconds_of(getpid()) - own;
  return std::move(figures_);
}

bool Load::may_send(double now) const {
  if (options_.bytes_max != 0 && (produces() ? issued_bytes_ : figures_.bytes) >= options_.bytes_max) return false;
  return count_ != 0 ? issued_ < count_ : now < until_;
}

std::size_t Load::outstanding() const {
  std::size_t n = 0;
  for (const Connection& c : connections_) n += c.sent.size() + c.out.size();
  return n;
}

void Load::fill(Connection& c, double now) {
  // Without answers the socket's buffer is the window.
  while (may_send(now) && (produces() && options_.acks == 0 ? c.out.size() : c.sent.size()) < options_.in_flight) {
    issue(c, now);
    if (c.out.size() >= kPiecesMax / 2 || (produces() && options_.acks == 0)) flush(c);
    if (c.wants_write) break;
  }
  if (!c.out.empty() && !c.wants_write) flush(c);
}

/// Open loop: request k is due at start + k / rate, whether or not the earlier ones were answered.
void Load::issue_due(double now) {
  while (may_send(now)) {
    double at = started_ + static_cast<double>(due_) / options_.rate;
    if (at > now || at >= until_) break;
    ++due_;
    Connection& c = connections_[next_connection_++ % connections_.size()];
    issue(c, at);
    if (!c.wants_write) flush(c);
  }
}

void Load::issue(Connection& c, double at) {
  auto p = static_cast<std::size_t>(c.partition);
  ++issued_;
  if (!produces()) {
    set_fetch_offset(fetch_[p], c.offset);
    queue_frame(c, fetch_[p], nullptr, {.at = at});
    return;
  }
  const ProduceFrame& frame = produce_[p];
  issued_bytes_ += frame.batch_bytes;
  queue_frame(c, frame.head, &frame.body, {.at = at});
  // A connection visits all its partitions in turn.
  c.partition = (c.partition + static_cast<std::int32_t>(connections_.size())) % options_.partitions;
}

void Load::queue_frame(Connection& c, ByteView head, const Bytes* body, Sent sent) {
  Outgoing& out = c.out.emplace_back();
  std::ranges::copy(head, out.head.begin());
  out.head_bytes = head.size();
  out.body = body;
  set_correlation(out.head, static_cast<std::int32_t>(issued_));
  bool answer = sent.barrier || !produces() || options_.acks != 0;
  if (answer) {
    c.sent.push_back(sent);
  } else {
    ++figures_.requests;
    figures_.messages += options_.records;
    figures_.bytes += produce_[static_cast<std::size_t>(c.partition)].batch_bytes;
  }
}

/// With acks 0 nothing is answered; the answer to this comes after everything before it was handled.
void Load::send_barriers() {
  Bytes frame = api_versions_frame();
  for (Connection& c : connections_) {
    queue_frame(c, frame, nullptr, {.barrier = true});
    flush(c);
  }
}

std::size_t Load::write_some(Connection& c) {
  std::array<iovec, kPiecesMax> pieces;
  std::size_t n = 0;
  for (Outgoing& out : c.out) {
    if (n + 2 > pieces.size()) break;
    std::size_t skip = out.sent;
    if (skip < out.head_bytes) pieces[n++] = {out.head.data() + skip, out.head_bytes - skip};
    if (out.body) {
      std::size_t done = skip > out.head_bytes ? skip - out.head_bytes : 0;
      pieces[n++] = {const_cast<std::byte*>(out.body->data()) + done, out.body->size() - done};
    }
  }
  return c.socket->write({pieces.data(), n});
}

void Load::flush(Connection& c) {
  bool full = false;
  while (!c.out.empty() && !full) {
    std::size_t n = write_some(c);
    full = n == 0;
    while (n > 0) {
      Outgoing& first = c.out.front();
      std::size_t step = std::min(n, first.total() - first.sent);
      first.sent += step;
      n -= step;
      if (first.sent == first.total()) c.out.pop_front();
    }
  }
  if (full != c.wants_write) {
    c.wants_write = full;
    epoll_event event{};
    event.events = full ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u64 = static_cast<std::uint64_t>(&c - connections_.data());
    epoll_ctl(epoll_, EPOLL_CTL_MOD, c.socket->fd(), &event);
  }
}

void Load::wait(double now) {
  std::array<epoll_event, 128> events;
  timespec pause{.tv_sec = 0, .tv_nsec = 50'000'000};
  if (options_.rate > 0 && may_send(now)) {
    double left = started_ + static_cast<double>(due_) / options_.rate - now_seconds();
    pause.tv_nsec = std::clamp(static_cast<long>((left - 20e-6) * 1e9), 0L, pause.tv_nsec);
  }
  int n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &pause, nullptr);
  for (int i = 0; i < n; ++i) {
    Connection& c = connections_[events[static_cast<std::size_t>(i)].data.u64];
    std::uint32_t what = events[static_cast<std::size_t>(i)].events;
    if (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    if (what & EPOLLOUT) flush(c);
  }
}

void Load::receive(Connection& c) {
  std::size_t n = c.socket->read(std::span(c.in).subspan(c.in_bytes));
  c.in_bytes += n;
  std::size_t at = 0;
  while (c.in_bytes - at >= 4) {
    std::size_t size = load_be<std::uint32_t>(c.in.data() + at);
    if (c.in_bytes - at < 4 + size) {
      if (4 + size > c.in.size()) c.in.resize(4 + size + kReadBytes);
      break;
    }
    answered(c, ByteView(c.in).subspan(at + 4, size));
    at += 4 + size;
  }
  std::copy(c.in.begin() + static_cast<std::ptrdiff_t>(at), c.in.begin() + static_cast<std::ptrdiff_t>(c.in_bytes),
            c.in.begin());
  c.in_bytes -= at;
}

void Load::note_error(std::int16_t error) {
  if (figures_.errors++ == 0) figures_.first_error = error;
}

void Load::answered(Connection& c, ByteView body) {
  if (c.sent.empty()) {
    fmt::print(stderr, "kload: an answer that nobody asked for\n");
    std::exit(1);
  }
  Sent sent = c.sent.front();
  c.sent.pop_front();
  if (sent.barrier) return;
  figures_.latencies.push_back(now_seconds() - sent.at);
  ++figures_.requests;
  if (!produces()) return count_fetch(c, body);
  if (auto error = produce_error(body); error != 0) return note_error(error);
  figures_.messages += options_.records;
  figures_.bytes += produce_.front().batch_bytes;
}

void Load::count_fetch(Connection& c, ByteView body) {
  Fetched got = read_fetch(body);
  if (got.error != 0) return note_error(got.error);
  figures_.messages += got.messages;
  figures_.bytes += got.bytes;
  if (got.next_offset >= 0) c.offset = got.next_offset;
  if (c.offset >= got.high_watermark && options_.repeat && !options_.from_end) {
    c.offset = start_offsets_[static_cast<std::size_t>(c.partition)];
  }
}

}  // namespace mr::bench
