// Aim: whatever members do and whenever the coordinator dies, no partition has two owners in one generation, a
// generation rises once per completed round, an acknowledged offset is never lost, and what lives is what is stored.
// Method: the machine behind a log whose tail is lost in a crash, with answers held back until their records are
// committed; scripted-at-random clients (histories_fixture.h). The histories are checked, thousands of seeds.
#include "coordinator/deciding.h"
#include "coordinator/histories_fixture.h"

namespace mr::coordinator::histories {
namespace {

/// As StateMachineHost does it: decisions at once, answers after the commit; a crash takes what was not committed.
struct LossyHost {
  explicit LossyHost(sim::Random& random) : random(random), live(machine.begin(state, now)) {}

  void send(WaiterId waiter, decltype(GroupEvent::what) what) {
    auto decision = machine.decide(state, live, {waiter, std::move(what)}, now);
    for (broker::StateRecord& record : decision.records) {
      state.apply(as_read(record), now.wall);
      log.push_back(std::move(record));
    }
    held.push_back({log.size(), std::move(decision.effects)});
    check();
  }
  /// Answers that may be seen by now.
  std::vector<GroupReply> commit() {
    committed += random.below(log.size() - committed + 1);
    std::vector<GroupReply> out;
    while (!held.empty() && held.front().first <= committed) {
      for (GroupReply& reply : held.front().second) out.push_back(std::move(reply));
      held.erase(held.begin());
    }
    return out;
  }
  void crash() {
    log.resize(committed);
    held.clear();
    state = {};
    for (const broker::StateRecord& record : log) state.apply(as_read(record), now.wall);
    ASSERT_FALSE(state.broken);
    live = machine.begin(state, now);
    generation_at_load = live.find("g") == nullptr ? 0 : live.find("g")->generation.v;
  }
  void pass(Duration time) {
    now.mono += time;
    now.wall += std::chrono::duration_cast<Millis>(time).count();
    while (live.deadlines.next() <= now.mono) send({}, TickEvent{});
  }
  void check() {
    const LiveGroup* group = live.find("g");
    std::size_t waiting = 0, joining = 0;
    if (group != nullptr) {
      for (const auto& [id, member] : group->members()) {
        waiting += (member.joining ? 1 : 0) + (member.syncing ? 1 : 0);
        joining += member.joining ? 1 : 0;
        EXPECT_FALSE(member.joining && member.syncing);
      }
      EXPECT_EQ(group->joining(), joining);
      EXPECT_EQ(group->members().empty(), group->leader.empty());
      EXPECT_EQ(live.stats.members, group->members().size());
      EXPECT_EQ(group->generation.v, generation_at_load + static_cast<int>(live.stats.rebalances_completed));
      if (group->state == GroupStateName::empty) EXPECT_TRUE(group->members().empty());
      if (group->state == GroupStateName::stable) {
        EXPECT_EQ(state.groups.at("g").record, *group_record("g", as_record(*group)).value)
            << "a stable group is what its record says";
      }
    }
    EXPECT_EQ(live.waiting, waiting);
  }

  sim::Random& random;
  GroupMachine machine{};
  broker::Moment now{TimePoint(std::chrono::hours(1)), 1'700'000'000'000};
  GroupState state;
  LiveGroups live;
  std::vector<broker::StateRecord> log;
  std::size_t committed = 0;
  std::vector<std::pair<std::size_t, std::vector<GroupReply>>> held;
  int generation_at_load = 0;
};

TEST(Histories, OneOwnerPerGenerationAndNoLostOffset) {
  const auto [first, count] = seeds(1500);
  Tally tally;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World<LossyHost> world(seed);
    world.run(400);
    ASSERT_FALSE(HasFailure()) << "MR_SEED=" << seed;
    // Everybody goes: time alone brings the group to its end, and nobody's call is forgotten.
    for (int minute = 0; minute < 60; ++minute) world.host.pass(std::chrono::minutes(1));
    const LiveGroup* group = world.host.live.find("g");
    EXPECT_TRUE(group == nullptr || group->members().empty()) << "MR_SEED=" << seed;
    EXPECT_EQ(world.host.live.waiting, 0u) << "MR_SEED=" << seed;
    tally.add(world.history);
  }
  tally.check();
}

}  // namespace
}  // namespace mr::coordinator::histories
