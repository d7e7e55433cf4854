#include <array>
#include <cstdint>
#include <optional>

#include "bench/kload/fields.h"
#include "bench/rload/peer.h"

namespace mr::bench {
namespace {

/// Commands of the stream protocol (deps/rabbitmq_stream/docs/PROTOCOL.adoc of RabbitMQ 3.10), all at version 1.
/// Answers have the highest bit set.
enum Command : std::uint16_t {
  declare_publisher = 0x01,
  publish_messages = 0x02,
  publish_confirm = 0x03,
  publish_error = 0x04,
  create = 0x0d,
  metadata_update = 0x10,
  peer_properties = 0x11,
  sasl_handshake = 0x12,
  sasl_authenticate = 0x13,
  tune = 0x14,
  open_host = 0x15,
  close_connection = 0x16,
  heartbeat = 0x17,
};
constexpr std::uint16_t kAnswer = 0x8000;
constexpr std::uint16_t kOk = 1, kStreamExists = 5;
constexpr std::size_t kFrameBytesMax = 1 << 20;  ///< agreed on: what the server offers by itself

std::string_view meaning(std::uint16_t code) {
  static constexpr std::array<std::string_view, 20> kMeanings{
      "error 0",
      "fine",
      "no such stream",
      "subscription exists",
      "no such subscription",
      "stream exists",
      "stream not available",
      "mechanism not supported",
      "authentication failed",
      "SASL error",
      "SASL challenge",
      "guest only from this machine",
      "no access to the virtual host",
      "unknown frame",
      "frame too large",
      "internal error",
      "access refused",
      "precondition failed",
      "no such publisher",
      "no offset",
  };
  return code < kMeanings.size() ? kMeanings[code] : "an unknown error";
}

/// `content` with its size in front.
std::string framed(FrameWriter& content) {
  std::size_t size = content.size();
  Bytes head = FrameWriter().put(static_cast<std::uint32_t>(size)).bytes();
  return std::string(as_text(head)).append(as_text(content.bytes()));
}

FrameWriter command(Command key) {
  FrameWriter out;
  out.put<std::uint16_t>(key).put<std::uint16_t>(1);
  return out;
}

/// One whose answer names it; one is under way at a time, so they need no numbers of their own.
FrameWriter request(Command key) {
  FrameWriter out = command(key);
  out.put<std::uint32_t>(0);
  return out;
}

/// Cuts numbers off a frame's content; nothing when it ends before.
class Cut {
 public:
  explicit Cut(std::string_view content) : left_(content) {}
  template <class T>
  std::optional<T> number() {
    if (left_.size() < sizeof(T)) return std::nullopt;
    T value = load_be<T>(as_bytes(left_).data());
    left_.remove_prefix(sizeof(T));
    return value;
  }
  void skip(std::size_t bytes) { left_.remove_prefix(std::min(bytes, left_.size())); }
  std::string_view left() const { return left_; }

 private:
  std::string_view left_;
};

class Rabbit : public Peer {
 public:
  Rabbit(std::string stream, std::size_t bytes, std::size_t batch)
      : stream_(std::move(stream)), message_(bytes, 'x'), batch_(batch) {}

  std::vector<std::string> hello(std::size_t /*connection*/) const override {
    FrameWriter who = request(peer_properties);
    who.put<std::uint32_t>(0);
    FrameWriter mechanisms = request(sasl_handshake);
    FrameWriter login = request(sasl_authenticate);
    constexpr std::string_view kGuest("\0guest\0guest", 12);
    login.text("PLAIN").put(static_cast<std::uint32_t>(kGuest.size())).raw(as_bytes(kGuest));
    FrameWriter agreed = command(tune);
    agreed.put<std::uint32_t>(kFrameBytesMax).put<std::uint32_t>(0);  // no heartbeats
    FrameWriter host = request(open_host);
    host.text("/");
    FrameWriter made = request(create);
    made.text(stream_).put<std::uint32_t>(1).text("max-length-bytes").text("1073741824");
    FrameWriter publisher = request(declare_publisher);
    publisher.put<std::uint8_t>(0).text("").text(stream_);  // without a name nothing is looked at twice
    return {framed(who),  framed(mechanisms), framed(login), framed(agreed) + framed(host),
            framed(made), framed(publisher)};
  }

