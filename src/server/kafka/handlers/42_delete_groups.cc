// DeleteGroups v0-2. v2 flexible. Only groups without members can go.
#include "server/kafka/handlers/groups.h"
#include "wire/api/delete_groups.h"

namespace mr::server::kafka {

Task<Result<void>> handle_delete_groups(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::delete_groups::Request>());
  auto outcomes = co_await x.groups->delete_groups({request.groups_names.begin(), request.groups_names.end()});
  wire::delete_groups::Response response;
  response.results = x.arena.list<wire::delete_groups::DeletableGroupResult>(outcomes.size());
  for (std::size_t g = 0; g < outcomes.size(); ++g)
    response.results[g] = {.group_id = x.arena.copy(request.groups_names[g]), .error_code = kafka_error(outcomes[g])};
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
