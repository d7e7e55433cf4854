#include "storage/segment_names.h"

#include <fmt/format.h>

#include <charconv>

namespace mr::storage {
namespace {

constexpr std::size_t kOffsetDigits = 20;
/// A segment spans up to 2^31 offsets, which must not overflow.
constexpr std::int64_t kBaseMax = INT64_MAX - (std::int64_t{1} << 32);

bool known_suffix(std::string_view suffix) {
  return suffix == kLogSuffix || suffix == kOffsetIndexSuffix || suffix == kTimeIndexSuffix ||
         suffix == kTransactionIndexSuffix || suffix == kSnapshotSuffix || suffix == kSealSuffix;
}

}  // namespace

std::string segment_path(std::string_view directory, Offset base, std::string_view suffix) {
  return fmt::format("{}/{:020}{}", directory, base.v, suffix);
}

std::optional<SegmentFileName> parse_segment_file_name(std::string_view name) {
  SegmentFileName parsed;
  if (name.ends_with(kDeletedSuffix)) {
    parsed.deleted = true;
    name.remove_suffix(kDeletedSuffix.size());
  }
  auto base = parse_base_offset(name);
  if (!base) return std::nullopt;
  parsed.base = *base;
  parsed.suffix = name.substr(kOffsetDigits);
  if (!known_suffix(parsed.suffix)) return std::nullopt;
  return parsed;
}

std::optional<Offset> parse_base_offset(std::string_view name) {
  if (name.size() <= kOffsetDigits) return std::nullopt;
  Offset base;
  const char* end = name.data() + kOffsetDigits;
  auto [stop, error] = std::from_chars(name.data(), end, base.v);
  if (error != std::errc{} || stop != end || base.v < 0 || base.v > kBaseMax) return std::nullopt;
  return base;
}

std::optional<TopicPartition> parse_partition_directory(std::string_view name) {
  std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view topic = name.substr(0, dash);
  std::string_view digits = name.substr(dash + 1);
  if (!valid_topic_name(topic) || digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  TopicPartition parsed{std::string(topic), PartitionIndex{0}};
  auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.partition.v);
  if (error != std::errc{} || stop != digits.data() + digits.size() || parsed.partition.v < 0) return std::nullopt;
  return parsed;
}

std::string parent_directory(std::string_view path) {
  std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

}  // namespace mr::storage
