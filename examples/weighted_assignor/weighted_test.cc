#include "weighted.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace mr::examples {
namespace {

using coordinator::AssignorInput;
using coordinator::AssignorMember;
using testing::ElementsAre;

AssignorMember member(std::string id, std::optional<std::string> instance, std::vector<std::uint32_t> topics) {
  return {.id = std::move(id), .instance = std::move(instance), .rack = {}, .topics = std::move(topics), .owned = {}};
}

std::vector<std::size_t> loads(const coordinator::AssignorOutput& output) {
  std::vector<std::size_t> loads;
  for (const auto& share : output) {
    std::size_t sum = 0;
    for (const auto& topic : share) sum += topic.partitions.size();
    loads.push_back(sum);
  }
  return loads;
}

TEST(WeightedAssignor, GivesByWeight) {
  AssignorInput input{.topics = {{{}, "t", 12, {}}},
                      .members = {member("a", "big*4", {0}), member("b", "small", {0}), member("c", {}, {0})}};
  auto output = make_weighted_assignor()->assign(input);
  EXPECT_TRUE(coordinator::check_assignment(input, output).ok());
  EXPECT_THAT(loads(output), ElementsAre(8u, 2u, 2u));
}

TEST(WeightedAssignor, WhatIsNoWeightCountsOne) {
  AssignorInput input{.topics = {{{}, "t", 6, {}}}, .members = {}};
  for (std::string instance : {"*", "x*0", "x*-3", "x*1001", "x*2y", "*9999999999999999999"})
    input.members.push_back(member(instance, instance, {0}));
  EXPECT_THAT(loads(make_weighted_assignor()->assign(input)), testing::Each(1u));
}

TEST(WeightedAssignor, MovesOnlyWhatNewSharesNeed) {
  AssignorInput input{.topics = {{{}, "t", 9, {}}}, .members = {member("a", "a*2", {0}), member("b", "b", {0})}};
  auto before = make_weighted_assignor()->assign(input);
  EXPECT_THAT(loads(before), ElementsAre(6u, 3u));
  for (std::size_t m = 0; m < 2; ++m) input.members[m].owned = before[m];
  EXPECT_EQ(make_weighted_assignor()->assign(input), before);
  input.members.push_back(member("c", {}, {0}));
  auto after = make_weighted_assignor()->assign(input);
  EXPECT_TRUE(coordinator::check_assignment(input, after).ok());
  EXPECT_THAT(loads(after), ElementsAre(5u, 2u, 2u));
  EXPECT_THAT(after[0].at(0).partitions, testing::IsSubsetOf(before[0].at(0).partitions));
  EXPECT_THAT(after[1].at(0).partitions, testing::IsSubsetOf(before[1].at(0).partitions));
}

// What it says is always taken: random groups, each with what it had and with somebody new.
TEST(WeightedAssignor, KeepsTheRules) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    AssignorInput input;
    const auto topics = 1 + random() % 5;
    for (std::size_t t = 0; t < topics; ++t)
      input.topics.push_back({{}, "t" + std::to_string(t), static_cast<std::int32_t>(random() % 20), {}});
    std::vector<bool> wanted(topics);
    for (std::size_t m = 0, n = 1 + random() % 8; m < n; ++m) {
      std::vector<std::uint32_t> reads;
      for (std::uint32_t t = 0; t < topics; ++t)
        if (random() % 2) reads.push_back(t), wanted[t] = true;
      input.members.push_back(member("m" + std::to_string(m), "m*" + std::to_string(random() % 4), reads));
    }
    for (std::size_t t = 0; t < topics; ++t)  // topics are those that somebody reads
      if (!wanted[t]) input.members[0].topics.insert(std::ranges::upper_bound(input.members[0].topics, t), t);
    for (int step = 0; step < 2; ++step) {
      auto output = make_weighted_assignor()->assign(input);
      auto checked = coordinator::check_assignment(input, output);
      ASSERT_TRUE(checked.ok()) << "round " << round << ": " << checked.error().message();
      for (std::size_t m = 0; m < input.members.size(); ++m) input.members[m].owned = output[m];
      input.members.push_back(member("n", "n*3", {0}));
    }
  }
}

}  // namespace
}  // namespace mr::examples
