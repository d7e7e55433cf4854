#include <fmt/format.h>

#include <charconv>
#include <initializer_list>

#include "bench/rload/peer.h"

namespace mr::bench {
namespace {

std::string request(std::initializer_list<std::string_view> words) {
  std::string out = fmt::format("*{}\r\n", words.size());
  for (std::string_view word : words) out += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return out;
}

/// Follows the answer to XREAD element by element: `*1 *2 stream *N`, then N times `*2 id *2 field value`.
class RedisReader : public Reader {
 public:
  RedisReader(std::string stream, std::size_t bytes, std::size_t messages)
      : stream_(std::move(stream)), bytes_(bytes), messages_(messages) {}

  std::string begin() override {
    last_ = "0";
    read_ = 0;
    return more();
  }

  Got take(std::string_view received, std::string& ask) override {
    auto line = received.find("\r\n");
    if (line == std::string_view::npos) return {};
    if (received[0] == '-') return refused(received.substr(1, line - 1));
    long length = 0;
    std::from_chars(received.data() + 1, received.data() + line, length);
    if (received[0] == '*') return array(length, line + 2);
    if (received[0] != '$' || length < 0) return refused("an answer to XREAD that is none");
    std::size_t whole = line + 2 + static_cast<std::size_t>(length) + 2;
    if (received.size() < whole) return {};
    return text(received.substr(line + 2, static_cast<std::size_t>(length)), whole, ask);
  }

 private:
  static Got refused(std::string_view why) { return {.bytes = 1, .messages = 0, .refusal = why}; }

  std::string more() {
    expected_ = 0;
    texts_ = 0;
    return request({"XREAD", "COUNT", fmt::to_string(kReadTogether), "STREAMS", stream_, last_});
  }

  Got array(long elements, std::size_t whole) {
    if (elements < 0) return refused("the stream ends before the messages do");
    if (texts_ == 1 && expected_ == 0) expected_ = static_cast<std::size_t>(elements);  // behind the stream's name
    return {.bytes = whole, .messages = 0, .refusal = {}};
  }

  Got text(std::string_view value, std::size_t whole, std::string& ask) {
    std::size_t at = texts_++;
    Got got{.bytes = whole, .messages = 0, .refusal = {}};
    if (at == 0) return got;  // the stream's name
    if (at % 3 == 1) last_ = value;
    if (at % 3 != 0) return got;
    if (value.size() != bytes_) return refused("a message of another size");
    got.messages = 1;
    ++read_;
    if (at / 3 == expected_) ask += read_ < messages_ ? more() : begin();
    return got;
  }

  std::string stream_;
  std::size_t bytes_, messages_;
  std::string last_;          ///< id of the last message
  std::size_t read_ = 0;      ///< in this pass
  std::size_t expected_ = 0;  ///< messages in this answer
  std::size_t texts_ = 0;     ///< of this answer so far
};

class Redis : public Peer {
 public:
  Redis(std::string stream, std::size_t bytes) : stream_(std::move(stream)), message_(bytes, 'x') {}

  std::vector<std::string> hello(std::size_t /*connection*/) const override { return {"PING\r\n"}; }

  std::string publish(std::size_t /*connection*/) const override {
    return request({"XADD", stream_, "MAXLEN", "~", "100000", "*", "v", message_});
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

  std::unique_ptr<Reader> reader(std::size_t /*connection*/, std::size_t messages) const override {
    return std::make_unique<RedisReader>(stream_, message_.size(), messages);
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
