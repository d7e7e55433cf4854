#include "bench/rload/peer.h"
#include "bench/rload/rabbit_frames.h"

namespace mr::bench {
namespace {

using namespace rabbit;

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

  std::unique_ptr<Reader> reader(std::size_t /*connection*/, std::size_t messages) const override {
    return rabbit_reader(stream_, message_.size(), messages);
  }

  Taken take(std::string_view received) const override {
    Frame frame(received, kFrameBytesMax);
    if (!frame.refusal.empty()) return refused(received.size(), frame.refusal);
    if (frame.bytes == 0) return {};
    return frame.answer ? answer(frame.key, frame.content, frame.bytes) : said(frame.key, frame.content, frame.bytes);
  }

 private:
  static Taken refused(std::size_t whole, std::string_view why) {
    return {.bytes = whole, .answered = 0, .refusal = why};
  }
  static Taken taken(std::size_t whole, std::size_t answered) {
    return {.bytes = whole, .answered = answered, .refusal = {}};
  }

  static Taken answer(std::uint16_t key, Cut content, std::size_t whole) {
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
