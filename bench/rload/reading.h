#pragma once
#include "bench/rload/connection.h"

namespace mr::bench {

/// Reads the stream's first `--read` messages on every connection, again and again for `--seconds`, and prints how
/// fast.
void read_stream(const Settings& settings, const Peer& peer);

}  // namespace mr::bench
