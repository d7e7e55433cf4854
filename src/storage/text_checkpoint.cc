#include "storage/text_checkpoint.h"

#include <charconv>

namespace mr::storage {
namespace {

/// Cuts one line off the front of `text`; a last line needs no newline.
std::optional<std::string_view> next_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t value = 0;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return fields;
    line.remove_prefix(start);
    std::size_t end = line.find_first_of(" \t");
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end);
  }
}

std::string TextCheckpoint::encode() const {
  std::string text = "0\n" + std::to_string(lines.size()) + "\n";
  for (const std::string& line : lines) {
    text += line;
    text += '\n';
  }
  return text;
}

Result<TextCheckpoint> TextCheckpoint::decode(std::string_view text) {
  auto number_of = [&]() -> std::optional<std::int64_t> {
    auto line = next_line(text);
    return line ? parse_int(*line) : std::nullopt;
  };
  std::optional<std::int64_t> version = number_of();
  if (!version) return Error(Errc::corrupt_data, "checkpoint has no version line");
  if (*version > 0) return Error(Errc::newer_format, "checkpoint version " + std::to_string(*version));
  std::optional<std::int64_t> count = number_of();
  if (*version < 0 || !count || *count < 0) return Error(Errc::corrupt_data, "checkpoint has no count line");
  TextCheckpoint checkpoint;
  while (auto line = next_line(text)) {
    if (line->empty()) continue;
    checkpoint.lines.emplace_back(*line);
  }
  if (checkpoint.lines.size() != static_cast<std::size_t>(*count))
    return Error(Errc::corrupt_data, "checkpoint says " + std::to_string(*count) + " lines and has " +
                                         std::to_string(checkpoint.lines.size()));
  return checkpoint;
}

std::string encode_offset_checkpoint(const OffsetCheckpoint& offsets) {
  TextCheckpoint checkpoint;
  for (const auto& [partition, offset] : offsets)
    checkpoint.lines.push_back(partition.topic + " " + std::to_string(partition.partition.v) + " " +
                               std::to_string(offset.v));
  return checkpoint.encode();
}

Result<OffsetCheckpoint> decode_offset_checkpoint(std::string_view text) {
  MR_TRY(TextCheckpoint checkpoint, TextCheckpoint::decode(text));
  OffsetCheckpoint offsets;
  for (const std::string& line : checkpoint.lines) {
    std::vector<std::string_view> fields = split_fields(line);
    std::optional<std::int64_t> partition, offset;
    if (fields.size() == 3) {
      partition = parse_int(fields[1]);
      offset = parse_int(fields[2]);
    }
    if (!partition || !offset || *partition < 0 || *partition > INT32_MAX || *offset < 0 ||
        !valid_topic_name(fields[0]))
      return Error(Errc::corrupt_data, "checkpoint line is not topic, partition, offset: " + line);
    offsets[{std::string(fields[0]), PartitionIndex{static_cast<std::int32_t>(*partition)}}] = Offset{*offset};
  }
  return offsets;
}

}  // namespace mr::storage
