// SyncGroup v0-5. v3 static members; v4 flexible; v5 protocol type and name (KIP-559). Rules: traps.md 79.
#include "server/kafka/handlers/groups.h"
#include "wire/api/sync_group.h"

namespace mr::server::kafka {

Task<Result<void>> handle_sync_group(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::sync_group::Request>());
  coordinator::SyncRequest wanted{.group = owned(request.group_id),
                                  .generation = coordinator::Generation{request.generation_id},
                                  .member = owned(request.member_id),
                                  .instance = owned(request.group_instance_id),
                                  .protocol_type = owned(request.protocol_type),
                                  .protocol = owned(request.protocol_name)};
  for (const auto& one : request.assignments)
    wanted.assignments.push_back({owned(one.member_id), coordinator::Blob(one.assignment)});

  wire::sync_group::Response response;
  // Both are part of these versions' request, though the wire could leave them out.
  if (x.head.version >= 5 && (!wanted.protocol_type || !wanted.protocol)) {
    response.error_code = KafkaError::inconsistent_group_protocol;
    co_return x.answer(response);
  }
  coordinator::SyncAnswer answer = co_await x.groups->sync(std::move(wanted));
  response.error_code = kafka_error(answer.error);
  response.protocol_type = lent(x, answer.protocol_type);
  response.protocol_name = lent(x, answer.protocol);
  response.assignment = x.arena.copy(answer.assignment.view());
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
