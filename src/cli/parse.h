#pragma once
#include <expected>

#include "cli/commands.h"

namespace mr::cli {

/// The arguments as a command, or the exit code when the program is done: help was printed (0), or the arguments made
/// no sense and a sentence went to standard error (2).
std::expected<CommandLine, int> parse(int count, const char* const* arguments);

}  // namespace mr::cli
