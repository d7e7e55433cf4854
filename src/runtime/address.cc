#include <fmt/format.h>

#include <charconv>

#include "runtime/env.h"

namespace mr {

std::string Address::to_string() const {
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

Result<Address> Address::parse(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Error(Errc::invalid_argument, fmt::format("\"{}\" is no address: {}; expected HOST:PORT", text, why));
  };
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("there is no port");
  std::string_view host = text.substr(0, colon);
  std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return bad("the bracket is not closed before the port");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address stands in brackets");
  }
  if (host.find_first_of(" \t[]/") != std::string_view::npos) return bad("the host has a character no host has");
  unsigned port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || port > 65535) {
    return bad("the port is not a number from 0 to 65535");
  }
  return Address{.host = std::string(host), .port = static_cast<std::uint16_t>(port)};
}

}  // namespace mr
