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

namespace {
Task<Result<void>> refused(Error why) { co_return why; }
}  // namespace

/// No coroutine of its own: every request would take memory for one more.
Task<Result<void>> KafkaServer::dispatch(Exchange& exchange, MutableBytes frame) {
  exchange.frame = frame;
  auto head = wire::parse_request(frame);
  if (!head.ok()) return refused(std::move(head).error());
  exchange.head = *head;
  exchange.context.client_id = exchange.head.client_id;
  wire::ApiKey key = exchange.head.api->key;
  Handler handler = find_handler(key);
  if (handler == nullptr)
    return refused(Error(Errc::unsupported_version, fmt::format("{} is not served", exchange.head.api->name)));
  ServerCounters::bump(counters(exchange.shard).requests_by_api[static_cast<std::size_t>(key)]);
  return handler(exchange);
}

}  // namespace mr::server::kafka
