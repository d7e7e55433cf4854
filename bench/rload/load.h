#pragma once
#include <memory>

#include "bench/rload/connection.h"

namespace mr::bench {

/// What rload does to a rival, on all its connections.
class Load {
 public:
  virtual ~Load() = default;
  /// Counts anew.
  virtual void run(double seconds) = 0;
  /// One line of JSON: what the last run came to.
  virtual void print() = 0;
};

/// Publishes for the time given, or `--count` messages, in a closed window.
std::unique_ptr<Load> publishing(const Settings& settings, const Peer& peer);
/// Reads the stream's first `--read` messages on every connection, again and again.
std::unique_ptr<Load> reading(const Settings& settings, const Peer& peer);

}  // namespace mr::bench
