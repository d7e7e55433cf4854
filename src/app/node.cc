#include "app/node.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/start_errors.h"
#include "base/log.h"
#include "base/version.h"
#include "runtime/longest_wait.h"
#include "runtime/machine.h"
#include "runtime/machine_facts.h"
#include "server/api/group_health.h"

namespace mr::app {

namespace {

/// What a listener on "every address" is called when somebody on this machine wants to connect.
Address reachable(Address address) {
  if (address.host.empty() || address.host == "0.0.0.0" || address.host == "::") address.host = "127.0.0.1";
  return address;
}

std::uint64_t memory_budget(const config::BrokerConfig& config) {
  return config.memory > 0 ? static_cast<std::uint64_t>(config.memory) : usable_memory_bytes() / 2;
}

Task<http::HttpResponse> version_page() {
  co_return http::HttpResponse::json(fmt::format(R"({{"name":"millrace","version":{}}})", http::json_string(kVersion)) +
                                     "\n");
}

void warn_when_open(std::string_view option, const Address& address) {
  if (is_loopback(address.host)) return;
  log_warn("app",
           "listening beyond this machine without authentication or encryption: whoever reaches the port may "
           "read, write and delete",
           {{"option", option}, {"address", address.to_string()}});
}

}  // namespace

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

Node::Node(RealHost& host, config::BrokerSettings settings, coordinator::Assignors assignors)
    : host_(host),
      shards_(host.shards()),
      env_(shards_.env(ShardId{0})),
      later_(env_.executor),
      settings_(std::move(settings)),
      assignors_(std::move(assignors)),
      metadata_pool_(make_offload_pool("metadata", 1)) {}

Node::~Node() { MR_CHECK(!broker_ && !metadata_ && doors_.empty() && http_.empty()); }

Task<Result<void>> Node::start() {
  Result<void> started = co_await start_all();
  if (!started.ok()) (void)co_await stop();
  co_return started;
}

Task<Result<void>> Node::start_all() {
  Directories directories;
  std::vector<broker::UnopenedDirectory> unopened;
  MR_CO_TRY_VOID(co_await open_directories(directories, unopened));
  co_await remove_ready_file();  // of a process that was killed
  MR_CO_TRY_VOID(co_await start_http());

  auto journal = metastore::make_sqlite_journal(data_directory() + "/metadata.db");
  auto metadata = co_await metastore::LocalMetastore::open(shards_, ShardId{0}, *metadata_pool_, std::move(journal));
  if (!metadata.ok()) co_return metadata_error(data_directory(), user_name(), metadata.error());
  metadata_ = std::move(*metadata);

  broker::BrokerDeps deps{.shards = shards_,
                          .metadata = *metadata_,
                          .settings = settings_,
                          .directories = std::move(directories),
                          .unopened = std::move(unopened),
                          .all_failed =
                              [this](Error why) {
                                fatal_ = std::move(why);
                                host_.request_stop();
                              },
                          .journal = {.memory_bytes = usable_memory_bytes()},
                          .inflating_bytes_max = std::max<std::uint64_t>(memory_budget(settings_.config) / 8, 16_MiB)};
  broker_ = std::make_unique<broker::Broker>(std::move(deps));
  if (interrupted_) broker_->interrupt_start();
  MR_CO_TRY_VOID(co_await broker_->start());
  return_free_memory();  // recovery had all that the commit journals carry
  groups_ = std::make_unique<coordinator::GroupCoordinator>(*broker_, assignors_);
  co_await groups_->start();
  lags_ = std::make_unique<coordinator::LagWatch>(*broker_, *groups_);
  lags_->start();
  MR_CO_TRY_VOID(co_await start_kafka());
  open_ = true;
  auto ready = co_await write_ready_file();
  if (ready.ok() || ready.code() != Errc::disk_full) co_return ready;
  log_warn("app", "the ready file waits for room on the disk; the doors are open",
           {{"error", ready.error().message()}});
  later_.spawn("ready file", write_ready_file_later());
  co_return Result<void>{};
}

Task<Result<void>> Node::open_directories(Directories& opened_ones, std::vector<broker::UnopenedDirectory>& unopened) {
  for (const std::string& path : settings_.config.log_dirs) {
    auto opened = co_await offload(env_, [&] { return storage::DataDir::open(env_.files, path); });
    if (opened.ok()) {
      opened_ones.push_back(std::move(*opened));
      continue;
    }
    const bool holds_metadata = path == data_directory();
    if (holds_metadata || opened.code() == Errc::in_use || opened.code() == Errc::newer_format ||
        opened.code() == Errc::disk_full)
      co_return directory_error(path, user_name(), opened.error());
    unopened.push_back({path, opened.error()});
  }
  co_return Result<void>{};
}

Task<Result<void>> Node::start_kafka() {
  const config::BrokerConfig& config = settings_.config;
  MR_CO_TRY(auto listeners, config::parse_listeners(config.listeners));
  MR_CO_TRY(auto advertised, config::parse_listeners(config.advertised_listeners));
  const std::uint64_t in_flight = config.queued_max_request_bytes > 0
                                      ? static_cast<std::uint64_t>(config.queued_max_request_bytes)
                                      : memory_budget(config) / 4;
  // Connections leave a quarter of the file limit to the logs: refused at the door is better than half served.
  auto hosts = std::make_shared<server::kafka::HostCounts>();
  const std::uint64_t descriptors = raise_descriptor_limit() / 4 * 3;
  for (const config::ListenerAddress& listener : listeners) {
    server::kafka::KafkaServerOptions options;
    options.listener_name = listener.name;
    options.listen = {listener.host, listener.port};
    options.buffers = {.send = config.socket_send_buffer_bytes, .receive = config.socket_receive_buffer_bytes};
    for (const config::ListenerAddress& one : advertised)
      if (one.name == listener.name) options.advertised = Address{one.host, one.port};
    options.request_bytes_max = static_cast<std::uint32_t>(config.socket_request_max_bytes);
    options.connections_max =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptors / listeners.size(), UINT32_MAX));
    options.hosts = hosts;
    options.fetch_sessions_max = static_cast<std::uint32_t>(config.max_incremental_fetch_session_cache_slots);
    options.idle_max = config.connections_max_idle_ms < 0 ? kLongestWait : bounded_wait(config.connections_max_idle_ms);
    // One whole request must fit, whatever the budget.
    options.receive_bytes_max =
        std::max<std::uint64_t>(in_flight / listeners.size(), std::uint64_t{options.request_bytes_max} + 1_MiB);
    const Address wanted = options.listen;
    auto door = std::make_unique<server::kafka::KafkaServer>(shards_, *broker_, *groups_, std::move(options));
    auto opened = co_await door->start();
    if (!opened.ok()) co_return door_error(opened.error(), "listeners", wanted);
    warn_when_open("listeners", door->address());
    kafka_addresses_.push_back(reachable(door->address()));
    doors_.push_back(std::move(door));
  }
  broker_metrics_ = std::make_unique<BrokerMetrics>(metrics_, host_, *broker_, doors_);
  group_metrics_ = std::make_unique<GroupMetrics>(metrics_, *groups_, *lags_);
  co_return Result<void>{};
}

