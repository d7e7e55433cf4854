// InitProducerId v0-5. v2 flexible; v3 current id and epoch. Idempotent producers only: traps.md 94.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/init_producer_id.h"

namespace mr::server::kafka {

Task<Result<void>> handle_init_producer_id(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::init_producer_id::Request>());
  wire::init_producer_id::Response response;
  response.producer_epoch = ProducerEpoch{-1};
  if (request.transactional_id) {
    // Transactions are not served yet; this code ends a transactional producer at once, with a name for the reason.
    response.error_code = request.transactional_id->empty() ? KafkaError::invalid_request
                                                            : kafka_error(Errc::transactional_id_unsupported);
    co_return x.answer(response);
  }
  auto id = co_await x.broker->next_producer_id();
  if (id.ok()) {
    response.producer_id = *id;
    response.producer_epoch = ProducerEpoch{0};
  } else {
    response.error_code = KafkaError::coordinator_load_in_progress;  // retriable for every client
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
