// The HTTP server over an in-memory stream: the test plays the peer byte by byte, time is the manual executor's.
#include "server/http/server.h"

#include <gtest/gtest.h>

#include <random>

#include "runtime/manual_executor.h"

namespace mr::http {
namespace {

using namespace std::chrono_literals;

/// What the peer sends and sees. Outlives the stream.
struct Peer {
  std::deque<std::string> sends;
  bool ends = false;    ///< has finished sending
  bool reads = true;    ///< takes what we write
  bool closed = false;  ///< we closed
  std::string seen;
  Event changed;

  void send(std::string text) {
    sends.push_back(std::move(text));
    changed.notify_all();
  }
  void end() {
    ends = true;
    changed.notify_all();
  }
  std::string take() { return std::exchange(seen, {}); }
};

class MemoryStream : public Stream {
 public:
  explicit MemoryStream(Peer& peer) : peer_(peer) {}
  ~MemoryStream() override { close(); }
  Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint deadline) override {
    while (peer_.sends.empty() && !peer_.ends && !peer_.closed) MR_CO_TRY_VOID(co_await peer_.changed.wait(deadline));
    if (peer_.closed) co_return Errc::connection_closed;
    if (peer_.sends.empty()) co_return std::size_t{0};
    std::string& next = peer_.sends.front();
    std::size_t n = std::min(into.size(), next.size());
    std::memcpy(into.data(), next.data(), n);
    next.erase(0, n);
    if (next.empty()) peer_.sends.pop_front();
    co_return n;
  }
  Task<Result<void>> write(std::span<const ByteView> pieces, TimePoint deadline, bool) override {
    while (!peer_.reads && !peer_.closed) MR_CO_TRY_VOID(co_await peer_.changed.wait(deadline));
    if (peer_.closed) co_return Errc::connection_closed;
    for (ByteView piece : pieces) peer_.seen += as_text(piece);
    co_return Result<void>{};
  }
  Task<Result<void>> send_file(File&, std::uint64_t, std::uint64_t, TimePoint) override { co_return Errc::io_error; }
  void close() override {
    peer_.closed = true;
    peer_.changed.notify_all();
  }
  const Address& local() const override { return address_; }
  const Address& remote() const override { return address_; }

 private:
  Peer& peer_;
  Address address_{.host = "memory", .port = 1};
};

struct FixedClock : Clock {
  TimePoint mono() const override { return {}; }
  WallMillis wall() const override { return 1'795'241'520'123; }
};

class Server : public testing::Test {
 protected:
  // Never touched by the server.
  template <class T>
  static T& none() {
    alignas(std::max_align_t) static std::byte nothing[64];
    return reinterpret_cast<T&>(nothing);
  }

  ManualExecutor executor;
  FixedClock clock;
  Env env{.shard = ShardId{0},
          .executor = executor,
          .clock = clock,
          .rng = none<Rng>(),
          .files = none<FileSystem>(),
          .network = none<Network>(),
          .pool = none<OffloadPool>(),
          .probe = none<Probe>()};
  HttpRouter router;
  MetricsRegistry metrics;
  HttpLimits limits;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(executor);
  Peer peer;

  static Task<HttpResponse> echo(HttpRequest& request) {
    co_return HttpResponse{.content_type = "text/plain",
                           .body = request.method + " " + request.path + " " + request.body};
  }
  static Task<HttpResponse> throws(HttpRequest&) {
    throw std::runtime_error("planted");
    co_return HttpResponse{};
  }
  static Task<Result<void>> count(HttpBodyWriter& writer) {
    MR_CO_TRY_VOID(co_await writer.write("one "));
    MR_CO_TRY_VOID(co_await writer.write(""));
    co_return co_await writer.write("twotwotwotwotwo");
  }
  static Task<HttpResponse> streams(HttpRequest&) {
    HttpResponse response{.content_type = "text/event-stream"};
    response.stream = count;
    co_return response;
  }
  static Task<HttpResponse> waits(HttpRequest&) {
    Result<void> slept = co_await sleep_until(kForever);
    co_return HttpResponse::error(503, "stopping", to_string(slept.code()));
  }

