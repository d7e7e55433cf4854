#include "cli/offsets_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

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

/// As much of JSON as such a file needs: walks values, keeps strings and whole numbers.
class JsonOffsets {
 public:
  explicit JsonOffsets(std::string_view text) : text_(text) {}

  Result<Offsets> read() {
    if (peek() == '[') {
      rows();
    } else {
      bool found = false;
      object([&](const std::string& name) {
        if (name != "partitions" || found) return skip(0);
        found = true;
        rows();
      });
      if (!failed() && !found) fail("the object has no \"partitions\"");
    }
    if (!failed() && peek() != 0) fail("something follows the end");
    if (failed()) return *error_;
    return std::move(offsets_);
  }

 private:
  static constexpr int kDepthMax = 64;

  bool failed() const { return error_.has_value(); }
  void fail(std::string_view why) {
    if (!failed())
      error_ = wrong_line(1 + static_cast<std::size_t>(std::ranges::count(text_.substr(0, at_), '\n')), why);
    at_ = text_.size();
  }
  /// The next byte that is no blank; 0 at the end.
  char peek() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(fmt::format("no JSON: '{}' is missing", c));
  }

  void rows() {
    expect('[');
    if (take(']')) return;
    do row();
    while (take(','));
    expect(']');
  }

  void row() {
    std::optional<std::string> topic;
    std::optional<std::int64_t> partition, offset, committed;
    object([&](const std::string& name) {
      if (name == "topic" && peek() == '"') {
        topic = string();
      } else if (name == "partition") {
        partition = number();
      } else if (name == "offset") {
        offset = number();
      } else if (name == "committed") {
        committed = number();
      } else {
        skip(0);
      }
    });
    if (failed()) return;
    if (!topic || !partition || *partition > INT32_MAX)
      return fail("an entry wants \"topic\", \"partition\" and \"offset\"");
    if (!offset) offset = committed;
    if (!offset) return;  // null: nothing was committed
    TopicPartition name{*topic, PartitionIndex{static_cast<std::int32_t>(*partition)}};
    if (auto wrong = add(offsets_, std::move(name), Offset{*offset})) fail(*wrong);
  }

  template <class Member>
  void object(Member member) {
    expect('{');
    if (failed() || take('}')) return;
    do {
      std::string name = string();
      expect(':');
      if (!failed()) member(name);
    } while (!failed() && take(','));
    expect('}');
  }

  /// A number from 0 on; null has no value.
  std::optional<std::int64_t> number() {
    (void)peek();
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n,]}", at_), text_.size());
    const std::string_view word = text_.substr(at_, end - at_);
    if (word != "null" && !natural_number<std::int64_t>(word)) {
      fail("partition and offset want numbers from 0 on");
      return std::nullopt;
    }
    at_ = end;
    return natural_number<std::int64_t>(word);
  }

  /// Names of topics need no escapes: what they stand for is not looked at.
  std::string string() {
    expect('"');
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') out += text_[at_++];
      if (at_ < text_.size()) out += text_[at_++];
    }
    if (at_ >= text_.size()) {
      fail("no JSON: a text does not end");
    } else {
      ++at_;
    }
    return out;
  }

  void skip(int depth) {
    if (depth > kDepthMax) return fail("too deep");
    const char c = peek();
    if (c == '"') {
      (void)string();
    } else if (c == '{') {
      object([&](const std::string&) { skip(depth + 1); });
    } else if (c == '[') {
      ++at_;
      if (take(']')) return;
      do skip(depth + 1);
      while (!failed() && take(','));
      expect(']');
    } else {
      const std::size_t end = std::min(text_.find_first_of(" \t\r\n,]}", at_), text_.size());
      if (end == at_) return fail("no JSON: a value is missing");
      at_ = end;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<Error> error_;
  Offsets offsets_;
};

}  // namespace

Result<Offsets> parse_offsets_file(std::string_view text, std::string_view group) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && (text[first] == '[' || text[first] == '{')) return JsonOffsets(text).read();
  return parse_csv(text, group);
}

}  // namespace mr::cli