Task<Result<void>> Node::start_http() {
  router_.add("GET", "/metrics", [this](http::HttpRequest&) { return metrics_page(); });
  for (std::string_view path : {"/health", "/readyz"})
    http::add_health_route(router_, path, [this] { return health(); });
  const server::api::GroupSources sources{.broker = [this] { return broker_.get(); },
                                          .groups = [this] { return open_ ? groups_.get() : nullptr; },
                                          .lags = [this] { return lags_.get(); }};
  server::api::add_consumer_group_routes(router_, sources);
  server::api::add_group_health_routes(router_, sources);
  http::add_health_route(router_, "/livez", [] { return http::Health{}; });
  router_.add("GET", "/version", [](http::HttpRequest&) { return version_page(); });
  for (const std::string& entry : settings_.config.http_listeners) {
    MR_CO_TRY(auto wanted, config::parse_listener(entry));
    const Address address{wanted.host, wanted.port};
    auto listener = env_.network.listen(address);
    if (!listener.ok()) co_return door_error(listener.error(), "http.listeners", address);
    http::HttpServer& door =
        *http_.emplace_back(std::make_unique<http::HttpServer>(env_, router_, http::HttpLimits{}, &metrics_));
    door.start(std::move(*listener));
    warn_when_open("http.listeners", door.local());
    if (http_address_.port == 0) http_address_ = reachable(door.local());
  }
  co_return Result<void>{};
}

Task<http::HttpResponse> Node::metrics_page() {
  // One scrape at a time: it brings counters up to date in several steps.
  while (scraping_) {
    if (!(co_await scraped_.wait()).ok()) co_return http::HttpResponse::error(503, "stopping", "the broker stops");
  }
  scraping_ = true;
  if (broker_metrics_) co_await broker_metrics_->refresh();
  if (group_metrics_) co_await group_metrics_->refresh();
  scraping_ = false;
  scraped_.notify_all();
  http::HttpResponse page{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_.text()};
  co_return page;
}

