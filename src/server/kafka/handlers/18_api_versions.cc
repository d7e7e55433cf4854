// ApiVersions v0-4. v1 throttle; v3 flexible, client software, features. Rules: traps.md 5-9, 17-20.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/api_versions.h"

namespace mr::server::kafka {

namespace {

/// Starts and ends with a letter or digit, between them also '-' and '.' (traps.md 7).
bool valid_software_text(std::string_view text) {
  auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !text.empty() && alnum(text.front()) && alnum(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return alnum(c) || c == '-' || c == '.'; });
}

wire::api_versions::ApiVersion row(const wire::ApiInfo& api) {
  return {.api_key = static_cast<std::int16_t>(api.key),
          .min_version = api.advertised_min,
          .max_version = api.advertised_max};
}

}  // namespace

Task<Result<void>> handle_api_versions(Exchange& x) {
  wire::api_versions::Response response;
  if (x.head.api_versions_too_new) {
    // In the v0 layout, with our range for this one key: the client asks again with a lower version (traps.md 6).
    response.error_code = KafkaError::unsupported_version;
    response.api_keys = x.arena.list<wire::api_versions::ApiVersion>(1);
    response.api_keys[0] = row(wire::api_versions::kApi);
    x.head.version = 0;
    co_return x.answer(response);
  }
  MR_CO_TRY(auto request, x.decode<wire::api_versions::Request>());
  if (x.head.version >= 3 &&
      (!valid_software_text(request.client_software_name) || !valid_software_text(request.client_software_version))) {
    response.error_code = KafkaError::invalid_request;
    co_return x.answer(response);
  }
  auto table = handler_table();
  response.api_keys = x.arena.list<wire::api_versions::ApiVersion>(table.size());
  for (std::size_t i = 0; i < table.size(); ++i) response.api_keys[i] = row(*table[i].api);
  // The one feature that clients look at: members of KIP-848 groups are welcome (group.version 1).
  response.supported_features = x.arena.list<wire::api_versions::SupportedFeatureKey>(1);
  response.supported_features[0] = {.name = "group.version", .min_version = 0, .max_version = 1};
  response.finalized_features_epoch = 0;
  response.finalized_features = x.arena.list<wire::api_versions::FinalizedFeatureKey>(1);
  response.finalized_features[0] = {.name = "group.version", .max_version_level = 1, .min_version_level = 1};
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
