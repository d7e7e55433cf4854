// FindCoordinator v0-6. v1 key type; v3 flexible; v4 many keys; v6 share groups. Groups have a coordinator;
// transactions and share groups do not yet, and the answer says so with an error that no client retries.
#include "server/kafka/handlers/groups.h"
#include "wire/api/find_coordinator.h"

namespace mr::server::kafka {

namespace {

enum KeyType : std::int8_t { group = 0, transaction = 1, share = 2 };

struct Found {
  BrokerId node{-1};
  Endpoint at{"", -1};
  KafkaError error = KafkaError::none;
  std::optional<std::string_view> message;
};

Task<Found> find(Exchange& x, std::int8_t type, std::string_view key) {
  switch (type) {
    case KeyType::group: {
      auto node = co_await x.groups->find(owned(key));
      if (!node.ok())
        co_return Found{.error = kafka_error(node.error()), .message = x.arena.copy(node.error().message())};
      co_return Found{*node, advertised(x), {}, std::nullopt};
    }
    case KeyType::transaction:
      // librdkafka asks again and again after UNSUPPORTED_VERSION; this code ends a transactional producer at once in
      // every client.
      co_return Found{.error = kafka_error(Errc::transactional_id_unsupported),
                      .message = "transactions are not served yet"};
    case KeyType::share:
      co_return Found{.error = KafkaError::unsupported_version, .message = "share groups are not served yet"};
    default:
      co_return Found{.error = KafkaError::invalid_request, .message = "unknown key type"};
  }
}

}  // namespace

Task<Result<void>> handle_find_coordinator(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::find_coordinator::Request>());
  wire::find_coordinator::Response response;
  if (x.head.version < 4) {
    Found found = co_await find(x, request.key_type, request.key);
    response.error_code = found.error;
    response.error_message = found.message;
    response.node_id = found.node;
    response.host = found.at.host;
    response.port = found.at.port;
    co_return x.answer(response);
  }
  response.coordinators = x.arena.list<wire::find_coordinator::Coordinator>(request.coordinator_keys.size());
  for (std::size_t i = 0; i < request.coordinator_keys.size(); ++i) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    Found found = co_await find(x, request.key_type, request.coordinator_keys[i]);
    response.coordinators[i] = {.key = request.coordinator_keys[i],
                                .node_id = found.node,
                                .host = found.at.host,
                                .port = found.at.port,
                                .error_code = found.error,
                                .error_message = found.message};
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
