// Aim: what is told of a group's rounds: who made them, which timeout was hit, how long they took and what moved; of
// both protocols.
#include "coordinator/rebalance_history.h"

#include "coordinator/consumer_fixture.h"

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

struct EpochHistories : testing::Test {
  std::vector<Rebalance> rounds() {
    return bench.Bench::ask<std::vector<ConsumerGroupDescription>>(ConsumerDescribeEvent{{"g"}, true}).at(0).rebalances;
  }
  /// a reads all four, then b comes and is given two, which a has not let go of yet.
  void b_waits() {
    bench.joins("a");
    bench.pass(2s);
    bench.joins("b");
  }
  /// a and b do what they are told until nothing is left to do.
  void settle() {
    for (int i = 0; i < 3; ++i)
      for (const char* id : {"a", "b"}) {
        const CurrentAssignment& now = bench.group().current(id);
        bench.ask(bench.beat(id, now.epoch, without_epochs(now.assigned)));
      }
  }
  ConsumerBench bench;
};

TEST_F(EpochHistories, ARebalanceEndsWhenTheLastMemberHasItsTarget) {
  b_waits();
  ASSERT_EQ(rounds().size(), 2u);
  EXPECT_EQ(rounds()[1].took, 0s) << "a had all with its first answer";
  EXPECT_EQ(rounds()[1].moved, 4u) << "nobody had them before";
  EXPECT_EQ(rounds()[1].reason.member, "a");
  EXPECT_FALSE(rounds()[0].took) << "a still reads what shall be b's";
  EXPECT_EQ(rounds()[0].generation, 3);
  EXPECT_EQ(rounds()[0].moved, 2u);
  bench.pass(3s);
  settle();
  const Rebalance last = rounds()[0];
  EXPECT_EQ(last.reason.cause, RebalanceCause::member_joined);
  EXPECT_EQ(last.reason.member, "b");
  EXPECT_EQ(last.took, 3s);
  EXPECT_EQ(last.members, 2u);
  EXPECT_EQ(bench.state_text(), "Stable");
  EXPECT_TRUE(bench.described().rebalances.empty()) << "only when asked for";
}

TEST_F(EpochHistories, NamesTheTimeoutThatWasHit) {
  b_waits();
  settle();
  for (int i = 0; i < 10; ++i) {
    bench.pass(5s);
    bench.ask(bench.beat("a", 3));
  }
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::member_expired);
  EXPECT_EQ(rounds()[0].reason.member, "b");
  EXPECT_EQ(rounds()[0].reason.timeout, 45s);
  EXPECT_EQ(rounds()[0].moved, 2u);
  // Who lives, but does not let go of what is another's now, hits its rebalance timeout.
  bench.joins("b");
  bench.ask(bench.beat("a", 4, parts({0, 1, 2, 3})));
  for (int i = 0; i < 8; ++i) {
    bench.pass(5s);
    bench.ask(bench.beat("a", bench.group().current("a").epoch, parts({0, 1, 2, 3})));
    bench.ask(bench.beat("b", bench.group().current("b").epoch));
  }
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::not_revoked);
  EXPECT_EQ(rounds()[0].reason.member, "a");
  EXPECT_EQ(rounds()[0].reason.timeout, 30s);
  EXPECT_FALSE(rounds()[1].took) << "the one before never ended";
}

TEST_F(EpochHistories, JoinsThatShareTargetsAreOneRebalance) {
  bench.joins("a");
  bench.joins("b");
  bench.joins("c");
  ASSERT_EQ(rounds().size(), 2u);
  EXPECT_EQ(rounds()[0].reason.member, "b") << "who made it";
  EXPECT_EQ(rounds()[0].generation, -1) << "no targets yet";
  bench.pass(1s);
  EXPECT_EQ(rounds()[0].generation, 4);
  bench.pass(1s);
  bench.set_topic("t", 1, 6);
  ASSERT_EQ(rounds().size(), 3u);
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::metadata_changed);
  EXPECT_EQ(rounds()[0].reason.member, "");
}

TEST_F(EpochHistories, TheEmptyGroupKeepsItsStory) {
  bench.joins("a");
  bench.ask(bench.beat("a", -1));
  ASSERT_EQ(rounds().size(), 2u);
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::member_left);
  EXPECT_EQ(rounds()[0].reason.member, "a");
  EXPECT_EQ(rounds()[0].took, 0s);
  EXPECT_EQ(rounds()[0].members, 0u);
  EXPECT_EQ(rounds()[0].moved, 0u);
}

TEST_F(EpochHistories, AStaticMemberThatComesBackMakesNone) {
  auto first = bench.join_request("a");
  first.instance = "i";
  bench.ask(first);
  auto away = bench.beat("a", -2);
  away.instance = "i";
  bench.ask(away);
  auto second = bench.join_request("b");
  second.instance = "i";
  bench.ask(second);
  EXPECT_EQ(rounds().size(), 1u);
  // With another wish than the first it does, and nothing has to move.
  bench.pass(2s);
  away = bench.beat("b", -2);
  away.instance = "i";
  bench.ask(away);
  auto third = bench.join_request("c", {"t", "u"});
  third.instance = "i";
  bench.ask(third);
  ASSERT_EQ(rounds().size(), 2u);
  EXPECT_EQ(rounds()[0].reason.cause, RebalanceCause::member_replaced);
  EXPECT_EQ(rounds()[0].took, 0s);
  EXPECT_EQ(rounds()[0].moved, 0u);
}

TEST_F(EpochHistories, AfterACrashWhatWasUnderWayIsForgotten) {
  b_waits();
  bench.crash();
  EXPECT_TRUE(rounds().empty());
  settle();
  EXPECT_TRUE(rounds().empty());
  bench.ask(bench.beat("b", -1));
  ASSERT_EQ(rounds().size(), 1u);
  settle();
  EXPECT_TRUE(rounds()[0].took);
  EXPECT_EQ(rounds()[0].moved, 2u) << "targets are in the log";
}

}  // namespace
}  // namespace mr::coordinator