namespace {

std::string directories_json(const std::vector<broker::LogDirectory>& directories) {
  std::string json;
  for (const broker::LogDirectory& directory : directories) {
    json += fmt::format(R"({}{{"path":{},"online":{},"partitions":{},"free_bytes":{},"appends":"{}"{}}})",
                        json.empty() ? "" : ",", http::json_string(directory.path), directory.online(),
                        directory.partitions, directory.space.free_bytes,
                        !directory.online() || directory.low ? "refused" : "taken",
                        directory.online() ? "" : ",\"error\":" + http::json_string(directory.offline->message()));
  }
  return "[" + json + "]";
}

std::string progress_json(const broker::StartProgress& progress) {
  auto left = progress.left();
  return fmt::format(R"({{"partitions":{},"of_partitions":{},"bytes":{},"of_bytes":{},"seconds_left":{}}})",
                     progress.partitions_done, progress.partitions_total, progress.bytes_done, progress.bytes_total,
                     left ? fmt::format("{:.1f}", std::chrono::duration<double>(*left).count()) : "null");
}

}  // namespace

http::Health Node::health() const {
  http::Health health{.ok = open_, .status = open_ ? "ok" : "starting"};
  health.members.emplace_back("version", http::json_string(kVersion));
  health.checks = {{.name = "metadata", .ok = metadata_ != nullptr},
                   {.name = "logs", .ok = broker_ != nullptr && broker_->progress().ready},
                   {.name = "kafka", .ok = open_, .detail = open_ ? kafka_addresses_.front().to_string() : ""}};
  if (!broker_) return health;
  const broker::StartProgress progress = broker_->progress();
  if (!progress.ready) {
    health.status = "recovering";
    health.members.emplace_back("recovery", progress_json(progress));
  }
  const auto& directories = broker_->log_directories();
  if (health.ok && !std::ranges::all_of(directories, &broker::LogDirectory::online)) health.status = "degraded";
  health.members.emplace_back("cluster_id", http::json_string(broker_->cluster_id()));
  health.members.emplace_back("node_id", std::to_string(broker_->self().v));
  health.members.emplace_back("log_dirs", directories_json(directories));
  for (const broker::LogDirectory& directory : directories)
    health.checks.push_back({.name = "log_dir " + directory.path,
                             .ok = directory.online() && !directory.low,
                             .detail = !directory.online() ? directory.offline->message()
                                       : directory.low     ? "below disk.reserve.bytes: appends are refused"
                                                           : ""});
  return health;
}

void Node::interrupt_start() {
  interrupted_ = true;
  if (broker_) broker_->interrupt_start();
}

Task<Result<void>> Node::write_ready_file() {
  std::string text =
      fmt::format("{{\"kafka\":{},\"http\":{}}}\n", http::json_string(kafka_addresses_.front().to_string()),
                  !http_.empty() ? http::json_string(http_address_.to_string()) : "null");
  auto written = co_await offload(env_, [this, &text]() -> Result<void> {
    std::string temporary = ready_path() + ".new";
    {
      MR_TRY(auto file, env_.files.open(temporary, OpenMode::create));
      MR_TRY_VOID(file->truncate(0));
      MR_TRY_VOID(file->write_at(as_bytes(text), 0));
    }
    return env_.files.rename(temporary, ready_path());
  });
  ready_written_ = written.ok();
  co_return written;
}

Task<void> Node::write_ready_file_later() {
  while ((co_await sleep_until(env_.now() + std::chrono::seconds(1))).ok())
    if ((co_await write_ready_file()).ok()) co_return;
}

Task<void> Node::remove_ready_file() {
  ready_written_ = false;
  auto removed = co_await offload(env_, [this] { return env_.files.remove(ready_path()); });
  if (!removed.ok() && removed.code() != Errc::not_found)
    log_warn("app", "the ready file could not be removed", {{"error", removed.error().message()}});
}

Task<Result<void>> Node::stop() {
  open_ = false;
  co_await later_.stop();
  if (ready_written_) co_await remove_ready_file();
  for (auto& door : http_) co_await door->stop();
  for (auto& door : doors_) co_await door->stop();
  if (lags_) co_await lags_->stop();
  if (groups_) co_await groups_->stop();
  Result<void> stopped;
  if (broker_) stopped = co_await broker_->stop();
  if (metadata_) co_await metadata_->stop();
  http_.clear();
  broker_metrics_.reset();
  group_metrics_.reset();
  doors_.clear();
  lags_.reset();
  groups_.reset();
  broker_.reset();
  metadata_.reset();
  co_return stopped;
}

}  // namespace mr::app
