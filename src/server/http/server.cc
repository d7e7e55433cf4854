#include "server/http/server.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstring>

#include "base/log.h"

namespace mr::http {

namespace {

constexpr Duration kAcceptPause = std::chrono::milliseconds(50);

/// "Sat, 21 Nov 2026 06:12:00 GMT"
std::string http_date(WallMillis wall) {
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::chrono::sys_time<Millis> time{Millis(wall)};
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date{day};
  std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(time - day)};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[std::chrono::weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

HttpResponse parse_error(const Error& error) {
  if (error.code() == Errc::too_large && error.detail() == "header") {
    return HttpResponse::error(431, "too_large", "the request's header is larger than this server accepts");
  }
  if (error.code() == Errc::too_large) {
    return HttpResponse::error(413, "too_large", "the request's body is larger than this server accepts");
  }
  if (error.code() == Errc::unsupported_version) {
    return HttpResponse::error(505, "unsupported_version", error.detail());
  }
  if (error.code() == Errc::timed_out) {
    return HttpResponse::error(408, "timed_out", "the request did not arrive in time");
  }
  return HttpResponse::error(400, "malformed", error.detail());
}

/// Path and query out of the target. Errors: malformed.
Result<void> take_apart(std::string_view target, HttpRequest& request) {
  std::string_view path = target.substr(0, target.find('?'));
  if (!path.starts_with('/')) return Error(Errc::malformed, "the target is no path");
  std::optional<std::string> decoded = url_decode(path, false);
  if (!decoded) return Error(Errc::malformed, "a '%' in the path is not followed by two hex digits");
  request.path = std::move(*decoded);
  std::string_view query = path.size() < target.size() ? target.substr(path.size() + 1) : std::string_view{};
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    std::string_view name = pair.substr(0, pair.find('='));
    std::string_view value = name.size() < pair.size() ? pair.substr(name.size() + 1) : std::string_view{};
    std::optional<std::string> n = url_decode(name, true);
    std::optional<std::string> v = url_decode(value, true);
    if (!n || !v) return Error(Errc::malformed, "a '%' in the query is not followed by two hex digits");
    request.query.emplace_back(std::move(*n), std::move(*v));
  }
  return {};
}

Task<Result<void>> write_text(Stream& stream, std::string_view a, std::string_view b, std::string_view c,
                              TimePoint deadline) {
  ByteView pieces[] = {as_bytes(a), as_bytes(b), as_bytes(c)};
  co_return co_await stream.write(pieces, deadline);
}

class StreamWriter final : public HttpBodyWriter {
 public:
  StreamWriter(Stream& stream, Executor& executor, Duration write_max, bool chunked)
      : stream_(stream), executor_(executor), write_max_(write_max), chunked_(chunked) {}

  Task<Result<void>> write(std::string_view piece) override {
    if (piece.empty()) co_return Result<void>{};  // an empty chunk would end the body
    TimePoint deadline = executor_.now() + write_max_;
    if (!chunked_) co_return co_await write_text(stream_, piece, {}, {}, deadline);
    std::string size = fmt::format("{:x}\r\n", piece.size());
    co_return co_await write_text(stream_, size, piece, "\r\n", deadline);
  }

