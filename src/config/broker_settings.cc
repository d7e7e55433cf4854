#include "config/broker_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/address_limits.h"
#include "config/kafka_names.h"

namespace mr::config {

namespace {

std::vector<BrokerOption> make_options() {
  std::vector<BrokerOption> rows;
#define MR_TEXT(field, name, type, default_value, allowed, apply, flag, help)                \
  rows.push_back({{name, Type::type, 0, 0, allowed},                                         \
                  *default_value ? std::optional<std::string>(default_value) : std::nullopt, \
                  Apply::apply,                                                              \
                  flag,                                                                      \
                  help});
#define MR_NUMBER(field, name, type, default_value, min, max, apply, flag, help)                          \
  rows.push_back({{name, Type::type, static_cast<std::int64_t>(min), static_cast<std::int64_t>(max), ""}, \
                  std::to_string(default_value),                                                          \
                  Apply::apply,                                                                           \
                  flag,                                                                                   \
                  help});
#define MR_UNSET(field, name, type, min, max, apply, help) \
  rows.push_back({{name, Type::type, min, max, ""}, std::nullopt, Apply::apply, "", help});
#define MR_BOOL(field, name, default_value, apply, help) \
  rows.push_back({{name, Type::boolean, 0, 0, ""}, default_value ? "true" : "false", Apply::apply, "", help});
#define MR_RATIO(field, name, default_text, max, apply, help) \
  rows.push_back({{name, Type::float64, 0, max, ""}, default_text, Apply::apply, "", help});
  MR_BROKER_OPTIONS(MR_TEXT, MR_NUMBER, MR_UNSET, MR_BOOL, MR_RATIO)
#undef MR_TEXT
#undef MR_NUMBER
#undef MR_UNSET
#undef MR_BOOL
#undef MR_RATIO
  return rows;
}

/// Older or shorter names of Kafka's for the same thing.
std::string_view current_name(std::string_view name) {
  if (name == "log.dir") return "log.dirs";
  if (name == "broker.id") return "node.id";
  return name;
}

std::vector<std::string_view> option_names() {
  std::vector<std::string_view> names;
  for (const auto& option : broker_options()) names.push_back(option.rule.name);
  return names;
}

/// Options whose silent absence would let somebody in.
bool guards_a_door(std::string_view name) {
  for (std::string_view prefix : {"ssl.", "sasl.", "security.", "authorizer.", "listener.", "super.", "delegation."})
    if (name.starts_with(prefix)) return true;
  return false;
}

Result<void> unknown_setting(const SettingInput& input, std::vector<std::string>& warnings) {
  const bool kafka_has_it = std::ranges::binary_search(kKafkaBrokerNames, std::string_view(input.name));
  if (guards_a_door(input.name))
    return Error(Errc::invalid_config, fmt::format("{}: {} is not supported yet, and running without it would leave a "
                                                   "door open that you meant to close",
                                                   input.where, input.name));
  if (kafka_has_it) {
    warnings.push_back(fmt::format("{}: {} is an option of Kafka that has no effect here", input.where, input.name));
    return {};
  }
  return Error(Errc::invalid_config, fmt::format("{}: no such option: {}{}", input.where, input.name,
                                                 suggestion(input.name, option_names())));
}

void store_all(BrokerSettings& settings) {
  auto at = settings.settings.begin();
  auto& config = settings.config;
  auto next = [&](auto& field) {
    if (at->effective()) {
      auto value = parse_value(at->option->rule, *at->effective());
      MR_CHECK(value.ok());  // checked when it came in
      detail::store(*value, field);
    } else {
      field = std::remove_reference_t<decltype(field)>{};  // one that is not set by default
    }
    ++at;
  };
#define MR_FIELD(field, ...) next(config.field);
  MR_BROKER_OPTIONS(MR_FIELD, MR_FIELD, MR_FIELD, MR_FIELD, MR_FIELD)
#undef MR_FIELD
}

Result<void> check_listeners(const BrokerConfig& config) {
  MR_TRY(auto listeners, parse_listeners(config.listeners));
  if (listeners.empty()) return Error(Errc::invalid_config, "listeners is empty: nobody could connect");
  MR_TRY(auto advertised, parse_listeners(config.advertised_listeners));
  for (const auto& one : advertised) {
    if (!std::ranges::any_of(listeners, [&](const auto& l) { return l.name == one.name; }))
      return Error(Errc::invalid_config, fmt::format("advertised.listeners has {} but listeners has not", one.name));
    if (one.host.empty() || one.host == "0.0.0.0" || one.host == "::")
      return Error(Errc::invalid_config,
                   fmt::format("advertised.listeners needs an address that clients can reach, not '{}'", one.host));
  }
  for (const auto& entry : config.http_listeners) MR_TRY_VOID(parse_listener(entry));
  if (config.log_dirs.empty()) return Error(Errc::invalid_config, "log.dirs is empty: there is no place for data");
  return {};
}

/// Kafka's rules for group.consumer.*.
Result<void> check_consumer_groups(const BrokerConfig& config) {
  auto between = [](std::string_view name, std::int32_t value, std::int32_t min, std::int32_t max) -> Result<void> {
    if (value >= min && value <= max) return {};
    return Error(Errc::invalid_config, fmt::format("group.consumer.{} is {}, and group.consumer.min.{} and "
                                                   "group.consumer.max.{} allow {} to {}",
                                                   name, value, name, name, min, max));
  };
  MR_TRY_VOID(between("session.timeout.ms", config.group_consumer_session_timeout_ms,
                      config.group_consumer_min_session_timeout_ms, config.group_consumer_max_session_timeout_ms));
  MR_TRY_VOID(between("heartbeat.interval.ms", config.group_consumer_heartbeat_interval_ms,
                      config.group_consumer_min_heartbeat_interval_ms,
                      config.group_consumer_max_heartbeat_interval_ms));
  MR_TRY_VOID(between("assignment.interval.ms", config.group_consumer_assignment_interval_ms,
                      config.group_consumer_min_assignment_interval_ms,
                      config.group_consumer_max_assignment_interval_ms));
  if (config.group_consumer_heartbeat_interval_ms >= config.group_consumer_session_timeout_ms)
    return Error(Errc::invalid_config,
                 "group.consumer.heartbeat.interval.ms must be below group.consumer.session.timeout.ms");
  if (config.group_consumer_assignors.empty())
    return Error(Errc::invalid_config, "group.consumer.assignors is empty: nobody could assign");
  return {};
}

Result<void> check_page_cache(const BrokerConfig& config) {
  constexpr std::int64_t kLeast = 64_MiB;  // below it readers that keep up would miss what was just written
  if (config.log_page_cache_bytes == -1 || config.log_page_cache_bytes >= kLeast) return {};
  return Error(Errc::invalid_config, fmt::format("log.page.cache.bytes is {} and must be -1 or at least {}",
                                                 config.log_page_cache_bytes, kLeast));
}

}  // namespace

const std::vector<BrokerOption>& broker_options() {
  static const std::vector<BrokerOption> rows = make_options();
  return rows;
}

const BrokerOption* find_broker_option(std::string_view name) {
  name = current_name(name);
  for (const auto& option : broker_options())
    if (option.rule.name == name) return &option;
  return nullptr;
}

std::optional<std::string> value_of(const BrokerConfig& config, std::string_view name) {
  std::optional<std::string> text;
#define MR_FIELD(field, row_name, ...) \
  if (name == row_name) text = detail::field_text(config.field);
  MR_BROKER_OPTIONS(MR_FIELD, MR_FIELD, MR_FIELD, MR_FIELD, MR_FIELD)
#undef MR_FIELD
  return text;
}

std::string BrokerOption::flag() const {
  std::string flag = "--" + std::string(rule.name);
  std::ranges::replace(flag, '.', '-');
  return flag;
}

std::string BrokerOption::environment() const {
  std::string name = "MILLRACE_" + std::string(rule.name);
  for (char& c : name) c = c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::default_value:
      return "default";
    case Origin::file:
      return "file";
    case Origin::environment:
      return "environment";
    case Origin::set:
      return "set";
    case Origin::flag:
      return "flag";
  }
  return "?";
}

