#include "config/option.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

namespace mr::config {

std::string_view to_string(Type type) {
  switch (type) {
    case Type::boolean:
      return "boolean";
    case Type::string:
      return "string";
    case Type::int32:
      return "int";
    case Type::int16:
      return "short";
    case Type::int64:
      return "long";
    case Type::float64:
      return "double";
    case Type::list:
      return "list";
  }
  return "?";
}

std::string_view trim(std::string_view text) {
  auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> pieces;
  while (true) {
    auto comma = text.find(',');
    auto piece = trim(text.substr(0, comma));
    if (!piece.empty()) pieces.emplace_back(piece);
    if (comma == std::string_view::npos) return pieces;
    text.remove_prefix(comma + 1);
  }
}

namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool counts_bytes(std::string_view name) { return name == "memory" || name.ends_with(".bytes"); }

/// Integers, for byte counts with a unit behind. Empty: not a number, or outside 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text, bool with_unit) {
  std::uint64_t factor = 1;
  if (with_unit) {
    for (auto [unit, size] : {std::pair{"KiB", 1_KiB}, std::pair{"MiB", 1_MiB}, std::pair{"GiB", 1_GiB}}) {
      if (!text.ends_with(unit)) continue;
      factor = size;
      text = trim(text.substr(0, text.size() - 3));
      break;
    }
  }
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  if (__builtin_mul_overflow(number, static_cast<std::int64_t>(factor), &number)) return {};
  return number;
}

/// Only this one, in Kafka. What is kept is spelled as the table does.
bool takes_any_case(std::string_view name) { return name == "group.consumer.migration.policy"; }

std::optional<double> parse_double(std::string_view text) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) return {};
  return number;
}

Error refuse(const ValueRule& rule, std::string_view text, std::string_view expected) {
  return Error(Errc::invalid_config, fmt::format("{} is '{}' but must be {}", rule.name, text, expected));
}

Result<std::vector<std::string>> parse_list(const ValueRule& rule, std::string_view text) {
  auto pieces = split_list(text);
  auto allowed = split_list(rule.allowed);
  std::unordered_set<std::string_view> seen;
  std::vector<std::string> once;  // as Kafka: what is named twice counts once
  for (const std::string& piece : pieces) {
    if (!allowed.empty() && std::ranges::find(allowed, piece) == allowed.end())
      return refuse(rule, text, fmt::format("a list with {}", describe_allowed(rule)));
    if (seen.insert(piece).second) once.push_back(piece);
  }
  return once;
}

}  // namespace

std::string describe_allowed(const ValueRule& rule) {
  switch (rule.type) {
    case Type::boolean:
      return "true or false";
    case Type::string:
    case Type::list:
      if (rule.allowed.empty()) return "";
      return fmt::format("{}: {}", rule.type == Type::list ? "any of" : "one of",
                         fmt::join(split_list(rule.allowed), ", "));
    case Type::int16:
    case Type::int32:
    case Type::int64:
    case Type::float64:
      break;
  }
  const bool top = rule.max == kInt64Max || (rule.type == Type::int32 && rule.max == kInt32Max) ||
                   (rule.type == Type::int16 && rule.max == kInt16Max);
  if (rule.min == kInt64Min && top) return "";
  if (top) return fmt::format("at least {}", rule.min);
  return fmt::format("{} to {}", rule.min, rule.max);
}

Result<Value> parse_value(const ValueRule& rule, std::string_view text) {
  text = trim(text);
  switch (rule.type) {
    case Type::boolean:
      if (equal_ignoring_case(text, "true")) return Value(true);
      if (equal_ignoring_case(text, "false")) return Value(false);
      return refuse(rule, text, "true or false");
    case Type::int16:
    case Type::int32:
    case Type::int64: {
      auto number = parse_integer(text, counts_bytes(rule.name));
      if (!number) return refuse(rule, text, "a whole number");
      if (*number < rule.min || *number > rule.max)
        return refuse(rule, text, fmt::format("{} to {}", rule.min, rule.max));
      return Value(*number);
    }
    case Type::float64: {
      auto number = parse_double(text);
      if (!number) return refuse(rule, text, "a number");
      if (*number < static_cast<double>(rule.min) || *number > static_cast<double>(rule.max))
        return refuse(rule, text, describe_allowed(rule));
      return Value(*number);
    }
    case Type::string: {
      const auto allowed = split_list(rule.allowed);
      if (allowed.empty()) return Value(std::string(text));
      const bool any_case = takes_any_case(rule.name);
      const auto at = std::ranges::find_if(
          allowed, [&](const std::string& one) { return one == text || (any_case && equal_ignoring_case(one, text)); });
      if (at == allowed.end()) return refuse(rule, text, describe_allowed(rule));
      return Value(*at);
    }
    case Type::list: {
      MR_TRY(auto pieces, parse_list(rule, text));
      return Value(std::move(pieces));
    }
  }
  MR_CHECK(false && "no such type");
}

std::string format_value(const Value& value) {
  struct Writer {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(std::int64_t n) const { return std::to_string(n); }
    std::string operator()(double d) const {  // 0.0, not 0, as Kafka shows it
      std::string text = fmt::format("{}", d);
      return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
    }
    std::string operator()(const std::string& s) const { return s; }
    std::string operator()(const std::vector<std::string>& l) const { return fmt::format("{}", fmt::join(l, ",")); }
  };
  return std::visit(Writer{}, value);
}

std::optional<std::string_view> did_you_mean(std::string_view name, std::span<const std::string_view> names) {
  std::optional<std::string_view> best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 4) + 1;
  std::vector<std::size_t> row;
  for (auto candidate : names) {
    row.resize(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t changed = diagonal + (name[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::string suggestion(std::string_view name, std::span<const std::string_view> names) {
  auto meant = did_you_mean(name, names);
  return meant ? fmt::format(" (did you mean {}?)", *meant) : "";
}

}  // namespace mr::config
