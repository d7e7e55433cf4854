#include "app/serve.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/node.h"
#include "base/log.h"
#include "base/version.h"
#include "runtime/machine.h"

namespace mr::app {

namespace {

void say(std::string_view text) { (void)write_descriptor(2, as_bytes(text)); }

LogLevel level_of(std::string_view name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "warn") return LogLevel::warn;
  if (name == "error") return LogLevel::error;
  return LogLevel::info;
}

HostOptions host_options(const config::BrokerConfig& config) {
  std::vector<int> cores = usable_cores();
  HostOptions options;
  options.shards =
      config.shards > 0 ? static_cast<std::uint32_t>(config.shards) : static_cast<std::uint32_t>(cores.size());
  // Pinned only when the shards fill the machine: two small brokers on one machine would else share core 0.
  if (options.shards == cores.size() && options.shards > 1) options.cores = std::move(cores);
  return options;
}

/// What to type for a first message.
std::string hints(const Node& node, const std::string& program) {
  const std::string kafka = node.kafka().front().to_string();
  const std::string server = kafka == "127.0.0.1:9092" ? "" : " --bootstrap-server " + kafka;
  std::string text = fmt::format(
      "\nMillrace {} is ready. Kafka clients: {}\n"
      "  its own commands   {} pub{} hello \"first message\"\n"
      "                     {} sub{} hello --from start -n 1\n"
      "  kcat               echo hi | kcat -b {} -P -t hello\n"
      "                     kcat -b {} -C -t hello -o beginning -e\n"
      "  Java               bootstrap.servers={}\n",
      kVersion, kafka, program, server, program, server, kafka, kafka, kafka);
  if (node.http().port != 0)
    text += fmt::format("  health, metrics    curl http://{}/health\n", node.http().to_string());
  text += fmt::format("  data               {}\nCtrl-C stops it.\n\n", node.data_directory());
  return text;
}

/// A start over much data takes long, and must not keep anybody from stopping it.
Task<void> interrupt_when_asked(RealHost& host, Node& node) {
  co_await host.stop_requested();
  node.interrupt_start();
}

Task<int> run_node(RealHost& host, Node& node, const std::string& hints_for) {
  Scope watch(host.env(ShardId{0}).executor);
  watch.spawn("stop while starting", interrupt_when_asked(host, node));
  Result<void> started = co_await node.start();
  co_await watch.stop();
  if (!started.ok() && started.code() == Errc::cancelled) {
    log_warn("app", "stopped while logs were being recovered; the next start begins again");
    co_return 0;
  }
  if (!started.ok()) {
    const std::string& sentence = started.error().detail();
    say(fmt::format("millrace: {}\n", sentence.empty() ? started.error().message() : sentence));
    // 5, "conflict": somebody else has the port or the directory, or the directory is another cluster's.
    co_return started.code() == Errc::in_use || started.code() == Errc::conflict ? 5 : 1;
  }
  log_info("app", "ready",
           {{"version", kVersion},
            {"kafka", node.kafka().front().to_string()},
            {"http", node.http().port == 0 ? "off" : node.http().to_string()},
            {"data", node.data_directory()},
            {"cluster_id", node.cluster_id()},
            {"shards", host.shards().count()}});
  if (!hints_for.empty()) say(hints(node, hints_for));
  co_await host.stop_requested();
  log_info("app", "stopping");
  Result<void> stopped = co_await node.stop();
  if (node.fatal()) {
    say(fmt::format("millrace: stopped: {}\n", node.fatal()->detail()));
    co_return kAllLogDirectoriesFailed;
  }
  if (!stopped.ok()) {
    log_error("app", "stopped, but not cleanly: the next start will look through the logs",
              {{"why", stopped.error().message()}});
    co_return 1;
  }
  log_info("app", "stopped");
  co_return 0;
}

int serve_settings(const config::BrokerSettings& settings, const std::string& hints_for, const Extensions& extensions) {
  const config::BrokerConfig& config = settings.config;
  auto assignors = coordinator::choose_assignors(config.group_consumer_assignors, extensions.assignors);
  if (!assignors.ok()) {
    say(fmt::format("millrace: {}\n", assignors.error().detail()));
    return 2;
  }
  LogSinkOptions sink_options;
  sink_options.format = config.log_format == "json" ? LogSinkOptions::Format::json : LogSinkOptions::Format::text;
  sink_options.color = RealLogSink::is_terminal(2);
  set_log_level(level_of(config.log_level));
  RealLogSink sink(sink_options);
  for (const std::string& warning : settings.warnings) log_warn("config", warning);
  raise_descriptor_limit();

  RealHost host(host_options(config));
  Node node(host, settings, std::move(*assignors));
  return host.run([&](RealHost& h) { return run_node(h, node, hints_for); });
}

}  // namespace

int serve(std::vector<config::SettingInput> inputs, std::string hints_for, const Extensions& extensions) {
  auto settings = config::load_broker_settings(inputs);
  if (!settings.ok()) {
    say(fmt::format("millrace: {}\n", settings.error().detail()));
    return 2;
  }
  return serve_settings(*settings, hints_for, extensions);
}

int dev(std::vector<config::SettingInput> inputs, std::string hints_for, const Extensions& extensions) {
  auto directory = make_temporary_directory("millrace-dev-");
  if (!directory.ok()) {
    say(fmt::format("millrace: no temporary directory: {}; set TMPDIR\n", directory.error().message()));
    return 1;
  }
  // Weaker than anything somebody set, stronger than the defaults; the directory is not for choice.
  std::vector<config::SettingInput> all = {
      {config::Origin::file, "millrace dev", "listeners", "127.0.0.1:0"},
      {config::Origin::file, "millrace dev", "http.listeners", "127.0.0.1:0"},
      {config::Origin::file, "millrace dev", "disk.reserve.bytes", "16MiB"},
  };
  std::ranges::move(inputs, std::back_inserter(all));
  all.push_back({config::Origin::flag, "millrace dev", "log.dirs", *directory});
  int code = 2;
  auto settings = config::load_broker_settings(all);
  if (settings.ok()) {
    code = serve_settings(*settings, hints_for, extensions);
  } else {
    say(fmt::format("millrace: {}\n", settings.error().detail()));
  }
  if (auto removed = real_files().remove_all(*directory); !removed.ok())
    say(fmt::format("millrace: {} could not be removed: {}\n", *directory, removed.error().message()));
  return code;
}

}  // namespace mr::app
