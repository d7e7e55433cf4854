// Aim: of a decision about a KIP-848 group that does not fit one batch a crash may store a part. Whatever part that is,
// all is read again by who is left, whether or not the member comes back whose request was lost. Method: stories that
// end with one decision; each is told again for every number of its records that were stored.
#include <functional>

#include "coordinator/consumer_fixture.h"

namespace mr::coordinator {
namespace {

/// A client that does what it is told.
struct Living {
  std::string id;
  std::vector<std::string> topics;
  std::string instance{};
  std::string regex{};
};

struct Story {
  std::string name;
  std::function<void(ConsumerBench&)> before;
  std::function<void(ConsumerBench&)> decision;
  Living back;  ///< whose request was stored in part; no id: it has gone for good
  std::vector<Living> others;
};

ConsumerHeartbeatRequest join_of(const Living& client) {
  ConsumerHeartbeatRequest request = ConsumerBench::join_request(client.id, client.topics);
  if (!client.instance.empty()) request.instance = client.instance;
  if (!client.regex.empty()) request.regex = client.regex;
  return request;
}

/// By its records it is where it says it is; who is not known joins.
void call(ConsumerBench& bench, const Living& client) {
  const CurrentAssignment has = bench.group().current(client.id);
  ConsumerHeartbeatAnswer answer;
  if (has.epoch > 0) {
    ConsumerHeartbeatRequest request = join_of(client);
    request.epoch = has.epoch;
    request.owned = without_epochs(has.assigned);
    answer = bench.ask(std::move(request));
  }
  if (has.epoch <= 0 || answer.error) answer = bench.ask(join_of(client));
  EXPECT_FALSE(answer.error) << client.id << ": " << answer.error->message();
}

void go_on(ConsumerBench& bench, const std::vector<Living>& clients, Duration time) {
  for (Duration left = time; left > Duration(0); left -= std::chrono::seconds(2)) {
    for (const Living& client : clients) call(bench, client);
    bench.run_jobs();
    bench.pass(std::chrono::seconds(2));
  }
}

void expect_all_read(ConsumerBench& bench, const std::vector<Living>& clients) {
  EXPECT_EQ(bench.state_text(), "Stable");
  EXPECT_EQ(bench.group().members().size(), clients.size());
  for (const auto& [name, topic] : bench.topics->topics())
    for (std::int32_t p = 0; p < static_cast<std::int32_t>(topic->partitions.size()); ++p) {
      const auto reads = [&, id = topic->id](const Living& client) {
        if (client.regex.empty() && std::ranges::find(client.topics, name) == client.topics.end()) return false;
        const OwnedPartitions& has = bench.group().current(client.id).assigned;
        return has.contains(id) && has.at(id).contains(p);
      };
      EXPECT_EQ(std::ranges::count_if(clients, reads), 1) << name << " " << p;
    }
}

/// All of it happens, but for the last decision: so many of its records. False: it does not have so many.
bool tell(const Story& story, std::size_t stored, ConsumerBench& bench) {
  bench.set_topic("u", 2, 2);
  story.before(bench);
  const std::size_t before = bench.log.size();
  story.decision(bench);
  EXPECT_GE(bench.log.size(), before + 2) << "nothing to tear";
  if (stored > bench.log.size() - before) return false;
  bench.log.resize(before + stored);
  bench.crash();
  bench.run_jobs();
  return true;
}

const std::vector<std::string> kBoth{"t", "u"};

void two_join(ConsumerBench& bench, const Living& a, const Living& b) {
  go_on(bench, {a}, std::chrono::seconds(2));
  go_on(bench, {a, b}, std::chrono::seconds(8));
}

std::vector<Story> stories() {
  const Living a{"a", kBoth}, b{"b", kBoth}, fixed{"a", kBoth, "i"}, again{"a2", kBoth, "i"};
  const Living less{"a", {"t"}}, pattern{"a", {}, "", "[tu]"};
  auto away = [=](ConsumerBench& bench) {
    two_join(bench, fixed, b);
    auto request = ConsumerBench::beat("a", kStaticLeaveEpoch);
    request.instance = "i";
    bench.ask(request);
  };
  auto joins = [](Living who) { return [who](ConsumerBench& bench) { bench.ask(join_of(who)); }; };
  auto two = [=](ConsumerBench& bench) { two_join(bench, a, b); };
  auto one = [=](ConsumerBench& bench) { go_on(bench, {b}, std::chrono::seconds(4)); };
  auto leaves = [](ConsumerBench& bench) { bench.ask(ConsumerBench::beat("a", kLeaveEpoch)); };
  auto removed = [](ConsumerBench& bench) {
    bench.send(LeaveRequest{.group = "g", .members = {{.member = "", .instance = "i"}}});
  };
  auto asks_less = [=](ConsumerBench& bench) {
    ConsumerHeartbeatRequest request = join_of(less);
    request.epoch = bench.group().current("a").epoch;
    request.owned = without_epochs(bench.group().current("a").assigned);
    bench.ask(std::move(request));
  };
  return {{"the first", [](ConsumerBench&) {}, joins(a), a, {}},
          {"one more", one, joins(a), a, {b}},
          {"a pattern that another has",
           [=](ConsumerBench& bench) { two_join(bench, pattern, b); },
           joins({"c", {}, "", "[tu]"}),
           {"c", {}, "", "[tu]"},
           {pattern, b}},
          {"leaves", two, leaves, a, {b}},
          {"asks for less", two, asks_less, less, {b}},
          {"comes back", away, joins(again), again, {b}},
          {"comes back for less", away, joins({"a2", {"t"}, "i"}), {"a2", {"t"}, "i"}, {b}},
          {"is removed and comes back", away, removed, again, {b}}};
}

TEST(ConsumerTorn, AllIsReadWhateverPartIsStored) {
  for (const Story& story : stories())
    for (std::size_t stored = 0;; ++stored) {
      SCOPED_TRACE(story.name + ", records stored: " + std::to_string(stored));
      // No two of the larger records fit one batch.
      ConsumerBench bench(GroupSettings{.record_bytes_max = 200});
      if (!tell(story, stored, bench)) break;
      std::vector<Living> all = story.others;
      all.push_back(story.back);
      go_on(bench, all, std::chrono::seconds(16));
      expect_all_read(bench, all);
    }
}

TEST(ConsumerTorn, AllIsReadWhenTheMemberDoesNotComeBack) {
  for (const Story& story : stories())
    for (std::size_t stored = 0; !story.others.empty(); ++stored) {
      SCOPED_TRACE(story.name + ", records stored: " + std::to_string(stored));
      ConsumerBench bench(GroupSettings{.record_bytes_max = 200});
      if (!tell(story, stored, bench)) break;
      go_on(bench, story.others, std::chrono::seconds(60));
      expect_all_read(bench, story.others);
    }
}

// Else who asks for it next would get topics that matched then.
TEST(ConsumerTorn, WhatAPatternMatchedGoesWithItsLastMember) {
  ConsumerBench bench;
  go_on(bench, {{"a", {}, "", "t.*"}}, std::chrono::seconds(4));
  ASSERT_NE(bench.group().regex("t.*"), nullptr);
  const std::size_t before = bench.log.size();
  bench.ask(ConsumerBench::beat("a", kLeaveEpoch));
  ASSERT_EQ(bench.log.size(), before + 5);
  bench.log.resize(before + 4);
  bench.crash();
  EXPECT_EQ(bench.group().regex("t.*"), nullptr);
}

}  // namespace
}  // namespace mr::coordinator
