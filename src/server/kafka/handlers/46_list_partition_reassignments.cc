// ListPartitionReassignments v0. What is listed are those under way: on one broker there are none, whatever is asked.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/list_partition_reassignments.h"

namespace mr::server::kafka {

Task<Result<void>> handle_list_partition_reassignments(Exchange& x) {
  MR_CO_TRY_VOID(x.decode<wire::list_partition_reassignments::Request>());
  wire::list_partition_reassignments::Response response;
  response.error_message.reset();
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
