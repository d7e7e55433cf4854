#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/topic_table.h"
#include "coordinator/assignors/assignor.h"

/// Work of KIP-848 groups that may take too long for a shard: it is run on the offload pool, and what it finds comes
/// back as an event.
namespace mr::coordinator {

/// Targets for a group, as of one of its epochs.
struct AssignJob {
  std::string group;
  std::int32_t epoch = 0;
  std::shared_ptr<const Assignor> assignor;
  std::shared_ptr<const AssignorInput> input;
};
struct AssignedEvent {
  std::string group;
  std::int32_t epoch = 0;
  std::shared_ptr<const AssignorInput> input;
  Result<AssignorOutput> output = Errc::internal;
};
/// Members and partitions: about 0.3 us each.
std::size_t work_of(const AssignorInput& input);
AssignedEvent run(const AssignJob& job);

/// Which topics do a group's patterns match?
struct MatchJob {
  std::string group;
  std::shared_ptr<const std::vector<std::string>> patterns;
  std::shared_ptr<const broker::TopicTable> topics;
};
struct MatchedEvent {
  std::string group;
  std::shared_ptr<const std::vector<std::string>> patterns;
  std::vector<std::pair<std::string, std::vector<std::string>>> matched;  ///< by pattern, names ascending
};
MatchedEvent run(const MatchJob& job);

inline constexpr std::size_t kPatternBytesMax = 4096;
/// Is this a pattern we can match with? RE2's syntax, over a topic's whole name. Takes up to some milliseconds.
/// Errors: invalid_regular_expression.
Result<void> check_pattern(std::string_view pattern);

}  // namespace mr::coordinator
