// Aim: whatever members of a KIP-848 group do and whenever the coordinator dies, no partition is read by two of them at
// a time, and when the trouble ends everything is read by somebody who asked for it. Method: the machine behind a log
// whose tail is lost in a crash, answers held back until their records are committed and lost at random; members that
// only see their own answers and keep to the protocol: they let go when told, and of everything when they could not be
// heard for a session. What is watched is what they read, not what the machine says.
#include "coordinator/consumer_world_fixture.h"

namespace mr::coordinator::histories {
namespace {

TEST(ConsumerHistories, NeverTwoReadersAndAllIsReadInTheEnd) {
  const auto [first, count] = seeds(400);
  std::uint64_t assignments = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    ConsumerWorld world(seed);
    if (seed % 2 == 0) world.host.machine.settings.record_bytes_max = 200;  // one member's, no two of the larger ones
    for (int i = 0; i < 300 && !HasFailure(); ++i) world.step();
    if (!HasFailure()) world.calm_down();
    ASSERT_FALSE(HasFailure()) << "MR_SEED=" << seed;
    assignments += world.assignments;
    // Everybody goes: time alone ends the group.
    for (int minute = 0; minute < 5; ++minute) world.host.pass(std::chrono::minutes(1));
    EXPECT_TRUE(consumer_state(world.host.state, "g").members().empty()) << "MR_SEED=" << seed;
  }
  if (count >= 40) EXPECT_GT(assignments, count * 10);
}

}  // namespace
}  // namespace mr::coordinator::histories
