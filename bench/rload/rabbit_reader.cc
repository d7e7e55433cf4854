#include "bench/rload/rabbit_frames.h"

namespace mr::bench::rabbit {
namespace {

/// One subscription a pass. A chunk costs one credit, which goes back as soon as it is here.
class RabbitReader : public Reader {
 public:
  RabbitReader(std::string stream, std::size_t bytes, std::size_t messages)
      : stream_(std::move(stream)), bytes_(bytes), messages_(messages) {}

  std::string begin() override {
    constexpr std::uint16_t kFromTheFirst = 1, kCredit = 10;
    read_ = 0;
    FrameWriter out = request(subscribe);
    out.put(++subscription_).text(stream_).put(kFromTheFirst).put(kCredit).put<std::uint32_t>(0);
    return framed(out);
  }

  Got take(std::string_view received, std::string& ask) override {
    Frame frame(received, kChunkBytesMax);
    if (!frame.refusal.empty()) return refused(frame.refusal);
    if (frame.bytes == 0) return {};
    if (!frame.answer && frame.key == deliver) return delivered(frame, ask);
    if (!frame.answer) return frame.key == heartbeat ? taken(frame, 0) : refused("a command that nobody asked for");
    if (frame.key != credit) frame.content.skip(sizeof(std::uint32_t));  // the request's number
    auto code = frame.content.number<std::uint16_t>();
    if (!code || *code != kOk) return refused(code ? meaning(*code) : "an answer without a code");
    return taken(frame, 0);
  }

 private:
  static Got refused(std::string_view why) { return {.bytes = 1, .messages = 0, .refusal = why}; }
  static Got taken(const Frame& frame, std::size_t messages) {
    return {.bytes = frame.bytes, .messages = messages, .refusal = {}};
  }

  Got delivered(Frame& frame, std::string& ask) {
    frame.content.skip(1 + 1 + 1 + 2);  // subscription; of the chunk: format, type, entries
    auto messages = frame.content.number<std::uint32_t>();
    frame.content.skip(8 + 8 + 8 + 4);  // time, epoch, first offset, checksum
    auto data = frame.content.number<std::uint32_t>();
    if (!messages || !data || *data < *messages * bytes_) return refused("a chunk too small for its messages");
    read_ += *messages;
    if (read_ > messages_) return refused("more messages than were to be read");
    if (read_ == messages_) {
      FrameWriter end = request(unsubscribe);
      end.put(subscription_);
      ask += framed(end) + begin();
    } else {
      FrameWriter more = command(credit);
      more.put(subscription_).put<std::uint16_t>(1);
      ask += framed(more);
    }
    return taken(frame, *messages);
  }

  std::string stream_;
  std::size_t bytes_, messages_;
  std::uint8_t subscription_ = 0;  ///< another number for each
  std::size_t read_ = 0;           ///< in this pass
};

}  // namespace

std::unique_ptr<Reader> rabbit_reader(const std::string& stream, std::size_t message_bytes, std::size_t messages) {
  return std::make_unique<RabbitReader>(stream, message_bytes, messages);
}

}  // namespace mr::bench::rabbit
