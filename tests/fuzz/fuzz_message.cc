// Every decoder, by message and version taken from the input: no crash, no memory beyond the budget; what decodes must
// encode, and read the same again.
#include "wire/debug/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mr;
  using namespace mr::wire;
  static const std::vector<const debug::Message*> messages = debug::all_messages();
  if (size < 2) return 0;
  const debug::Message& m = *messages[data[0] % messages.size()];
  auto version = static_cast<Version>(m.min + data[1] % (m.max - m.min + 1));
  ByteView frame{reinterpret_cast<const std::byte*>(data + 2), size - 2};

  auto text = m.text(frame, version);
  if (!text.ok()) return 0;
  Writer out;
  auto again = m.transcode(frame, version, out);
  MR_CHECK(again.ok());
  std::vector<std::byte> bytes;
  for (const Piece& p : out.pieces()) bytes.insert(bytes.end(), p.bytes.begin(), p.bytes.end());
  // Ours may be shorter: unknown tags and tagged defaults are dropped.
  MR_CHECK(bytes.size() <= frame.size());
  auto back = m.text(bytes, version);
  MR_CHECK(back.ok());
  MR_CHECK(*back == *text);
  return 0;
}
