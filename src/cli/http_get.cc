#include "cli/http_get.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/json.h"

namespace mr::cli {

namespace {

bool same_letters(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

}  // namespace

Result<HttpAnswer> parse_http_answer(std::string_view bytes) {
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.") || head_end == std::string_view::npos || head_end < 12)
    return Error(Errc::malformed, "no HTTP answer");
  HttpAnswer answer;
  const char* status = bytes.data() + 9;
  if (std::from_chars(status, status + 3, answer.status).ptr != status + 3)
    return Error(Errc::malformed, "no HTTP status");
  std::string_view head = bytes.substr(0, head_end + 2);
  std::string_view body = bytes.substr(head_end + 4);
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    std::string_view line = head.substr(at, head.find("\r\n", at) - at);
    at += line.size() + 2;
    if (!same_letters(line.substr(0, line.find(':')), "content-length")) continue;
    line.remove_prefix(line.find(':') + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    std::size_t length = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), length).ec != std::errc{})
      return Error(Errc::malformed, "no length in Content-Length");
    if (body.size() < length) return Error(Errc::malformed, fmt::format("{} bytes of {} came", body.size(), length));
    body = body.substr(0, length);
  }
  answer.body = body;
  return answer;
}

Task<Result<HttpAnswer>> http_get(Env& env, Address address, std::string target, TimePoint deadline,
                                  std::size_t bytes_max) {
  MR_CO_TRY(std::unique_ptr<Stream> stream, co_await env.network.connect(address, deadline));
  const std::string request =
      fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: millrace-cli\r\n\r\n", target, address.to_string());
  const ByteView piece = as_bytes(request);
  Result<void> sent = co_await stream->write(std::span(&piece, 1), deadline);
  std::string bytes;
  Result<std::size_t> got = std::size_t{0};
  if (sent.ok()) {
    do {
      const std::size_t before = bytes.size();
      bytes.resize(before + (64u << 10));
      got = co_await stream->read_some({reinterpret_cast<std::byte*>(bytes.data()) + before, bytes.size() - before},
                                       deadline);
      bytes.resize(before + (got.ok() ? *got : 0));
    } while (got.ok() && *got > 0 && bytes.size() <= bytes_max);
  }
  stream->close();
  if (!sent.ok()) co_return sent.error();
  if (!got.ok()) co_return got.error();
  if (bytes.size() > bytes_max)
    co_return Error(Errc::too_large, fmt::format("{} answers with more than {} bytes", target, bytes_max));
  co_return parse_http_answer(bytes);
}

std::string json_text_member(std::string_view json, std::string_view name) {
  auto value = parse_json(json);
  if (!value.ok()) return {};
  const Value* member = value->find(name);
  return member != nullptr && member->text() != nullptr ? *member->text() : std::string();
}

}  // namespace mr::cli
