#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/broker_options.h"

namespace mr::config {

/// Connections that may come from an address; keys are as canonical_ip() writes them.
using AddressLimits = std::map<std::string, std::int32_t, std::less<>>;

/// `max.connections.per.ip.overrides`: "10.0.0.1:100,[::1]:5,fe80::1:7"; brackets are not needed, as in Kafka. The last
/// of two for one address wins. Errors: invalid_config; names of hosts are refused (nobody looks them up).
Result<AddressLimits> parse_address_limits(std::string_view text);

/// What must hold between the settings for connections of one address. Errors: invalid_config.
Result<void> check_connection_limits(const BrokerConfig& config);

}  // namespace mr::config
