// IncrementalAlterConfigs v0-1. v1 flexible. One error per resource; the others apply. Rules: traps.md 42.
#include <fmt/format.h>

#include "server/kafka/handlers/config_resources.h"
#include "wire/api/incremental_alter_configs.h"

namespace mr::server::kafka {

Task<Result<void>> handle_incremental_alter_configs(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::incremental_alter_configs::Request>());
  auto alteration_of = [](const wire::incremental_alter_configs::AlterConfigsResource& asked) {
    config::ConfigAlteration alteration;
    for (const auto& config : asked.configs) {
      if (config.config_operation < 0 || config.config_operation > 3)
        return Result<config::ConfigAlteration>(
            Error(Errc::invalid_argument, fmt::format("no such operation: {}", config.config_operation)));
      alteration.changes.push_back({.name = std::string(config.name),
                                    .kind = static_cast<config::ChangeKind>(config.config_operation),
                                    .value = std::optional<std::string>(config.value)});
    }
    return Result<config::ConfigAlteration>(std::move(alteration));
  };
  co_return co_await alter_resources<wire::incremental_alter_configs::Response>(x, request, alteration_of);
}

}  // namespace mr::server::kafka
