#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/ids.h"

/// What `group seek` and its kin decide without a broker: what the arguments mean, where an offset may go.
namespace mr::cli {

/// The partitions that `--topic T` or `--topic T:0,3` names, of one topic or several.
class Choice {
 public:
  /// The same topic twice adds up. Errors: invalid_argument.
  static Result<Choice> parse(const std::vector<std::string>& texts);

  /// Nothing was said: everything is meant.
  bool everything() const { return topics_.empty(); }
  bool holds(const TopicPartition& name) const;
  /// By topic; no partitions: all of it.
  const std::map<std::string, std::vector<PartitionIndex>>& topics() const { return topics_; }

 private:
  std::map<std::string, std::vector<PartitionIndex>> topics_;
};

/// Where `group seek --to` goes.
struct SeekTarget {
  enum class Kind { start, end, time, ago, offset, group, file } kind = Kind::end;
  std::int64_t number = 0;  ///< milliseconds since 1970 (time) or before now (ago), offset
  std::string text;         ///< group, file
};
/// "start", "end", "@TIME" as `sub --from` reads it, "-5m" ("-1h30m", units ms s m h d w), "offset:42", "group:OTHER",
/// "file:F". Errors: invalid_argument.
Result<SeekTarget> parse_seek_target(std::string_view text);

/// One partition's step.
struct Move {
  TopicPartition name;
  std::optional<Offset> from;  ///< unset: nothing was committed
  Offset to;
  std::string note;  ///< why `to` is not what was asked for
  bool changes() const { return from != to; }
};
/// A step to `wanted`, or to the nearest offset that the partition has (start to end, both included).
Move plan_move(TopicPartition name, std::optional<Offset> from, Offset wanted, Offset start, Offset end);

/// "a:0,2 b:1"; `names` are sorted.
std::string describe_partitions(const std::vector<TopicPartition>& names);

}  // namespace mr::cli
