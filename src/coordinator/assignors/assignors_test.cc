#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <random>
#include <set>

#include "coordinator/assignors/assignor.h"
#include "coordinator/assignors/shares.h"

namespace mr::coordinator {
namespace {

std::vector<std::unique_ptr<Assignor>> all_assignors() {
  std::vector<std::unique_ptr<Assignor>> all;
  all.push_back(make_uniform_assignor());
  all.push_back(make_range_assignor());
  all.push_back(make_roundrobin_assignor());
  return all;
}

AssignorInput input_of(std::vector<std::int32_t> partitions, std::vector<std::vector<std::uint32_t>> subscriptions) {
  AssignorInput input;
  for (std::size_t t = 0; t < partitions.size(); ++t)
    input.topics.push_back({{}, "topic" + std::to_string(100 + t), partitions[t], {}});
  for (std::size_t m = 0; m < subscriptions.size(); ++m) {
    AssignorMember member;
    member.id = "member" + std::to_string(100 + m);
    member.topics = std::move(subscriptions[m]);
    input.members.push_back(std::move(member));
  }
  return input;
}

std::size_t load_of(const Share& share) {
  std::size_t load = 0;
  for (const TopicShare& topic : share) load += topic.partitions.size();
  return load;
}

std::vector<std::size_t> loads_of(const AssignorOutput& output) {
  std::vector<std::size_t> loads;
  for (const Share& share : output) loads.push_back(load_of(share));
  return loads;
}

/// Partitions that somebody owned and does not keep.
std::size_t moved(const AssignorInput& input, const AssignorOutput& output) {
  std::size_t lost = 0;
  for (std::size_t m = 0; m < output.size(); ++m)
    for (const TopicShare& owned : input.members[m].owned) {
      auto at = std::ranges::find(output[m], owned.topic, &TopicShare::topic);
      for (std::int32_t p : owned.partitions)
        if (at == output[m].end() || !std::ranges::binary_search(at->partitions, p)) ++lost;
    }
  return lost;
}

/// Could somebody give a partition, by way of others too, to somebody with at least two less?
bool could_be_more_even(const AssignorInput& input, const AssignorOutput& output) {
  const auto loads = loads_of(output);
  const auto subscribers = subscribers_of(input);
  for (std::uint32_t from = 0; from < output.size(); ++from) {
    std::set<std::uint32_t> seen{from};
    std::vector<std::uint32_t> next{from};
    while (!next.empty()) {
      const std::uint32_t m = next.back();
      next.pop_back();
      if (loads[from] >= loads[m] + 2) return true;
      for (const TopicShare& share : output[m])
        for (auto [other, place] : subscribers[share.topic])
          if (seen.insert(other).second) next.push_back(other);
    }
  }
  return false;
}

/// What the group looked like before, as a group leaves it to its assignor: some partitions owned, nothing twice, only
/// what exists and is subscribed to.
void own_at_random(AssignorInput& input, std::mt19937_64& random, int percent) {
  const auto subscribers = subscribers_of(input);
  std::vector<std::map<std::uint32_t, std::vector<std::int32_t>>> owned(input.members.size());
  for (std::uint32_t t = 0; t < input.topics.size(); ++t)
    for (std::int32_t p = 0; p < input.topics[t].partitions; ++p) {
      if (subscribers[t].empty() || static_cast<int>(random() % 100) >= percent) continue;
      // Often the same ones, so that loads are uneven.
      const std::size_t s = random() % (random() % 2 == 0 ? subscribers[t].size() : (subscribers[t].size() + 1) / 2);
      owned[subscribers[t][s].member][t].push_back(p);
    }
  for (std::size_t m = 0; m < owned.size(); ++m)
    for (auto& [topic, partitions] : owned[m]) input.members[m].owned.push_back({topic, partitions});
}

AssignorInput random_input(std::mt19937_64& random, bool alike, std::size_t members_max, std::size_t topics_max,
                           std::int32_t partitions_max) {
  const std::size_t topics = 1 + random() % topics_max;
  std::vector<std::int32_t> partitions(topics);
  for (auto& count : partitions)
    count = 1 + static_cast<std::int32_t>(random() % static_cast<std::size_t>(partitions_max));
  std::vector<std::vector<std::uint32_t>> subscriptions(1 + random() % members_max);
  std::vector<std::uint32_t> every(topics);
  std::iota(every.begin(), every.end(), 0U);
  for (auto& topics_of_one : subscriptions)
    for (std::uint32_t topic : every)
      if (alike || random() % 2 == 0) topics_of_one.push_back(topic);
  AssignorInput input = input_of(partitions, subscriptions);
  own_at_random(input, random, static_cast<int>(random() % 3) * 50);
  return input;
}

AssignorInput again(AssignorInput input, const AssignorOutput& output) {
  for (std::size_t m = 0; m < output.size(); ++m) input.members[m].owned = output[m];
  return input;
}

/// The least sum of squared loads (fairest), and under that the fewest moves: successive shortest paths in the network
/// partition -> subscriber -> its next unit of load. Slow and simple: the judge of the fast one.
std::size_t fewest_moves(const AssignorInput& input) {
  constexpr long kEven = 10'000;
  struct Edge {
    int to;
    int room;
    long cost;
  };
  std::vector<Edge> edges;
  std::vector<std::vector<int>> out(2);
  auto connect = [&](int a, int b, int room, long cost) {
    out[static_cast<std::size_t>(a)].push_back(static_cast<int>(edges.size()));
    edges.push_back({b, room, cost});
    out[static_cast<std::size_t>(b)].push_back(static_cast<int>(edges.size()));
    edges.push_back({a, 0, -cost});
  };
  auto node = [&] {
    out.emplace_back();
    return static_cast<int>(out.size()) - 1;
  };
  const auto subscribers = subscribers_of(input);
  std::vector<int> members;
  int all = 0;
  for (const auto& topic : input.topics) all += topic.partitions;
  for (std::size_t m = 0; m < input.members.size(); ++m) {
    members.push_back(node());
    for (int unit = 0; unit < all; ++unit) connect(members[m], 1, 1, kEven * unit);
  }
  std::map<std::pair<std::uint32_t, std::int32_t>, std::uint32_t> owner;
  for (std::uint32_t m = 0; m < input.members.size(); ++m)
    for (const TopicShare& share : input.members[m].owned)
      for (std::int32_t p : share.partitions) owner[{share.topic, p}] = m;
  for (std::uint32_t t = 0; t < input.topics.size(); ++t)
    for (std::int32_t p = 0; p < input.topics[t].partitions; ++p) {
      if (subscribers[t].empty()) continue;
      const int partition = node();
      connect(0, partition, 1, 0);
      auto had = owner.find({t, p});
      for (auto [m, place] : subscribers[t])
        connect(partition, members[m], 1, had != owner.end() && had->second != m ? 1 : 0);
    }
  long cost = 0;
  while (true) {
    std::vector<long> far(out.size(), LONG_MAX);
    std::vector<int> by(out.size(), -1);
    far[0] = 0;
    std::queue<int> next({0});
    std::vector<bool> queued(out.size(), false);
    while (!next.empty()) {
      const auto here = static_cast<std::size_t>(next.front());
      next.pop();
      queued[here] = false;
      for (int e : out[here]) {
        const Edge& edge = edges[static_cast<std::size_t>(e)];
        const auto to = static_cast<std::size_t>(edge.to);
        if (edge.room == 0 || far[here] + edge.cost >= far[to]) continue;
        far[to] = far[here] + edge.cost;
        by[to] = e;
        if (!queued[to]) next.push(edge.to);
        queued[to] = true;
      }
    }
    if (far[1] == LONG_MAX) return static_cast<std::size_t>(cost % kEven);
    cost += far[1];
    for (int e = by[1]; e != -1;) {
      --edges[static_cast<std::size_t>(e)].room;
      ++edges[static_cast<std::size_t>(e ^ 1)].room;
      e = by[static_cast<std::size_t>(edges[static_cast<std::size_t>(e ^ 1)].to)];
    }
  }
}

TEST(Assignors, give_every_partition_to_one_subscriber) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const AssignorInput input = random_input(random, seed % 2 == 0, 12, 8, 20);
    for (const auto& assignor : all_assignors()) {
      const AssignorOutput output = assignor->assign(input);
      const Result<void> checked = check_assignment(input, output);
      EXPECT_TRUE(checked.ok()) << assignor->name() << " seed " << seed
                                << (checked.ok() ? "" : checked.error().message());
      EXPECT_EQ(assignor->assign(input), output) << assignor->name() << " seed " << seed;
    }
  }
}

