// Aim: a warm broker takes little memory anew per produce and per fetch, and none per record. Method: the whole broker
// (as `millrace serve` starts it) and a load generator in one process; this binary counts operator new on all threads
// but the generator's. The same number of requests runs with few and with many records: what differs is per record.
#include <fmt/format.h>

#include <filesystem>
#include <future>
#include <thread>

#include "app/node.h"
#include "base/log.h"
#include "bench/counted_new.h"
#include "bench/kload/load.h"

namespace {

using namespace mr;

constexpr std::uint64_t kWarmRequests = 2000;
constexpr std::uint64_t kRequests = 2000;

Task<int> run_node(RealHost& host, app::Node& node, std::promise<std::uint16_t>& port) {
  auto started = co_await node.start();
  MR_CHECK(started.ok());
  port.set_value(node.kafka().front().port);
  co_await host.stop_requested();
  auto stopped = co_await node.stop();
  co_return stopped.ok() ? 0 : 1;
}

/// Allocations of the broker per request of `options`.
double per_request(bench::Options options) {
  bench::Load load(options);
  load.run(0, kWarmRequests);
  std::uint64_t before = mr::bench::allocations;
  bench::Figures figures = load.run(0, kRequests);
  MR_CHECK(figures.errors == 0 && figures.requests == kRequests);
  return static_cast<double>(mr::bench::allocations - before) / static_cast<double>(kRequests);
}

void create(bench::Options options) {
  bench::Socket socket(options.host, options.port);
  MR_CHECK(bench::topic_error(socket.call(bench::create_frame(options))) == 0);
}

void measure(std::uint16_t port) {
  mr::bench::allocations_count = false;
  bench::Options base;
  base.port = port;
  base.acks = -1;
  base.record_bytes = 100;
  base.in_flight = 1;

  base.topic = "synced";
  create(base);
  auto cached = base;
  cached.topic = "cached";
  cached.configs = {{"flush.messages", "9223372036854775807"}};
  create(cached);

  auto few = base;
  few.records = 10;
  double synced_few = per_request(few);
  few.records = 110;
  double synced_many = per_request(few);
  double unsynced = per_request(cached);
  auto fetch = base;
  fetch.mode = bench::Mode::fetch;
  fetch.fetch_bytes = 64 << 10;
  double fetched = per_request(fetch);
  // To the hundredth: what comes once per half of the commit journal or per segment is not per record.
  fmt::print(
      "{{\"produce synced\":{:.3f},\"produce unsynced\":{:.3f},\"fetch\":{:.3f},\"produce, per record\":{:.2f}}}\n",
      synced_many, unsynced, fetched, std::max(0.0, (synced_many - synced_few) / 100));
}

}  // namespace

/// usage: gate_allocations DIRECTORY (new)
int main(int argc, char** argv) {
  MR_CHECK(argc == 2);
  auto settings = config::load_broker_settings({
      {config::Origin::flag, "gate", "listeners", "127.0.0.1:0"},
      {config::Origin::flag, "gate", "http.listeners", "127.0.0.1:0"},
      {config::Origin::flag, "gate", "log.dirs", argv[1]},
      {config::Origin::flag, "gate", "shards", "1"},
  });
  MR_CHECK(settings.ok());
  set_log_level(LogLevel::error);
  RealHost host({.shards = 1, .handle_signals = false});
  int code = 0;
  {
    app::Node node(host, *settings, {coordinator::make_uniform_assignor()});
    std::promise<std::uint16_t> port;
    host.start([&](RealHost& h) { return run_node(h, node, port); });
    std::thread load([&] { measure(port.get_future().get()); });
    load.join();
    host.request_stop();
    code = host.wait();
  }
  return code;
}
