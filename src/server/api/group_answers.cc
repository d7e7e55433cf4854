#include "server/api/group_answers.h"

#include "wire/consumer_protocol.h"

namespace mr::server::api {

using http::HttpResponse;

HttpResponse group_refused(const Error& error) {
  if (error == Errc::group_not_found) return HttpResponse::error(404, "group_not_found", error.message());
  if (error == Errc::invalid_group_id) return HttpResponse::error(400, "invalid_group_id", error.message());
  return HttpResponse::error(503, to_string(error.code()), error.message());
}

HttpResponse groups_starting() { return HttpResponse::error(503, "starting", "the broker does not serve groups yet"); }

std::optional<std::vector<TopicPartition>> assigned_to(const coordinator::GroupDescription& group,
                                                       const coordinator::DescribedMember& member) {
  if (group.protocol_type != "consumer") return std::nullopt;
  auto partitions = wire::assigned_partitions(member.assignment.view());
  if (!partitions.ok()) return std::nullopt;
  return std::move(*partitions);
}

}  // namespace mr::server::api
