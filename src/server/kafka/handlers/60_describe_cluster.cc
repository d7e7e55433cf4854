// DescribeCluster v0-2. v1 endpoint type; v2 fenced brokers.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/describe_cluster.h"

namespace mr::server::kafka {

Task<Result<void>> handle_describe_cluster(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::describe_cluster::Request>());
  wire::describe_cluster::Response response;
  constexpr std::int8_t kBrokers = 1;
  constexpr std::int8_t kControllers = 2;
  response.cluster_authorized_operations = kNoOperations;
  if (request.endpoint_type != kBrokers) {
    // There are no controller endpoints to be described at a broker's door.
    bool known = request.endpoint_type == kControllers;
    response.error_code = known ? KafkaError::mismatched_endpoint_type : KafkaError::unsupported_endpoint_type;
    response.error_message = known ? "this is a broker's listener" : "unknown endpoint type";
    co_return x.answer(response);
  }
  Endpoint here = advertised(x);
  response.cluster_id = x.broker->cluster_id();
  response.controller_id = x.broker->self();
  response.brokers = x.arena.list<wire::describe_cluster::DescribeClusterBroker>(1);
  if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = kClusterOperations;
  response.brokers[0] = {.broker_id = x.broker->self(), .host = here.host, .port = here.port};
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
