#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/broker_metrics.h"
#include "app/group_metrics.h"
#include "base/metrics.h"
#include "broker/broker.h"
#include "config/broker_settings.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/lag/lag_watch.h"
#include "metastore/local_metastore.h"
#include "runtime/real_host.h"
#include "server/http/server.h"
#include "server/kafka/kafka_server.h"

namespace mr::app {

/// One broker of this process with its doors: everything between the settings and the first accepted connection.
/// Start order: directories (locks), HTTP door (answers 503 until all is up), metastore, broker (recovery), groups
/// (loading goes on), Kafka doors, ready file. Stop order: ready file, HTTP, Kafka doors, groups, broker, metastore.
/// Made and destroyed on the main thread, started and stopped on shard 0.
class Node {
 public:
  Node(RealHost& host, config::BrokerSettings settings, coordinator::Assignors assignors);
  Node(const Node&) = delete;
  ~Node();

  /// On an error everything that was started is stopped again; the sentence says what to do. Errors: cancelled when
  /// interrupted.
  Task<Result<void>> start();
  /// Ends a start() that recovers logs soon; otherwise nothing.
  void interrupt_start();
  /// Idempotent. Errors: the first that kept a data directory from being marked clean.
  Task<Result<void>> stop();
  /// Why the broker asked to be stopped: its last log directory has failed. Empty when somebody else asked.
  const std::optional<Error>& fatal() const { return fatal_; }

  /// Where clients on this machine connect; after start().
  const std::vector<Address>& kafka() const { return kafka_addresses_; }
  /// The first; port 0 when HTTP is switched off.
  const Address& http() const { return http_address_; }
  const std::string& data_directory() const { return settings_.config.log_dirs.front(); }
  const std::string& cluster_id() const { return broker_->cluster_id(); }

 private:
  Task<Result<void>> start_all();
  using Directories = std::vector<std::unique_ptr<storage::DataDir>>;
  /// The first entry of log.dirs holds the metadata, so it must open; any other may be offline.
  Task<Result<void>> open_directories(Directories& opened_ones, std::vector<broker::UnopenedDirectory>& unopened);
  Task<Result<void>> start_kafka();
  Task<Result<void>> start_http();
  /// Of /health and /readyz: may this broker be used?
  http::Health health() const;
  Task<http::HttpResponse> metrics_page();
  Task<Result<void>> write_ready_file();
  Task<void> write_ready_file_later();
  Task<void> remove_ready_file();
  std::string ready_path() const { return data_directory() + "/ready.json"; }

  RealHost& host_;
  Shards& shards_;
  Env& env_;
  Scope later_;
  config::BrokerSettings settings_;
  coordinator::Assignors assignors_;
  MetricsRegistry metrics_;
  std::unique_ptr<OffloadPool> metadata_pool_;  // joined on the main thread
  std::unique_ptr<metastore::LocalMetastore> metadata_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<coordinator::GroupCoordinator> groups_;
  std::unique_ptr<coordinator::LagWatch> lags_;
  std::vector<std::unique_ptr<server::kafka::KafkaServer>> doors_;
  std::unique_ptr<BrokerMetrics> broker_metrics_;
  std::unique_ptr<GroupMetrics> group_metrics_;
  http::HttpRouter router_;
  std::vector<std::unique_ptr<http::HttpServer>> http_;  // one per entry of http.listeners, one router
  std::vector<Address> kafka_addresses_;
  Address http_address_;
  bool open_ = false;  ///< all doors are
  bool ready_written_ = false;
  bool scraping_ = false;
  Event scraped_;
  bool interrupted_ = false;
  std::optional<Error> fatal_;
};

/// `host` is one that only this machine reaches.
bool is_loopback(const std::string& host);

}  // namespace mr::app
