#include "cli/where.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/number.h"

namespace mr::cli {

namespace {

/// The number in front of `separator` (or all that is left when it is 0), which must be there.
std::optional<int> take(std::string_view& text, char separator) {
  std::size_t end = separator == 0 ? text.size() : text.find(separator);
  if (end == std::string_view::npos) return std::nullopt;
  auto value = whole_number<std::int64_t>(text.substr(0, end));
  text.remove_prefix(separator == 0 ? end : end + 1);
  if (!value || *value < 0 || *value > 9999) return std::nullopt;
  return static_cast<int>(*value);
}

constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}};

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    auto number = natural_number<std::int64_t>(text.substr(0, digits));
    text.remove_prefix(digits);
    const std::size_t letters = std::min(text.find_first_of("0123456789"), text.size());
    const auto* unit =
        std::ranges::find(kUnits, text.substr(0, letters), &std::pair<std::string_view, std::int64_t>::first);
    text.remove_prefix(letters);
    std::int64_t part = 0;
    if (!number || unit == std::end(kUnits) || __builtin_mul_overflow(*number, unit->second, &part) ||
        __builtin_add_overflow(total, part, &total))
      return std::nullopt;
  }
  return total;
}

std::optional<WallMillis> parse_time(std::string_view text) {
  if (auto millis = whole_number<std::int64_t>(text)) return *millis >= 0 ? millis : std::nullopt;
  if (text.ends_with('Z')) text.remove_suffix(1);
  std::size_t split = text.find('T');
  std::string_view date = text.substr(0, split);
  auto year = take(date, '-');
  auto month = take(date, '-');
  auto day = take(date, 0);
  if (!year || !month || !day) return std::nullopt;
  std::chrono::year_month_day when{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                   std::chrono::day(static_cast<unsigned>(*day))};
  if (!when.ok()) return std::nullopt;
  std::chrono::milliseconds since = std::chrono::sys_days(when).time_since_epoch();
  if (split == std::string_view::npos) return since.count();
  std::string_view clock = text.substr(split + 1);
  std::string_view fraction;
  if (std::size_t dot = clock.find('.'); dot != std::string_view::npos) {
    fraction = clock.substr(dot + 1);
    clock = clock.substr(0, dot);
    if (fraction.size() != 3) return std::nullopt;
  }
  const bool seconds_there = std::ranges::count(clock, ':') == 2;
  auto hour = take(clock, ':');
  auto minute = take(clock, seconds_there ? ':' : char{0});
  auto second = seconds_there ? take(clock, 0) : 0;
  auto millis = fraction.empty() ? 0 : take(fraction, 0);
  if (!hour || !minute || !second || !millis || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  since += std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second) +
           std::chrono::milliseconds(*millis);
  return since.count();
}

Result<Where> parse_where(std::string_view text) {
  if (text == "start" || text == "beginning" || text == "earliest") return Where{Where::Kind::start, 0};
  if (text == "end" || text == "latest") return Where{Where::Kind::end, 0};
  if (text.starts_with('@')) {
    if (auto time = parse_time(text.substr(1))) return Where{Where::Kind::time, *time};
  } else if (auto number = whole_number<std::int64_t>(text)) {
    return *number < 0 ? Where{Where::Kind::before_end, -*number} : Where{Where::Kind::offset, *number};
  } else if (text.starts_with('-')) {
    if (auto millis = parse_duration(text.substr(1))) return Where{Where::Kind::ago, *millis};
  }
  return Error(Errc::invalid_argument,
               fmt::format("--from wants start, end, an offset, -N records, -5m (units ms s m h d w), or @TIME in "
                           "milliseconds or as 2026-01-31T08:30:00Z, not '{}'",
                           text));
}

}  // namespace mr::cli
