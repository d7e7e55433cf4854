#include "cli/session.h"

#include <fmt/format.h>

#include "cli/output.h"
#include "config/option.h"

namespace mr::cli {

int exit_code(const Error& error) {
  switch (error.code()) {
    case Errc::invalid_argument:
    case Errc::invalid_config:
      return kUsage;
    case Errc::connection_refused:
    case Errc::connection_closed:
    case Errc::not_found:  // host name
      return kCannotConnect;
    case Errc::unauthenticated:
    case Errc::unauthorized:
      return kAuth;
    case Errc::topic_exists:
    case Errc::conflict:
    case Errc::group_not_empty:
    case Errc::group_subscribed_to_topic:
      return kConflict;
    case Errc::timed_out:
      return kTimeout;
    default:
      return kFailed;
  }
}

int report(const Error& error) {
  say("millrace: " + (error.detail().empty() ? error.message() : error.detail()));
  return exit_code(error);
}

Result<std::vector<Address>> parse_bootstrap(std::string_view text) {
  std::vector<Address> addresses;
  for (const std::string& part : config::split_list(text)) {
    // A bare host is what people type; Kafka's port is meant.
    const bool has_port = part.rfind(':') != std::string::npos && !part.ends_with(']');
    MR_TRY(Address address, Address::parse(has_port ? part : part + ":9092"));
    addresses.push_back(std::move(address));
  }
  if (addresses.empty()) return Error(Errc::invalid_argument, "--bootstrap-server is empty");
  return addresses;
}

namespace {

using Command = std::move_only_function<Task<Result<int>>(Session&)>;

Task<void> run_into(Command& command, Session& session, Result<int>& code) { code = co_await command(session); }

Task<void> cancel_when_stopped(RealHost& host, Scope& work) {
  co_await host.stop_requested();
  work.cancel();
}

Task<int> run_command(RealHost& host, const Common& common, std::vector<Address> bootstrap, bool until_signal,
                      Command& command) {
  Env& env = host.env(ShardId{0});
  client::Cluster::Options options{.bootstrap = std::move(bootstrap)};
  options.connection.client_id = "millrace-cli";
  client::Cluster cluster(env, std::move(options));
  Session session{.env = env, .cluster = cluster, .common = common};
  Result<int> code(kFailed);
  if (until_signal) {
    Scope work(env.executor), signals(env.executor);
    work.spawn("command", run_into(command, session, code));
    signals.spawn("signals", cancel_when_stopped(host, work));
    co_await work.drained();
    co_await signals.stop();
  } else {
    code = co_await command(session);
  }
  co_await cluster.close();
  if (until_signal && !code.ok() && code.code() == Errc::cancelled) co_return kInterrupted;
  if (!code.ok()) {
    Error error = code.error();
    if (error.code() == Errc::connection_refused)
      error = Error(error.code(), error.detail() + "; is the broker running there? --bootstrap-server chooses another");
    co_return report(error);
  }
  co_return *code;
}

/// Signals end the process at once, as for any filter, but for commands that asked for them; output is written batch by
/// batch. A command may wait on a terminal for long, which is no stall.
HostOptions host_options(bool handle_signals) {
  return {.shards = 1,
          .pool_threads = 1,
          .stall_after = std::chrono::hours(24),
          .handle_signals = handle_signals,
          .name = "millrace-cli"};
}

Task<int> run_work(RealHost& host, std::move_only_function<Task<void>(Env&)>& work) {
  co_await work(host.env(ShardId{0}));
  co_return 0;
}

int run_in_host(const Common& common, bool until_signal, Command command) {
  auto bootstrap = parse_bootstrap(common.bootstrap);
  if (!bootstrap.ok()) return report(bootstrap.error());
  RealHost host(host_options(until_signal));
  return host.run([&](RealHost& h) { return run_command(h, common, std::move(*bootstrap), until_signal, command); });
}

}  // namespace

void with_env(std::move_only_function<Task<void>(Env&)> work) {
  RealHost host(host_options(false));
  host.run([&](RealHost& h) { return run_work(h, work); });
}

int with_cluster(const Common& common, Command command) { return run_in_host(common, false, std::move(command)); }

int with_cluster_until_signal(const Common& common, Command command) {
  return run_in_host(common, true, std::move(command));
}

}  // namespace mr::cli