TEST(Assignors, uniform_is_even_and_stays_when_nothing_changes) {
  const auto uniform = make_uniform_assignor();
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::mt19937_64 random(seed);
    const AssignorInput input = random_input(random, seed % 2 == 0, 12, 8, 20);
    const AssignorOutput output = uniform->assign(input);
    EXPECT_FALSE(could_be_more_even(input, output)) << "seed " << seed;
    EXPECT_EQ(uniform->assign(again(input, output)), output) << "seed " << seed;
  }
}

TEST(Assignors, uniform_moves_no_more_than_balance_requires) {
  const auto uniform = make_uniform_assignor();
  std::size_t needless = 0;
  std::size_t all = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    std::mt19937_64 random(seed);
    const bool alike = seed % 2 == 0;
    const AssignorInput input = random_input(random, alike, 6, 5, 8);
    const std::size_t done = moved(input, uniform->assign(input));
    const std::size_t needed = fewest_moves(input);
    if (alike) {
      EXPECT_EQ(done, needed) << "seed " << seed;
    } else {
      needless += done - needed;
      all += needed;
    }
  }
  // Mixed subscriptions: balance comes first, and its ways are short, not the cheapest of all.
  EXPECT_LE(needless * 50, all) << needless << " more than " << all;
}

TEST(Assignors, uniform_moves_a_newcomers_share_and_no_more) {
  const auto uniform = make_uniform_assignor();
  AssignorInput input = input_of({100, 50}, {{0, 1}, {0, 1}, {0, 1}, {0, 1}});
  input = again(input, uniform->assign(input));
  AssignorMember fifth = input.members.back();
  fifth.id = "newcomer";
  fifth.owned.clear();
  input.members.push_back(fifth);
  const AssignorOutput output = uniform->assign(input);
  EXPECT_EQ(loads_of(output), (std::vector<std::size_t>{30, 30, 30, 30, 30}));
  EXPECT_EQ(moved(input, output), 30u);
  EXPECT_EQ(output.back().size(), 2u) << "it reads of both topics";
}

