#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

/// Kafka's text checkpoints: a line with the format version (0), a line with the number of entries, then one line per
/// entry. docs/formats/checkpoints.md.
namespace mr::storage {

struct TextCheckpoint {
  std::vector<std::string> lines;

  std::string encode() const;
  /// Errors: newer_format (version above 0), corrupt_data (anything else).
  static Result<TextCheckpoint> decode(std::string_view text);
};

/// "recovery-point-offset-checkpoint" and its kin: one offset per partition.
using OffsetCheckpoint = std::map<TopicPartition, Offset>;
std::string encode_offset_checkpoint(const OffsetCheckpoint& offsets);
Result<OffsetCheckpoint> decode_offset_checkpoint(std::string_view text);

/// Parts of a line between blanks.
std::vector<std::string_view> split_fields(std::string_view line);
/// A plain decimal number and nothing else.
std::optional<std::int64_t> parse_int(std::string_view text);

}  // namespace mr::storage
