#pragma once
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "coordinator/group_coordinator.h"
#include "server/http/message.h"

/// What all answers about groups share.
namespace mr::server::api {

/// 404, 400 or 503, by the error.
http::HttpResponse group_refused(const Error& error);
/// 503: nobody answers for groups yet.
http::HttpResponse groups_starting();
/// As JSON; null below 0.
std::string offset_or_null(Offset offset);

/// A group of either protocol, as pages show it.
struct ShownGroup {
  coordinator::GroupDescription group;  ///< of KIP-848: `generation` is the group's epoch, `protocol` who assigns
  std::string type = "classic";
  std::string state;
  std::string more;  ///< of the group, JSON
  /// By member, sorted; empty when it does not read like a consumer's.
  std::vector<std::optional<std::vector<TopicPartition>>> assigned;
};
/// Errors: group_not_found, invalid_group_id, the coordinator's. Shard: 0.
Task<Result<ShownGroup>> find_group(broker::Broker& broker, coordinator::GroupCoordinator& groups, std::string name,
                                    bool with_rebalances = false);

}  // namespace mr::server::api
