#pragma once
#include <memory>
#include <utility>

#include "wire/frame.h"

namespace mr::client {

/// A frame as it came, without its size.
struct Frame {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
  ByteView view() const { return {bytes.get(), size}; }
};

/// A decoded answer together with the memory that its views point into. Moving keeps the views valid.
template <class Message>
class Reply {
 public:
  /// Errors: malformed, too_large.
  static Result<Reply> decode(Frame frame, ByteView body, wire::Version version) {
    Reply reply;
    reply.frame_ = std::move(frame);
    reply.version_ = version;
    MR_TRY(reply.message_, wire::decode_body<Message>(body, version, reply.arena_));
    return reply;
  }
  const Message& operator*() const { return message_; }
  const Message* operator->() const { return &message_; }
  /// That the answer is in: fields that it lacks hold their defaults.
  wire::Version version() const { return version_; }

 private:
  Frame frame_;
  wire::Arena arena_;
  Message message_;
  wire::Version version_ = 0;
};

}  // namespace mr::client
