// ListConfigResources v0-1. v0 lists client metrics only, v1 what is asked for, or everything. Rules: traps.md 43.
#include "server/kafka/handlers/config_resources.h"
#include "wire/api/list_config_resources.h"

namespace mr::server::kafka {

Task<Result<void>> handle_list_config_resources(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::list_config_resources::Request>());
  wire::list_config_resources::Response response;
  std::vector<ConfigResource> wanted;
  for (std::int8_t type : request.resource_types) {
    const auto resource = static_cast<ConfigResource>(type);
    switch (resource) {
      case ConfigResource::topic:
      case ConfigResource::broker:
      case ConfigResource::broker_logger:
      case ConfigResource::client_metrics:
      case ConfigResource::group:
        break;
      default:
        response.error_code = KafkaError::unsupported_version;
        co_return x.answer(response);
    }
    if (std::ranges::find(wanted, resource) == wanted.end()) wanted.push_back(resource);
  }
  using enum ConfigResource;
  if (x.head.version == 0) {
    wanted = {client_metrics};
  } else if (wanted.empty()) {
    wanted = {group, client_metrics, broker_logger, broker, topic};
  }
  auto table = x.broker->topics(x.shard);
  auto groups = x.broker->group_configs(x.shard);
  const std::string_view self = x.arena.copy(std::to_string(x.broker->self().v));
  wire::ListBuilder<wire::list_config_resources::ConfigResource> resources(x.arena,
                                                                           table->topics().size() + groups->size() + 2);
  auto add = [&](std::string_view name, ConfigResource type) {
    auto& one = resources.push_back();
    one.resource_name = name;
    one.resource_type = static_cast<std::int8_t>(type);
  };
  for (ConfigResource type : wanted) {
    if (type == broker || type == broker_logger) add(self, type);
    if (type == group)
      for (const auto& [name, config] : *groups) add(x.arena.copy(name), type);
    if (type == topic)
      for (const auto& [name, ref] : table->topics()) add(x.arena.copy(name), type);
  }
  response.config_resources = resources.list();
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
