#pragma once
#include <optional>
#include <vector>

#include "coordinator/group_types.h"
#include "server/http/message.h"

/// What all answers about groups share.
namespace mr::server::api {

/// 404, 400 or 503, by the error.
http::HttpResponse group_refused(const Error& error);
/// 503: nobody answers for groups yet.
http::HttpResponse groups_starting();
/// What a member reads, sorted; empty when its assignment does not read like a consumer's.
std::optional<std::vector<TopicPartition>> assigned_to(const coordinator::GroupDescription& group,
                                                       const coordinator::DescribedMember& member);

}  // namespace mr::server::api
