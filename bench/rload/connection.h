#pragma once
#include <poll.h>

#include <memory>
#include <string>
#include <string_view>

#include "bench/kload/socket.h"
#include "bench/rload/peer.h"

namespace mr::bench {

struct Settings {
  std::string rival, host = "127.0.0.1", stream = "rload";
  std::uint16_t port = 0;
  std::size_t bytes = 1024, connections = 4, in_flight = 250, batch = 1;
  std::size_t count = 0;  ///< messages to publish; 0: as many as the time allows
  std::size_t read = 0;   ///< messages of the stream to read again and again; 0: publish
  double seconds = 1, warmup = 0;
  int server_pid = 0;
};

/// The rival refused, or answered what nobody understands: says so and ends the program.
[[noreturn]] void fail(std::string_view rival, std::string_view why);

/// A connection that has said hello, with what is on its way in and out.
class Connection {
 public:
  Connection(const Settings& settings, const Peer& peer, std::size_t number);

  void send(std::string_view bytes) { out_ += bytes; }
  /// Writes as much as the socket takes.
  void push();
  pollfd wanted() const;
  /// Reads what is there. `take(received)` gives the bytes of the first whole answer, 0 for none, until it gives 0.
  template <class Take>
  void receive(Take take) {
    std::string_view left = read_more();
    while (!left.empty()) {
      std::size_t bytes = take(left);
      if (bytes == 0) break;
      left.remove_prefix(bytes);
    }
    keep(left);
  }

 private:
  void greet(const Settings& settings, const Peer& peer, std::string step);
  std::string_view read_more();
  void keep(std::string_view left);

  std::unique_ptr<Socket> socket_;
  std::string out_;
  std::size_t out_sent_ = 0;
  std::string in_;
  std::size_t in_begin_ = 0, in_end_ = 0;
};

/// Waits up to 50 ms for a connection that can be read or written.
/// `on_readable(i)` for each that can be read.
template <class Connections, class OnReadable>
void wait_for_any(const Connections& connections, OnReadable on_readable) {
  std::vector<pollfd> wanted;
  for (const auto& c : connections) wanted.push_back(c.io.wanted());
  ::poll(wanted.data(), wanted.size(), 50);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if ((wanted[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) on_readable(i);
}

}  // namespace mr::bench
