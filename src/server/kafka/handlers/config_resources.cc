#include "server/kafka/handlers/config_resources.h"

#include <fmt/format.h>

#include <charconv>

#include "base/log.h"

namespace mr::server::kafka {

namespace {

AlterOutcome refuse(KafkaError code, std::string message) { return {code, std::move(message)}; }

AlterOutcome outcome_of(const Result<void>& result) {
  if (result.ok()) return {};
  return {kafka_error(result.error()), result.error().detail()};
}

Task<AlterOutcome> alter_topic(Exchange& x, std::string name, config::ConfigAlteration alteration, bool validate_only) {
  if (auto wrong = config::check_operations(alteration); !wrong.ok()) co_return outcome_of(wrong);
  if (name.empty()) co_return refuse(KafkaError::invalid_request, "Default topic resources are not allowed.");
  auto altered = co_await x.broker->alter_topic(std::move(name), std::move(alteration), validate_only);
  co_return outcome_of(altered);
}

Task<AlterOutcome> alter_broker(Exchange& x, std::string name, config::ConfigAlteration alteration,
                                bool validate_only) {
  auto scope = config::BrokerScope::everywhere;
  if (!name.empty()) {
    scope = config::BrokerScope::broker;
    if (auto wrong = check_broker_name(x, name)) co_return refuse(KafkaError::invalid_request, std::move(*wrong));
  }
  auto altered = co_await x.broker->alter_settings(scope, std::move(alteration), validate_only);
  co_return outcome_of(altered);
}

Task<AlterOutcome> alter_group(Exchange& x, std::string name, config::ConfigAlteration alteration, bool validate_only) {
  if (name.empty()) co_return refuse(KafkaError::invalid_request, "Default group resources are not allowed.");
  auto altered = co_await x.broker->alter_group(std::move(name), std::move(alteration), validate_only);
  co_return outcome_of(altered);
}

constexpr std::pair<std::string_view, LogLevel> kLevels[] = {
    {"DEBUG", LogLevel::debug}, {"INFO", LogLevel::info}, {"WARN", LogLevel::warn}, {"ERROR", LogLevel::error}};

AlterOutcome alter_loggers(const config::ConfigAlteration& alteration, bool validate_only) {
  using enum config::ChangeKind;
  if (alteration.replace)
    return refuse(KafkaError::invalid_request,
                  "AlterConfigs does not take loggers, as in Kafka; use the incremental call");
  std::optional<LogLevel> wanted;
  for (const config::ConfigChange& change : alteration.changes) {
    if (change.kind == append || change.kind == subtract)
      return refuse(KafkaError::invalid_request,
                    fmt::format("{} operation is not allowed for the BROKER_LOGGER resource",
                                change.kind == append ? "APPEND" : "SUBTRACT"));
    if (change.name != kRootLogger)
      return refuse(KafkaError::invalid_config,
                    fmt::format("Logger {} does not exist! There is only '{}'", change.name, kRootLogger));
    if (change.kind == remove)
      return refuse(KafkaError::invalid_request, "Removing the log level of the root logger is not allowed");
    for (const auto& [name, level] : kLevels)
      if (change.value == name) wanted = level;
    if (!wanted)
      return refuse(KafkaError::invalid_config,
                    fmt::format("'{}' is no log level: one of DEBUG, INFO, WARN, ERROR", change.value.value_or("")));
  }
  if (wanted && !validate_only) {
    log_info("server", "log level changed", {{"level", std::string_view(kLevels[static_cast<int>(*wanted)].first)}});
    set_log_level(*wanted);
  }
  return {};
}

}  // namespace

std::optional<std::string> check_broker_name(const Exchange& x, std::string_view name) {
  std::int32_t id = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc{} || end != name.data() + name.size())
    return fmt::format("Node id must be an integer, but it is: {}", name);
  if (BrokerId{id} == x.broker->self()) return std::nullopt;
  return fmt::format("Unexpected broker id, expected {}, but received {}", x.broker->self().v, name);
}

std::string_view root_logger_level() {
  for (const auto& [name, level] : kLevels)
    if (log_enabled(level)) return name;
  return "OFF";
}

Task<AlterOutcome> alter_resource(Exchange& x, std::int8_t type, std::string name, config::ConfigAlteration alteration,
                                  bool validate_only) {
  switch (static_cast<ConfigResource>(type)) {
    case ConfigResource::topic:
      co_return co_await alter_topic(x, std::move(name), std::move(alteration), validate_only);
    case ConfigResource::broker:
      co_return co_await alter_broker(x, std::move(name), std::move(alteration), validate_only);
    case ConfigResource::broker_logger:
      if (auto wrong = check_broker_name(x, name)) co_return refuse(KafkaError::invalid_request, std::move(*wrong));
      co_return alter_loggers(alteration, validate_only);
    case ConfigResource::client_metrics:
      co_return refuse(KafkaError::invalid_request,
                       "clients' metrics are not collected: there is nothing to subscribe to");
    case ConfigResource::group:
      co_return co_await alter_group(x, std::move(name), std::move(alteration), validate_only);
  }
  co_return refuse(KafkaError::invalid_request, fmt::format("Unknown resource type {}", type));
}

}  // namespace mr::server::kafka
