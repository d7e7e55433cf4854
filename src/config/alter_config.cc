#include "config/alter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "config/address_limits.h"

namespace mr::config {

namespace {

std::vector<std::string> with(std::vector<std::string> list, std::vector<std::string> more) {
  std::ranges::move(more, std::back_inserter(list));
  return list;
}

std::vector<std::string> without(std::vector<std::string> list, const std::vector<std::string>& less) {
  const std::unordered_set<std::string_view> gone(less.begin(), less.end());
  std::erase_if(list, [&](const std::string& one) { return gone.contains(one); });
  return list;
}

/// The text that `change` makes of `held`. Errors: invalid_config.
Result<std::string> changed(const ValueRule& rule, const ConfigChange& change, const std::string& held) {
  if (change.value->size() > kConfigValueBytesMax)
    return Error(Errc::invalid_config,
                 fmt::format("the value of {} is longer than {} bytes", change.name, kConfigValueBytesMax));
  std::string text = *change.value;
  if (change.kind != ChangeKind::set) {
    const bool append = change.kind == ChangeKind::append;
    if (rule.type != Type::list) return no_list(change.name, append);
    text =
        format_value(append ? with(split_list(held), split_list(text)) : without(split_list(held), split_list(text)));
  }
  MR_TRY(auto value, parse_value(rule, text));
  return format_value(value);
}

}  // namespace

Result<void> check_changes(const std::vector<ConfigChange>& changes) {
  std::unordered_set<std::string_view> names;
  for (const ConfigChange& change : changes)
    if (!names.insert(change.name).second)
      return Error(Errc::invalid_argument, fmt::format("the request names {} twice", change.name));
  for (const ConfigChange& change : changes)
    if (change.kind != ChangeKind::remove && !change.value)
      return Error(Errc::invalid_argument, fmt::format("null value for {}", change.name));
  return {};
}

Error no_list(std::string_view name, bool append) {
  return {Errc::invalid_config, fmt::format("{} is no list: {} does not apply", name, append ? "APPEND" : "SUBTRACT")};
}

Result<void> check_operations(const ConfigAlteration& alteration) {
  MR_TRY_VOID(check_changes(alteration.changes));
  for (const ConfigChange& change : alteration.changes) {
    const bool append = change.kind == ChangeKind::append;
    if (!append && change.kind != ChangeKind::subtract) continue;
    const TopicOption* option = find_topic_option(change.name);
    if (option == nullptr) return unknown_topic_option(change.name);
    if (option->rule.type != Type::list) return no_list(change.name, append);
  }
  return {};
}

Result<void> check_lengths(const TopicOverrides& overrides) {
  for (const auto& [name, value] : overrides)
    if (value.size() > kConfigValueBytesMax)
      return Error(Errc::invalid_config,
                   fmt::format("the value of {} is longer than {} bytes", name, kConfigValueBytesMax));
  return {};
}

Result<TopicOverrides> alter_topic_config(const BrokerConfig& broker, const TopicOverrides& now,
                                          const ConfigAlteration& alteration) {
  MR_TRY_VOID(check_operations(alteration));
  TopicOverrides after;
  if (!alteration.replace) after = now;
  for (const ConfigChange& change : alteration.changes) {
    if (change.kind == ChangeKind::remove) {
      after.erase(change.name);
      continue;
    }
    const TopicOption* option = find_topic_option(change.name);
    if (option == nullptr) return unknown_topic_option(change.name);
    const auto own = now.find(change.name);
    MR_TRY(after[change.name],
           changed(option->rule, change, own != now.end() ? own->second : inherited_value(*option, broker)));
  }
  MR_TRY_VOID(check_lengths(after));
  MR_TRY(TopicConfig whole, TopicConfig::resolve(broker, after));
  MR_TRY_VOID(whole.check_together());
  return after;
}

Result<DynamicSettings> alter_broker_config(const BrokerSettings& now, BrokerScope scope,
                                            const ConfigAlteration& alteration) {
  auto altered = [&]() -> Result<DynamicSettings> {
    MR_TRY_VOID(check_changes(alteration.changes));
    DynamicSettings after = now.dynamic();
    auto& part = scope == BrokerScope::broker ? after.broker : after.everywhere;
    if (alteration.replace) part.clear();
    for (const ConfigChange& change : alteration.changes) {
      if (change.kind == ChangeKind::remove) {
        part.erase(change.name);
        continue;
      }
      MR_TRY(const BrokerOption* option, find_live_option(change.name));
      MR_TRY(part[std::string(option->rule.name)],
             changed(option->rule, change, now.of(option->rule.name).effective().value_or("")));
    }
    MR_TRY(BrokerSettings whole, with_dynamic(now, after));
    MR_TRY_VOID(check_connection_limits(whole.config));
    MR_TRY(TopicConfig topics, TopicConfig::resolve(whole.config, {}));
    MR_TRY_VOID(topics.check_together());
    return after;
  };
  auto after = altered();
  // Kafka's number for all that is wrong with a broker's settings.
  if (!after.ok()) return Error(Errc::invalid_argument, after.error().detail());
  return after;
}

}  // namespace mr::config
