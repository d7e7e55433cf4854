// JoinGroup v0-9. v1 rebalance timeout; v4 the member id comes first (KIP-394); v5 static members (KIP-345); v6
// flexible; v7 protocol type, null protocol (KIP-559); v8 reason (KIP-800); v9 skip assignment (KIP-814). Rules:
// traps.md 75-78.
#include "server/kafka/handlers/groups.h"
#include "wire/api/join_group.h"

namespace mr::server::kafka {

Task<Result<void>> handle_join_group(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::join_group::Request>());
  const wire::Version version = x.head.version;
  coordinator::JoinRequest wanted{
      .group = owned(request.group_id),
      .member = owned(request.member_id),
      .instance = owned(request.group_instance_id),
      .client_id = owned(x.context.client_id),
      .client_host = "/" + x.context.remote->host,
      .session_timeout = Millis(request.session_timeout_ms),
      .rebalance_timeout = Millis(version >= 1 ? request.rebalance_timeout_ms : request.session_timeout_ms),
      .protocol_type = owned(request.protocol_type),
      .reason = owned(request.reason.value_or("")),
      .member_id_required = version >= 4,
      .skip_assignment_known = version >= 9};
  for (const auto& protocol : request.protocols)
    wanted.protocols.push_back({owned(protocol.name), coordinator::Blob(protocol.metadata)});

  coordinator::JoinAnswer answer = co_await x.groups->join(std::move(wanted));
  wire::join_group::Response response;
  response.error_code = kafka_error(answer.error);
  response.generation_id = answer.generation.v;
  response.protocol_type = lent(x, answer.protocol_type);
  response.protocol_name = lent(x, answer.protocol);
  if (version < 7 && !response.protocol_name) response.protocol_name = "";
  response.leader = x.arena.copy(answer.leader);
  response.skip_assignment = answer.skip_assignment;
  response.member_id = x.arena.copy(answer.member);
  response.members = x.arena.list<wire::join_group::JoinGroupResponseMember>(answer.members.size());
  for (std::size_t m = 0; m < answer.members.size(); ++m) {
    const coordinator::JoinedMember& member = answer.members[m];
    response.members[m] = {.member_id = x.arena.copy(member.member),
                           .group_instance_id = lent(x, member.instance),
                           .metadata = x.arena.copy(member.metadata.view())};
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
