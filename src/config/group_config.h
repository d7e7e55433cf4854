#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/alter_config.h"

/// Group configs: what one consumer group (KIP-848) has otherwise than group.consumer.* of the broker says. Kafka's
/// configs of share and streams groups are refused: such groups are not served yet.
namespace mr::config {

/// What a group sets itself, by Kafka's names, as the metastore keeps it.
using GroupOverrides = std::map<std::string, std::string>;

/// What holds for a group; milliseconds.
struct GroupTimes {
  std::int32_t session_timeout_ms = 0;
  std::int32_t heartbeat_interval_ms = 0;
  std::int32_t assignment_interval_ms = 0;
  friend bool operator==(const GroupTimes&, const GroupTimes&) = default;
};

/// A group that sets something.
struct GroupConfig {
  GroupOverrides overrides;
  GroupTimes times;
};
/// By group; only those that set something.
using GroupConfigs = std::map<std::string, GroupConfig, std::less<>>;

/// Most groups that may set something, and the longest name of one.
inline constexpr std::size_t kConfiguredGroupsMax = 10'000;
inline constexpr std::size_t kConfiguredGroupNameMax = 1'024;

/// Errors: invalid_config when an override is not usable, or not within group.consumer.min.* and group.consumer.max.*.
Result<GroupTimes> resolve_group(const BrokerConfig& broker, const GroupOverrides& overrides);

/// What a group with `now` sets itself after `alteration`, and what holds for it then. Removing what is not set is no
/// error. Errors: invalid_argument (a setting named twice, or without value), invalid_config.
Result<GroupConfig> alter_group_config(const BrokerConfig& broker, const GroupOverrides& now,
                                       const ConfigAlteration& alteration);

/// The configs of consumer groups, with those of `overrides` that the group sets.
std::vector<ConfigEntry> describe_group_config(const GroupOverrides& overrides, const BrokerSettings& broker);

}  // namespace mr::config
