#pragma once
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace mr {

/// Zigzag varints as records use them: least significant 7 bits first. (Compact lengths of the protocol are another
/// coding, traps.md 11.) Moves `at` on; false when the number is cut or too long, `at` is then anywhere up to `end`.
inline bool read_varlong(const std::byte*& at, const std::byte* end, std::int64_t& value) {
  std::uint64_t raw = 0;
  for (int shift = 0; shift < 70 && at != end; shift += 7) {
    auto byte = std::to_integer<std::uint64_t>(*at++);
    if (shift == 63 && byte > 1) return false;
    raw |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
      return true;
    }
  }
  return false;
}
inline bool read_varint(const std::byte*& at, const std::byte* end, std::int32_t& value) {
  std::uint32_t raw = 0;
  for (int shift = 0; shift < 35 && at != end; shift += 7) {
    auto byte = std::to_integer<std::uint32_t>(*at++);
    if (shift == 28 && byte > 0x0f) return false;
    raw |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = static_cast<std::int32_t>(raw >> 1) ^ -static_cast<std::int32_t>(raw & 1);
      return true;
    }
  }
  return false;
}

inline constexpr std::size_t kVarlongBytesMax = 10;
/// Writes at most kVarlongBytesMax bytes and returns how many.
inline std::size_t write_varlong(std::byte* to, std::int64_t value) {
  std::uint64_t raw = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  std::size_t n = 0;
  for (; raw >= 0x80; raw >>= 7) to[n++] = static_cast<std::byte>(raw | 0x80);
  to[n++] = static_cast<std::byte>(raw);
  return n;
}
inline std::size_t varlong_bytes(std::int64_t value) {
  std::uint64_t raw = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  std::size_t n = 1;
  for (; raw >= 0x80; raw >>= 7) ++n;
  return n;
}

}  // namespace mr
