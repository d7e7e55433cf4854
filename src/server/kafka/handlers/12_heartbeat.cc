// Heartbeat v0-4. v3 static members; v4 flexible. Rules: traps.md 80.
#include "server/kafka/handlers/groups.h"
#include "wire/api/heartbeat.h"

namespace mr::server::kafka {

Task<Result<void>> handle_heartbeat(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::heartbeat::Request>());
  coordinator::HeartbeatAnswer answer =
      co_await x.groups->heartbeat({.group = owned(request.group_id),
                                    .generation = coordinator::Generation{request.generation_id},
                                    .member = owned(request.member_id),
                                    .instance = owned(request.group_instance_id)});
  wire::heartbeat::Response response;
  response.error_code = kafka_error(answer.error);
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
