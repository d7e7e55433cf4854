#pragma once
#include <functional>
#include <vector>

#include "config/broker_settings.h"

namespace mr::cli {

/// What the commands cannot do themselves: this room does not know the broker.
struct Hooks {
  /// Inputs weakest first; `hints_for`: this program's name in lines for a first message, empty: no such lines. The
  /// value is the exit code.
  std::function<int(std::vector<config::SettingInput> inputs, std::string hints_for)> serve;
  std::function<int(std::vector<config::SettingInput> inputs, std::string hints_for)> dev;
};

/// The whole program but the broker: parses, runs one command, returns the exit code.
int run(int count, const char* const* arguments, const Hooks& hooks);

}  // namespace mr::cli
