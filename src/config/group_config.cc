#include "config/group_config.h"

#include <fmt/format.h>

#include <span>

namespace mr::config {

namespace {

struct GroupOption {
  ValueRule rule;
  std::int32_t GroupTimes::* field;
  std::int32_t BrokerConfig::* broker;
  std::int32_t BrokerConfig::* min;
  std::int32_t BrokerConfig::* max;
  std::string_view help;

  std::string_view name() const { return rule.name; }
};

std::span<const GroupOption> options() {
  static const GroupOption rows[] = {
      {{"consumer.assignment.interval.ms", Type::int32, 0, kInt32Max, ""},
       &GroupTimes::assignment_interval_ms,
       &BrokerConfig::group_consumer_assignment_interval_ms,
       &BrokerConfig::group_consumer_min_assignment_interval_ms,
       &BrokerConfig::group_consumer_max_assignment_interval_ms,
       "Shortest time between two new assignments of the group."},
      {{"consumer.heartbeat.interval.ms", Type::int32, 1, kInt32Max, ""},
       &GroupTimes::heartbeat_interval_ms,
       &BrokerConfig::group_consumer_heartbeat_interval_ms,
       &BrokerConfig::group_consumer_min_heartbeat_interval_ms,
       &BrokerConfig::group_consumer_max_heartbeat_interval_ms,
       "How often the group's members are told to send heartbeats."},
      {{"consumer.session.timeout.ms", Type::int32, 1, kInt32Max, ""},
       &GroupTimes::session_timeout_ms,
       &BrokerConfig::group_consumer_session_timeout_ms,
       &BrokerConfig::group_consumer_min_session_timeout_ms,
       &BrokerConfig::group_consumer_max_session_timeout_ms,
       "A member of the group that is not heard of for this long is out."},
  };
  return rows;
}

const GroupOption* find_option(std::string_view name) {
  for (const GroupOption& option : options())
    if (option.name() == name) return &option;
  return nullptr;
}

/// consumer.session.timeout.ms -> group.consumer.min.session.timeout.ms
std::string broker_name(std::string_view name, std::string_view bound) {
  constexpr std::string_view kConsumer = "consumer.";
  return fmt::format("group.{}{}{}", kConsumer, bound, name.substr(kConsumer.size()));
}

Error unknown_option(std::string_view name) {
  for (std::string_view others : {"share.", "streams.", "errors.deadletterqueue."})
    if (name.starts_with(others))
      return Error(Errc::invalid_config,
                   fmt::format("{} is of share and streams groups, which are not served yet", name));
  std::vector<std::string_view> names;
  for (const GroupOption& option : options()) names.push_back(option.name());
  return Error(Errc::invalid_config, fmt::format("Unknown group config name: {}{}", name, suggestion(name, names)));
}

}  // namespace

Result<GroupTimes> resolve_group(const BrokerConfig& broker, const GroupOverrides& overrides) {
  GroupTimes times;
  for (const GroupOption& option : options()) times.*option.field = broker.*option.broker;
  for (const auto& [name, text] : overrides) {
    const GroupOption* option = find_option(name);
    if (option == nullptr) return unknown_option(name);
    MR_TRY(auto value, parse_value(option->rule, text));
    std::int32_t& field = times.*option->field;
    detail::store(value, field);
    if (field < broker.*option->min || field > broker.*option->max)
      return Error(Errc::invalid_config,
                   fmt::format("{} is {}, and {} and {} allow {} to {}", name, field, broker_name(name, "min."),
                               broker_name(name, "max."), broker.*option->min, broker.*option->max));
  }
  if (times.heartbeat_interval_ms >= times.session_timeout_ms)
    return Error(Errc::invalid_config,
                 fmt::format("consumer.heartbeat.interval.ms ({}) must be below consumer.session.timeout.ms ({})",
                             times.heartbeat_interval_ms, times.session_timeout_ms));
  return times;
}

Result<GroupConfig> alter_group_config(const BrokerConfig& broker, const GroupOverrides& now,
                                       const ConfigAlteration& alteration) {
  MR_TRY_VOID(check_changes(alteration.changes));
  GroupOverrides after;
  if (!alteration.replace) after = now;
  for (const ConfigChange& change : alteration.changes) {
    if (change.kind == ChangeKind::remove) {
      after.erase(change.name);
      continue;
    }
    const GroupOption* option = find_option(change.name);
    if (option == nullptr) return unknown_option(change.name);
    if (change.kind != ChangeKind::set) return no_list(change.name, change.kind == ChangeKind::append);
    MR_TRY(auto value, parse_value(option->rule, *change.value));
    after[change.name] = format_value(value);
  }
  MR_TRY(GroupTimes times, resolve_group(broker, after));
  return GroupConfig{std::move(after), times};
}

std::vector<ConfigEntry> describe_group_config(const GroupOverrides& overrides, const BrokerSettings& broker) {
  std::vector<ConfigEntry> entries;
  for (const GroupOption& option : options()) {
    const std::string name(option.name());
    ConfigEntry entry{.name = name, .type = option.rule.type, .help = option.help};
    if (auto own = overrides.find(name); own != overrides.end())
      entry.synonyms.push_back({name, own->second, ConfigSource::group});
    const std::string broker_option = broker_name(name, "");
    add_synonyms(std::vector<std::string_view>{broker_option}, broker, entry.synonyms);
    MR_CHECK(!entry.synonyms.empty());  // the broker's option has a default
    entry.value = entry.synonyms.front().value;
    entry.source = entry.synonyms.front().source;
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace mr::config
