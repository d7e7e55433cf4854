#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/broker_options.h"

namespace mr::config {

/// Where a setting was made. A higher one wins over a lower one; within one the last wins.
enum class Origin : std::uint8_t { default_value, file, environment, set, flag };
std::string_view to_string(Origin origin);

/// One setting as somebody wrote it.
struct SettingInput {
  Origin origin = Origin::flag;
  std::string where;  ///< for people: "server.properties:12", "MILLRACE_NODE_ID", "--set"
  std::string name;   ///< Kafka's name
  std::string value;
};

/// One option as it holds.
struct Setting {
  const BrokerOption* option = nullptr;
  std::optional<std::string> value;  ///< as started; canonical text; empty: not set
  Origin origin = Origin::default_value;
  std::string where;
  // What was put over it while the broker runs (AlterConfigs), strongest first.
  std::optional<std::string> dynamic_broker = {};   ///< of this broker
  std::optional<std::string> dynamic_default = {};  ///< of all brokers of the cluster

  /// What holds.
  const std::optional<std::string>& effective() const {
    return dynamic_broker ? dynamic_broker : dynamic_default ? dynamic_default : value;
  }
};

/// Settings made while brokers run, by name; canonical text. As the metastore keeps them.
struct DynamicSettings {
  std::map<std::string, std::string> broker;      ///< of one broker
  std::map<std::string, std::string> everywhere;  ///< of all brokers
  friend bool operator==(const DynamicSettings&, const DynamicSettings&) = default;
};

/// The effective configuration with its history. Plain value.
struct BrokerSettings {
  BrokerConfig config;
  std::vector<Setting> settings;      ///< one per row, in table order
  std::vector<std::string> warnings;  ///< sentences about settings that were ignored

  const Setting& of(std::string_view name) const;
  DynamicSettings dynamic() const;
};

/// `settings` with `dynamic` in place of the dynamic settings it had. Errors: invalid_config (no such option, one that
/// takes a restart, a bad value).
Result<BrokerSettings> with_dynamic(BrokerSettings settings, const DynamicSettings& dynamic);
/// Whether an option may be set while the broker runs. Errors: invalid_config with a sentence.
Result<const BrokerOption*> find_live_option(std::string_view name);

/// Checks and merges. Unknown names are refused with a suggestion; options of Kafka that we do not have yet only warn,
/// so that a server.properties can be carried over, unless ignoring them would leave a door open (TLS, SASL, ACLs).
/// Errors: invalid_config; the sentence names the option, the value, what is allowed and where it was set.
Result<BrokerSettings> load_broker_settings(const std::vector<SettingInput>& inputs);

/// "name=value" or "name:value" lines, '#' and '!' comments, backslash at the end continues. Errors: invalid_config.
Result<std::vector<SettingInput>> parse_properties(std::string_view text, std::string_view file_name);

/// Settings among "NAME=value" strings (as environ has them). Unknown MILLRACE_* names are left alone: other tools and
/// the client commands have some too.
std::vector<SettingInput> parse_environment(const std::vector<std::string>& variables);

/// "name=value" as --set takes it. Errors: invalid_config.
Result<SettingInput> parse_assignment(std::string_view text);

/// One entry of `listeners`, `advertised.listeners` or `http.listeners`.
struct ListenerAddress {
  std::string name;  ///< "PLAINTEXT" unless given
  std::string host;  ///< empty: every address
  std::uint16_t port = 0;
  friend bool operator==(const ListenerAddress&, const ListenerAddress&) = default;
};
/// Errors: invalid_config.
Result<ListenerAddress> parse_listener(std::string_view text);
/// All entries; names must differ. Errors: invalid_config.
Result<std::vector<ListenerAddress>> parse_listeners(const std::vector<std::string>& entries);

}  // namespace mr::config
