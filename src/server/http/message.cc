#include "server/http/message.h"

#include <fmt/format.h>

#include <iterator>

#include "base/text.h"

namespace mr::http {

namespace {
std::optional<std::string_view> find(const std::vector<std::pair<std::string, std::string>>& in,
                                     std::string_view name) {
  for (const auto& [key, value] : in) {
    if (key == name) return value;
  }
  return std::nullopt;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view name) const { return find(headers, name); }
std::optional<std::string_view> HttpRequest::query_value(std::string_view name) const { return find(query, name); }
std::string_view HttpRequest::path_value(std::string_view name) const {
  std::optional<std::string_view> value = find(path_values, name);
  MR_CHECK(value.has_value());
  return *value;
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::optional<std::string> url_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      int high = hex(text[i + 1]);
      int low = hex(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

HttpResponse HttpResponse::error(int status, std::string_view code, std::string_view message) {
  return HttpResponse{
      .status = status,
      .body = fmt::format("{{\"error\":{{\"code\":{},\"message\":{}}}}}\n", json_string(code), json_string(message))};
}

}  // namespace mr::http
