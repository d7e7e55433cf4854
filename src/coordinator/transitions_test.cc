// Aim: every event in every state does what Kafka's does: which error it gets, and which state the group is in then.
// Method: a table with a row per event and a column per state, each cell on a group brought there by members c-1 (the
// leader) and c-2.
#include "coordinator/machine_fixture.h"

namespace mr::coordinator {
namespace {

using enum GroupStateName;

/// What one call led to. `error` is empty when it succeeded or waits.
struct Outcome {
  std::optional<Errc> error;
  bool waits = false;
  GroupStateName then = dead;
  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend void PrintTo(const Outcome& o, std::ostream* out) {
    *out << (o.waits ? "waits" : o.error ? to_string(*o.error) : "ok") << ", " << group_state_name(o.then);
  }
};
Outcome ok(GroupStateName then) { return {std::nullopt, false, then}; }
Outcome waits(GroupStateName then) { return {std::nullopt, true, then}; }
Outcome no(Errc why, GroupStateName then) { return {why, false, then}; }

struct InState : Bench {
  explicit InState(GroupStateName wanted) {
    if (wanted == dead) return;
    generation = stable_pair();
    if (wanted == stable) return;
    if (wanted == empty) {
      send(LeaveRequest{.group = "g", .members = {{.member = "c-2"}, {.member = "c-1"}}});
      generation = live.find("g")->generation.v;
    } else {
      send(join("c-1", ""));  // the leader asks for a round
      if (wanted == completing_rebalance) {
        send(join("c-2", ""));
        ++generation;
      }
    }
    EXPECT_EQ(state_of("g"), wanted);
  }
  Outcome outcome(decltype(GroupEvent::what) what) {
    WaiterId waiter = send(std::move(what));
    Outcome result{.waits = !answered(waiter), .then = state_of("g")};
    if (result.waits) return result;
    std::visit([&](const auto& answer) { result.error = error_of(answer); }, answers.at(waiter.v));
    return result;
  }
  static std::optional<Errc> error_of(const DeleteGroupsAnswer& answer) { return code(answer.groups.at(0)); }
  static std::optional<Errc> error_of(const std::vector<ListedGroup>&) { return std::nullopt; }
  static std::optional<Errc> error_of(const std::vector<GroupDescription>& answer) { return code(answer.at(0).error); }
  static std::optional<Errc> error_of(const LeaveAnswer& answer) {
    return answer.error ? code(answer.error) : code(answer.members.at(0).error);
  }
  template <class Answer>
  static std::optional<Errc> error_of(const Answer& answer) {
    if constexpr (requires { answer.error; }) return code(answer.error);
    return std::nullopt;  // not of classic groups
  }
  int generation = 0;
};

struct Row {
  const char* name;
  std::function<decltype(GroupEvent::what)(InState&)> event;
  Outcome no_group, empty_group, preparing, completing, stable_group;
};

const std::vector<Row>& table() {
  using E = Errc;
  static const std::vector<Row> rows = {
      {"join of a new member", [](InState& b) { return b.join("", "3"); }, ok(completing_rebalance),
       ok(completing_rebalance), waits(preparing_rebalance), waits(preparing_rebalance), waits(preparing_rebalance)},
      {"first join that wants an id",
       [](InState& b) {
         JoinEvent event = b.join("", "3");
         event.request.member_id_required = true;
         return event;
       },
       no(E::member_id_required, empty), no(E::member_id_required, empty),
       no(E::member_id_required, preparing_rebalance), no(E::member_id_required, completing_rebalance),
       no(E::member_id_required, stable)},
      {"join of the leader", [](InState& b) { return b.join("c-1", ""); }, no(E::unknown_member, dead),
       no(E::unknown_member, empty), waits(preparing_rebalance), ok(completing_rebalance), waits(preparing_rebalance)},
      {"join of the other, as before", [](InState& b) { return b.join("c-2", ""); }, no(E::unknown_member, dead),
       no(E::unknown_member, empty), ok(completing_rebalance), ok(completing_rebalance), ok(stable)},
      {"join of the other, changed", [](InState& b) { return b.join("c-2", "", {"range", "new"}); },
       no(E::unknown_member, dead), no(E::unknown_member, empty), ok(completing_rebalance), waits(preparing_rebalance),
       waits(preparing_rebalance)},
      {"join of a stranger", [](InState& b) { return b.join("c-9", ""); }, no(E::unknown_member, dead),
       no(E::unknown_member, empty), no(E::unknown_member, preparing_rebalance),
       no(E::unknown_member, completing_rebalance), no(E::unknown_member, stable)},
      {"join with another protocol", [](InState& b) { return b.join("", "3", {"other"}); }, ok(completing_rebalance),
       ok(completing_rebalance), no(E::inconsistent_group_protocol, preparing_rebalance),
       no(E::inconsistent_group_protocol, completing_rebalance), no(E::inconsistent_group_protocol, stable)},
      {"sync of the leader", [](InState& b) { return b.sync("c-1", b.generation, {{"c-1", "x"}}); },
       no(E::unknown_member, dead), no(E::unknown_member, empty), no(E::rebalance_in_progress, preparing_rebalance),
       ok(stable), ok(stable)},
      {"sync of the other", [](InState& b) { return b.sync("c-2", b.generation); }, no(E::unknown_member, dead),
       no(E::unknown_member, empty), no(E::rebalance_in_progress, preparing_rebalance), waits(completing_rebalance),
       ok(stable)},
      {"sync of a round before", [](InState& b) { return b.sync("c-2", b.generation - 1); },
       no(E::unknown_member, dead), no(E::unknown_member, empty), no(E::illegal_generation, preparing_rebalance),
       no(E::illegal_generation, completing_rebalance), no(E::illegal_generation, stable)},
      {"heartbeat", [](InState& b) { return b.heartbeat("c-2", b.generation); }, no(E::unknown_member, dead),
       no(E::unknown_member, empty), no(E::rebalance_in_progress, preparing_rebalance), ok(completing_rebalance),
       ok(stable)},
      {"heartbeat of a round before", [](InState& b) { return b.heartbeat("c-2", b.generation - 1); },
       no(E::unknown_member, dead), no(E::unknown_member, empty), no(E::illegal_generation, preparing_rebalance),
       no(E::illegal_generation, completing_rebalance), no(E::illegal_generation, stable)},
      {"leave of the other", [](InState&) { return LeaveRequest{.group = "g", .members = {{.member = "c-2"}}}; },
       no(E::unknown_member, dead), no(E::unknown_member, empty), ok(completing_rebalance), ok(preparing_rebalance),
       ok(preparing_rebalance)},
      {"leave of both",
       [](InState&) { return LeaveRequest{.group = "g", .members = {{.member = "c-2"}, {.member = "c-1"}}}; },
       no(E::unknown_member, dead), no(E::unknown_member, empty), ok(empty), ok(empty), ok(empty)},
      {"commit of a member", [](InState& b) { return b.commit("c-2", b.generation, 1); }, no(E::group_not_found, dead),
       no(E::unknown_member, empty), ok(preparing_rebalance), no(E::rebalance_in_progress, completing_rebalance),
       ok(stable)},
      {"commit of a round before", [](InState& b) { return b.commit("c-2", b.generation - 1, 1); }, ok(empty),
       no(E::unknown_member, empty), no(E::illegal_generation, preparing_rebalance),
       no(E::illegal_generation, completing_rebalance), no(E::illegal_generation, stable)},
      {"simple commit", [](InState& b) { return b.commit("", -1, 1); }, ok(empty), ok(empty),
       no(E::unknown_member, preparing_rebalance), no(E::unknown_member, completing_rebalance),
       no(E::unknown_member, stable)},
      {"deletion", [](InState&) { return DeleteGroupsEvent{{"g"}}; }, no(E::group_not_found, dead), ok(dead),
       no(E::group_not_empty, preparing_rebalance), no(E::group_not_empty, completing_rebalance),
       no(E::group_not_empty, stable)},
      {"deletion of offsets",
       [](InState&) { return DeleteOffsetsRequest{.group = "g", .topics = {{"u", {}, {PartitionIndex{0}}}}}; },
       no(E::group_not_found, dead), ok(empty), ok(preparing_rebalance), ok(completing_rebalance), ok(stable)},
      {"a look", [](InState&) { return DescribeEvent{{"g"}}; }, no(E::group_not_found, dead), ok(empty),
       ok(preparing_rebalance), ok(completing_rebalance), ok(stable)},
  };
  return rows;
}

TEST(Transitions, EveryEventInEveryState) {
  for (const Row& row : table()) {
    SCOPED_TRACE(row.name);
    auto in = [&](GroupStateName state) {
      InState b(state);
      return b.outcome(row.event(b));
    };
    EXPECT_EQ(in(dead), row.no_group);
    EXPECT_EQ(in(empty), row.empty_group);
    EXPECT_EQ(in(preparing_rebalance), row.preparing);
    EXPECT_EQ(in(completing_rebalance), row.completing);
    EXPECT_EQ(in(stable), row.stable_group);
  }
}

// Time is an event, too: left alone, every state ends in an empty group.
TEST(Transitions, EveryStateEndsByItself) {
  for (GroupStateName state : {empty, preparing_rebalance, completing_rebalance, stable}) {
    SCOPED_TRACE(group_state_name(state));
    InState b(state);
    b.pass(std::chrono::minutes(5));
    EXPECT_TRUE(b.state_of("g") == empty || b.state_of("g") == dead) << group_state_name(b.state_of("g"));
    EXPECT_EQ(b.live.waiting, 0u);
    EXPECT_EQ(b.live.stats.members, 0u);
  }
}

}  // namespace
}  // namespace mr::coordinator
