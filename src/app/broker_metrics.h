#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "broker/broker.h"
#include "runtime/real_host.h"
#include "runtime/scope.h"
#include "server/kafka/kafka_server.h"

namespace mr::app {

/// Puts into the registry what shards, doors and partitions count for themselves. Door and shard numbers are read at
/// each scrape; partitions live on their home shards, so each scrape asks every shard once.
/// Shard 0; lives while doors and broker do.
class BrokerMetrics {
 public:
  using Doors = std::vector<std::unique_ptr<server::kafka::KafkaServer>>;

  BrokerMetrics(MetricsRegistry& registry, RealHost& host, broker::Broker& broker, const Doors& doors);
  BrokerMetrics(const BrokerMetrics&) = delete;
  ~BrokerMetrics();

  /// Brings the registry up to date; before each scrape.
  Task<void> refresh();

 private:
  struct Process;
  struct Logs;
  void read_doors();
  void read_shards();

  RealHost& host_;
  broker::Broker& broker_;
  const Doors& doors_;
  const TimePoint started_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Logs> logs_;
};

}  // namespace mr::app
