#pragma once
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace mr::cli {

/// Where `sub --from` begins.
struct Where {
  enum class Kind { start, end, offset, before_end, time, ago } kind = Kind::end;
  std::int64_t number = 0;  ///< offset, records before the end, milliseconds since 1970 or before now
};
/// "start", "end", "42", "-10", "-5m", "@1700000000000", "@2026-01-31", "@2026-01-31T08:30:00Z" (UTC).
/// Errors: invalid_argument.
Result<Where> parse_where(std::string_view text);

/// "1h30m" in milliseconds; units ms s m h d w.
std::optional<std::int64_t> parse_duration(std::string_view text);

/// Milliseconds since 1970, or a date or time (UTC): what stands behind the @ above.
std::optional<WallMillis> parse_time(std::string_view text);

}  // namespace mr::cli
