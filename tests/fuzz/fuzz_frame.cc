// A whole request as it comes from a socket: header, then the body with the decoder that the header names.
#include "wire/debug/messages.h"
#include "wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mr;
  using namespace mr::wire;
  ByteView input{reinterpret_cast<const std::byte*>(data), size};
  if (size >= kFrameSizeBytes) {
    auto announced = frame_size(input, 1 << 20);
    MR_CHECK(!announced.ok() || *announced <= 1 << 20);
  }
  auto head = parse_request(input);
  if (!head.ok()) return 0;
  MR_CHECK(head->api != nullptr);
  MR_CHECK(head->body.size() <= input.size());
  if (head->api_versions_too_new) return 0;
  const debug::Message* m =
      debug::find_message(static_cast<std::int16_t>(head->api->key), debug::Message::Kind::request);
  MR_CHECK(m != nullptr);
  static_cast<void>(m->text(head->body, head->version));
  return 0;
}
