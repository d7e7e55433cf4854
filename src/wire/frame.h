#pragma once
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/api_info.h"
#include "wire/reader.h"
#include "wire/writer.h"

/// What stands around a message: int32 size, header, body. Pure functions; sockets are the server's.
namespace mr::wire {

/// Bytes of the size in front of a frame; the size does not count itself.
inline constexpr std::size_t kFrameSizeBytes = 4;

/// The size that the first four bytes announce. Errors: malformed (negative), too_large (over `bytes_max`,
/// socket.request.max.bytes); both close the connection without an answer (traps.md 1).
Result<std::size_t> frame_size(ByteView first_four, std::size_t bytes_max);

/// A request's header, and where its body is.
struct RequestFrame {
  const ApiInfo* api = nullptr;  ///< never null once parsed
  Version version = 0;
  std::int32_t correlation_id = 0;
  std::string_view client_id;  ///< null on the wire means empty
  /// ApiVersions of a version above ours: leave the body alone, answer in the v0 layout with UNSUPPORTED_VERSION and
  /// one entry for key 18 (traps.md 6). Never set for another API.
  bool api_versions_too_new = false;
  ByteView body;
};

/// Parses what follows the size. Views into `frame`. Errors, all of which close the connection without an answer
/// (traps.md 5): unsupported_version (no schema for the key, or a version that is not served), malformed.
Result<RequestFrame> parse_request(ByteView frame);

/// The rule for a response's header: flexible versions have a tag section, except ApiVersions (traps.md 4).
Version response_header_version(const ApiInfo& api, Version version);

/// Starts a frame with its header; the body's encode() and Writer::end_frame() follow.
void begin_response(Writer& out, const ApiInfo& api, Version version, std::int32_t correlation_id);
void begin_request(Writer& out, const ApiInfo& api, Version version, std::int32_t correlation_id,
                   std::string_view client_id);

/// A whole answer: size, header, body. On an error nothing must be sent; reset `out`.
template <class Response>
Result<void> encode_response(Writer& out, const Response& response, Version version, std::int32_t correlation_id) {
  begin_response(out, Response::kApi, version, correlation_id);
  MR_TRY_VOID(response.encode(out, version));
  out.end_frame();
  return out.status();
}
template <class Request>
Result<void> encode_request(Writer& out, const Request& request, Version version, std::int32_t correlation_id,
                            std::string_view client_id) {
  begin_request(out, Request::kApi, version, correlation_id, client_id);
  MR_TRY_VOID(request.encode(out, version));
  out.end_frame();
  return out.status();
}

/// The client's side of a response: what follows the size.
struct ResponseFrame {
  std::int32_t correlation_id = 0;
  ByteView body;
};
Result<ResponseFrame> parse_response(ByteView frame, const ApiInfo& api, Version version);

/// A body as a message of type M; views into `body` and `arena`. Bytes behind the end of a request are let pass, as
/// Kafka does it: librdkafka 2.16 leaves three there when it asks for the metadata of all topics.
template <class M>
Result<M> decode_body(ByteView body, Version version, Arena& arena) {
  Reader in(body, arena);
  if constexpr (requires { typename M::Response; })
    return M::decode_prefix(in, version);
  else
    return M::decode(in, version);
}

}  // namespace mr::wire
