// kload: see bench/README.md.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "bench/kload/e2e.h"
#include "bench/kload/latency.h"
#include "bench/kload/load.h"

namespace {

using namespace mr::bench;

std::string_view name_of(Mode mode) {
  return mode == Mode::produce ? "produce" : mode == Mode::fetch ? "fetch" : "e2e";
}

/// Percentiles as fields of an object, each name behind `prefix`.
std::string percentiles(std::string_view prefix, std::vector<double> seconds) {
  std::ranges::sort(seconds);
  auto ms = [&](double p) { return percentile(seconds, p) * 1e3; };
  return fmt::format(R"("{0}p50_ms":{1:.4f},"{0}p90_ms":{2:.4f},"{0}p99_ms":{3:.4f},"{0}p999_ms":{4:.4f},)"
                     R"("{0}max_ms":{5:.4f})",
                     prefix, ms(0.5), ms(0.9), ms(0.99), ms(0.999), ms(1));
}

void print(const Options& o, Figures f) {
  double gb = static_cast<double>(f.bytes) / 1e9;
  fmt::print(
      "{{\"mode\":\"{}\",\"acks\":{},\"records\":{},\"size\":{},\"connections\":{},\"in_flight\":{},\"rate\":{},"
      "\"requests\":{},\"messages\":{},\"bytes\":{},\"errors\":{},\"first_error\":{},\"seconds\":{:.6f},"
      "\"messages_per_s\":{:.0f},\"mb_per_s\":{:.2f},\"server_cpu_s\":{:.6f},\"own_cpu_s\":{:.6f},"
      "\"server_cpu_s_per_gb\":{:.4f},",
      name_of(o.mode), o.acks, o.records, o.record_bytes, o.connections, o.in_flight, o.rate, f.requests, f.messages,
      f.bytes, f.errors, f.first_error, f.seconds, static_cast<double>(f.messages) / f.seconds, gb * 1e3 / f.seconds,
      f.server_cpu_seconds, f.own_cpu_seconds, gb > 0 ? f.server_cpu_seconds / gb : 0.0);
  if (o.mode == Mode::e2e) {
    fmt::print("\"received\":{},{},{}}}\n", f.received, percentiles("", std::move(f.arrivals)),
               percentiles("ack_", std::move(f.latencies)));
  } else {
    fmt::print("{}}}\n", percentiles("", std::move(f.latencies)));
  }
}

/// Returns when all partitions have a leader: automatic elections need a moment after the answer.
int create(const Options& o) {
  Socket socket(o.host, o.port);
  if (auto error = topic_error(socket.call(create_frame(o))); error != 0) {
    fmt::print(stderr, "kload: topic {} was not created: error {}\n", o.topic, error);
    return 1;
  }
  for (double until = now_seconds() + 30; now_seconds() < until;) {
    if (partitions_with_leader(socket.call(metadata_frame(o))) == o.partitions) return 0;
    timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    nanosleep(&pause, nullptr);
  }
  fmt::print(stderr, "kload: the partitions of {} have no leader after 30 s\n", o.topic);
  return 1;
}

int remove(const Options& o) {
  Socket socket(o.host, o.port);
  auto error = topic_error(socket.call(delete_frame(o)));
  if (error != 0) fmt::print(stderr, "kload: topic {} was not deleted: error {}\n", o.topic, error);
  return error == 0 ? 0 : 1;
}

/// Connections that said hello once and keep still: what the server pays for them.
int idle(const Options& o) {
  std::vector<std::unique_ptr<Socket>> sockets;
  while (sockets.size() < o.connections) {
    sockets.push_back(std::make_unique<Socket>(o.host, o.port));
    sockets.back()->call(api_versions_frame());
  }
  double before = cpu_seconds_of(o.server_pid);
  double began = now_seconds();
  timespec pause{.tv_sec = static_cast<time_t>(o.seconds), .tv_nsec = std::lround(std::fmod(o.seconds, 1) * 1e9)};
  nanosleep(&pause, nullptr);
  double seconds = now_seconds() - began;
  fmt::print(
      "{{\"mode\":\"idle\",\"connections\":{},\"seconds\":{:.3f},\"server_cpu_s\":{:.6f},\"server_rss_mb\":{:.2f}}}\n",
      sockets.size(), seconds, cpu_seconds_of(o.server_pid) - before, rss_mb_of(o.server_pid));
  return 0;
}

template <class What>
int measured(const Options& options) {
  What load(options);
  if (options.warmup > 0) load.run(options.warmup, 0);
  Figures figures = load.run(options.seconds, options.count);
  bool good = figures.errors == 0;
  print(options, std::move(figures));
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse_options(argc, argv);
  if (options.mode == Mode::create) return create(options);
  if (options.mode == Mode::remove) return remove(options);
  if (options.mode == Mode::idle) return idle(options);
  if (options.mode != Mode::e2e) return measured<Load>(options);
  return measured<EndToEnd>(options);
}
