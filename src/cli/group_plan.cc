#include "cli/group_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/number.h"
#include "cli/where.h"

namespace mr::cli {

namespace {

/// What follows `prefix`, when `text` begins with it.
std::optional<std::string_view> behind(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

}  // namespace

Result<Choice> Choice::parse(const std::vector<std::string>& texts) {
  Choice choice;
  for (const std::string& text : texts) {
    auto wrong = [&] {
      return Error(Errc::invalid_argument, fmt::format("--topic wants TOPIC or TOPIC:0,3, not '{}'", text));
    };
    const std::size_t colon = text.find(':');
    const std::string topic = text.substr(0, colon);
    if (topic.empty()) return wrong();
    const bool known = choice.topics_.contains(topic);
    std::vector<PartitionIndex>& partitions = choice.topics_[topic];
    const bool all = known && partitions.empty();
    if (colon == std::string::npos) {
      partitions.clear();
      continue;
    }
    std::string_view rest = std::string_view(text).substr(colon + 1);
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      auto index = natural_number<std::int32_t>(rest.substr(0, comma));
      if (!index) return wrong();
      partitions.emplace_back(*index);
      more = comma != std::string_view::npos;
      if (more) rest.remove_prefix(comma + 1);
    }
    std::ranges::sort(partitions);
    partitions.erase(std::ranges::unique(partitions).begin(), partitions.end());
    if (all) partitions.clear();
  }
  return choice;
}

bool Choice::holds(const TopicPartition& name) const {
  if (topics_.empty()) return true;
  auto at = topics_.find(name.topic);
  return at != topics_.end() && (at->second.empty() || std::ranges::binary_search(at->second, name.partition));
}

Result<SeekTarget> parse_seek_target(std::string_view text) {
  using Kind = SeekTarget::Kind;
  if (text == "start" || text == "earliest") return SeekTarget{.kind = Kind::start};
  if (text == "end" || text == "latest") return SeekTarget{.kind = Kind::end};
  if (auto rest = behind(text, "@")) {
    if (auto time = parse_time(*rest)) return SeekTarget{.kind = Kind::time, .number = *time};
  } else if (auto offset = behind(text, "offset:")) {
    if (auto number = natural_number<std::int64_t>(*offset)) return SeekTarget{.kind = Kind::offset, .number = *number};
  } else if (auto group = behind(text, "group:"); group && !group->empty()) {
    return SeekTarget{.kind = Kind::group, .text = std::string(*group)};
  } else if (auto file = behind(text, "file:"); file && !file->empty()) {
    return SeekTarget{.kind = Kind::file, .text = std::string(*file)};
  } else if (auto ago = behind(text, "-")) {
    if (auto millis = parse_duration(*ago)) return SeekTarget{.kind = Kind::ago, .number = *millis};
    if (natural_number<std::int64_t>(*ago))
      return Error(
          Errc::invalid_argument,
          fmt::format("--to {}: a unit is missing, for example {}m for minutes (ms, s, m, h, d or w)", text, text));
  } else if (natural_number<std::int64_t>(text)) {
    return Error(Errc::invalid_argument, fmt::format("--to {}: write offset:{} for an offset", text, text));
  }
  return Error(Errc::invalid_argument,
               fmt::format("--to wants start, end, @TIME (milliseconds or 2026-01-31T08:30:00Z), -5m, offset:N, "
                           "group:OTHER or file:PATH, not '{}'",
                           text));
}

Move plan_move(TopicPartition name, std::optional<Offset> from, Offset wanted, Offset start, Offset end) {
  Move move{.name = std::move(name), .from = from, .to = wanted};
  if (wanted < start) {
    move.to = start;
    move.note = fmt::format("{} is before the start", wanted.v);
  } else if (wanted > end) {
    move.to = end;
    move.note = fmt::format("{} is beyond the end", wanted.v);
  }
  return move;
}

std::string describe_partitions(const std::vector<TopicPartition>& names) {
  std::string text;
  const std::string* topic = nullptr;
  for (const TopicPartition& name : names) {
    if (topic != nullptr && *topic == name.topic) {
      text += fmt::format(",{}", name.partition.v);
    } else {
      text += fmt::format("{}{}:{}", text.empty() ? "" : " ", name.topic, name.partition.v);
    }
    topic = &name.topic;
  }
  return text;
}

}  // namespace mr::cli
