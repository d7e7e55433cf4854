#include <cstdio>
#include <string>
#include <vector>

#include "app/serve.h"
#include "runtime/machine.h"
#include "runtime/real_host.h"

int main(int count, char** arguments) {
  std::vector<mr::config::SettingInput> inputs = mr::config::parse_environment(mr::environment_variables());
  std::string command = count > 1 ? arguments[1] : "";
  for (int i = 2; i + 1 < count; i += 2) {
    std::string flag = arguments[i];
    for (const auto& option : mr::config::broker_options())
      if (option.flag() == flag || option.short_flag == flag)
        inputs.push_back({mr::config::Origin::flag, flag, std::string(option.rule.name), arguments[i + 1]});
  }
  if (command == "dev") return mr::app::dev(inputs, true);
  auto settings = mr::config::load_broker_settings(inputs);
  if (!settings.ok()) {
    std::fprintf(stderr, "millrace: %s\n", settings.error().detail().c_str());
    return 2;
  }
  return mr::app::serve({.settings = *settings, .hints = mr::RealLogSink::is_terminal(2)});
}
