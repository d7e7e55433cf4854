#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/topic_config.h"

namespace mr::config {

/// What is done to one setting; the numbers are those of IncrementalAlterConfigs (traps.md 42).
enum class ChangeKind : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct ConfigChange {
  std::string name;
  ChangeKind kind = ChangeKind::set;
  std::optional<std::string> value;  ///< of `remove` nobody looks at it
};

struct ConfigAlteration {
  bool replace = false;  ///< what is not named goes back to what it was without the resource's own settings
  std::vector<ConfigChange> changes;
};

/// Longest value of one setting, as text.
inline constexpr std::size_t kConfigValueBytesMax = 32767;
/// Errors: invalid_config.
Result<void> check_lengths(const TopicOverrides& overrides);

/// Each setting once, none without value but those removed. Errors: invalid_argument.
Result<void> check_changes(const std::vector<ConfigChange>& changes);
/// Only lists are appended to and subtracted from.
Error no_list(std::string_view name, bool append);

/// What can be said of an alteration of a topic before its values are looked at: each setting once, none without value,
/// only lists are appended to. Errors: invalid_argument, invalid_config.
Result<void> check_operations(const ConfigAlteration& alteration);

/// What a topic with `now` sets itself after `alteration`, as canonical text. Lists are appended to what holds for the
/// topic, whoever said so. Removing what is not set is no error.
/// Errors: invalid_argument (a setting named twice, or without value), invalid_config.
Result<TopicOverrides> alter_topic_config(const BrokerConfig& broker, const TopicOverrides& now,
                                          const ConfigAlteration& alteration);

/// Whose dynamic settings are altered: those of one broker or those that all share.
enum class BrokerScope : std::uint8_t { broker, everywhere };
/// The dynamic settings of `now` after `alteration` of one of their two parts. Errors: invalid_argument.
Result<DynamicSettings> alter_broker_config(const BrokerSettings& now, BrokerScope scope,
                                            const ConfigAlteration& alteration);

}  // namespace mr::config