const Setting& BrokerSettings::of(std::string_view name) const {
  auto found = std::ranges::find_if(settings, [&](const Setting& s) { return s.option->rule.name == name; });
  MR_CHECK(found != settings.end());
  return *found;
}

DynamicSettings BrokerSettings::dynamic() const {
  DynamicSettings result;
  for (const Setting& setting : settings) {
    const std::string name(setting.option->rule.name);
    if (setting.dynamic_broker) result.broker[name] = *setting.dynamic_broker;
    if (setting.dynamic_default) result.everywhere[name] = *setting.dynamic_default;
  }
  return result;
}

Result<const BrokerOption*> find_live_option(std::string_view name) {
  const BrokerOption* option = find_broker_option(name);
  if (option != nullptr && option->apply == Apply::live) return option;
  if (option != nullptr)
    return Error(Errc::invalid_config,
                 fmt::format("Cannot update these configs dynamically: [{}]; it takes a restart", name));
  if (std::ranges::binary_search(kKafkaBrokerNames, name))
    return Error(Errc::invalid_config, fmt::format("{} is an option of Kafka that has no effect here", name));
  return Error(Errc::invalid_config, fmt::format("no such option: {}{}", name, suggestion(name, option_names())));
}

Result<BrokerSettings> with_dynamic(BrokerSettings result, const DynamicSettings& dynamic) {
  for (Setting& setting : result.settings) {
    setting.dynamic_broker.reset();
    setting.dynamic_default.reset();
  }
  auto put = [&](const std::map<std::string, std::string>& values, auto member) -> Result<void> {
    for (const auto& [name, text] : values) {
      MR_TRY(const BrokerOption* option, find_live_option(name));
      MR_TRY(auto value, parse_value(option->rule, text));
      result.settings[static_cast<std::size_t>(option - broker_options().data())].*member = format_value(value);
    }
    return {};
  };
  MR_TRY_VOID(put(dynamic.broker, &Setting::dynamic_broker));
  MR_TRY_VOID(put(dynamic.everywhere, &Setting::dynamic_default));
  store_all(result);
  MR_TRY_VOID(parse_address_limits(result.config.max_connections_per_ip_overrides));
  return result;
}