  void SetUp() override {
    router.add("GET", "/echo", echo);
    router.add("POST", "/echo", echo);
    router.add("GET", "/throws", throws);
    router.add("GET", "/stream", streams);
    router.add("GET", "/waits", waits);
    router.add("GET", "/query", [](HttpRequest& r) -> Task<HttpResponse> {
      co_return HttpResponse::json(std::string(r.query_value("a b").value_or("none")));
    });
    add_health_route(router, "/health", [] {
      return Health{.members = {{"version", "\"1\""}},
                    .checks = {{.name = "logs"}, {.name = "disk", .ok = false, .detail = "\"full\""}}};
    });
    add_metrics_route(router, metrics);
  }
  void TearDown() override {
    peer.end();
    executor.run_task(scope->stop());
  }
  void connect() {
    if (!server) server = std::make_unique<HttpServer>(env, router, limits, &metrics);
    scope->spawn("connection", server->serve(std::make_unique<MemoryStream>(peer)));
    executor.run();
  }
  /// What the server answers to `text`.
  std::string ask(std::string text) {
    peer.send(std::move(text));
    executor.run();
    return peer.take();
  }
  static std::string body(const std::string& answer) {
    std::size_t at = answer.find("\r\n\r\n");
    return at == std::string::npos ? "no body in: " + answer : answer.substr(at + 4);
  }
};

TEST_F(Server, HealthAndMetrics) {
  connect();
  EXPECT_EQ(ask("GET /health HTTP/1.1\r\nHost: h\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 06:12:00 GMT\r\nContent-Type: application/json\r\n"
            "Content-Length: 30\r\n\r\n{\"status\":\"ok\",\"version\":\"1\"}\n");
  std::string page = ask("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(page.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  EXPECT_NE(page.find("\nmillrace_http_requests_total{code=\"2xx\"} 1\n"), std::string::npos) << page;
  EXPECT_NE(page.find("\nmillrace_http_connections 1\n"), std::string::npos) << page;
}

TEST_F(Server, ChecksAreShownToWhoAsks) {
  connect();
  EXPECT_EQ(body(ask("GET /health?verbose HTTP/1.1\r\nHost: h\r\n\r\n")),
            "{\"status\":\"ok\",\"version\":\"1\",\"checks\":[{\"name\":\"logs\",\"ok\":true},"
            "{\"name\":\"disk\",\"ok\":false,\"detail\":\"\\\"full\\\"\"}]}\n");
}

TEST_F(Server, KeepsAliveAndAnswersInOrder) {
  connect();
  std::string answers =
      ask("GET /echo HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /nothing HTTP/1.1\r\n\r\n");
  std::size_t first = answers.find("GET /echo ");
  std::size_t second = answers.find("POST /echo hi");
  std::size_t third = answers.find("404 Not Found");
  EXPECT_TRUE(first < second && second < third && third != std::string::npos) << answers;
  EXPECT_FALSE(peer.closed);
  // One byte at a time is the same.
  for (char c : std::string("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n")) peer.send(std::string(1, c));
  executor.run();
  EXPECT_EQ(body(peer.take()), "GET /echo ");
  EXPECT_TRUE(peer.closed);
}

TEST_F(Server, HttpOneZeroClosesUnlessAsked) {
  connect();
  std::string kept = ask("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(kept.find("Connection: keep-alive\r\n"), std::string::npos) << kept;
  EXPECT_FALSE(peer.closed);
  std::string last = ask("GET /echo HTTP/1.0\r\n\r\n");
  EXPECT_NE(last.find("Connection: close\r\n"), std::string::npos) << last;
  EXPECT_TRUE(peer.closed);
}

TEST_F(Server, HeadHasNoBody) {
  connect();
  std::string answer = ask("HEAD /echo HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("Content-Length: 11\r\n\r\n")) << answer;
}

TEST_F(Server, WrongMethodAndPath) {
  connect();
  std::string answer = ask("DELETE /echo HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
  EXPECT_NE(answer.find("Allow: GET, POST\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("{\"error\":{\"code\":\"method_not_allowed\""), std::string::npos) << answer;
  answer = ask("GET /x%22y HTTP/1.1\r\n\r\n");
  EXPECT_EQ(body(answer), "{\"error\":{\"code\":\"not_found\",\"message\":\"there is nothing at /x\\\"y\"}}\n");
  EXPECT_TRUE(ask("GET /%zz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(body(ask("GET /query?x&a+b=%41+%26&a%20b=2 HTTP/1.1\r\n\r\n")), "A &");
  EXPECT_TRUE(ask("GET /query?a=%2 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_FALSE(peer.closed);
}

TEST_F(Server, ExceptionIsAnAnswer) {
  connect();
  EXPECT_TRUE(ask("GET /throws HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 500 "));
  EXPECT_EQ(body(ask("GET /echo HTTP/1.1\r\n\r\n")), "GET /echo ");
}

TEST_F(Server, StreamsInChunks) {
  connect();
  std::string answer = ask("GET /stream HTTP/1.1\r\n\r\n");
  EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(body(answer), "4\r\none \r\nf\r\ntwotwotwotwotwo\r\n0\r\n\r\n");
  EXPECT_EQ(body(ask("GET /stream HTTP/1.0\r\n\r\n")), "one twotwotwotwotwo");
  EXPECT_TRUE(peer.closed) << "to HTTP/1.0 the end of the body is the end of the connection";
}

TEST_F(Server, Continue) {
  connect();
  EXPECT_EQ(ask("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(body(ask("abc")), "POST /echo abc");
}

TEST_F(Server, Limits) {
  limits.parse = {.header_bytes_max = 256, .body_bytes_max = 10};
  connect();
  EXPECT_TRUE(ask("POST /echo HTTP/1.1\r\nContent-Length: 11\r\n\r\n").starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(peer.closed);
}
TEST_F(Server, HeaderLimit) {
  limits.parse.header_bytes_max = 256;
  connect();
  EXPECT_TRUE(ask("GET /echo HTTP/1.1\r\nX: " + std::string(400, 'x')).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(peer.closed);
}

TEST_F(Server, SlowHeaderIsCutOff) {
  connect();
  peer.send("GET /echo HTTP/1.1\r\n");
  // A byte a second keeps nobody alive.
  for (int i = 0; i < 11 && !peer.closed; ++i) {
    executor.advance(1s);
    peer.send("X");
  }
  EXPECT_TRUE(peer.take().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(peer.closed);
}
TEST_F(Server, SlowBodyIsCutOff) {
  connect();
  EXPECT_EQ(ask("POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\na"), "");
  executor.advance(61s);
  EXPECT_TRUE(peer.take().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(peer.closed);
}
TEST_F(Server, IdleIsClosedWithoutAWord) {
  connect();
  EXPECT_NE(ask("GET /echo HTTP/1.1\r\n\r\n"), "");
  executor.advance(61s);
  EXPECT_EQ(peer.take(), "");
  EXPECT_TRUE(peer.closed);
}
TEST_F(Server, PeerThatDoesNotReadIsCutOff) {
  connect();
  peer.reads = false;
  ask("GET /echo HTTP/1.1\r\n\r\n");
  EXPECT_FALSE(peer.closed);
  executor.advance(31s);
  EXPECT_TRUE(peer.closed);
  EXPECT_EQ(executor.timers(), 0u);
}

TEST_F(Server, TooManyConnections) {
  limits.connections_max = 1;
  connect();
  Peer second;
  scope->spawn("connection", server->serve(std::make_unique<MemoryStream>(second)));
  executor.run();
  EXPECT_TRUE(second.seen.starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(second.closed);
  EXPECT_EQ(body(ask("GET /echo HTTP/1.1\r\n\r\n")), "GET /echo ");
}

TEST_F(Server, StopCancelsHandlers) {
  connect();
  EXPECT_EQ(ask("GET /waits HTTP/1.1\r\n\r\n"), "");
  executor.run_task(scope->stop());
  EXPECT_NE(peer.take().find("cancelled"), std::string::npos);
  EXPECT_TRUE(peer.closed);
}

TEST_F(Server, GarbageDoesNoHarm) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 300; ++round) {
    Peer noisy;
    server = std::make_unique<HttpServer>(env, router, limits);
    Scope connection(executor);
    connection.spawn("connection", server->serve(std::make_unique<MemoryStream>(noisy)));
    for (int i = static_cast<int>(random() % 20); i >= 0; --i) {
      std::string bytes = random() % 3 == 0 ? "GET /echo HTTP/1.1\r\n" : "";
      for (int n = static_cast<int>(random() % 100); n > 0; --n) bytes += static_cast<char>(random());
      noisy.send(bytes);
    }
    noisy.end();
    executor.run();
    EXPECT_EQ(connection.running(), 0u);
    EXPECT_TRUE(noisy.closed);
    EXPECT_TRUE(noisy.seen.empty() || noisy.seen.starts_with("HTTP/1.1 ")) << noisy.seen;
  }
}

}  // namespace
}  // namespace mr::http
