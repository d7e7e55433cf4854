// Settings that change while the broker runs: of topics, of this broker, of all brokers. One change at a time, on shard
// 0, like all that concerns topics.
#include "base/log.h"
#include "broker/broker.h"

namespace mr::broker {

Task<Result<void>> Broker::alter_topic(std::string name, config::ConfigAlteration alteration, bool validate_only) {
  co_return co_await shards_.call(ShardId{0}, [this, &name, &alteration, validate_only] {
    return alter_on_control(std::move(name), std::move(alteration), validate_only);
  });
}

Task<Result<void>> Broker::alter_settings(config::BrokerScope scope, config::ConfigAlteration alteration,
                                          bool validate_only) {
  co_return co_await shards_.call(ShardId{0}, [this, scope, &alteration, validate_only] {
    return alter_settings_on_control(scope, std::move(alteration), validate_only);
  });
}

Task<Result<void>> Broker::alter_on_control(std::string name, config::ConfigAlteration alteration, bool validate_only) {
  ShardState& control = *per_shard_[0];
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));
  Semaphore::Held held(topic_changes_);
  if (!started_) co_return Errc::shutting_down;
  TopicRef topic = control.topics->find(name);
  metastore::ClusterState::ConfigChange change = [&](const std::map<std::string, std::string>& stored) {
    return config::alter_topic_config(control.settings->config, stored, alteration);
  };
  if (topic == nullptr) {
    // In Apache Kafka's order, as is what the door has asked of the operations.
    if (!valid_topic_name(name)) co_return Error(Errc::invalid_topic_name, "not a topic name");
    auto after = change({});
    if (!after.ok()) co_return std::move(after).error();
    co_return Error(Errc::unknown_topic, "The topic '" + name + "' does not exist.");
  }
  if (validate_only) {
    auto after = change(topic->configs);
    if (!after.ok()) co_return std::move(after).error();
    co_return Result<void>{};
  }
  MR_CO_TRY(auto configs, co_await cluster_.alter_topic_configs(name, topic->id, change));
  if (configs == topic->configs) co_return Result<void>{};
  auto altered = std::make_shared<TopicInfo>(*topic);
  altered->configs = std::move(configs);
  co_await publish(control.topics->with(altered));
  co_await obey_settings_everywhere(altered);
  log_info("broker", "topic altered", {{"topic", name}, {"id", altered->id.v.to_string()}});
  co_return Result<void>{};
}

Task<void> Broker::obey_settings_everywhere(TopicRef topic) {
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s}, [this, s, &topic] { obey_settings(ShardId{s}, *topic); });
}

Task<Result<void>> Broker::alter_settings_on_control(config::BrokerScope scope, config::ConfigAlteration alteration,
                                                     bool validate_only) {
  ShardState& control = *per_shard_[0];
  MR_CO_TRY_VOID(co_await topic_changes_.acquire(1));
  Semaphore::Held held(topic_changes_);
  if (!started_) co_return Errc::shutting_down;
  MR_CO_TRY(config::DynamicSettings dynamic, config::alter_broker_config(*control.settings, scope, alteration));
  MR_CO_TRY(config::BrokerSettings after, config::with_dynamic(*control.settings, dynamic));
  if (validate_only) co_return Result<void>{};
  const bool own = scope == config::BrokerScope::broker;
  metastore::ClusterState::ConfigChange change = [&](const std::map<std::string, std::string>&) {
    return Result<metastore::ClusterState::Configs>(own ? dynamic.broker : dynamic.everywhere);
  };
  MR_CO_TRY(auto stored, co_await cluster_.alter_broker_configs(own ? std::optional(self_) : std::nullopt, change));
  if (dynamic == control.settings->dynamic()) co_return Result<void>{};
  co_await publish_settings(std::move(after));
  auto topics = control.topics;
  for (const auto& [name, topic] : topics->topics()) co_await obey_settings_everywhere(topic);
  log_info("broker", "settings altered", {{"scope", own ? "broker" : "cluster"}, {"set", stored.size()}});
  co_return Result<void>{};
}

Task<void> Broker::publish_settings(config::BrokerSettings settings) {
  auto shared = std::make_shared<const config::BrokerSettings>(std::move(settings));
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s}, [this, s, &shared] { per_shard_[s]->settings = shared; });
}

/// What this version cannot use of what was set is left out, and said: a broker that does not start cannot be mended by
/// its own calls.
Task<Result<void>> Broker::load_dynamic_settings() {
  config::DynamicSettings dynamic;
  MR_CO_TRY(dynamic.broker, co_await cluster_.load_broker_configs(self_));
  MR_CO_TRY(dynamic.everywhere, co_await cluster_.load_broker_configs(std::nullopt));
  for (auto* part : {&dynamic.broker, &dynamic.everywhere})
    std::erase_if(*part, [&](const auto& setting) {
      auto usable = config::with_dynamic(settings_, {.broker = {setting}, .everywhere = {}});
      if (usable.ok()) return false;
      log_warn("broker", "a stored setting is left out", {{"name", setting.first}, {"why", usable.error().detail()}});
      return true;
    });
  MR_CO_TRY(config::BrokerSettings settings, config::with_dynamic(settings_, dynamic));
  co_await publish_settings(std::move(settings));
  co_return Result<void>{};
}

}  // namespace mr::broker
