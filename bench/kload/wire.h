#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/kload/fields.h"
#include "bench/kload/socket.h"

namespace mr::bench {

/// What is known of a request until its answer comes.
struct Sent {
  double at = 0;          ///< intended send time
  std::uint64_t tag = 0;  ///< the caller's
};

/// Connections to one broker on one epoll: requests go out in order, pipelined, answers come back in that order.
class Wire {
 public:
  using Answered = std::function<void(std::size_t connection, const Sent& sent, ByteView answer)>;

  Wire(const std::string& host, std::uint16_t port, std::size_t connections, std::size_t read_bytes, Answered answered);

  std::size_t connections() const { return connections_.size(); }
  /// Copies `head` (a frame with its size in front, whose correlation id is set here); `body` outlives the sending.
  /// `answered`: the broker will answer it.
  void queue(std::size_t connection, ByteView head, const Bytes* body, Sent sent, bool answered = true);
  /// Writes what the socket takes. What is left goes when it takes more.
  void flush(std::size_t connection);
  /// The socket took no more.
  bool blocked(std::size_t connection) const { return connections_[connection].wants_write; }
  std::size_t unanswered(std::size_t connection) const { return connections_[connection].sent.size(); }
  std::size_t unsent(std::size_t connection) const { return connections_[connection].out.size(); }
  std::size_t outstanding() const;
  /// Waits up to `seconds` for something to happen and lets it.
  void wait(double seconds);

 private:
  struct Outgoing {
    std::array<std::byte, 320> head;
    std::size_t head_bytes = 0;
    Bytes more;  ///< of a head that is larger than that
    const Bytes* body = nullptr;
    std::size_t sent = 0;
    const Bytes& tail() const { return body != nullptr ? *body : more; }
    std::size_t total() const { return head_bytes + tail().size(); }
  };
  struct Connection {
    std::unique_ptr<Socket> socket;
    std::deque<Sent> sent;  ///< waiting for an answer
    std::deque<Outgoing> out;
    Bytes in;
    std::size_t in_bytes = 0;
    bool wants_write = false;
  };

  static std::size_t write_some(Connection& c);
  void receive(std::size_t connection);
  void deliver(std::size_t connection, ByteView answer);

  Answered answered_;
  std::vector<Connection> connections_;
  std::size_t read_bytes_;
  int epoll_ = -1;
  std::int32_t last_id_ = 0;
};

}  // namespace mr::bench
