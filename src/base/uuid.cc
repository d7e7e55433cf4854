#include "base/uuid.h"

#include <array>

#include "base/bytes.h"

namespace mr {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<signed char, 256> make_reverse() {
  std::array<signed char, 256> r{};
  r.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    r[static_cast<unsigned char>(kAlphabet[i])] = static_cast<signed char>(i);
  return r;
}
constexpr auto kReverse = make_reverse();

}  // namespace

std::string Uuid::to_string() const {
  std::array<std::byte, 18> raw{};  // two spare zero bytes make the last group whole
  store_be(raw.data(), high);
  store_be(raw.data() + 8, low);
  std::string text;
  text.reserve(24);
  for (std::size_t i = 0; i < 18; i += 3) {
    std::uint32_t group = std::to_integer<std::uint32_t>(raw[i]) << 16 |
                          std::to_integer<std::uint32_t>(raw[i + 1]) << 8 | std::to_integer<std::uint32_t>(raw[i + 2]);
    for (int shift = 18; shift >= 0; shift -= 6) text += kAlphabet[(group >> shift) & 63];
  }
  text.resize(22);
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() == 24 && text.ends_with("==")) text.remove_suffix(2);
  if (text.size() != 22) return std::nullopt;
  std::array<std::byte, 18> raw{};
  std::string padded(text);
  padded += "AA";
  for (std::size_t i = 0, o = 0; i < 24; i += 4, o += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      int value = kReverse[static_cast<unsigned char>(padded[i + k])];
      if (value < 0) return std::nullopt;
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    raw[o] = static_cast<std::byte>(group >> 16);
    raw[o + 1] = static_cast<std::byte>(group >> 8);
    raw[o + 2] = static_cast<std::byte>(group);
  }
  return Uuid{load_be<std::uint64_t>(raw.data()), load_be<std::uint64_t>(raw.data() + 8)};
}

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) {
  return Uuid{(high & ~0xf000ull) | 0x4000ull, (low & 0x3fffffffffffffffull) | 0x8000000000000000ull};
}

}  // namespace mr
