// What consumer groups set themselves, while the broker runs. One change at a time, on shard 0, as with topics.
#include <fmt/format.h>

#include "base/log.h"
#include "broker/broker.h"

namespace mr::broker {

Task<Result<void>> Broker::alter_group(std::string group, config::ConfigAlteration alteration, bool validate_only) {
  co_return co_await shards_.call(ShardId{0}, [this, &group, &alteration, validate_only] {
    return alter_group_on_control(std::move(group), std::move(alteration), validate_only);
  });
}

Task<Result<void>> Broker::alter_group_on_control(std::string group, config::ConfigAlteration alteration,
                                                  bool validate_only) {
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));
  Semaphore::Held held(topic_changes_);
  if (!started_) co_return Errc::shutting_down;
  if (group.empty() || group.size() > config::kConfiguredGroupNameMax)
    co_return Error(Errc::invalid_group_id,
                    fmt::format("configs are for groups with names of 1 to {} bytes", config::kConfiguredGroupNameMax));
  const auto now = per_shard_[0]->group_configs;
  const auto present = now->find(group);
  const config::GroupOverrides before = present == now->end() ? config::GroupOverrides{} : present->second.overrides;
  MR_CO_TRY(auto after, config::alter_group_config(settings_.config, before, alteration));
  if (before.empty() && !after.overrides.empty() && now->size() >= config::kConfiguredGroupsMax)
    co_return Error(Errc::policy_violation,
                    fmt::format("{} groups have configs, and no more may", config::kConfiguredGroupsMax));
  if (validate_only || after.overrides == before) co_return Result<void>{};
  metastore::ClusterState::ConfigChange change = [&](const std::map<std::string, std::string>&) {
    return Result<metastore::ClusterState::Configs>(after.overrides);
  };
  MR_CO_TRY_VOID(co_await cluster_.alter_group_configs(group, change));
  const std::size_t set = after.overrides.size();
  config::GroupConfigs configs = *now;
  if (set == 0) {
    configs.erase(group);
  } else {
    configs[group] = std::move(after);
  }
  co_await publish_group_configs(std::move(configs));
  log_info("broker", "group configs altered", {{"group", group}, {"set", set}});
  co_return Result<void>{};
}

Task<void> Broker::publish_group_configs(config::GroupConfigs configs) {
  auto shared = std::make_shared<const config::GroupConfigs>(std::move(configs));
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s}, [this, s, &shared] { per_shard_[s]->group_configs = shared; });
  for (const auto& tell : group_configs_changed_) tell();
}

/// What this version, or group.consumer.min.* and max.* as they are now, cannot use is left out, and said.
Task<Result<void>> Broker::load_group_configs() {
  MR_CO_TRY(auto stored, co_await cluster_.load_group_configs());
  config::GroupConfigs configs;
  for (auto& [group, overrides] : stored) {
    auto times = config::resolve_group(settings_.config, overrides);
    if (!times.ok()) {
      log_warn("broker", "a group's stored configs are left out", {{"group", group}, {"why", times.error().detail()}});
      continue;
    }
    configs.emplace(group, config::GroupConfig{std::move(overrides), *times});
  }
  co_await publish_group_configs(std::move(configs));
  co_return Result<void>{};
}

}  // namespace mr::broker
