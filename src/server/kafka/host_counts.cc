#include "server/kafka/host_counts.h"

#include "base/check.h"
#include "base/ip_address.h"
#include "base/log.h"

namespace mr::server::kafka {

std::int32_t HostCounts::limit_of(const std::string& host, const Settings& settings) {
  if (settings != seen_) {
    auto overrides = config::parse_address_limits(settings->config.max_connections_per_ip_overrides);
    MR_CHECK(overrides.ok());  // checked when it was set
    overrides_ = std::move(*overrides);
    seen_ = settings;
  }
  if (!overrides_.empty()) {
    auto own = overrides_.find(canonical_ip(host).value_or(host));
    if (own != overrides_.end()) return own->second;
  }
  return settings->config.max_connections_per_ip;
}

bool HostCounts::enter(const std::string& host, const Settings& settings, TimePoint now) {
  const std::int32_t limit = limit_of(host, settings);
  auto at = counts_.find(host);
  const std::int32_t count = at == counts_.end() ? 0 : at->second;
  if (count < limit) {
    ++(at == counts_.end() ? counts_[host] : at->second);
    return true;
  }
  if (std::uint64_t times = refused_.count(now))
    log_warn("server", "connections are refused: the address has as many as max.connections.per.ip allows",
             {{"address", host}, {"limit", limit}, {"refused", times}});
  return false;
}

void HostCounts::leave(const std::string& host) {
  auto at = counts_.find(host);
  MR_CHECK(at != counts_.end());
  if (--at->second == 0) counts_.erase(at);
}

}  // namespace mr::server::kafka
