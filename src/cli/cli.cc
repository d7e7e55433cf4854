#include "cli/cli.h"

#include "cli/do.h"
#include "cli/parse.h"
#include "cli/session.h"

namespace mr::cli {

namespace {

int serve(const Serve& command, const Hooks& hooks, const std::string& program) {
  auto inputs = collect_settings(command.properties_file, command.inputs);
  if (!inputs.ok()) return report(inputs.error());
  const bool hints = command.hints || (!command.dev && RealLogSink::is_terminal(2));
  return (command.dev ? hooks.dev : hooks.serve)(std::move(*inputs), hints ? program : std::string());
}

}  // namespace

int run(int count, const char* const* arguments, const Hooks& hooks) {
  auto line = parse(count, arguments);
  if (!line) return line.error();
  return std::visit(
      [&](const auto& command) {
        if constexpr (std::is_same_v<std::decay_t<decltype(command)>, Serve>) {
          return serve(command, hooks, arguments[0]);
        } else {
          return run(line->common, command);
        }
      },
      line->command);
}

}  // namespace mr::cli
