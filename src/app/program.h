#pragma once
#include "app/serve.h"

namespace mr::app {

/// The whole program `millrace` with what `extensions` add to its broker: what main() of a program that embeds it
/// calls. Parses, runs one command, returns the exit code.
int run_program(int count, const char* const* arguments, const Extensions& extensions);

}  // namespace mr::app
