#include "base/ip_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace mr {

namespace {

constexpr std::size_t kGroups = 8;
using Groups = std::array<std::uint16_t, kGroups>;

template <class T>
bool parse_number(std::string_view text, int base, std::size_t digits_max, T& out) {
  if (text.empty() || text.size() > digits_max) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<std::uint32_t> parse_v4(std::string_view text) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const std::string_view digits = text.substr(0, dot);
    std::uint8_t octet = 0;
    if (!parse_number(digits, 10, 3, octet) || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
    value = value << 8 | octet;
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return value;
}

/// Groups between colons, at most `room`; the last may be an IPv4 address, which is two. -1: not that.
int parse_groups(std::string_view text, std::size_t room, std::uint16_t* out) {
  if (text.empty()) return 0;
  std::size_t count = 0;
  for (;;) {
    const std::size_t colon = text.find(':');
    const std::string_view piece = text.substr(0, colon);
    if (colon == std::string_view::npos && piece.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(piece);
      if (!v4 || count + 2 > room) return -1;
      out[count++] = static_cast<std::uint16_t>(*v4 >> 16);
      out[count++] = static_cast<std::uint16_t>(*v4);
      return static_cast<int>(count);
    }
    if (count == room || !parse_number(piece, 16, 4, out[count])) return -1;
    ++count;
    if (colon == std::string_view::npos) return static_cast<int>(count);
    text.remove_prefix(colon + 1);
  }
}

bool parse_v6(std::string_view text, Groups& groups) {
  groups.fill(0);
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return parse_groups(text, kGroups, groups.data()) == kGroups;
  const int before = parse_groups(text.substr(0, gap), kGroups - 1, groups.data());
  if (before < 0 || text.substr(0, gap).find('.') != std::string_view::npos) return false;
  Groups tail{};
  const int after = parse_groups(text.substr(gap + 2), kGroups - 1 - static_cast<std::size_t>(before), tail.data());
  if (after < 0) return false;
  std::copy_n(tail.begin(), after, groups.end() - after);
  return true;
}

std::string v4_text(std::uint32_t value) {
  return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
}

/// The longest run of two or more zeros, the first of equals, becomes "::".
std::string v6_text(const Groups& groups) {
  std::size_t best = 0;
  std::size_t longest = 1;
  for (std::size_t i = 0; i < kGroups; ++i) {
    std::size_t end = i;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - i > longest) {
      best = i;
      longest = end - i;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < kGroups; ++i) {
    if (longest > 1 && i == best) {
      text += "::";
      i += longest - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

}  // namespace

std::optional<std::string> canonical_ip(std::string_view text) {
  if (const auto v4 = parse_v4(text)) return v4_text(*v4);
  Groups groups;
  if (!parse_v6(text, groups)) return std::nullopt;
  const bool mapped = std::all_of(groups.begin(), groups.begin() + 5, [](auto g) { return g == 0; });
  if (mapped && groups[5] == 0xffff) return v4_text(std::uint32_t{groups[6]} << 16 | groups[7]);
  return v6_text(groups);
}

}  // namespace mr