  std::string publish(std::size_t /*connection*/) const override {
    FrameWriter out = command(publish_messages);
    out.put<std::uint8_t>(0).put(static_cast<std::uint32_t>(batch_));
    for (std::uint64_t id = 0; id < batch_; ++id) {
      out.put(id).put(static_cast<std::uint32_t>(message_.size())).raw(as_bytes(message_));
    }
    return framed(out);
  }
  std::size_t messages_each() const override { return batch_; }

  Taken take(std::string_view received) const override {
    Cut cut(received);
    auto size = cut.number<std::uint32_t>();
    if (!size) return {};
    std::size_t whole = sizeof *size + *size;
    if (*size > kFrameBytesMax) return refused(received.size(), "a frame larger than agreed on");
    if (received.size() < whole) return {};
    Cut content(cut.left().substr(0, *size));
    auto key = content.number<std::uint16_t>();
    auto version = content.number<std::uint16_t>();
    if (!key || !version) return refused(whole, "a frame without a command");
    return (*key & kAnswer) != 0 ? answer(*key & ~kAnswer, content, whole) : said(*key, content, whole);
  }

 private:
  static Taken refused(std::size_t whole, std::string_view why) {
    return {.bytes = whole, .answered = 0, .refusal = why};
  }
  static Taken taken(std::size_t whole, std::size_t answered) {
    return {.bytes = whole, .answered = answered, .refusal = {}};
  }

  static Taken answer(int key, Cut content, std::size_t whole) {
    content.skip(sizeof(std::uint32_t));  // the request's number
    auto code = content.number<std::uint16_t>();
    if (!code) return refused(whole, "an answer without a code");
    bool fine = *code == kOk || (key == create && *code == kStreamExists);
    if (!fine) return refused(whole, meaning(*code));
    return taken(whole, key == sasl_authenticate ? 0 : 1);  // the offer to tune follows
  }

  /// What the server says by itself.
  static Taken said(std::uint16_t key, Cut content, std::size_t whole) {
    switch (key) {
      case publish_confirm:
        return confirmed(content, whole);
      case publish_error:
        content.skip(sizeof(std::uint8_t) + sizeof(std::uint32_t) +
                     sizeof(std::uint64_t));  // publisher, count, first id
        return refused(whole, meaning(content.number<std::uint16_t>().value_or(0)));
      case metadata_update:
        return refused(whole, meaning(content.number<std::uint16_t>().value_or(0)));
      case close_connection:
        content.skip(sizeof(std::uint32_t));  // its number
        return refused(whole, meaning(content.number<std::uint16_t>().value_or(0)));
      case tune:
        return taken(whole, 1);
      case heartbeat:
        return taken(whole, 0);
      default:
        return refused(whole, "a command that nobody asked for");
    }
  }

  static Taken confirmed(Cut content, std::size_t whole) {
    content.skip(sizeof(std::uint8_t));  // the publisher
    auto count = content.number<std::uint32_t>();
    if (!count || content.left().size() != std::size_t{*count} * sizeof(std::uint64_t)) {
      return refused(whole, "a confirmation of another size than its count");
    }
    return taken(whole, *count);
  }

  std::string stream_;
  std::string message_;
  std::size_t batch_;
};

}  // namespace

std::unique_ptr<Peer> rabbit_peer(const std::string& stream, std::size_t message_bytes, std::size_t batch) {
  return std::make_unique<Rabbit>(stream, message_bytes, batch);
}

}  // namespace mr::bench
