#include <fmt/format.h>

#include <charconv>

#include "bench/rload/peer.h"

namespace mr::bench {
namespace {

class Nats : public Peer {
 public:
  Nats(std::string stream, std::size_t bytes) : stream_(std::move(stream)), message_(bytes, 'x') {}

  /// The answer to the creation of the stream comes to the inbox, as acknowledgements do.
  std::vector<std::string> hello(std::size_t connection) const override {
    std::string create = fmt::format(
        R"({{"name":"{0}","subjects":["{0}"],"storage":"file","retention":"limits","discard":"old","num_replicas":1,)"
        R"("max_bytes":1073741824}})",
        stream_);
    return {fmt::format(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"c++\",\"version\":\"1\"}}\r\nSUB {0} 1\r\n"
        "PUB $JS.API.STREAM.CREATE.{1} {0} {2}\r\n{3}\r\n",
        inbox(connection), stream_, create.size(), create)};
  }

  std::string publish(std::size_t connection) const override {
    return fmt::format("PUB {} {} {}\r\n{}\r\n", stream_, inbox(connection), message_.size(), message_);
  }

  Taken take(std::string_view received) const override {
    auto line = received.find("\r\n");
    if (line == std::string_view::npos) return {};
    std::string_view head = received.substr(0, line);
    if (head.starts_with("-ERR")) return {.bytes = line + 2, .answered = 1, .refusal = head};
    if (!head.starts_with("MSG ")) return {.bytes = line + 2, .answered = 0, .refusal = {}};  // INFO
    std::size_t length = 0;
    std::string_view digits = head.substr(head.rfind(' ') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), length);
    std::size_t whole = line + 2 + length + 2;
    if (received.size() < whole) return {};
    std::string_view body = received.substr(line + 2, length);
    bool refused = body.find("\"error\"") != std::string_view::npos;
    return {.bytes = whole, .answered = 1, .refusal = refused ? body : std::string_view{}};
  }

 private:
  static std::string inbox(std::size_t connection) { return fmt::format("_INBOX.rload.{}", connection); }

  std::string stream_;
  std::string message_;
};

}  // namespace

std::unique_ptr<Peer> nats_peer(const std::string& stream, std::size_t message_bytes) {
  return std::make_unique<Nats>(stream, message_bytes);
}

}  // namespace mr::bench
