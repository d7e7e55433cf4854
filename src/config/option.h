#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace mr::config {

/// What a value is; the numbers are those of DescribeConfigs (ConfigType).
enum class Type : std::int8_t { boolean = 1, string = 2, int32 = 3, int16 = 4, int64 = 5, float64 = 6, list = 7 };
std::string_view to_string(Type type);

/// Where an effective value comes from; the numbers are those of DescribeConfigs (ConfigSource).
enum class ConfigSource : std::int8_t {
  topic = 1,
  dynamic_broker = 2,
  dynamic_default = 3,
  static_broker = 4,
  default_value = 5,
  group = 8
};

/// When a change takes hold: `live` ones need no restart.
enum class Apply : std::uint8_t { live, restart };

inline constexpr std::int64_t kInt16Max = std::numeric_limits<std::int16_t>::max();
inline constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

/// What one row of either table says about the values it takes.
struct ValueRule {
  std::string_view name;
  Type type = Type::string;
  std::int64_t min = 0;      ///< numbers only
  std::int64_t max = 0;      ///< numbers only
  std::string_view allowed;  ///< "a,b": for string and list, the only values taken; empty: any
};

using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// Reads `text` as the rule wants it. Space around it is ignored; numbers of bytes take KiB, MiB, GiB.
/// Errors: invalid_config with a sentence that holds the name, the value and what is allowed.
Result<Value> parse_value(const ValueRule& rule, std::string_view text);

/// The one way to write a value: what DescribeConfigs answers, what parse_value reads back to the same.
std::string format_value(const Value& value);

/// "at least 1", "1 to 100", "one of: a, b"; empty when everything of the type will do.
std::string describe_allowed(const ValueRule& rule);

/// The name nearest to `name` by edits, when it is near enough to be meant.
std::optional<std::string_view> did_you_mean(std::string_view name, std::span<const std::string_view> names);

/// " (did you mean X?)" or nothing.
std::string suggestion(std::string_view name, std::span<const std::string_view> names);

std::string_view trim(std::string_view text);
/// Pieces between commas, trimmed; empty pieces are dropped.
std::vector<std::string> split_list(std::string_view text);

namespace detail {
template <Type>
struct Cpp {
  using cpp = std::int64_t;
};
template <>
struct Cpp<Type::boolean> {
  using cpp = bool;
};
template <>
struct Cpp<Type::int32> {
  using cpp = std::int32_t;
};
template <>
struct Cpp<Type::int16> {
  using cpp = std::int16_t;
};
template <>
struct Cpp<Type::float64> {
  using cpp = double;
};
template <>
struct Cpp<Type::string> {
  using cpp = std::string;
};
template <>
struct Cpp<Type::list> {
  using cpp = std::vector<std::string>;
};

/// Puts a parsed value into a field of the matching C++ type; the table made sure that it fits.
inline void store(const Value& value, bool& field) { field = std::get<bool>(value); }
inline void store(const Value& value, std::int16_t& field) {
  field = static_cast<std::int16_t>(std::get<std::int64_t>(value));
}
inline void store(const Value& value, std::int32_t& field) {
  field = static_cast<std::int32_t>(std::get<std::int64_t>(value));
}
inline void store(const Value& value, std::int64_t& field) { field = std::get<std::int64_t>(value); }
inline void store(const Value& value, double& field) { field = std::get<double>(value); }
inline void store(const Value& value, std::string& field) { field = std::get<std::string>(value); }
inline void store(const Value& value, std::vector<std::string>& field) {
  field = std::get<std::vector<std::string>>(value);
}
template <class T>
void store(const Value& value, std::optional<T>& field) {
  store(value, field.emplace());
}

/// The way back: a field's text; empty when it is not set.
template <class T>
std::optional<std::string> field_text(const T& field) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    return std::to_string(field);
  else
    return format_value(Value(field));
}
template <class T>
std::optional<std::string> field_text(const std::optional<T>& field) {
  if (!field) return std::nullopt;
  return field_text(*field);
}
}  // namespace detail

}  // namespace mr::config