 private:
  Stream& stream_;
  Executor& executor_;
  Duration write_max_;
  bool chunked_;
};

}  // namespace

struct HttpServer::Connection {
  std::unique_ptr<Stream> stream;
  /// Bytes [0, used) came and are not parsed yet.
  std::vector<std::byte> buffer;
  std::size_t used = 0;
};

HttpServer::HttpServer(Env& env, const HttpRouter& router, HttpLimits limits, MetricsRegistry* metrics)
    : env_(env), router_(router), limits_(limits), scope_(env.executor) {
  if (metrics == nullptr) return;
  for (int i = 0; i < 5; ++i) {
    std::string code = fmt::format("{}xx", i + 1);
    requests_[i] = metrics->counter("millrace_http_requests_total", "HTTP requests answered", {{"code", code}});
  }
  connections_ = metrics->gauge("millrace_http_connections", "Open HTTP connections");
}

void HttpServer::start(std::unique_ptr<Listener> listener) {
  listener_ = std::move(listener);
  scope_.spawn("http accept", accept_all());
}

Task<void> HttpServer::stop() {
  if (listener_) listener_->close();
  co_await scope_.stop();
}

Task<void> HttpServer::accept_all() {
  for (;;) {
    Result<std::unique_ptr<Stream>> stream = co_await listener_->accept();
    if (stream.ok()) {
      scope_.spawn("http connection", serve(std::move(*stream)));
    } else if (stream.code() == Errc::resource_exhausted) {
      Result<void> slept = co_await sleep_until(in(kAcceptPause));
      if (!slept.ok()) co_return;
    } else {
      if (stream.code() != Errc::cancelled) {
        log_error("server", "HTTP listener failed", {{"error", stream.error().message()}});
      }
      co_return;
    }
  }
}

Task<void> HttpServer::serve(std::unique_ptr<Stream> stream) {
  Connection connection{.stream = std::move(stream), .buffer = {}, .used = 0};
  if (open_ >= limits_.connections_max) {
    HttpRequest none;
    HttpResponse busy = HttpResponse::error(503, "too_many_connections", "too many HTTP connections; try later");
    none.keep_alive = false;
    (void)co_await send(connection, none, busy);
    connection.stream->close();
    co_return;
  }
  ++open_;
  connections_.add(1);
  connection.buffer.resize(limits_.parse.header_bytes_max);
  while (co_await serve_one(connection)) {
  }
  connection.stream->close();
  --open_;
  connections_.add(-1);
}

Task<Result<void>> HttpServer::read_request(Connection& connection, RequestParser& parser) {
  TimePoint deadline = in(limits_.idle_max);
  bool started = false;
  bool in_body = false;
  for (;;) {
    while (connection.used > 0) {
      MR_CO_TRY(std::size_t taken, parser.feed(ByteView(connection.buffer).first(connection.used)));
      connection.used -= taken;
      if (taken > 0) std::memmove(connection.buffer.data(), connection.buffer.data() + taken, connection.used);
      if (parser.done()) co_return Result<void>{};
      if (taken == 0) break;
    }
    if (connection.used == connection.buffer.size()) co_return Error(Errc::too_large, "header");
    if (!started && connection.used > 0) {
      started = true;
      deadline = in(limits_.header_max);
    }
    if (!in_body && parser.header_done()) {
      in_body = true;
      deadline = in(limits_.body_max);
      if (parser.expects_continue()) {
        MR_CO_TRY_VOID(
            co_await write_text(*connection.stream, "HTTP/1.1 100 Continue\r\n\r\n", {}, {}, in(limits_.write_max)));
      }
    }
    MutableBytes room = MutableBytes(connection.buffer).subspan(connection.used);
    Result<std::size_t> n = co_await connection.stream->read_some(room, deadline);
    if (!n.ok()) {
      // Silence between requests is no mistake of the client's.
      if (n.code() == Errc::timed_out && !started && !in_body) co_return Errc::connection_closed;
      co_return std::move(n).error();
    }
    if (*n == 0) co_return Errc::connection_closed;
    connection.used += *n;
  }
}

Task<bool> HttpServer::serve_one(Connection& connection) {
  RequestParser parser(limits_.parse);
  HttpRequest request;
  Result<void> read = co_await read_request(connection, parser);
  if (!read.ok()) {
    Errc code = read.code();
    bool tell = code == Errc::malformed || code == Errc::too_large || code == Errc::unsupported_version ||
                code == Errc::timed_out;
    if (tell) {
      HttpResponse refusal = parse_error(read.error());
      request.keep_alive = false;
      (void)co_await send(connection, request, refusal);
    }
    co_return false;
  }
  RawRequest raw = parser.take();
  request.method = std::move(raw.method);
  request.headers = std::move(raw.headers);
  request.body = std::move(raw.body);
  request.keep_alive = raw.keep_alive;
  request.minor_version = raw.minor_version;
  request.local = connection.stream->local();
  request.remote = connection.stream->remote();

  HttpResponse response;
  Result<void> apart = take_apart(raw.target, request);
  Result<HttpRouter::Match> match = Errc::malformed;
  if (apart.ok()) match = router_.find(request.method, std::string_view(raw.target).substr(0, raw.target.find('?')));
  if (!apart.ok()) {
    response = parse_error(apart.error());
  } else if (!match.ok()) {
    response = parse_error(match.error());
  } else if (match->handler != nullptr) {
    request.path_values = std::move(match->values);
    response = co_await answer(*match->handler, request);
  } else if (match->allowed.empty()) {
    response = HttpResponse::error(404, "not_found", "there is nothing at " + request.path);
  } else {
    response = HttpResponse::error(405, "method_not_allowed", request.method + " is not possible here");
    response.headers.emplace_back("Allow", fmt::format("{}", fmt::join(match->allowed, ", ")));
  }
  Result<void> sent = co_await send(connection, request, response);
  co_return sent.ok() && request.keep_alive;
}

Task<HttpResponse> HttpServer::answer(const HttpHandler& handler, HttpRequest& request) {
  std::string what;
  try {
    co_return co_await handler(request);
  } catch (const std::exception& e) {
    what = e.what();
  }
  log_error("server", "HTTP handler ended by an exception", {{"path", request.path}, {"what", what}});
  co_return HttpResponse::error(500, "internal", "the request failed inside the server; its log says more");
}

std::string HttpServer::head(const HttpRequest& request, const HttpResponse& response, bool chunked) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status, reason_of(response.status),
                                http_date(env_.clock.wall()));
  bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless && !response.content_type.empty()) {
    fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", response.content_type);
  }
  if (bodiless) {
    MR_CHECK(response.body.empty() && !response.stream);
  } else if (chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (!response.stream) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", response.body.size());
  }
  if (!request.keep_alive) {
    out += "Connection: close\r\n";
  } else if (request.minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
  for (const auto& [name, value] : response.headers) {
    // A line break in a value would let whoever chose it write headers of their own.
    MR_CHECK(name.find_first_of("\r\n:") == std::string::npos && value.find_first_of("\r\n") == std::string::npos);
    fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
  }
  out += "\r\n";
  return out;
}

