#include "wire/debug/support.h"

#include <fmt/format.h>

#include "wire/debug/messages.h"

namespace mr::wire::debug {

void Text::value(double v) { out_ += fmt::format("{:016x}", std::bit_cast<std::uint64_t>(v)); }

void Text::value(std::string_view v) {
  out_ += '"';
  for (unsigned char c : v) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
      out_ += static_cast<char>(c);
    else
      out_ += fmt::format("\\x{:02x}", c);
  }
  out_ += '"';
}

void Text::value(ByteView v) {
  out_ += "0x";
  for (std::byte b : v) out_ += fmt::format("{:02x}", std::to_integer<unsigned>(b));
}

void Random::value(std::string_view& v) {
  // ASCII and, at times, two- and three-byte UTF-8.
  static constexpr std::string_view kLetters[] = {"a", "Z", "0", "-", ".", " ", "\"", "\\", "\xc3\xa9", "\xe2\x82\xac"};
  std::string text;
  std::uint64_t n = below(16) == 0 ? 140 : below(12);
  for (std::uint64_t i = 0; i < n; ++i) text += kLetters[below(std::size(kLetters))];
  v = arena_->copy(text);
}

void Random::value(ByteView& v) {
  std::string bytes;
  std::uint64_t n = below(8) == 0 ? 700 : below(40);
  for (std::uint64_t i = 0; i < n; ++i) bytes += static_cast<char>(engine_());
  v = as_bytes(arena_->copy(bytes));
}

const Message* find_message(std::int16_t key, Message::Kind kind) {
  for (const Message* m : all_messages())
    if (m->key == key && m->kind == kind) return m;
  return nullptr;
}

}  // namespace mr::wire::debug
