#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mr::http {

struct ParseLimits {
  std::uint32_t header_bytes_max = 16 << 10;
  std::uint64_t body_bytes_max = 1 << 20;
};

/// What the head of a request says, before path and query are taken apart.
struct RawRequest {
  std::string method;
  std::string target;
  int minor_version = 1;
  bool keep_alive = true;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
};

/// One HTTP/1.x request out of bytes that come in pieces of any size. The only place that knows Beast.
class RequestParser {
 public:
  explicit RequestParser(ParseLimits limits);
  ~RequestParser();

  /// Takes bytes from the front of `bytes`; what is not taken must come again, with more behind it. 0 with no error
  /// means more are needed. Errors: malformed, too_large (detail "header" or "body"), unsupported_version.
  Result<std::size_t> feed(ByteView bytes);
  bool header_done() const;
  bool done() const;
  /// The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  /// Once, when done().
  RawRequest take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "OK" for 200.
std::string_view reason_of(int status);

}  // namespace mr::http
