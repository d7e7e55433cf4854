#include "config/topic_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

namespace mr::config {

namespace {

std::vector<TopicOption> make_options() {
  std::vector<TopicOption> rows;
#define MR_NUMBER(field, name, type, default_value, min, max, synonyms, effect, help)                     \
  rows.push_back({{name, Type::type, static_cast<std::int64_t>(min), static_cast<std::int64_t>(max), ""}, \
                  std::to_string(default_value),                                                          \
                  synonyms,                                                                               \
                  Effect::effect,                                                                         \
                  help});
#define MR_TEXT(field, name, type, default_value, allowed, synonyms, effect, help) \
  rows.push_back({{name, Type::type, 0, 0, allowed}, default_value, synonyms, Effect::effect, help});
#define MR_BOOL(field, name, default_value, synonyms, effect, help) \
  rows.push_back({{name, Type::boolean, 0, 0, ""}, default_value ? "true" : "false", synonyms, Effect::effect, help});
#define MR_RATIO(field, name, default_text, synonyms, effect, help) \
  rows.push_back({{name, Type::float64, 0, 1, ""}, default_text, synonyms, Effect::effect, help});
  MR_TOPIC_OPTIONS(MR_NUMBER, MR_TEXT, MR_BOOL, MR_RATIO)
#undef MR_NUMBER
#undef MR_TEXT
#undef MR_BOOL
#undef MR_RATIO
  return rows;
}

/// "name*factor" of a table row.
struct Synonym {
  std::string name;
  std::int64_t factor = 1;
};

std::vector<Synonym> synonyms_of(const TopicOption& option) {
  std::vector<Synonym> result;
  for (const auto& text : split_list(option.broker_synonyms)) {
    const auto star = text.find('*');
    Synonym one{.name = text.substr(0, star)};
    if (star != std::string::npos) {
      auto parsed = std::from_chars(text.data() + star + 1, text.data() + text.size(), one.factor);
      MR_CHECK(parsed.ec == std::errc{});
    }
    result.push_back(std::move(one));
  }
  return result;
}

/// In the topic's unit. Negative numbers mean "no limit" and stay; a product too large is no limit either.
std::string converted(const std::string& value, std::int64_t factor) {
  if (factor == 1) return value;
  std::int64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  if (number < 0) return "-1";
  if (__builtin_mul_overflow(number, factor, &number)) number = kInt64Max;
  return std::to_string(number);
}

using List = std::vector<std::string>;

/// "*", or pairs of partition and broker.
Result<void> check_replicas(std::string_view name, const List& entries) {
  auto number = [](std::string_view text) {
    return !text.empty() && text.size() <= 10 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (entries == List{"*"}) return {};
  for (std::string_view entry : entries) {
    const auto colon = entry.find(':');
    if (colon == std::string_view::npos || !number(entry.substr(0, colon)) || !number(entry.substr(colon + 1)))
      return Error(Errc::invalid_config, fmt::format("{} is '*' or a list of PARTITION:BROKER, not '{}'", name, entry));
  }
  return {};
}

Result<void> check_overrides(const TopicOverrides& overrides) {
  for (const auto& [name, text] : overrides) {
    const TopicOption* option = find_topic_option(name);
    if (option == nullptr) return unknown_topic_option(name);
    MR_TRY(auto value, parse_value(option->rule, text));
    if (option->effect == Effect::default_only && format_value(value) != option->default_text)
      return Error(Errc::invalid_config, fmt::format("{}={} is not supported yet; only {}={} is accepted", name, text,
                                                     name, option->default_text));
    if (name.ends_with("throttled.replicas")) MR_TRY_VOID(check_replicas(name, std::get<List>(value)));
  }
  return {};
}

/// What `source` says about `setting`, if anything.
std::optional<std::string> said_by(const Setting& setting, ConfigSource source) {
  switch (source) {
    case ConfigSource::topic:
    case ConfigSource::group:
      break;
    case ConfigSource::dynamic_broker:
      return setting.dynamic_broker;
    case ConfigSource::dynamic_default:
      return setting.dynamic_default;
    case ConfigSource::static_broker:
      if (setting.origin != Origin::default_value) return setting.value;
      break;
    case ConfigSource::default_value:
      return setting.option->default_text;
  }
  return std::nullopt;
}

/// The options that stand in for `name` when it is not set, itself first.
std::vector<std::string_view> broker_synonyms(std::string_view name) {
  if (name == "log.retention.ms") return {name, "log.retention.minutes", "log.retention.hours"};
  return {name};
}

}  // namespace

void add_synonyms(std::span<const std::string_view> names, const BrokerSettings& broker,
                  std::vector<ConfigSynonym>& synonyms) {
  for (auto source : {ConfigSource::dynamic_broker, ConfigSource::dynamic_default, ConfigSource::static_broker,
                      ConfigSource::default_value})
    for (std::string_view name : names) {
      if (find_broker_option(name) == nullptr) continue;
      if (auto value = said_by(broker.of(name), source)) synonyms.push_back({std::string(name), value, source});
    }
}

const std::vector<TopicOption>& topic_options() {
  static const std::vector<TopicOption> rows = make_options();
  return rows;
}

const TopicOption* find_topic_option(std::string_view name) {
  for (const auto& option : topic_options())
    if (option.rule.name == name) return &option;
  return nullptr;
}

Error unknown_topic_option(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& known : topic_options()) names.push_back(known.rule.name);
  return Error(Errc::invalid_config, fmt::format("Unknown topic config name: {}{}", name, suggestion(name, names)));
}

/// Finer units are unset by default, so a coarser one counts only where no finer one was given.
std::string inherited_value(const TopicOption& option, const BrokerConfig& broker) {
  for (const auto& synonym : synonyms_of(option))
    if (auto value = value_of(broker, synonym.name)) return converted(*value, synonym.factor);
  return option.default_text;
}

Result<TopicConfig> TopicConfig::resolve(const BrokerConfig& broker, const TopicOverrides& overrides) {
  MR_TRY_VOID(check_overrides(overrides));
  TopicConfig config;
  auto option = topic_options().begin();
  auto next = [&](auto& field) {
    const auto own = overrides.find(std::string(option->rule.name));
    auto value = parse_value(option->rule, own != overrides.end() ? own->second : inherited_value(*option, broker));
    MR_CHECK(value.ok());  // a test holds the broker's bounds inside the topic's
    detail::store(*value, field);
    ++option;
  };
#define MR_FIELD(field, ...) next(config.field);
  MR_TOPIC_OPTIONS(MR_FIELD, MR_FIELD, MR_FIELD, MR_FIELD)
#undef MR_FIELD
  return config;
}

Result<void> TopicConfig::check_together() const {
  if (compression_gzip_level == 0)
    return Error(Errc::invalid_config, "compression.gzip.level is 1 to 9, or -1 for the codec's default");
  if (min_compaction_lag_ms <= max_compaction_lag_ms) return {};
  return Error(Errc::invalid_config, fmt::format("min.compaction.lag.ms ({}) is larger than max.compaction.lag.ms ({})",
                                                 min_compaction_lag_ms, max_compaction_lag_ms));
}

std::vector<ConfigEntry> describe_topic_config(const TopicOverrides& overrides, const BrokerSettings& broker) {
  std::vector<ConfigEntry> entries;
  for (const auto& option : topic_options()) {
    ConfigEntry entry{.name = std::string(option.rule.name), .type = option.rule.type, .help = option.help};
    const auto own = overrides.find(entry.name);
    if (own != overrides.end()) {
      auto value = parse_value(option.rule, own->second);
      entry.value = value.ok() ? format_value(*value) : own->second;
      entry.synonyms.push_back({entry.name, entry.value, ConfigSource::topic});
    } else {
      entry.value = inherited_value(option, broker.config);
    }
    std::vector<std::string_view> names;
    const auto synonyms = synonyms_of(option);
    for (const auto& synonym : synonyms) names.push_back(synonym.name);
    add_synonyms(names, broker, entry.synonyms);
    if (!entry.synonyms.empty()) entry.source = entry.synonyms.front().source;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<ConfigEntry> describe_broker_config(const BrokerSettings& broker) {
  std::vector<ConfigEntry> entries;
  for (const auto& setting : broker.settings) {
    const BrokerOption& option = *setting.option;
    ConfigEntry entry{.name = std::string(option.rule.name),
                      .value = setting.effective(),
                      .type = option.rule.type,
                      .read_only = option.apply == Apply::restart,
                      .help = option.help};
    add_synonyms(broker_synonyms(option.rule.name), broker, entry.synonyms);
    // As in Kafka the chain begins with the option itself: one that is not set has none.
    auto own = std::ranges::find(entry.synonyms, entry.name, &ConfigSynonym::name);
    entry.synonyms.erase(entry.synonyms.begin(), own);
    if (!entry.synonyms.empty()) entry.source = entry.synonyms.front().source;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<ConfigEntry> describe_cluster_config(const BrokerSettings& broker) {
  std::vector<ConfigEntry> entries;
  for (const auto& setting : broker.settings) {
    if (!setting.dynamic_default) continue;
    const BrokerOption& option = *setting.option;
    const std::string name(option.rule.name);
    entries.push_back({.name = name,
                       .value = setting.dynamic_default,
                       .type = option.rule.type,
                       .source = ConfigSource::dynamic_default,
                       .synonyms = {{name, setting.dynamic_default, ConfigSource::dynamic_default}},
                       .help = option.help});
  }
  return entries;
}

}  // namespace mr::config
