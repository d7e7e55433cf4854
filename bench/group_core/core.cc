#include "bench/group_core/core.h"

#include <utility>

#include "broker/topic_table.h"
#include "coordinator/assignors/assignor.h"

namespace mr::bench {

using namespace coordinator;

namespace {

constexpr Duration kStep = std::chrono::microseconds(1);  ///< between events

GroupSettings settings() {
  GroupSettings s;
  s.consumer_times.assignment_interval_ms = 0;
  s.assignors.push_back(make_uniform_assignor());
  return s;
}

template <class Answer>
bool failed(const Answer& answer) {
  if constexpr (requires { answer.error.has_value(); }) {
    return answer.error.has_value();
  } else {
    return false;
  }
}

}  // namespace

Core::Core() : machine_{settings()}, live_(machine_.begin(state_, now_)) {}

void Core::decide(decltype(GroupEvent::what) what) {
  auto decision = machine_.decide(state_, live_, {WaiterId{++last_waiter_}, std::move(what)}, now_);
  for (const broker::StateRecord& record : decision.records) {
    Record seen{.key = ByteView(record.key)};
    if (record.value) seen.value = ByteView(*record.value);
    GroupMachine::apply(state_, seen, now_.wall);
  }
  records += decision.records.size();
  for (GroupReply& reply : decision.effects) {
    if (reply.waiter == kNobody) {
      jobs_.push_back(std::move(reply.answer));
      continue;
    }
    errors += std::visit([](const auto& answer) { return failed(answer); }, reply.answer) ? 1 : 0;
    last_ = std::move(reply.answer);
  }
}

void Core::send(decltype(GroupEvent::what) what) {
  now_.mono += kStep;
  if (live_.deadlines.next() <= now_.mono) decide(TickEvent{});
  decide(std::move(what));
  for (GroupAnswer& job : std::exchange(jobs_, {})) {
    if (auto* assign = std::get_if<AssignJob>(&job)) decide(run(*assign));
    if (auto* match = std::get_if<MatchJob>(&job)) decide(run(*match));
  }
}

}  // namespace mr::bench
