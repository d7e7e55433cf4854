#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "runtime/env.h"

namespace mr::http {

/// One request, whole. Lives until its handler has ended and its response is sent.
struct HttpRequest {
  std::string method;  ///< "GET"; as sent
  std::string path;    ///< decoded, begins with '/'
  /// From the route's pattern: "/topics/{name}" gives {"name", "t"}.
  std::vector<std::pair<std::string, std::string>> path_values;
  std::vector<std::pair<std::string, std::string>> query;    ///< decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
  Address local;
  Address remote;
  bool keep_alive = true;
  int minor_version = 1;  ///< of HTTP/1.x

  /// The first of that name.
  std::optional<std::string_view> header(std::string_view lower_case_name) const;
  std::optional<std::string_view> query_value(std::string_view name) const;
  /// The pattern has it, or it is a bug.
  std::string_view path_value(std::string_view name) const;
};

/// Where a streaming handler writes its body, piece by piece; each piece goes out at once.
class HttpBodyWriter {
 public:
  virtual ~HttpBodyWriter() = default;
  /// Errors: connection_closed, timed_out (the peer does not read), cancelled. After an error, end.
  virtual Task<Result<void>> write(std::string_view piece) = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  /// When set, the body is what this writes (chunked; to HTTP/1.0 clients until close) instead of `body`. An error ends
  /// the connection without the final chunk, so that the client sees that the body is cut.
  std::move_only_function<Task<Result<void>>(HttpBodyWriter&)> stream;

  static HttpResponse json(std::string body) { return {.body = std::move(body)}; }
  /// {"error":{"code":"not_found","message":"..."}}
  static HttpResponse error(int status, std::string_view code, std::string_view message);
};

/// `text` as a JSON string, quotes included.
std::string json_string(std::string_view text);
/// Percent-decoding; in queries '+' is a space. Empty when a '%' has no two hex digits after it.
std::optional<std::string> url_decode(std::string_view text, bool plus_is_space);

}  // namespace mr::http
