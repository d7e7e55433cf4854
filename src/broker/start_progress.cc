#include "broker/start_progress.h"

namespace mr::broker {

std::optional<Duration> StartProgress::left() const {
  bool by_bytes = bytes_total > 0;
  auto done = static_cast<double>(by_bytes ? bytes_done : partitions_done);
  auto total = static_cast<double>(by_bytes ? bytes_total : partitions_total);
  if (done <= 0) return std::nullopt;
  if (done >= total) return Duration{};
  auto took = std::chrono::duration<double>(elapsed) * ((total - done) / done);
  return std::chrono::duration_cast<Duration>(took);
}

}  // namespace mr::broker
