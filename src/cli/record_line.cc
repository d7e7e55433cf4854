#include "cli/record_line.h"

#include <fmt/format.h>

#include <array>

#include "cli/json.h"

namespace mr::cli {

namespace {

using Bytes = std::optional<std::string>;

Error wrong(std::string what) { return Error(Errc::invalid_argument, std::move(what)); }

/// RFC 4648 section 4, with padding.
std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xff);
  }
  return out;
}

Result<Bytes> to_bytes(std::string_view name, const Value& value) {
  if (value.null()) return Bytes{};
  if (name.ends_with("_base64")) {
    auto bytes = value.text() ? from_base64(*value.text()) : std::nullopt;
    if (!bytes) return wrong(fmt::format("\"{}\" is no base64", name));
    return Bytes(std::move(*bytes));
  }
  if (!value.text())  // a number or an object could be written in many ways: which one shall it be?
    return wrong(fmt::format("\"{}\" is a text or null; JSON inside goes in quotes", name));
  return Bytes(*value.text());
}

Result<void> add_header(Outgoing& record, const Value& item) {
  std::string name;
  Bytes value;
  if (item.object() == nullptr) return wrong("a header is an object with \"name\" and \"value\"");
  for (const auto& [field, what] : *item.object()) {
    if (field == "name" && what.text()) {
      name = *what.text();
    } else if (field == "value" || field == "value_base64") {
      MR_TRY(value, to_bytes(field, what));
    } else {
      return wrong(fmt::format("a header has no \"{}\": it is \"name\" (a text) and \"value\"", field));
    }
  }
  record.headers.emplace_back(std::move(name), std::move(value));
  return {};
}

Result<void> take_headers(Outgoing& record, const Value& headers) {
  if (const Value::List* list = headers.list()) {
    for (const Value& item : *list) MR_TRY_VOID(add_header(record, item));
    return {};
  }
  if (headers.object() == nullptr) return wrong("\"headers\" is a list or an object");
  for (const auto& [name, what] : *headers.object()) {
    MR_TRY(Bytes value, to_bytes("value", what));
    record.headers.emplace_back(name, std::move(value));
  }
  return {};
}

}  // namespace

Result<Outgoing> parse_record_line(std::string_view line) {
  MR_TRY(Value whole, parse_json(line));
  if (whole.object() == nullptr) return wrong("a record is a JSON object: {\"key\": ..., \"value\": ...}");
  Outgoing record;
  bool has_value = false;
  for (const auto& [name, value] : *whole.object()) {
    if (name == "value" || name == "value_base64") {
      MR_TRY(record.value, to_bytes(name, value));
      has_value = true;
    } else if (name == "key" || name == "key_base64") {
      MR_TRY(record.key, to_bytes(name, value));
    } else if (name == "headers") {
      MR_TRY_VOID(take_headers(record, value));
    } else if (name == "partition" || name == "timestamp") {
      if (!value.integer() || *value.integer() < 0 || (name == "partition" && *value.integer() > INT32_MAX))
        return wrong(fmt::format("\"{}\" is a whole number from 0 on", name));
      if (name == "partition") {
        record.partition = static_cast<std::int32_t>(*value.integer());
      } else {
        record.timestamp = *value.integer();
      }
    } else if (name != "topic" && name != "offset") {
      return wrong(fmt::format("a record has no \"{}\": there are key, value, headers, partition, timestamp", name));
    }
  }
  if (!has_value) return wrong("a record wants a \"value\"; null deletes its key on a compacted topic");
  return record;
}

}  // namespace mr::cli
