#include "app/program.h"

#include "cli/cli.h"

namespace mr::app {

int run_program(int count, const char* const* arguments, const Extensions& extensions) {
  auto with = [&extensions](auto* command) {
    return [&extensions, command](std::vector<config::SettingInput> inputs, std::string hints_for) {
      return command(std::move(inputs), std::move(hints_for), extensions);
    };
  };
  return cli::run(count, arguments, {.serve = with(&serve), .dev = with(&dev)});
}

}  // namespace mr::app
