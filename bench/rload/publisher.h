#pragma once
#include "bench/rload/connection.h"

namespace mr::bench {

/// Publishes for `--seconds`, or `--count` messages, in a closed window, and prints what was confirmed how fast.
void publish(const Settings& settings, const Peer& peer);

}  // namespace mr::bench
