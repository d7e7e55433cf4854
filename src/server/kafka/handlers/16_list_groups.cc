// ListGroups v0-5. v3 flexible; v4 filter by state; v5 by type. Filters do not look at case. Rules: traps.md 82.
#include <algorithm>

#include "server/kafka/handlers/groups.h"
#include "wire/api/list_groups.h"

namespace mr::server::kafka {

namespace {

bool same_word(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}
/// No filter lets everything through.
bool passes(const wire::List<std::string_view>& filter, std::string_view word) {
  return filter.empty() || std::ranges::any_of(filter, [&](std::string_view one) { return same_word(one, word); });
}

}  // namespace

Task<Result<void>> handle_list_groups(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::list_groups::Request>());
  auto listing = co_await x.groups->list();
  wire::list_groups::Response response;
  response.error_code = kafka_error(listing.error);
  std::erase_if(listing.groups, [&](const coordinator::ListedGroup& group) {
    return !passes(request.states_filter, group_state_name(group.state)) ||
           !passes(request.types_filter, group_type_name(group.type));
  });
  response.groups = x.arena.list<wire::list_groups::ListedGroup>(listing.groups.size());
  for (std::size_t g = 0; g < listing.groups.size(); ++g) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const coordinator::ListedGroup& group = listing.groups[g];
    response.groups[g] = {.group_id = x.arena.copy(group.group),
                          .protocol_type = x.arena.copy(group.protocol_type),
                          .group_state = group_state_name(group.state),
                          .group_type = group_type_name(group.type)};
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
