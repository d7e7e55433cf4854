#include "cli/offsets_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cli/json.h"
#include "cli/number.h"

namespace mr::cli {

namespace {

using Offsets = std::map<TopicPartition, Offset>;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

/// One line's fields; nothing when a quote does not end.
std::optional<std::vector<std::string>> csv_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return std::nullopt;
  return fields;
}

Error wrong_line(std::size_t number, std::string_view why) {
  return Error(Errc::invalid_argument, fmt::format("line {}: {}", number, why));
}

/// Says what is wrong, if anything.
std::optional<std::string> add(Offsets& offsets, TopicPartition name, Offset offset) {
  if (!valid_topic_name(name.topic))
    return fmt::format("'{}' cannot be a topic's name", std::string_view(name.topic).substr(0, 60));
  if (!offsets.emplace(name, offset).second) return fmt::format("{} for the second time", name.to_string());
  return std::nullopt;
}

Result<Offsets> parse_csv(std::string_view text, std::string_view group) {
  Offsets offsets;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t newline = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.empty()) continue;
    auto fields = csv_fields(line);
    if (!fields || fields->size() < 3 || fields->size() > 4)
      return wrong_line(number, "wants TOPIC,PARTITION,OFFSET or GROUP,TOPIC,PARTITION,OFFSET");
    const std::size_t first = fields->size() - 3;
    auto partition = natural_number<std::int32_t>(trimmed((*fields)[first + 1]));
    auto offset = natural_number<std::int64_t>(trimmed((*fields)[first + 2]));
    if (!partition && !offset && number == 1) continue;  // a header
    if (!partition || !offset) return wrong_line(number, "partition and offset want numbers from 0 on");
    if (first == 1 && (*fields)[0] != group) continue;
    TopicPartition name{std::string(trimmed((*fields)[first])), PartitionIndex{*partition}};
    if (auto wrong = add(offsets, std::move(name), Offset{*offset})) return wrong_line(number, *wrong);
  }
  return offsets;
}

/// A whole number from 0 on, or nothing.
std::optional<std::int64_t> natural(const Value* value) {
  if (value == nullptr || !value->integer() || *value->integer() < 0) return std::nullopt;
  return *value->integer();
}

/// One row. Says what is wrong, if anything.
std::optional<std::string> add_row(Offsets& offsets, const Value& row) {
  const Value* topic = row.find("topic");
  const auto partition = natural(row.find("partition"));
  const Value* offset = row.find("offset");
  if (offset == nullptr || offset->null()) offset = row.find("committed");
  if (topic == nullptr || !topic->text() || !partition || *partition > INT32_MAX)
    return "it wants \"topic\", \"partition\" and \"offset\"";
  if (offset == nullptr || offset->null()) return std::nullopt;  // nothing was committed
  const auto number = natural(offset);
  if (!number) return "partition and offset want numbers from 0 on";
  return add(offsets, {*topic->text(), PartitionIndex{static_cast<std::int32_t>(*partition)}}, Offset{*number});
}

/// What `group lag -o json` prints: an object with "partitions", or that list.
Result<Offsets> parse_json_offsets(std::string_view text) {
  MR_TRY(Value whole, parse_json(text));
  const Value* rows = whole.object() ? whole.find("partitions") : &whole;
  if (rows == nullptr || rows->list() == nullptr)
    return Error(Errc::invalid_argument, "the object has no list \"partitions\"");
  Offsets offsets;
  std::size_t number = 0;
  for (const Value& row : *rows->list()) {
    ++number;
    if (auto wrong = add_row(offsets, row))
      return Error(Errc::invalid_argument, fmt::format("entry {}: {}", number, *wrong));
  }
  return offsets;
}

}  // namespace

Result<Offsets> parse_offsets_file(std::string_view text, std::string_view group) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && (text[first] == '[' || text[first] == '{')) return parse_json_offsets(text);
  return parse_csv(text, group);
}

}  // namespace mr::cli
