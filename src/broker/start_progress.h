#pragma once
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace mr::broker {

/// How far a start has come. Plain value.
struct StartProgress {
  std::size_t partitions_done = 0;
  std::size_t partitions_total = 0;
  std::uint64_t bytes_done = 0;   ///< looked through
  std::uint64_t bytes_total = 0;  ///< to look through after a crash, as far as file names and sizes tell
  Duration elapsed{};
  bool ready = false;

  /// How long it will take still, if it goes on as it did; by bytes where there are some, else by partitions.
  std::optional<Duration> left() const;
};

}  // namespace mr::broker
