// AlterConfigs v0-2. v2 flexible. Replaces what a resource sets; IncrementalAlterConfigs changes it. Rules:
// traps.md 42.
#include "server/kafka/handlers/config_resources.h"
#include "wire/api/alter_configs.h"

namespace mr::server::kafka {

Task<Result<void>> handle_alter_configs(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::alter_configs::Request>());
  auto alteration_of = [](const wire::alter_configs::AlterConfigsResource& asked) {
    config::ConfigAlteration alteration{.replace = true, .changes = {}};
    for (const auto& config : asked.configs)
      alteration.changes.push_back(
          {.name = std::string(config.name), .value = std::optional<std::string>(config.value)});
    return Result<config::ConfigAlteration>(std::move(alteration));
  };
  co_return co_await alter_resources<wire::alter_configs::Response>(x, request, alteration_of);
}

}  // namespace mr::server::kafka
