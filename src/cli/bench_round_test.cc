// Aim: loads on groups know when all members are in one round, and give each partition to one member. Method: answers
// as coordinators give them, one after the other.
#include "cli/bench_round.h"

#include <gtest/gtest.h>

#include <set>

namespace mr::cli {
namespace {

TEST(JoinRound, CompleteWhenAllAreInTheLeadersGeneration) {
  JoinRound round(3);
  round.joined(2, 5, 0);
  EXPECT_TRUE(round.waits(2));
  EXPECT_FALSE(round.waits(0));
  round.joined(1, 5, 3);
  EXPECT_FALSE(round.complete());
  round.joined(0, 5, 0);
  EXPECT_TRUE(round.complete());
  EXPECT_EQ(round.leader(), 1u);
  EXPECT_EQ(round.generation(), 5);
}

// A new group: its first member is alone in generation 1, and must come again.
TEST(JoinRound, AGenerationThatLacksMembersIsNoneToStayIn) {
  JoinRound round(2);
  round.joined(0, 1, 1);
  EXPECT_FALSE(round.waits(0));
  EXPECT_FALSE(round.complete());
  round.asks(0);
  round.joined(1, 2, 0);
  EXPECT_TRUE(round.waits(1));
  round.joined(0, 2, 2);
  EXPECT_TRUE(round.complete());
  // The word about a short one may come after a follower's answer.
  JoinRound late(3);
  late.joined(1, 4, 0);
  EXPECT_TRUE(late.waits(1));
  late.joined(0, 4, 2);
  EXPECT_FALSE(late.waits(1));
  EXPECT_FALSE(late.complete());
}

TEST(Converged, OneEpochAllPartitionsEvenly) {
  using Members = std::vector<ConsumerState>;
  EXPECT_TRUE(converged(Members{{3, 2, false}, {3, 1, false}}, 3));
  EXPECT_TRUE(converged(Members{{7, 1, false}, {7, 0, false}}, 1));
  EXPECT_FALSE(converged(Members{{3, 2, false}, {2, 1, false}}, 3)) << "one is behind";
  EXPECT_FALSE(converged(Members{{3, 2, true}, {3, 1, false}}, 3)) << "one has not answered";
  EXPECT_FALSE(converged(Members{{3, 1, false}, {3, 1, false}}, 3)) << "one partition is nobody's";
  EXPECT_FALSE(converged(Members{{3, 3, false}, {3, 0, false}}, 3)) << "uneven";
  EXPECT_FALSE(converged(Members{}, 0));
}

TEST(Shares, EachPartitionOnce) {
  std::set<std::int32_t> all;
  for (std::size_t member = 0; member < 3; ++member)
    for (PartitionIndex p : share_of(7, 3, member)) EXPECT_TRUE(all.insert(p.v).second);
  EXPECT_EQ(all.size(), 7u);
  EXPECT_TRUE(share_of(1, 3, 2).empty());
}

TEST(Shares, CommitsGoRoundThePartitions) {
  EXPECT_EQ(committed_by(5, 2, 0), (std::vector<PartitionIndex>{PartitionIndex{0}, PartitionIndex{1}}));
  EXPECT_EQ(committed_by(5, 2, 2), (std::vector<PartitionIndex>{PartitionIndex{4}, PartitionIndex{0}}));
  EXPECT_EQ(committed_by(1, 1, 9), (std::vector<PartitionIndex>{PartitionIndex{0}}));
}

}  // namespace
}  // namespace mr::cli
