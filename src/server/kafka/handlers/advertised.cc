#include "server/kafka/handlers/handlers.h"

namespace mr::server::kafka {

Endpoint advertised(const Exchange& x) {
  const KafkaServerOptions& options = x.server->options();
  if (options.advertised) return {options.advertised->host, options.advertised->port};
  return {x.context.local->host, x.context.local->port};
}

}  // namespace mr::server::kafka
