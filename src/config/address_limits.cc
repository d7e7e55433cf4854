#include "config/address_limits.h"

#include <fmt/format.h>

#include <charconv>

#include "base/ip_address.h"

namespace mr::config {

namespace {
constexpr std::string_view kName = "max.connections.per.ip.overrides";
}

Result<AddressLimits> parse_address_limits(std::string_view text) {
  AddressLimits limits;
  for (const std::string& entry : split_list(text)) {
    const auto bad = [&](std::string_view why) {
      return Error(Errc::invalid_config, fmt::format("{}: \"{}\" {}; expected ADDRESS:COUNT", kName, entry, why));
    };
    const std::string_view whole = entry;
    const std::size_t colon = whole.rfind(':');
    if (colon == std::string_view::npos) return bad("has no count");
    std::string_view host = trim(whole.substr(0, colon));
    const std::string_view digits = trim(whole.substr(colon + 1));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const auto address = canonical_ip(host);
    if (!address) return bad("begins with no IP address");
    std::int32_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || count < 0)
      return bad("ends with no count");
    limits[*address] = count;
  }
  return limits;
}

Result<void> check_connection_limits(const BrokerConfig& config) {
  MR_TRY(AddressLimits limits, parse_address_limits(config.max_connections_per_ip_overrides));
  if (config.max_connections_per_ip == 0 && limits.empty())
    return Error(Errc::invalid_config, fmt::format("max.connections.per.ip can be 0 only together with {}", kName));
  return {};
}

}  // namespace mr::config
