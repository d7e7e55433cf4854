#include "cli/record_filter.h"

#include <fmt/format.h>

#include <algorithm>

namespace mr::cli {

Result<RecordFilter> RecordFilter::parse(const std::vector<std::string>& texts) {
  RecordFilter filter;
  for (const std::string& text : texts) {
    const std::size_t at = text.find_first_of("=~");
    const bool negated = at != std::string::npos && at > 0 && text[at - 1] == '!';
    const std::string_view field = std::string_view(text).substr(0, at == std::string::npos ? 0 : at - negated);
    Condition condition{.field = Field::key};
    if (field == "value") {
      condition.field = Field::value;
    } else if (field.starts_with("header.") && field.size() > 7) {
      condition.field = Field::header;
      condition.header = field.substr(7);
    } else if (field != "key") {
      return Error(
          Errc::invalid_argument,
          fmt::format("--where wants key, value or header.NAME, then = != ~ or !~, then text; not '{}'", text));
    }
    condition.contains = text[at] == '~';
    condition.negated = negated;
    condition.text = text.substr(at + 1);
    filter.conditions_.push_back(std::move(condition));
  }
  return filter;
}

bool RecordFilter::Condition::met_by(const std::optional<ByteView>& bytes) const {
  if (!bytes) return false;
  return contains ? as_text(*bytes).find(text) != std::string_view::npos : as_text(*bytes) == text;
}

bool RecordFilter::passes(const Record& record) const {
  return std::ranges::all_of(conditions_, [&](const Condition& condition) {
    bool met = false;
    if (condition.field == Field::header) {
      HeaderReader headers(record);
      for (RecordHeader header; !met && headers.next(header);)
        met = header.key == condition.header && condition.met_by(header.value);
    } else {
      met = condition.met_by(condition.field == Field::key ? record.key : record.value);
    }
    return met != condition.negated;
  });
}

}  // namespace mr::cli
