#include <fmt/format.h>

#include <charconv>

#include "bench/rload/peer.h"

namespace mr::bench {
namespace {

class Redis : public Peer {
 public:
  Redis(std::string stream, std::size_t bytes) : stream_(std::move(stream)), message_(bytes, 'x') {}

  std::vector<std::string> hello(std::size_t /*connection*/) const override { return {"PING\r\n"}; }

  std::string publish(std::size_t /*connection*/) const override {
    std::string out = "*8\r\n";
    for (std::string_view word :
         {std::string_view("XADD"), std::string_view(stream_), std::string_view("MAXLEN"), std::string_view("~"),
          std::string_view("100000"), std::string_view("*"), std::string_view("v"), std::string_view(message_)}) {
      out += fmt::format("${}\r\n{}\r\n", word.size(), word);
    }
    return out;
  }

  Taken take(std::string_view received) const override {
    auto line = received.find("\r\n");
    if (line == std::string_view::npos) return {};
    if (received[0] == '-') return {.bytes = line + 2, .answered = 1, .refusal = received.substr(1, line - 1)};
    if (received[0] != '$') return {.bytes = line + 2, .answered = 1, .refusal = {}};
    std::size_t length = 0;
    std::from_chars(received.data() + 1, received.data() + line, length);
    std::size_t whole = line + 2 + length + 2;
    return received.size() < whole ? Taken{} : Taken{.bytes = whole, .answered = 1, .refusal = {}};
  }

 private:
  std::string stream_;
  std::string message_;
};

}  // namespace

std::unique_ptr<Peer> redis_peer(const std::string& stream, std::size_t message_bytes) {
  return std::make_unique<Redis>(stream, message_bytes);
}

}  // namespace mr::bench
