#pragma once
#include <vector>

#include "config/broker_settings.h"
#include "coordinator/assignors/assignor.h"

namespace mr::app {

/// Exit code when the last log directory has failed: starting again does not help before somebody has looked.
inline constexpr int kAllLogDirectoriesFailed = 6;

/// What a program that embeds the broker adds to it.
struct Extensions {
  coordinator::Assignors assignors;  ///< groups may choose them beside those of group.consumer.assignors
};

/// `millrace serve`: runs one broker until SIGTERM or SIGINT. `inputs` as for load_broker_settings(). With
/// `hints_for` (the program's name, as typed) ready-to-paste lines for a first message go to standard error once it
/// answers. Returns the exit code: 0 after a clean stop, 1 when it could not start or stop cleanly, 5 when a port or
/// directory is taken, 2 for bad settings, kAllLogDirectoriesFailed; a sentence is on standard error.
int serve(std::vector<config::SettingInput> inputs, std::string hints_for, const Extensions& extensions);

/// `millrace dev`: the same in a temporary directory that goes away at the end. `inputs` as for load_broker_settings();
/// addresses that nobody chose are free ports on loopback.
int dev(std::vector<config::SettingInput> inputs, std::string hints_for, const Extensions& extensions);

}  // namespace mr::app