Task<Result<void>> HttpServer::send(Connection& connection, HttpRequest& request, HttpResponse& response) {
  requests_[std::clamp(response.status / 100, 1, 5) - 1].add();
  bool body_wanted = request.method != "HEAD";
  bool chunked = response.stream && request.minor_version > 0;
  if (response.stream && !chunked) request.keep_alive = false;
  std::string first = head(request, response, chunked);
  std::string_view body;
  if (body_wanted && !response.stream) body = response.body;
  MR_CO_TRY_VOID(co_await write_text(*connection.stream, first, body, {}, in(limits_.write_max)));
  if (!response.stream || !body_wanted) co_return Result<void>{};
  StreamWriter writer(*connection.stream, env_.executor, limits_.write_max, chunked);
  MR_CO_TRY_VOID(co_await response.stream(writer));
  if (chunked) MR_CO_TRY_VOID(co_await write_text(*connection.stream, "0\r\n\r\n", {}, {}, in(limits_.write_max)));
  co_return Result<void>{};
}

namespace {
Task<HttpResponse> ready(HttpResponse response) { co_return response; }
}  // namespace

void add_metrics_route(HttpRouter& router, const MetricsRegistry& registry) {
  router.add("GET", "/metrics", [&registry](HttpRequest&) {
    HttpResponse response{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = registry.text()};
    return ready(std::move(response));
  });
}

void add_health_route(HttpRouter& router, std::string_view path, std::function<Health()> report) {
  router.add("GET", path, [report = std::move(report)](HttpRequest& request) {
    Health health = report();
    if (health.status.empty()) health.status = health.ok ? "ok" : "unavailable";
    std::string body = "{\"status\":" + json_string(health.status);
    for (const auto& [name, value] : health.members) body += "," + json_string(name) + ":" + value;
    if (request.query_value("verbose")) {
      std::string checks;
      for (const Health::Check& check : health.checks) {
        checks += checks.empty() ? "{" : ",{";
        checks += "\"name\":" + json_string(check.name) + ",\"ok\":" + (check.ok ? "true" : "false");
        if (!check.detail.empty()) checks += ",\"detail\":" + json_string(check.detail);
        checks += "}";
      }
      body += ",\"checks\":[" + checks + "]";
    }
    body += "}\n";
    return ready(HttpResponse{.status = health.ok ? 200 : 503, .body = std::move(body)});
  });
}

}  // namespace mr::http
