#pragma once
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mr {

/// 128 bits, as Kafka's UUIDs: two big-endian int64 on the wire, 22 characters of URL-safe base64 as text.
/// All zero means "none".
struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  bool is_zero() const { return high == 0 && low == 0; }

  /// 22 characters, no padding.
  std::string to_string() const;
  /// Empty when `text` is not 22 URL-safe base64 characters (a trailing "==" is accepted).
  static std::optional<Uuid> parse(std::string_view text);
  /// A version-4 id out of 128 random bits. The result may start with '-'; topic ids must not (traps.md 14), so
  /// the broker draws again.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
};

}  // namespace mr

template <>
struct std::hash<mr::Uuid> {
  std::size_t operator()(const mr::Uuid& u) const noexcept { return u.high ^ (u.low * 0x9e3779b97f4a7c15ull); }
};
