// FindCoordinator v0-6. v1 key type; v3 flexible; v4 many keys. There are no coordinators yet, and every answer says so
// with an error that no client retries. The key is served all the same: librdkafka before 2.11 (Debian's kcat) turns
// lz4 off for a broker that does not list it.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/find_coordinator.h"

namespace mr::server::kafka {

Task<Result<void>> handle_find_coordinator(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::find_coordinator::Request>());
  constexpr std::string_view kWhy = "consumer groups and transactions are not served yet";
  constexpr BrokerId kNobody{-1};
  wire::find_coordinator::Response response;
  if (x.head.version < 4) {
    response.error_code = KafkaError::unsupported_version;
    response.error_message = kWhy;
    response.node_id = kNobody;
    response.port = -1;
    co_return x.answer(response);
  }
  response.coordinators = x.arena.list<wire::find_coordinator::Coordinator>(request.coordinator_keys.size());
  for (std::size_t i = 0; i < request.coordinator_keys.size(); ++i) {
    response.coordinators[i] = {.key = request.coordinator_keys[i],
                                .node_id = kNobody,
                                .port = -1,
                                .error_code = KafkaError::unsupported_version,
                                .error_message = kWhy};
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
