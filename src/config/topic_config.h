#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/broker_settings.h"
#include "config/topic_options.h"

namespace mr::config {

/// What a topic sets itself, by Kafka's names, as the metastore keeps it.
using TopicOverrides = std::map<std::string, std::string>;

/// One value on the way to the effective one.
struct ConfigSynonym {
  std::string name;
  std::optional<std::string> value;
  ConfigSource source = ConfigSource::default_value;
};

/// One entry of a DescribeConfigs answer.
struct ConfigEntry {
  std::string name;
  std::optional<std::string> value;
  Type type = Type::string;
  ConfigSource source = ConfigSource::default_value;
  bool read_only = false;
  bool sensitive = false;
  std::vector<ConfigSynonym> synonyms;  ///< strongest first (traps.md 41)
  std::string_view help;
};

/// Appends what the broker's sources say about the options `names`: strongest source first, within one in that order.
/// Names of no option are left out.
void add_synonyms(std::span<const std::string_view> names, const BrokerSettings& broker,
                  std::vector<ConfigSynonym>& synonyms);

/// All topic configs in order of name. `overrides` must have passed TopicConfig::resolve.
std::vector<ConfigEntry> describe_topic_config(const TopicOverrides& overrides, const BrokerSettings& broker);
/// All broker options in table order.
std::vector<ConfigEntry> describe_broker_config(const BrokerSettings& broker);
/// What was set for all brokers of the cluster while they run.
std::vector<ConfigEntry> describe_cluster_config(const BrokerSettings& broker);

}  // namespace mr::config
