// kload: see bench/README.md.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "bench/kload/latency.h"
#include "bench/kload/load.h"

namespace {

using namespace mr::bench;

void print(const Options& o, Figures f) {
  std::ranges::sort(f.latencies);
  auto ms = [&](double p) { return percentile(f.latencies, p) * 1e3; };
  double gb = static_cast<double>(f.bytes) / 1e9;
  fmt::print(
      "{{\"mode\":\"{}\",\"acks\":{},\"records\":{},\"size\":{},\"connections\":{},\"in_flight\":{},\"rate\":{},"
      "\"requests\":{},\"messages\":{},\"bytes\":{},\"errors\":{},\"first_error\":{},\"seconds\":{:.6f},"
      "\"messages_per_s\":{:.0f},\"mb_per_s\":{:.2f},\"server_cpu_s\":{:.6f},\"own_cpu_s\":{:.6f},"
      "\"server_cpu_s_per_gb\":{:.4f},\"p50_ms\":{:.4f},\"p99_ms\":{:.4f},\"p999_ms\":{:.4f},\"max_ms\":{:.4f}}}\n",
      o.mode == Mode::produce ? "produce" : "fetch", o.acks, o.records, o.record_bytes, o.connections, o.in_flight,
      o.rate, f.requests, f.messages, f.bytes, f.errors, f.first_error, f.seconds,
      static_cast<double>(f.messages) / f.seconds, gb * 1e3 / f.seconds, f.server_cpu_seconds, f.own_cpu_seconds,
      gb > 0 ? f.server_cpu_seconds / gb : 0.0, ms(0.5), ms(0.99), ms(0.999), ms(1));
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

}  // namespace

int main(int argc, char** argv) {
  Options options = parse_options(argc, argv);
  if (options.mode == Mode::create) return create(options);
  if (options.mode == Mode::remove) return remove(options);
  Load load(options);
  if (options.warmup > 0) load.run(options.warmup, 0);
  Figures figures = load.run(options.seconds, options.count);
  bool good = figures.errors == 0;
  print(options, std::move(figures));
  return good ? 0 : 1;
}
