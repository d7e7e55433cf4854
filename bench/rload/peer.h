#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mr::bench {

/// One connection's way through a stream: reads its first messages, and then again from the beginning.
class Reader {
 public:
  virtual ~Reader() = default;
  /// What asks for the first messages.
  virtual std::string begin() = 0;

  struct Got {
    std::size_t bytes = 0;     ///< 0: the next answer is not whole
    std::size_t messages = 0;  ///< that came with it
    std::string_view refusal;  ///< what went wrong, lives as long as `received` or forever
  };
  /// Cuts the first answer off `received`; `ask` grows by what is to be asked for because of it.
  virtual Got take(std::string_view received, std::string& ask) = 0;
};

/// How one rival is spoken to: bytes that go out, and answers counted in what comes in.
class Peer {
 public:
  virtual ~Peer() = default;
  /// What a connection sends before anything else, in steps: each goes when the one before it has its one answer.
  virtual std::vector<std::string> hello(std::size_t connection) const = 0;
  /// `messages_each()` messages, to be sent again and again.
  virtual std::string publish(std::size_t connection) const = 0;
  virtual std::size_t messages_each() const { return 1; }

  struct Taken {
    std::size_t bytes = 0;     ///< 0: the next answer is not whole
    std::size_t answered = 0;  ///< messages, or one step of hello; 0: something said in between
    std::string_view refusal;  ///< what went wrong, lives as long as `received` or forever
  };
  /// Cuts the first answer off `received`.
  virtual Taken take(std::string_view received) const = 0;

  /// Of the stream's first `messages`, which are a multiple of kReadTogether and all there.
  virtual std::unique_ptr<Reader> reader(std::size_t connection, std::size_t messages) const = 0;
};

/// Messages asked for at a time where a rival can be asked for a number: of 1 KiB, about as much as one of Millrace's
/// fetches.
constexpr std::size_t kReadTogether = 1000;

/// XADD into a stream of at most some 100,000 entries, one reply each. Read by XREAD.
std::unique_ptr<Peer> redis_peer(const std::string& stream, std::size_t message_bytes);
/// JetStream: a file stream of at most 1 GiB on the subject of the same name; one acknowledgement per message.
/// Read by pull consumers that live for one pass and acknowledge nothing; two halves of kReadTogether are asked for at
/// a time.
std::unique_ptr<Peer> nats_peer(const std::string& stream, std::size_t message_bytes);
/// A stream of at most 1 GiB over its own protocol; a frame carries `batch` messages, confirmations come as they like.
/// Read by subscriptions with credit for ten chunks, which are as large as the server made them.
std::unique_ptr<Peer> rabbit_peer(const std::string& stream, std::size_t message_bytes, std::size_t batch);

}  // namespace mr::bench
