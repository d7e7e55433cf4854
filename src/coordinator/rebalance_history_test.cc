// Aim: what is told of a group's rounds: who made them, which timeout was hit, how long they took and what moved.
#include "coordinator/rebalance_history.h"

#include "coordinator/machine_fixture.h"

namespace mr::coordinator {
namespace {

using namespace std::literals;

/// Version, one topic "t" with these partitions, no user data.
std::string assignment(std::vector<std::uint32_t> partitions) {
  std::string bytes("\0\0\0\0\0\1\0\1t", 9);
  auto put = [&bytes](std::uint32_t v) {
    for (int i = 3; i >= 0; --i) bytes.push_back(static_cast<char>(v >> (8 * i)));
  };
  put(static_cast<std::uint32_t>(partitions.size()));
  for (std::uint32_t p : partitions) put(p);
  put(0xffffffff);
  return bytes;
}

struct RebalanceHistories : testing::Test {
  std::vector<Rebalance> rounds() {
    auto answer = bench.ask<std::vector<GroupDescription>>(DescribeEvent{{"g"}, true});
    return answer.at(0).rebalances;
  }
  /// c-1 alone reads 0 and 1, then c-2 comes and gets 1.
  void two_members() {
    bench.send(bench.join("", "1"));
    bench.pass(1s);
    bench.send(bench.sync("c-1", 1, {{"c-1", assignment({0, 1})}}));
    bench.send(bench.join("", "2"));
    bench.pass(2s);
    bench.send(bench.join("c-1", ""));
    bench.send(bench.sync("c-1", 2, {{"c-1", assignment({0})}, {"c-2", assignment({1})}}));
    bench.send(bench.sync("c-2", 2));
  }
  Bench bench;
};

TEST_F(RebalanceHistories, TellsWhoCameHowLongItTookAndWhatMoved) {
  two_members();
  const auto seen = rounds();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].reason.cause, RebalanceCause::member_joined);
  EXPECT_EQ(seen[1].reason.member, "c-1");
  EXPECT_EQ(seen[1].took, 1s);
  EXPECT_EQ(seen[1].moved, 2u) << "nobody had them before";
  EXPECT_EQ(seen[0].reason.member, "c-2");
  EXPECT_EQ(seen[0].took, 2s);
  EXPECT_EQ(seen[0].generation, 2);
  EXPECT_EQ(seen[0].members, 2u);
  EXPECT_EQ(seen[0].moved, 1u);
}

TEST_F(RebalanceHistories, NamesTheTimeoutThatWasHit) {
  two_members();
  for (int i = 0; i < 5; ++i) {
    bench.pass(3s);
    bench.send(bench.heartbeat("c-1", 2));
  }
  ASSERT_EQ(rounds().size(), 3u);
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::member_expired);
  EXPECT_EQ(rounds()[0].reason.member, "c-2");
  EXPECT_EQ(rounds()[0].reason.timeout, 10s);
  EXPECT_FALSE(rounds()[0].took) << "c-1 has not joined again yet";
  bench.send(bench.join("c-1", ""));
  bench.pass(61s);
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::member_expired)
      << "it never fetched its assignment, nor lived on";
}

TEST_F(RebalanceHistories, ALeaverIsNamedAndTheEmptyGroupKeepsItsStory) {
  two_members();
  bench.send(LeaveRequest{.group = "g", .members = {{.member = "c-1"}, {.member = "c-2"}}});
  ASSERT_EQ(rounds().size(), 3u);
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::member_left);
  EXPECT_EQ(rounds()[0].reason.member, "c-1");
  EXPECT_EQ(rounds()[0].members, 0u);
  EXPECT_EQ(rounds()[0].took, 0s);
}

TEST_F(RebalanceHistories, AfterAReloadNothingSeemsToHaveMoved) {
  two_members();
  bench.reload();
  EXPECT_TRUE(rounds().empty());
  bench.send(bench.join("c-1", "", {"range", "other"}));
  bench.send(bench.join("c-2", ""));
  bench.send(bench.sync("c-1", 3, {{"c-1", assignment({0})}, {"c-2", assignment({1})}}));
  ASSERT_EQ(rounds().size(), 1u);
  EXPECT_EQ(rounds()[0].moved, 0u);
}

TEST_F(RebalanceHistories, KeepsTheLastOnes) {
  RebalanceHistory history;
  for (std::size_t i = 0; i < 3 * RebalanceHistory::kKept; ++i)
    history.begin(static_cast<WallMillis>(i), TimePoint(), RebalanceCause::member_joined);
  EXPECT_EQ(history.rounds().size(), RebalanceHistory::kKept);
  EXPECT_EQ(history.rounds().front().began, static_cast<WallMillis>(3 * RebalanceHistory::kKept - 1));
}

}  // namespace
}  // namespace mr::coordinator
