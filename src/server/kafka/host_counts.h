#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/units.h"
#include "config/address_limits.h"
#include "config/broker_settings.h"

namespace mr::server::kafka {

/// Says something at most every ten seconds, and how often it would have.
class SeldomSaid {
 public:
  /// 0: say nothing now; else how often it happened since somebody said it, this time included.
  std::uint64_t count(TimePoint now) {
    ++since_;
    if (now < next_) return 0;
    next_ = now + std::chrono::seconds(10);
    return std::exchange(since_, 0);
  }

 private:
  TimePoint next_ = TimePoint::min();
  std::uint64_t since_ = 0;
};

/// Connections from each address over all listeners and shards of a broker, against max.connections.per.ip and its
/// overrides. Memory: one entry for each address that has a connection. Shard: 0.
class HostCounts {
 public:
  using Settings = std::shared_ptr<const config::BrokerSettings>;

  /// Counts one more from `host`, unless it has as many as it may: then false, and a line in the log now and then.
  bool enter(const std::string& host, const Settings& settings, TimePoint now);
  /// One that entered has gone.
  void leave(const std::string& host);

  std::size_t hosts() const { return counts_.size(); }

 private:
  std::int32_t limit_of(const std::string& host, const Settings& settings);

  std::unordered_map<std::string, std::int32_t> counts_;
  Settings seen_;  ///< whose overrides these are
  config::AddressLimits overrides_;
  SeldomSaid refused_;
};

}  // namespace mr::server::kafka