TEST(Assignors, uniform_goes_by_way_of_others) {
  // The first member has all of the first topic; only the second can take it, who must give of the second topic to the
  // third.
  AssignorInput input = input_of({4, 4}, {{0}, {0, 1}, {1}});
  input.members[0].owned = {{0, {0, 1, 2, 3}}};
  input.members[1].owned = {{1, {0, 1, 2}}};
  input.members[2].owned = {{1, {3}}};
  auto loads = loads_of(make_uniform_assignor()->assign(input));
  std::ranges::sort(loads);
  EXPECT_EQ(loads, (std::vector<std::size_t>{2, 3, 3}));
}

TEST(Assignors, uniform_gives_what_is_near) {
  AssignorInput input = input_of({6}, {{0}, {0}});
  input.members[0].rack = "a";
  input.members[1].rack = "b";
  input.topics[0].racks = {{"b"}, {"a"}, {"b"}, {"a"}, {"b", "a"}, {"b", "a"}};
  EXPECT_EQ(make_uniform_assignor()->assign(input), (AssignorOutput{{{0, {1, 3, 4}}}, {{0, {0, 2, 5}}}}));
}

TEST(Assignors, range_cuts_equal_topics_at_the_same_places) {
  const AssignorOutput output = make_range_assignor()->assign(input_of({5, 5, 2}, {{0, 1}, {0, 1}, {2}}));
  const AssignorOutput wanted{{{0, {0, 1, 2}}, {1, {0, 1, 2}}}, {{0, {3, 4}}, {1, {3, 4}}}, {{2, {0, 1}}}};
  EXPECT_EQ(output, wanted);
}

TEST(Assignors, roundrobin_goes_on_where_the_last_topic_ended) {
  const AssignorOutput output = make_roundrobin_assignor()->assign(input_of({2, 3}, {{0, 1}, {0, 1}, {0, 1}}));
  const AssignorOutput wanted{{{0, {0}}, {1, {1}}}, {{0, {1}}, {1, {2}}}, {{1, {0}}}};
  EXPECT_EQ(output, wanted);
}

TEST(Assignors, what_breaks_the_promise_is_told) {
  const AssignorInput input = input_of({2, 1}, {{0}, {0, 1}});
  auto said = [&](const AssignorOutput& output) {
    const Result<void> checked = check_assignment(input, output);
    return checked.ok() ? std::string("fine") : std::string(checked.error().message().substr(18));
  };
  EXPECT_EQ(said({{{0, {0}}}, {{0, {1}}, {1, {0}}}}), "fine");
  EXPECT_EQ(said({{{0, {0, 1}}}}), "1 shares for 2 members");
  EXPECT_EQ(said({{{0, {0}}}, {{1, {0}}}}), "nobody gets topic100-1");
  EXPECT_EQ(said({{{0, {0}}}, {{0, {0, 1}}, {1, {0}}}}), "member member101: gets topic100-0, which somebody has");
  EXPECT_EQ(said({{{1, {0}}}, {{0, {0, 1}}}}),
            "member member100: gets partitions of a topic that it does not subscribe to");
  EXPECT_EQ(said({{{0, {0}}}, {{0, {1, 2}}, {1, {0}}}}), "member member101: gets partition 2 of topic100, which has 2");
  EXPECT_EQ(said({{{0, {1, 0}}}, {{1, {0}}}}), "member member100: its partitions do not ascend");
  EXPECT_EQ(said({{{0, {0, 1}}}, {{1, {0}}, {0, {}}}}), "member member101: has a share without partitions");
  EXPECT_EQ(said({{{0, {0}}}, {{1, {0}}, {0, {1}}}}), "member member101: its topics do not ascend");
}

}  // namespace
}  // namespace mr::coordinator
