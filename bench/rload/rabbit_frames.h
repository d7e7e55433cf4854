#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bench/kload/fields.h"
#include "bench/rload/peer.h"

namespace mr::bench::rabbit {

/// Commands of the stream protocol (deps/rabbitmq_stream/docs/PROTOCOL.adoc of RabbitMQ 3.10), all at version 1.
/// Answers have the highest bit set.
enum Command : std::uint16_t {
  declare_publisher = 0x01,
  publish_messages = 0x02,
  publish_confirm = 0x03,
  publish_error = 0x04,
  subscribe = 0x07,
  deliver = 0x08,
  credit = 0x09,
  unsubscribe = 0x0c,
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
constexpr std::size_t kFrameBytesMax = 1 << 20;   ///< agreed on: what the server offers by itself
constexpr std::size_t kChunkBytesMax = 64 << 20;  ///< a delivery is as large as its chunk, whatever was agreed on

inline std::string_view meaning(std::uint16_t code) {
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
inline std::string framed(FrameWriter& content) {
  std::size_t size = content.size();
  Bytes head = FrameWriter().put(static_cast<std::uint32_t>(size)).bytes();
  return std::string(as_text(head)).append(as_text(content.bytes()));
}

inline FrameWriter command(Command key) {
  FrameWriter out;
  out.put<std::uint16_t>(key).put<std::uint16_t>(1);
  return out;
}

/// One whose answer names it; one is under way at a time, so they need no numbers of their own.
inline FrameWriter request(Command key) {
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

/// The first frame of what came in.
struct Frame {
  std::size_t bytes = 0;  ///< 0: not whole
  std::uint16_t key = 0;
  bool answer = false;
  Cut content{{}};
  std::string_view refusal = {};

  Frame(std::string_view received, std::size_t bytes_max) {
    Cut cut(received);
    auto size = cut.number<std::uint32_t>();
    if (!size) return;
    if (*size > bytes_max) {
      refusal = "a frame larger than agreed on";
      return;
    }
    if (received.size() < sizeof *size + *size) return;
    content = Cut(cut.left().substr(0, *size));
    auto command = content.number<std::uint16_t>();
    auto version = content.number<std::uint16_t>();
    if (!command || !version) {
      refusal = "a frame without a command";
      return;
    }
    bytes = sizeof *size + *size;
    key = *command & ~kAnswer;
    answer = (*command & kAnswer) != 0;
  }
};

std::unique_ptr<Reader> rabbit_reader(const std::string& stream, std::size_t message_bytes, std::size_t messages);

}  // namespace mr::bench::rabbit
