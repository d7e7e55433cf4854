// Aim: as histories_test.cc, with everything below the machine: facade, shards, host, log, disk. Method: the same
// clients call the facade on random shards of a broker in a simulated world; a crash is a power cut that takes whatever
// was not synced, and a start that replays the log.
#include "coordinator/cluster_fixture.h"
#include "coordinator/histories_fixture.h"

namespace mr::coordinator::histories {
namespace {

struct WholeBroker {
  explicit WholeBroker(sim::Random& random)
      : random(random), cluster(random.next(), 1 + static_cast<std::uint32_t>(random.below(3))) {
    cluster.find();
  }

  void send(WaiterId waiter, decltype(GroupEvent::what) what) {
    const ShardId shard{static_cast<std::uint32_t>(random.below(cluster.shards))};
    cluster.process->spawn(shard, "client", call(*this, *cluster.groups, life, waiter, std::move(what)));
  }
  /// An answer of a broker that has died since never arrives.
  static Task<void> call(WholeBroker& self, GroupCoordinator& groups, int life, WaiterId waiter,
                         decltype(GroupEvent::what) what) {
    GroupAnswer answer;
    if (auto* join = std::get_if<JoinEvent>(&what)) {
      answer = co_await groups.join(std::move(join->request));
    } else if (auto* sync = std::get_if<SyncRequest>(&what)) {
      answer = co_await groups.sync(std::move(*sync));
    } else if (auto* beat = std::get_if<HeartbeatRequest>(&what)) {
      answer = co_await groups.heartbeat(std::move(*beat));
    } else if (auto* leave = std::get_if<LeaveRequest>(&what)) {
      answer = co_await groups.leave(std::move(*leave));
    } else if (auto* commit = std::get_if<CommitRequest>(&what)) {
      answer = co_await groups.commit_offsets(std::move(*commit));
    } else if (auto* fetch = std::get_if<FetchOffsetsRequest>(&what)) {
      FetchOffsetsAnswer fetched = co_await groups.fetch_offsets(std::move(*fetch));
      if (fetched.error) co_return;  // loading: nothing was seen
      answer = std::move(fetched);
    }
    if (life == self.life) self.arrived.push_back({waiter, std::move(answer)});
  }
  std::vector<GroupReply> commit() {
    cluster.world.run_for(std::chrono::microseconds(random.below(3000)));
    return std::exchange(arrived, {});
  }
  void crash() {
    ++life;
    arrived.clear();
    cluster.power_cut();
    ++crashes;
    if (random.below(2) == 0) (void)cluster.run(cluster.groups->loaded());
  }
  void pass(Duration time) { cluster.world.run_for(time); }

  sim::Random& random;
  Cluster cluster;
  std::vector<GroupReply> arrived;
  int life = 0;
  int crashes = 0;
};

TEST(HistoriesOfAWholeBroker, OneOwnerPerGenerationAndNoLostOffset) {
  const auto [first, count] = seeds(100);
  Tally tally;
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World<WholeBroker> world(seed);
    world.run(300);
    ASSERT_FALSE(HasFailure()) << "MR_SEED=" << seed;
    // Everybody is gone: what they left ends by itself.
    world.host.pass(std::chrono::minutes(10));
    auto left = world.host.cluster.run(world.host.cluster.groups->describe({"g"}));
    EXPECT_TRUE(left.at(0).members.empty()) << "MR_SEED=" << seed;
    tally.add(world.history);
    crashes += static_cast<std::uint64_t>(world.host.crashes);
  }
  tally.check();
  if (count >= 40) EXPECT_GT(crashes, count);
}

}  // namespace
}  // namespace mr::coordinator::histories
