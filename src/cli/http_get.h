#pragma once
#include <string>
#include <string_view>

#include "runtime/env.h"

namespace mr::cli {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

/// GET over HTTP/1.0, whose answers end with the connection. Errors: those of a connection, malformed (no HTTP, or cut
/// short), too_large (more than `bytes_max` with its head).
Task<Result<HttpAnswer>> http_get(Env& env, Address address, std::string target, TimePoint deadline,
                                  std::size_t bytes_max = 64u << 20);

/// A whole answer, as it came until the connection's end. Pure. Errors: malformed.
Result<HttpAnswer> parse_http_answer(std::string_view bytes);

/// The text of a member of a JSON object; empty when there is none.
std::string json_text_member(std::string_view json, std::string_view name);

}  // namespace mr::cli
