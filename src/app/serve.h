#pragma once
#include <string>

#include "config/broker_settings.h"

namespace mr::app {

struct ServeOptions {
  config::BrokerSettings settings;
  /// Print ready-to-paste lines for a first message to standard error once it answers.
  bool hints = false;
};

/// `millrace serve`: runs one broker until SIGTERM or SIGINT. Returns the exit code: 0 after a clean stop, 1 when it
/// could not start or stop cleanly (a sentence is on standard error).
int serve(ServeOptions options);

/// `millrace dev`: the same in a temporary directory that goes away at the end. `inputs` as for load_broker_settings();
/// addresses that nobody chose are free ports on loopback. Exit code 2: bad settings.
int dev(std::vector<config::SettingInput> inputs, bool hints);

}  // namespace mr::app
