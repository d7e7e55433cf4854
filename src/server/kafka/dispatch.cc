#include <fmt/format.h>

#include "server/kafka/kafka_server.h"

namespace mr::server::kafka {

Handler find_handler(wire::ApiKey key) {
  static const auto by_key = [] {
    std::array<Handler, 128> index{};
    for (const ApiEntry& entry : handler_table()) index.at(static_cast<std::size_t>(entry.api->key)) = entry.handler;
    return index;
  }();
  auto at = static_cast<std::size_t>(key);
  return at < by_key.size() ? by_key[at] : nullptr;
}

Task<Result<void>> KafkaServer::dispatch(Exchange& exchange, MutableBytes frame) {
  exchange.frame = frame;
  MR_CO_TRY(exchange.head, wire::parse_request(frame));
  exchange.context.client_id = exchange.head.client_id;
  wire::ApiKey key = exchange.head.api->key;
  Handler handler = find_handler(key);
  if (handler == nullptr)
    co_return Error(Errc::unsupported_version, fmt::format("{} is not served", exchange.head.api->name));
  ServerCounters::bump(counters(exchange.shard).requests_by_api[static_cast<std::size_t>(key)]);
  co_return co_await handler(exchange);
}

}  // namespace mr::server::kafka
