#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace mr::storage {

/// Which leader epoch wrote which offsets: each line says where an epoch starts. Both columns only grow. On disk it is
/// Kafka's leader-epoch-checkpoint (docs/formats/checkpoints.md).
class EpochTable {
 public:
  struct Line {
    LeaderEpoch epoch;
    Offset start;
    friend bool operator==(const Line&, const Line&) = default;
  };
  struct End {
    LeaderEpoch epoch{-1};
    Offset end{-1};
    friend bool operator==(const End&, const End&) = default;
  };

  /// kNoLeaderEpoch when empty.
  LeaderEpoch latest() const { return lines_.empty() ? kNoLeaderEpoch : lines_.back().epoch; }
  /// Epoch of the log's first record; kNoLeaderEpoch when empty.
  LeaderEpoch earliest() const { return lines_.empty() ? kNoLeaderEpoch : lines_.front().epoch; }
  /// Notes that `epoch` starts at `start`. True when the table changed; an epoch not newer than the latest changes
  /// nothing. Lines that start at or after `start` wrote nothing and go.
  bool assign(LeaderEpoch epoch, Offset start);
  /// Where `epoch` ends: the start of the next one, or `log_end` for the latest. Kafka's rules at the rim: newer than
  /// all lines (or -1): {-1, -1}; older than all lines: {epoch, start of the first}. (traps.md 74)
  End end_of(LeaderEpoch epoch, Offset log_end) const;
  /// Drops lines that start above `log_end` (a torn tail was cut). True when something changed.
  bool truncate_from_end(Offset log_end);
  /// Drops epochs that end at or below `log_start`; the first line left starts there. True when something changed.
  bool truncate_from_start(Offset log_start);

  const std::vector<Line>& lines() const { return lines_; }

  std::string encode() const;
  /// Errors: corrupt_data, newer_format.
  static Result<EpochTable> decode(std::string_view text);

 private:
  std::vector<Line> lines_;
};

}  // namespace mr::storage
