// LeaveGroup v0-5. v3 many members, each with its error; v4 flexible; v5 reason (KIP-800). Rules: traps.md 81.
#include "server/kafka/handlers/groups.h"
#include "wire/api/leave_group.h"

namespace mr::server::kafka {

Task<Result<void>> handle_leave_group(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<wire::leave_group::Request>());
  const bool many = x.head.version >= 3;
  coordinator::LeaveRequest wanted{.group = owned(request.group_id)};
  if (!many) wanted.members.push_back({.member = owned(request.member_id)});
  for (const auto& member : request.members)
    wanted.members.push_back(
        {owned(member.member_id), owned(member.group_instance_id), owned(member.reason.value_or(""))});

  coordinator::LeaveAnswer answer = co_await x.groups->leave(std::move(wanted));
  wire::leave_group::Response response;
  response.error_code = kafka_error(answer.error);
  if (!many) {
    if (!answer.error) response.error_code = kafka_error(answer.members.front().error);
    co_return x.answer(response);
  }
  response.members = x.arena.list<wire::leave_group::MemberResponse>(answer.members.size());
  for (std::size_t m = 0; m < answer.members.size(); ++m) {
    const auto& member = answer.members[m];
    response.members[m] = {.member_id = x.arena.copy(member.member),
                           .group_instance_id = lent(x, member.instance),
                           .error_code = kafka_error(member.error)};
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
