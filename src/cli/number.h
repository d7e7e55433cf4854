#pragma once
#include <charconv>
#include <optional>
#include <string_view>

namespace mr::cli {

/// All of `text` as a decimal number that T can hold, else nothing.
template <class T>
std::optional<T> whole_number(std::string_view text) {
  T value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The same, from 0 on.
template <class T>
std::optional<T> natural_number(std::string_view text) {
  auto value = whole_number<T>(text);
  return value && *value >= 0 ? value : std::nullopt;
}

}  // namespace mr::cli
