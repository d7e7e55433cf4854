#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace mr::cli {

/// A record as text, on its way to a topic.
struct Outgoing {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  std::optional<std::int32_t> partition;
  std::optional<WallMillis> timestamp;
};

/// A line of `pub --json`, which is one of `sub -o ndjson`: an object with "value" (or "value_base64"), and if wanted
/// "key" ("key_base64"), "headers" (a list of {"name", "value" or "value_base64"}, or an object of texts), "partition",
/// "timestamp" (ms since 1970). Keys and values are texts or null. "topic" and "offset", which `sub` tells beside that,
/// are passed over. Errors: invalid_argument.
Result<Outgoing> parse_record_line(std::string_view line);

}  // namespace mr::cli
