#include "bench/rload/connection.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <span>

namespace mr::bench {

namespace {
constexpr std::size_t kReadBytes = 256 << 10;
}  // namespace

void fail(std::string_view rival, std::string_view why) {
  fmt::print(stderr, "rload: {} says: {}\n", rival, why);
  std::exit(1);
}

Connection::Connection(const Settings& settings, const Peer& peer, std::size_t number)
    : socket_(std::make_unique<Socket>(settings.host, settings.port)) {
  socket_->set_nonblocking();
  for (std::string& step : peer.hello(number)) greet(settings, peer, std::move(step));
}

void Connection::greet(const Settings& settings, const Peer& peer, std::string step) {
  out_ = std::move(step);
  for (bool answered = false; !answered;) {
    push();
    pollfd readable{.fd = socket_->fd(), .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, 50);
    if (readable.revents == 0) continue;
    receive([&](std::string_view left) {
      Peer::Taken taken = peer.take(left);
      if (!taken.refusal.empty()) fail(settings.rival, taken.refusal);
      answered = answered || taken.answered != 0;
      return taken.bytes;
    });
  }
}

void Connection::push() {
  if (out_sent_ == out_.size()) return;
  iovec piece{out_.data() + out_sent_, out_.size() - out_sent_};
  out_sent_ += socket_->write({&piece, 1});
  if (out_sent_ == out_.size()) {
    out_.clear();
    out_sent_ = 0;
  }
}

pollfd Connection::wanted() const {
  auto events = static_cast<short>(POLLIN | (out_.size() > out_sent_ ? POLLOUT : 0));
  return {.fd = socket_->fd(), .events = events, .revents = 0};
}

std::string_view Connection::read_more() {
  if (in_.size() - in_end_ < kReadBytes) {
    std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
    if (in_.size() - in_end_ < kReadBytes) in_.resize(std::max(2 * in_.size(), in_end_ + kReadBytes));
  }
  in_end_ += socket_->read(std::as_writable_bytes(std::span(in_)).subspan(in_end_, kReadBytes));
  return std::string_view(in_).substr(in_begin_, in_end_ - in_begin_);
}

void Connection::keep(std::string_view left) {
  in_begin_ = in_end_ - left.size();
  if (left.empty()) in_begin_ = in_end_ = 0;
}

}  // namespace mr::bench
