#include "bench/kload/wire.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace mr::bench {
namespace {

constexpr std::size_t kPiecesMax = 64;

}  // namespace

Wire::Wire(const std::string& host, std::uint16_t port, std::size_t connections, std::size_t read_bytes,
           Answered answered)
    : answered_(std::move(answered)),
      connections_(connections),
      read_bytes_(read_bytes),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  prctl(PR_SET_TIMERSLACK, 1);  // wake on time in the open loop
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& c = connections_[i];
    c.socket = std::make_unique<Socket>(host, port);
    c.socket->set_nonblocking();
    c.in.resize(read_bytes);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, c.socket->fd(), &event);
  }
}

std::size_t Wire::outstanding() const {
  std::size_t n = 0;
  for (const Connection& c : connections_) n += c.sent.size() + c.out.size();
  return n;
}

void Wire::queue(std::size_t connection, ByteView head, const Bytes* body, Sent sent, bool answered) {
  Connection& c = connections_[connection];
  Outgoing& out = c.out.emplace_back();
  out.head_bytes = std::min(head.size(), out.head.size());
  std::ranges::copy(head.first(out.head_bytes), out.head.begin());
  MR_CHECK(body == nullptr || out.head_bytes == head.size());
  ByteView more = head.subspan(out.head_bytes);
  out.more.assign(more.begin(), more.end());
  out.body = body;
  set_correlation(out.head, ++last_id_);
  if (answered) c.sent.push_back(sent);
}

std::size_t Wire::write_some(Connection& c) {
  std::array<iovec, kPiecesMax> pieces;
  std::size_t n = 0;
  for (Outgoing& out : c.out) {
    if (n + 2 > pieces.size()) break;
    std::size_t skip = out.sent;
    if (skip < out.head_bytes) pieces[n++] = {out.head.data() + skip, out.head_bytes - skip};
    if (const Bytes& tail = out.tail(); !tail.empty()) {
      std::size_t done = skip > out.head_bytes ? skip - out.head_bytes : 0;
      pieces[n++] = {const_cast<std::byte*>(tail.data()) + done, tail.size() - done};
    }
  }
  return c.socket->write({pieces.data(), n});
}

void Wire::flush(std::size_t connection) {
  Connection& c = connections_[connection];
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
    event.data.u64 = connection;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, c.socket->fd(), &event);
  }
}

void Wire::wait(double seconds) {
  std::array<epoll_event, 128> events;
  timespec pause{.tv_sec = 0, .tv_nsec = std::clamp(static_cast<long>(seconds * 1e9), 0L, 999'999'999L)};
  int n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &pause, nullptr);
  for (int i = 0; i < n; ++i) {
    std::size_t connection = events[static_cast<std::size_t>(i)].data.u64;
    std::uint32_t what = events[static_cast<std::size_t>(i)].events;
    if (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(connection);
    if (what & EPOLLOUT) flush(connection);
  }
}

void Wire::receive(std::size_t connection) {
  Connection& c = connections_[connection];
  c.in_bytes += c.socket->read(std::span(c.in).subspan(c.in_bytes));
  std::size_t at = 0;
  while (c.in_bytes - at >= 4) {
    std::size_t size = load_be<std::uint32_t>(c.in.data() + at);
    if (c.in_bytes - at < 4 + size) {
      if (4 + size > c.in.size()) c.in.resize(4 + size + read_bytes_);
      break;
    }
    deliver(connection, ByteView(c.in).subspan(at + 4, size));
    at += 4 + size;
  }
  std::copy(c.in.begin() + static_cast<std::ptrdiff_t>(at), c.in.begin() + static_cast<std::ptrdiff_t>(c.in_bytes),
            c.in.begin());
  c.in_bytes -= at;
}

void Wire::deliver(std::size_t connection, ByteView answer) {
  Connection& c = connections_[connection];
  if (c.sent.empty()) {
    fmt::print(stderr, "{}: an answer that nobody asked for\n", program_invocation_short_name);
    std::exit(1);
  }
  Sent sent = c.sent.front();
  c.sent.pop_front();
  answered_(connection, sent, answer);
}

}  // namespace mr::bench
