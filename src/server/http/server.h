#pragma once
#include <memory>
#include <string>

#include "base/metrics.h"
#include "runtime/scope.h"
#include "server/http/parser.h"
#include "server/http/router.h"

namespace mr::http {

struct HttpLimits {
  ParseLimits parse;
  std::uint32_t connections_max = 1000;
  Duration idle_max = std::chrono::seconds(60);    ///< between requests
  Duration header_max = std::chrono::seconds(10);  ///< from a request's first byte to the end of its header
  Duration body_max = std::chrono::seconds(60);    ///< from there to the end of its body
  Duration write_max = std::chrono::seconds(30);   ///< for each piece of an answer
};

/// HTTP/1.1 over the streams of an Env. One shard; several servers may share a router and an address.
/// Requests of one connection are answered one after the other, in order; a pipelining client's next requests wait in
/// one buffer of at most parse.header_bytes_max bytes.
class HttpServer {
 public:
  /// `router` outlives the server. With `metrics`, requests and connections are counted there.
  HttpServer(Env& env, const HttpRouter& router, HttpLimits limits = {}, MetricsRegistry* metrics = nullptr);

  /// Accepts from `listener` until stop().
  void start(std::unique_ptr<Listener> listener);
  /// Where start()'s listener listens.
  const Address& local() const { return listener_->local(); }
  /// Takes no more, cancels what runs, waits for the last.
  Task<void> stop();

  /// One connection from its first byte to its close.
  Task<void> serve(std::unique_ptr<Stream> stream);

 private:
  struct Connection;
  Task<void> accept_all();
  /// False: no next request on this connection.
  Task<bool> serve_one(Connection& connection);
  Task<Result<void>> read_request(Connection& connection, RequestParser& parser);
  static Task<HttpResponse> answer(const HttpHandler& handler, HttpRequest& request);
  /// Takes back request.keep_alive when the answer can only end with the connection.
  Task<Result<void>> send(Connection& connection, HttpRequest& request, HttpResponse& response);
  std::string head(const HttpRequest& request, const HttpResponse& response, bool chunked) const;
  TimePoint in(Duration d) const { return env_.now() + d; }

  Env& env_;
  const HttpRouter& router_;
  const HttpLimits limits_;
  std::unique_ptr<Listener> listener_;
  Scope scope_;
  std::uint32_t open_ = 0;
  Counter requests_[5];  // by first digit of the status, 1xx to 5xx
  Gauge connections_;
};

/// GET /metrics: the registry's page.
void add_metrics_route(HttpRouter& router, const MetricsRegistry& registry);

struct Health {
  bool ok = true;
  std::string status = {};  ///< in place of "ok" or "unavailable"
  /// More members of the JSON object: name and JSON value, e.g. {"version", "\"0.1\""}.
  std::vector<std::pair<std::string, std::string>> members = {};
  struct Check {
    std::string name;
    bool ok = true;
    std::string detail = {};
  };
  /// What `ok` was made of, or may be soon: shown when the query has "verbose".
  std::vector<Check> checks = {};
};
/// GET `path`: 200 {"status":"ok",...} or 503 {"status":"unavailable",...}; with ?verbose also "checks". `report` runs
/// on the connection's shard.
void add_health_route(HttpRouter& router, std::string_view path, std::function<Health()> report);

}  // namespace mr::http
