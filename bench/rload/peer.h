#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mr::bench {

/// How one rival is published to: bytes that go out, and answers counted in what comes in.
class Peer {
 public:
  virtual ~Peer() = default;
  /// What a connection sends before anything else; its answers count as `setup_answers()`.
  virtual std::string hello(std::size_t connection) const = 0;
  virtual std::size_t setup_answers() const = 0;
  /// One message, to be sent again and again.
  virtual std::string publish(std::size_t connection) const = 0;

  struct Taken {
    std::size_t bytes = 0;     ///< 0: the next answer is not whole
    bool answer = false;       ///< to a message, and not something said in between
    std::string_view refusal;  ///< what went wrong, in the rival's words
  };
  /// Cuts the first answer off `received`.
  virtual Taken take(std::string_view received) const = 0;
};

/// XADD into a stream of at most some 100,000 entries, one reply each.
std::unique_ptr<Peer> redis_peer(const std::string& stream, std::size_t message_bytes);
/// JetStream: a file stream of at most 1 GiB on the subject of the same name; one acknowledgement per message.
std::unique_ptr<Peer> nats_peer(const std::string& stream, std::size_t message_bytes);

}  // namespace mr::bench
