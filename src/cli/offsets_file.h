#pragma once
#include <map>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"

namespace mr::cli {

/// The offsets in the text of a file for `group seek --to file:F`:
///   - CSV as kafka-consumer-groups --export writes it, "topic,partition,offset" or "group,topic,partition,offset"
///   (then
///     only lines of `group` count); a header is skipped;
///   - JSON: an array of {"topic", "partition", "offset"}, or an object with such an array as "partitions" (what
///     `group lag -o json` prints does too: "committed" is taken where there is no "offset", null is left out).
/// Errors: invalid_argument, with the line.
Result<std::map<TopicPartition, Offset>> parse_offsets_file(std::string_view text, std::string_view group);

}  // namespace mr::cli
