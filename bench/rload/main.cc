// rload: see bench/README.md.
#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "bench/rload/load.h"

namespace {

using namespace mr::bench;

[[noreturn]] void refuse(std::string_view why) {
  fmt::print(stderr,
             "rload: {}\nrload redis|nats|rabbitmq --port PORT [--stream NAME] [--size BYTES] [--connections N] "
             "[--in-flight N]\n"
             "      [--batch N] [--count N] [--read N] [--seconds S] [--warmup S] [--server-pid PID]\n",
             why);
  std::exit(2);
}

Settings parse(int argc, char** argv) {
  Settings s;
  if (argc < 2 || argc % 2 != 0) refuse("a rival, then options with values");
  s.rival = argv[1];
  for (int i = 2; i < argc; i += 2) {
    std::string_view name = argv[i];
    const char* value = argv[i + 1];
    auto whole = [&] { return static_cast<std::size_t>(std::strtoull(value, nullptr, 10)); };
    if (name == "--port") {
      s.port = static_cast<std::uint16_t>(whole());
    } else if (name == "--stream") {
      s.stream = value;
    } else if (name == "--size") {
      s.bytes = whole();
    } else if (name == "--connections") {
      s.connections = whole();
    } else if (name == "--in-flight") {
      s.in_flight = whole();
    } else if (name == "--batch") {
      s.batch = whole();
    } else if (name == "--count") {
      s.count = whole();
    } else if (name == "--read") {
      s.read = whole();
    } else if (name == "--seconds") {
      s.seconds = std::strtod(value, nullptr);
    } else if (name == "--warmup") {
      s.warmup = std::strtod(value, nullptr);
    } else if (name == "--server-pid") {
      s.server_pid = static_cast<int>(whole());
    } else {
      refuse(fmt::format("unknown option '{}'", name));
    }
  }
  if (s.port == 0 || s.connections == 0 || s.in_flight == 0) refuse("port, connections, in-flight must be above 0");
  if (s.batch == 0 || s.batch > s.in_flight) refuse("a batch is of 1 to in-flight messages");
  if (s.count % s.batch != 0) refuse("a count is a multiple of the batch");
  if (s.read % kReadTogether != 0) refuse(fmt::format("--read takes a multiple of {}", kReadTogether));
  if (s.read != 0 && s.count != 0) refuse("either --read or --count");
  if (s.count != 0 && s.warmup != 0) refuse("a count is published once, without --warmup");
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings = parse(argc, argv);
  std::unique_ptr<Peer> peer;
  if (settings.rival == "redis") peer = redis_peer(settings.stream, settings.bytes);
  if (settings.rival == "nats") peer = nats_peer(settings.stream, settings.bytes);
  if (settings.rival == "rabbitmq") peer = rabbit_peer(settings.stream, settings.bytes, settings.batch);
  if (!peer) refuse("unknown rival");
  if (settings.batch != peer->messages_each()) refuse("this rival takes messages one by one");
  std::unique_ptr<Load> load = settings.read != 0 ? reading(settings, *peer) : publishing(settings, *peer);
  if (settings.warmup > 0) load->run(settings.warmup);
  load->run(settings.seconds);
  load->print();
}
