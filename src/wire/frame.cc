#include "wire/frame.h"

#include <fmt/format.h>

#include "wire/api/request_header.h"
#include "wire/api/response_header.h"

namespace mr::wire {
namespace {

Version request_header_version(const ApiInfo& api, Version version) { return api.flexible(version) ? 2 : 1; }

}  // namespace

Result<std::size_t> frame_size(ByteView first_four, std::size_t bytes_max) {
  MR_CHECK(first_four.size() >= kFrameSizeBytes);
  auto size = load_be<std::int32_t>(first_four.data());
  if (size < 0) return Error(Errc::malformed, fmt::format("frame size {}", size));
  if (static_cast<std::size_t>(size) > bytes_max)
    return Error(Errc::too_large, fmt::format("frame of {} bytes, {} are allowed", size, bytes_max));
  return static_cast<std::size_t>(size);
}

Result<RequestFrame> parse_request(ByteView frame) {
  // Key and version decide how the header itself is coded, so they are looked at first.
  if (frame.size() < 4) return Error(Errc::malformed, "request shorter than its key and version");
  auto key = load_be<std::int16_t>(frame.data());
  auto version = load_be<std::int16_t>(frame.data() + 2);
  const ApiInfo* api = find_api(key);
  if (api == nullptr) return Error(Errc::unsupported_version, fmt::format("api key {}", key));
  bool too_new = api->key == ApiKey::api_versions && version > api->advertised_max;
  if (!too_new && !api->serves(version))
    return Error(Errc::unsupported_version, fmt::format("{} version {}", api->name, version));

  Arena arena;
  Reader in(frame, arena);
  MR_TRY(auto header, request_header::Data::decode_prefix(in, request_header_version(*api, version)));
  return RequestFrame{.api = api,
                      .version = version,
                      .correlation_id = header.correlation_id,
                      .client_id = header.client_id.value_or(std::string_view()),
                      .api_versions_too_new = too_new,
                      .body = in.rest()};
}

Version response_header_version(const ApiInfo& api, Version version) {
  return api.key != ApiKey::api_versions && api.flexible(version) ? 1 : 0;
}

void begin_response(Writer& out, const ApiInfo& api, Version version, std::int32_t correlation_id) {
  out.begin_frame();
  response_header::Data header{.correlation_id = correlation_id};
  // A header has nothing that could fail; encode_response() looks at the writer's status at its end.
  static_cast<void>(header.encode(out, response_header_version(api, version)));
}

void begin_request(Writer& out, const ApiInfo& api, Version version, std::int32_t correlation_id,
                   std::string_view client_id) {
  out.begin_frame();
  request_header::Data header{.request_api_key = static_cast<std::int16_t>(api.key),
                              .request_api_version = version,
                              .correlation_id = correlation_id,
                              .client_id = client_id};
  static_cast<void>(header.encode(out, request_header_version(api, version)));
}

Result<ResponseFrame> parse_response(ByteView frame, const ApiInfo& api, Version version) {
  Arena arena;
  Reader in(frame, arena);
  MR_TRY(auto header, response_header::Data::decode_prefix(in, response_header_version(api, version)));
  return ResponseFrame{.correlation_id = header.correlation_id, .body = in.rest()};
}

}  // namespace mr::wire
