#include <fmt/format.h>

#include <charconv>

#include "bench/rload/peer.h"

namespace mr::bench {
namespace {

std::string inbox(std::size_t connection) { return fmt::format("_INBOX.rload.{}", connection); }

std::string call(std::string_view subject, std::string_view reply, std::string_view body) {
  return fmt::format("PUB {} {} {}\r\n{}\r\n", subject, reply, body.size(), body);
}

/// What the server sends: `MSG SUBJECT SID [REPLY] LENGTH` and a body, or another line.
struct Message {
  std::size_t bytes = 0;  ///< 0: not whole
  std::string_view line;
  std::string_view subject, body;  ///< of a MSG

  explicit Message(std::string_view received) {
    auto end = received.find("\r\n");
    if (end == std::string_view::npos) return;
    line = received.substr(0, end);
    std::size_t content = 0;
    if (line.starts_with("MSG ")) {
      std::string_view digits = line.substr(line.rfind(' ') + 1);
      std::from_chars(digits.data(), digits.data() + digits.size(), content);
      content += 2;
      if (received.size() < end + 2 + content) return;
      subject = line.substr(4, line.find(' ', 4) - 4);
      body = received.substr(end + 2, content - 2);
    }
    bytes = end + 2 + content;
  }
};

/// One pull consumer a pass, made by the server under a name of its choice.
class NatsReader : public Reader {
 public:
  NatsReader(std::string stream, std::size_t connection, std::size_t bytes, std::size_t messages)
      : stream_(std::move(stream)), inbox_(inbox(connection)), bytes_(bytes), messages_(messages) {}

  std::string begin() override {
    read_ = asked_ = 0;
    consumer_.clear();
    return call("$JS.API.CONSUMER.CREATE." + stream_, inbox_,
                fmt::format(R"({{"stream_name":"{}","config":{{"deliver_policy":"all","ack_policy":"none",)"
                            R"("replay_policy":"instant","mem_storage":true}}}})",
                            stream_));
  }

  Got take(std::string_view received, std::string& ask) override {
    Message message(received);
    if (message.bytes == 0) return {};
    if (message.line.starts_with("-ERR")) return {.bytes = message.bytes, .messages = 0, .refusal = message.line};
    Got got{.bytes = message.bytes, .messages = 0, .refusal = {}};
    if (message.subject == stream_) {
      if (message.body.size() != bytes_) return {.bytes = 1, .messages = 0, .refusal = "a message of another size"};
      got.messages = 1;
      delivered(ask);
    } else if (message.subject == inbox_) {
      got.refusal = answered(message.body, ask);
    }
    return got;
  }

 private:
  static constexpr std::size_t kAtOnce = kReadTogether / 2;

  std::string_view answered(std::string_view body, std::string& ask) {
    if (body.find("\"error\"") != std::string_view::npos) return body;
    if (!consumer_.empty()) return {};  // the consumer before this one is gone
    constexpr std::string_view kName = "\"name\":\"";
    auto at = body.find(kName);
    if (at == std::string_view::npos) return {};
    std::string_view name = body.substr(at + kName.size());
    consumer_ = name.substr(0, name.find('"'));
    pull(ask);
    pull(ask);
    return {};
  }

  void pull(std::string& ask) {
    asked_ += kAtOnce;
    ask += call(fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", stream_, consumer_), inbox_,
                fmt::format(R"({{"batch":{}}})", kAtOnce));
  }

  void delivered(std::string& ask) {
    ++read_;
    if (read_ == messages_) {
      ask += call(fmt::format("$JS.API.CONSUMER.DELETE.{}.{}", stream_, consumer_), inbox_, "");
      ask += begin();
    } else if (read_ % kAtOnce == 0 && asked_ < messages_) {
      pull(ask);
    }
  }

  std::string stream_, inbox_;
  std::size_t bytes_, messages_;
  std::string consumer_;              ///< its name, once the server has said it
  std::size_t read_ = 0, asked_ = 0;  ///< messages of this pass
};

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
                "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"c++\",\"version\":\"1\"}}\r\nSUB {} 1\r\n",
                inbox(connection)) +
            call("$JS.API.STREAM.CREATE." + stream_, inbox(connection), create)};
  }

  std::string publish(std::size_t connection) const override { return call(stream_, inbox(connection), message_); }

  Taken take(std::string_view received) const override {
    Message message(received);
    if (message.bytes == 0) return {};
    if (message.line.starts_with("-ERR")) return {.bytes = message.bytes, .answered = 1, .refusal = message.line};
    if (message.subject.empty()) return {.bytes = message.bytes, .answered = 0, .refusal = {}};  // INFO
    bool refused = message.body.find("\"error\"") != std::string_view::npos;
    return {.bytes = message.bytes, .answered = 1, .refusal = refused ? message.body : std::string_view{}};
  }

  std::unique_ptr<Reader> reader(std::size_t connection, std::size_t messages) const override {
    return std::make_unique<NatsReader>(stream_, connection, message_.size(), messages);
  }

 private:
  std::string stream_;
  std::string message_;
};

}  // namespace

std::unique_ptr<Peer> nats_peer(const std::string& stream, std::size_t message_bytes) {
  return std::make_unique<Nats>(stream, message_bytes);
}

}  // namespace mr::bench
