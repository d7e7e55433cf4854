// DescribeGroups v0-6. v3 authorized operations; v4 static members; v5 flexible; v6 says that a group is unknown, where
// older ones answer state Dead. Rules: traps.md 82.
#include <fmt/format.h>

#include "server/kafka/handlers/groups.h"
#include "wire/api/describe_groups.h"

namespace mr::server::kafka {

namespace {

void describe(Exchange& x, const coordinator::GroupDescription& from, wire::describe_groups::DescribedGroup& to) {
  to.group_id = x.arena.copy(from.group);
  to.authorized_operations = kNoOperations;
  bool unknown = from.error == Errc::group_not_found;
  if (unknown) to.group_state = coordinator::group_state_name(coordinator::GroupStateName::dead);
  if (from.error) {
    if (unknown && x.head.version < 6) return;
    to.error_code = kafka_error(from.error);
    if (x.head.version >= 6) to.error_message = x.arena.copy(from.error->message());
    return;
  }
  to.group_state = coordinator::group_state_name(from.state);
  to.protocol_type = x.arena.copy(from.protocol_type);
  to.protocol_data = x.arena.copy(from.protocol);
  to.members = x.arena.list<wire::describe_groups::DescribedGroupMember>(from.members.size());
  for (std::size_t m = 0; m < from.members.size(); ++m) {
    const coordinator::DescribedMember& member = from.members[m];
    to.members[m] = {.member_id = x.arena.copy(member.member),
                     .group_instance_id = lent(x, member.instance),
                     .client_id = x.arena.copy(member.client_id),
                     .client_host = x.arena.copy(member.client_host),
                     .member_metadata = x.arena.copy(member.metadata.view()),
                     .member_assignment = x.arena.copy(member.assignment.view())};
  }
}

}  // namespace

Task<Result<void>> handle_describe_groups(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::describe_groups::Request>());
  auto found = co_await x.groups->describe({request.groups.begin(), request.groups.end()});
  wire::describe_groups::Response response;
  response.groups = x.arena.list<wire::describe_groups::DescribedGroup>(found.size());
  for (std::size_t g = 0; g < found.size(); ++g) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    describe(x, found[g], response.groups[g]);
    if (request.include_authorized_operations && response.groups[g].error_code == KafkaError::none)
      response.groups[g].authorized_operations = kGroupOperations;
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
