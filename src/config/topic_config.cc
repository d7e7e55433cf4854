#include "config/topic_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

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

/// What holds for a topic that does not set `option` itself: the first synonym that has a value. Finer units are unset
/// by default, so a coarser one counts only where no finer one was given.
std::string inherited(const TopicOption& option, const BrokerConfig& broker) {
  for (const auto& synonym : synonyms_of(option))
    if (auto value = value_of(broker, synonym.name)) return converted(*value, synonym.factor);
  return option.default_text;
}

Result<void> check_overrides(const TopicOverrides& overrides) {
  for (const auto& [name, text] : overrides) {
    const TopicOption* option = find_topic_option(name);
    if (option == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& known : topic_options()) names.push_back(known.rule.name);
      return Error(Errc::invalid_config, fmt::format("Unknown topic config name: {}{}", name, suggestion(name, names)));
    }
    MR_TRY(auto value, parse_value(option->rule, text));
    if (option->effect == Effect::default_only && format_value(value) != option->default_text)
      return Error(Errc::invalid_config, fmt::format("{}={} is not supported yet; only {}={} is accepted", name, text,
                                                     name, option->default_text));
  }
  return {};
}

ConfigSource source_of(const Setting& setting) {
  return setting.origin == Origin::default_value ? ConfigSource::default_value : ConfigSource::static_broker;
}

}  // namespace

const std::vector<TopicOption>& topic_options() {
  static const std::vector<TopicOption> rows = make_options();
  return rows;
}

const TopicOption* find_topic_option(std::string_view name) {
  for (const auto& option : topic_options())
    if (option.rule.name == name) return &option;
  return nullptr;
}

Result<TopicConfig> TopicConfig::resolve(const BrokerConfig& broker, const TopicOverrides& overrides) {
  MR_TRY_VOID(check_overrides(overrides));
  TopicConfig config;
  auto option = topic_options().begin();
  auto next = [&](auto& field) {
    const auto own = overrides.find(std::string(option->rule.name));
    auto value = parse_value(option->rule, own != overrides.end() ? own->second : inherited(*option, broker));
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
      entry.value = inherited(option, broker.config);
    }
    // Explicit settings of the broker first, then its defaults, each in order of synonyms.
    for (auto wanted : {ConfigSource::static_broker, ConfigSource::default_value})
      for (const auto& synonym : synonyms_of(option)) {
        if (find_broker_option(synonym.name) == nullptr) continue;
        const Setting& setting = broker.of(synonym.name);
        std::optional<std::string> value;
        if (wanted == ConfigSource::default_value) {
          value = setting.option->default_text;
        } else if (setting.origin != Origin::default_value) {
          value = setting.value;
        }
        if (value) entry.synonyms.push_back({synonym.name, value, wanted});
      }
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
                      .value = setting.value,
                      .type = option.rule.type,
                      .source = source_of(setting),
                      .read_only = option.apply == Apply::restart,
                      .help = option.help};
    if (entry.source == ConfigSource::static_broker)
      entry.synonyms.push_back({entry.name, setting.value, ConfigSource::static_broker});
    if (option.default_text) entry.synonyms.push_back({entry.name, option.default_text, ConfigSource::default_value});
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace mr::config