Result<BrokerSettings> load_broker_settings(const std::vector<SettingInput>& inputs) {
  BrokerSettings result;
  for (const auto& option : broker_options())
    result.settings.push_back({&option, option.default_text, Origin::default_value, "default"});
  for (const auto& input : inputs) {
    const BrokerOption* option = find_broker_option(input.name);
    if (option == nullptr) {
      MR_TRY_VOID(unknown_setting(input, result.warnings));
      continue;
    }
    auto& setting = result.settings[static_cast<std::size_t>(option - broker_options().data())];
    // Every value is checked, also one that something else overrides: it is a mistake all the same.
    auto value = parse_value(option->rule, input.value);
    if (!value.ok()) return Error(value.code(), fmt::format("{}: {}", input.where, value.error().detail()));
    if (input.origin < setting.origin) continue;
    setting.value = format_value(*value);
    setting.origin = input.origin;
    setting.where = input.where;
  }
  store_all(result);
  MR_TRY_VOID(check_listeners(result.config));
  MR_TRY_VOID(check_connection_limits(result.config));
  MR_TRY_VOID(check_consumer_groups(result.config));
  MR_TRY_VOID(check_page_cache(result.config));
  return result;
}

Result<std::vector<SettingInput>> parse_properties(std::string_view text, std::string_view file_name) {
  std::vector<SettingInput> inputs;
  int line_number = 0;
  while (!text.empty()) {
    std::string line;
    const int first_line = line_number + 1;
    for (bool more = true; more && !text.empty();) {
      auto end = text.find('\n');
      auto piece = trim(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      ++line_number;
      const bool comment = line.empty() && (piece.starts_with('#') || piece.starts_with('!'));
      more = !comment && piece.ends_with('\\');
      if (more) piece.remove_suffix(1);
      if (!comment) line += piece;
    }
    if (line.empty()) continue;
    auto split = line.find_first_of("=:");
    auto name = trim(std::string_view(line).substr(0, split));
    if (split == std::string::npos || name.empty())
      return Error(Errc::invalid_config, fmt::format("{}:{}: expected name=value", file_name, first_line));
    inputs.push_back({Origin::file, fmt::format("{}:{}", file_name, first_line), std::string(name),
                      std::string(trim(std::string_view(line).substr(split + 1)))});
  }
  return inputs;
}

std::vector<SettingInput> parse_environment(const std::vector<std::string>& variables) {
  std::vector<SettingInput> inputs;
  for (const auto& variable : variables) {
    if (!variable.starts_with("MILLRACE_")) continue;
    const auto split = variable.find('=');
    if (split == std::string::npos) continue;
    const auto name = variable.substr(0, split);
    for (const auto& option : broker_options())
      if (option.environment() == name)
        inputs.push_back({Origin::environment, name, std::string(option.rule.name), variable.substr(split + 1)});
  }
  return inputs;
}

Result<SettingInput> parse_assignment(std::string_view text) {
  const auto split = text.find('=');
  if (split == std::string_view::npos || trim(text.substr(0, split)).empty())
    return Error(Errc::invalid_config, fmt::format("--set wants name=value, not '{}'", text));
  return SettingInput{Origin::set, "--set", std::string(trim(text.substr(0, split))),
                      std::string(trim(text.substr(split + 1)))};
}

Result<ListenerAddress> parse_listener(std::string_view text) {
  auto refuse = [&](std::string_view why) {
    return Error(Errc::invalid_config, fmt::format("listener '{}': {}", text, why));
  };
  ListenerAddress result;
  auto rest = text;
  if (auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    result.name = rest.substr(0, scheme);
    rest.remove_prefix(scheme + 3);
    if (result.name.empty()) return refuse("there is no name before ://");
  } else {
    result.name = "PLAINTEXT";
  }
  if (result.name.find("SSL") != std::string::npos || result.name.find("SASL") != std::string::npos)
    return refuse("TLS and SASL are not supported yet");
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return refuse("expected HOST:PORT");
  auto host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return refuse("an IPv6 address goes in [brackets]");
  result.host = host;
  const auto port = rest.substr(colon + 1);
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc{} || end != port.data() + port.size()) return refuse("the port must be 0 to 65535");
  return result;
}

Result<std::vector<ListenerAddress>> parse_listeners(const std::vector<std::string>& entries) {
  std::vector<ListenerAddress> result;
  for (const auto& entry : entries) {
    MR_TRY(auto one, parse_listener(entry));
    for (const auto& other : result)
      if (other.name == one.name)
        return Error(Errc::invalid_config, fmt::format("two listeners are called {}", one.name));
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace mr::config
