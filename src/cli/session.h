#pragma once
#include <functional>

#include "cli/commands.h"
#include "client/cluster.h"
#include "runtime/real_host.h"

namespace mr::cli {

/// The exit codes of all commands.
inline constexpr int kOk = 0, kFailed = 1, kUsage = 2, kCannotConnect = 3, kAuth = 4, kConflict = 5, kTimeout = 124,
                     kInterrupted = 130;
int exit_code(const Error& error);
/// Says "millrace: sentence" and returns the exit code.
int report(const Error& error);

/// What a command that talks to a broker runs in: one shard of its own.
struct Session {
  Env& env;
  client::Cluster& cluster;
  const Common& common;
  TimePoint deadline() const { return env.now() + Millis(common.timeout_ms); }
  double seconds() const { return std::chrono::duration<double>(env.now().time_since_epoch()).count(); }
};
/// Runs `command` with a cluster handle, closes it, reports an error. The value is the exit code.
int with_cluster(const Common& common, std::move_only_function<Task<Result<int>>(Session&)> command);

/// The same for a command that has something to say when Ctrl-C or SIGTERM ends it: the first one cancels `command`,
/// whose code is then the program's; a second one ends the program at once. kInterrupted when it had nothing to say.
int with_cluster_until_signal(const Common& common, std::move_only_function<Task<Result<int>>(Session&)> command);

/// Runs `work` on a shard of its own, for what needs sockets and no cluster of the command line's.
void with_env(std::move_only_function<Task<void>(Env&)> work);

/// All parts of "a:1,b:2". Errors: invalid_argument.
Result<std::vector<Address>> parse_bootstrap(std::string_view text);

}  // namespace mr::cli
