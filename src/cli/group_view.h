#pragma once
#include <optional>
#include <vector>

#include "cli/group_plan.h"
#include "cli/output.h"
#include "cli/session.h"
#include "client/groups.h"

/// What the commands about groups share.
namespace mr::cli {

/// What a group has committed of the partitions in `choice`, by partition.
Task<Result<std::map<TopicPartition, Offset>>> committed_of(Session& session, std::string group, Choice choice);

/// The group, or nothing when there is none.
Task<Result<std::optional<client::GroupDescription>>> look_up(Session& session, std::string group);

/// "3 members (Stable)"
std::string describe_activity(const client::GroupDescription& group);

/// Null for no value.
Value to_value(const std::optional<Offset>& offset);

/// "1 partition", "3 partitions"
std::string counted(std::size_t n, std::string_view what);

}  // namespace mr::cli
