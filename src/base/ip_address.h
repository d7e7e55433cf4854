#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace mr {

/// The one way to write the IP address `text` (RFC 5952), as the addresses of connections are written; an IPv4 address
/// within IPv6 (::ffff:1.2.3.4) is written as IPv4. Empty when `text` is no address: names, zones (%eth0), leading
/// zeros in IPv4.
std::optional<std::string> canonical_ip(std::string_view text);

}  // namespace mr
