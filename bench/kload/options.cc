#include "bench/kload/options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <string_view>

namespace mr::bench {
namespace {

constexpr std::string_view kUsage = R"(kload MODE --bootstrap HOST:PORT --topic NAME [options]
Loads a Kafka broker with pre-built frames from one thread and prints one JSON object.
  create   --partitions N [--config NAME=VALUE]...
  delete
  produce  --acks 0|1|-1 --records N --size BYTES [--key-bytes N] [--text] [--codec none|gzip|snappy|lz4|zstd]
           --spread PARTITIONS_PER_REQUEST
  fetch    --fetch-bytes N --min-bytes N --wait-ms N [--from-end] [--once]
  e2e      as produce, and --fetchers CONNECTIONS that long-poll; latency is from intended send to receipt
  idle     --connections N --seconds S: connections that do nothing
the first three
           --partitions N --connections N --in-flight N --seconds S | --count REQUESTS [--bytes-max BYTES]
           --rate REQUESTS_PER_SECOND (open loop) --warmup S --server-pid PID
)";

[[noreturn]] void refuse(const std::string& why) {
  fmt::print(stderr, "kload: {}\n{}", why, kUsage);
  std::exit(2);
}

double number(std::string_view name, const std::string& text) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0) refuse(fmt::format("{} wants a number, not '{}'", name, text));
  return value;
}

Mode mode_of(std::string_view text) {
  if (text == "produce") return Mode::produce;
  if (text == "fetch") return Mode::fetch;
  if (text == "e2e") return Mode::e2e;
  if (text == "idle") return Mode::idle;
  if (text == "create") return Mode::create;
  if (text == "delete") return Mode::remove;
  refuse(fmt::format("unknown mode '{}'", text));
}

Codec codec_of(std::string_view text) {
  static const std::map<std::string_view, Codec> names = {{"none", Codec::none},
                                                          {"gzip", Codec::gzip},
                                                          {"snappy", Codec::snappy},
                                                          {"lz4", Codec::lz4},
                                                          {"zstd", Codec::zstd}};
  auto at = names.find(text);
  if (at == names.end()) refuse(fmt::format("unknown codec '{}'", text));
  return at->second;
}

void set_bootstrap(Options& options, const std::string& value) {
  auto colon = value.rfind(':');
  if (colon == std::string::npos) refuse("--bootstrap wants HOST:PORT");
  options.host = value.substr(0, colon);
  options.port = static_cast<std::uint16_t>(number("--bootstrap", value.substr(colon + 1)));
}

void add_config(Options& options, const std::string& value) {
  auto equals = value.find('=');
  if (equals == std::string::npos) refuse("--config wants NAME=VALUE");
  options.configs.emplace_back(value.substr(0, equals), value.substr(equals + 1));
}

using Setter = std::function<void(Options&, const std::string&)>;

template <class T>
Setter into(T Options::* member) {
  return [member](Options& o, const std::string& v) { o.*member = static_cast<T>(number("option", v)); };
}

const std::map<std::string_view, Setter>& setters() {
  static const std::map<std::string_view, Setter> table = {
      {"--bootstrap", set_bootstrap},
      {"--topic", [](Options& o, const std::string& v) { o.topic = v; }},
      {"--config", add_config},
      {"--codec", [](Options& o, const std::string& v) { o.codec = codec_of(v); }},
      {"--partitions", into(&Options::partitions)},
      {"--acks", into(&Options::acks)},
      {"--records", into(&Options::records)},
      {"--size", into(&Options::record_bytes)},
      {"--key-bytes", into(&Options::key_bytes)},
      {"--spread", into(&Options::spread)},
      {"--fetchers", into(&Options::fetchers)},
      {"--connections", into(&Options::connections)},
      {"--in-flight", into(&Options::in_flight)},
      {"--seconds", into(&Options::seconds)},
      {"--count", into(&Options::count)},
      {"--bytes-max", into(&Options::bytes_max)},
      {"--rate", into(&Options::rate)},
      {"--warmup", into(&Options::warmup)},
      {"--fetch-bytes", into(&Options::fetch_bytes)},
      {"--min-bytes", into(&Options::min_bytes)},
      {"--wait-ms", into(&Options::wait_ms)},
      {"--server-pid", into(&Options::server_pid)},
  };
  return table;
}

bool set_flag(Options& options, std::string_view name) {
  if (name == "--from-end") options.from_end = true;
  if (name == "--once") options.repeat = false;
  if (name == "--text") options.text = true;
  return name == "--from-end" || name == "--once" || name == "--text";
}

}  // namespace

Options parse_options(int argc, char** argv) {
  if (argc < 2) refuse("a mode is missing");
  Options options;
  options.mode = mode_of(argv[1]);
  for (int i = 2; i < argc; ++i) {
    std::string_view name = argv[i];
    if (set_flag(options, name)) continue;
    auto setter = setters().find(name);
    if (setter == setters().end()) refuse(fmt::format("unknown option '{}'", name));
    if (i + 1 == argc) refuse(fmt::format("{} wants a value", name));
    setter->second(options, argv[++i]);
  }
  if (options.connections == 0 || options.in_flight == 0 || options.records == 0 || options.partitions <= 0) {
    refuse("connections, in-flight, records and partitions must be above 0");
  }
  if (options.spread <= 0 || options.partitions % options.spread != 0) {
    refuse("--partitions must be a multiple of --spread");
  }
  // So a partition has one producing connection, and its offsets are in the order of sending.
  if (options.mode == Mode::e2e && options.partitions % static_cast<std::int32_t>(options.connections) != 0) {
    refuse("e2e: --partitions must be a multiple of --connections");
  }
  if (options.mode == Mode::e2e && (options.acks == 0 || options.spread != 1 || options.fetchers == 0)) {
    refuse("e2e wants acks, fetchers and no --spread");
  }
  return options;
}

}  // namespace mr::bench
