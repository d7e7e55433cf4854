// Aim: a group goes over to KIP-848 with its first member of that, and back when the last one goes, while its members
// read on; members of both protocols share it meanwhile (traps.md 93). Method: one machine and single calls; each rule
// on its own. What all of them together must never do is in mixed_histories_test.cc.
#include <gmock/gmock.h>

#include "coordinator/migration_fixture.h"

namespace mr::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct MigrationBench : ConsumerBench {
  explicit MigrationBench(GroupSettings settings = {}) : ConsumerBench(without_interval(std::move(settings))) {}
  using Bench::ask;
  using ConsumerBench::ask;
  static GroupSettings without_interval(GroupSettings settings) {
    settings.consumer_times.assignment_interval_ms = 0;
    return settings;
  }

  JoinEvent join_with(std::string member, Subscribed says, std::string protocol = "range") {
    JoinEvent event = join(std::move(member), "9", {});
    event.request.protocols.push_back({std::move(protocol), subscribes(std::move(says))});
    return event;
  }
  JoinAnswer classic_join(std::string member, Subscribed says = {}) {
    return ask<JoinAnswer>(join_with(std::move(member), std::move(says)));
  }
  SyncAnswer classic_sync(std::string member, int generation) {
    return ask<SyncAnswer>(sync(std::move(member), generation));
  }
  std::optional<Errc> beats(std::string member, int generation) {
    return code(ask<HeartbeatAnswer>(heartbeat(std::move(member), generation)).error);
  }
  std::optional<Errc> commits(std::string member, int generation) {
    return code(ask<CommitAnswer>(commit(std::move(member), generation, 5)).error);
  }
  /// Members c-1 (leader, partitions 0 and 1) and c-2 (2 and 3); the generation.
  int readers() {
    send(join("", "1"));
    send(join("", "2"));
    const int generation = answer<JoinAnswer>(send(join("c-1", ""))).generation.v;
    const WaiterId second = send(sync("c-2", generation));
    SyncRequest leads = sync("c-1", generation);
    leads.assignments = {{"c-1", assignment({0, 1})}, {"c-2", assignment({2, 3})}};
    send(leads);
    EXPECT_EQ(partitions_of(answer<SyncAnswer>(second).assignment), (std::vector<int>{2, 3}));
    return generation;
  }
  /// An eager member, which has let go of everything, joins and fetches what it has now.
  std::vector<int> comes_again(std::string member) {
    const JoinAnswer joined = classic_join(member);
    EXPECT_FALSE(joined.error);
    return partitions_of(classic_sync(member, joined.generation.v).assignment);
  }
  std::vector<std::string> members() {
    std::vector<std::string> ids;
    for (const auto& [id, member] : group().members()) ids.push_back(id + (member.classic ? "" : "*"));
    return ids;
  }
  PartitionSet has(std::string member) { return without_epochs(group().current(member).assigned); }
};

TEST(Migration, MembersReadOnWhileTheGroupGoesOver) {
  MigrationBench bench;
  const int generation = bench.readers();
  const ConsumerHeartbeatAnswer first = bench.joins("k");
  ASSERT_FALSE(first.error) << first.error->message();
  EXPECT_EQ(first.epoch, generation + 1);
  EXPECT_EQ(first.assignment, PartitionSet{}) << "all are read still";
  EXPECT_THAT(bench.members(), ElementsAre("c-1", "c-2", "k*"));
  EXPECT_EQ(bench.has("c-1"), parts({0, 1}));
  EXPECT_EQ(bench.has("c-2"), parts({2, 3}));
  EXPECT_EQ(bench.state_of("g"), GroupStateName::dead) << "no classic group of that name";
  EXPECT_EQ(bench.live.stats.members, 3u);
  EXPECT_EQ(bench.live.stats.groups_active, 1u);
  // All of it is in the log.
  bench.crash();
  EXPECT_THAT(bench.members(), ElementsAre("c-1", "c-2", "k*"));
  EXPECT_EQ(bench.has("c-2"), parts({2, 3}));

  EXPECT_EQ(bench.commits("c-1", generation), std::nullopt);
  EXPECT_EQ(bench.commits("c-1", generation + 1), Errc::illegal_generation);
  EXPECT_EQ(bench.beats("c-1", generation), Errc::rebalance_in_progress);
  EXPECT_EQ(bench.beats("c-1", generation + 1), Errc::illegal_generation);
  const auto one = bench.comes_again("c-1");
  const auto two = bench.comes_again("c-2");
  const auto got = bench.ask(ConsumerBench::beat("k", first.epoch)).assignment;
  ASSERT_TRUE(got);
  EXPECT_EQ(one.size() + two.size() + partitions_in(*got), 4u);
  EXPECT_EQ(partitions_in(*got), 1u);
  EXPECT_EQ(bench.beats("c-1", generation + 1), std::nullopt);
  EXPECT_EQ(bench.state_text(), "Stable");
}

TEST(Migration, WhatCannotGoOverStaysAndIsTold) {
  struct Case {
    GroupSettings settings;
    std::function<void(MigrationBench&)> change;
    std::string why;
  };
  auto nothing = [](MigrationBench&) {};
  auto one_member = [](std::string type, Blob says, Blob gets) {
    return [=](MigrationBench& bench) {
      JoinEvent event = bench.join("", "1", {});
      event.request.protocol_type = type;
      event.request.protocols.push_back({"range", says});
      const int generation = bench.ask<JoinAnswer>(std::move(event)).generation.v;
      SyncRequest sync = bench.sync("c-1", generation);
      sync.assignments = {{"c-1", gets}};
      bench.send(sync);
    };
  };
  const Blob user_data = assignment({0}, "mine");
  const std::vector<Case> cases{{{.migration = MigrationPolicy::disabled}, nothing, "migration.policy"},
                                {{.migration = MigrationPolicy::downgrade}, nothing, "migration.policy"},
                                {{.consumer_members_max = 1}, nothing, "max.size"},
                                {{.record_bytes_max = 400}, nothing, "does not fit"},
                                {{}, one_member("connect", subscribes({}), assignment({0})), "no consumers"},
                                {{}, one_member("consumer", Blob(as_bytes("x")), assignment({0})), "malformed"},
                                {{}, one_member("consumer", subscribes({}), Blob(as_bytes("x"))), "malformed"},
                                {{}, one_member("consumer", subscribes({}), user_data), "data of its assignor"}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.why);
    MigrationBench bench(one.settings);
    one.change(bench);
    if (bench.live.groups.empty()) bench.readers();
    const auto members = bench.live.find("g")->members().size();
    const ConsumerHeartbeatAnswer answer = bench.joins("k");
    ASSERT_EQ(code(answer.error), Errc::group_not_found);
    EXPECT_THAT(answer.error->message(), HasSubstr(one.why));
    EXPECT_EQ(bench.records_of_last, 0u);
    ASSERT_EQ(bench.state_of("g"), GroupStateName::stable);
    EXPECT_EQ(bench.live.find("g")->members().size(), members);
  }
}

TEST(Migration, WhoWaitsJoinsAgain) {
  MigrationBench bench;
  const int generation = bench.readers();
  const WaiterId joins = bench.send(bench.join_with("c-1", {.owned = {0, 1}, .generation = generation}));
  EXPECT_FALSE(bench.answered(joins));
  bench.joins("k");
  EXPECT_EQ(code(bench.answer<JoinAnswer>(joins).error), Errc::rebalance_in_progress);
  EXPECT_EQ(bench.live.waiting, 0u);
  EXPECT_EQ(bench.has("c-1"), parts({0, 1}));
}

// Between a round's joins and its leader's sync nobody has an assignment in this round. Cooperative members read on.
TEST(Migration, WhatWasReadBeforeAnUnfinishedRoundIsNotFree) {
  MigrationBench bench;
  const int generation = bench.readers();
  bench.send(bench.join_with("c-1", {.owned = {0, 1}, .generation = generation}));
  bench.send(bench.join_with("c-2", {.owned = {2, 3}, .generation = generation}));
  ASSERT_EQ(bench.state_of("g"), GroupStateName::completing_rebalance);
  const WaiterId syncs = bench.send(bench.sync("c-2", generation + 1));
  bench.send(bench.join("", "3"));  // yet another round: assignments are thrown away
  EXPECT_EQ(code(bench.answer<SyncAnswer>(syncs).error), Errc::rebalance_in_progress);
  bench.joins("k");
  EXPECT_EQ(bench.has("c-1"), parts({0, 1}));
  EXPECT_EQ(bench.has("c-2"), parts({2, 3}));
  EXPECT_EQ(bench.has("c-3"), PartitionSet{});
}

// What a leader took away is read until the member has fetched its assignment.
TEST(Migration, WhatAMemberHasNotLetGoOfIsNotFree) {
  MigrationBench bench;
  const int generation = bench.readers();
  bench.send(bench.join_with("c-1", {.owned = {0, 1}, .generation = generation}));
  bench.send(bench.join_with("c-2", {.owned = {2, 3}, .generation = generation}));
  SyncRequest leads = bench.sync("c-1", generation + 1);
  leads.assignments = {{"c-1", assignment({0, 1})}, {"c-2", assignment({2})}};
  bench.send(leads);
  bench.joins("k");
  EXPECT_EQ(bench.has("c-2"), parts({2, 3}));
}

TEST(Migration, CooperativeMembersLetGoInTwoSteps) {
  MigrationBench bench;
  const int generation = bench.readers();
  bench.joins("k");
  bench.joins("l");
  JoinAnswer told = bench.classic_join("c-1", {.owned = {0, 1}, .generation = generation});
  EXPECT_EQ(told.generation.v, generation) << "until it has let go";
  EXPECT_EQ(std::tuple(told.leader, told.protocol, told.protocol_type, told.members.size()),
            std::tuple("", "range", "consumer", 0u));
  const std::vector<int> keeps = partitions_of(bench.classic_sync("c-1", generation).assignment);
  ASSERT_EQ(keeps.size(), 1u);
  EXPECT_EQ(bench.beats("c-1", generation), Errc::rebalance_in_progress) << "it has to come again";
  told = bench.classic_join("c-1", {.owned = keeps, .generation = generation});
  EXPECT_GT(told.generation.v, generation);
  EXPECT_EQ(bench.beats("c-1", told.generation.v), std::nullopt);
  EXPECT_EQ(partitions_of(bench.classic_sync("c-1", told.generation.v).assignment), keeps);
}

TEST(Migration, ClassicMembersJoinGroupsOfTheOtherProtocol) {
  MigrationBench bench(GroupSettings{.consumer_members_max = 3});
  ConsumerHeartbeatAnswer k = bench.joins("k");
  JoinEvent event = bench.join_with("", {});
  event.request.member_id_required = true;
  JoinAnswer answer = bench.ask<JoinAnswer>(event);
  EXPECT_EQ(code(answer.error), Errc::member_id_required);
  event.request.member = answer.member;
  answer = bench.ask<JoinAnswer>(event);
  EXPECT_EQ(std::pair(code(answer.error), answer.member), std::pair(std::optional<Errc>(), std::string("c-9")));
  EXPECT_THAT(bench.members(), ElementsAre("c-9", "k*"));
  EXPECT_EQ(partitions_of(bench.classic_sync("c-9", answer.generation.v).assignment), std::vector<int>{});
  EXPECT_EQ(bench.beats("c-9", answer.generation.v), std::nullopt) << "k has not let go yet";
  k = bench.ask(ConsumerBench::beat("k", k.epoch));
  ASSERT_EQ(partitions_in(k.assignment.value_or(PartitionSet{})), 2u);
  k = bench.ask(ConsumerBench::beat("k", k.epoch, k.assignment));
  EXPECT_EQ(bench.beats("c-9", answer.generation.v), Errc::rebalance_in_progress) << "it has now";
  EXPECT_EQ(bench.comes_again("c-9").size(), 2u);

  auto refused = [&](auto change) {
    JoinEvent wrong = bench.join_with("x", {});
    change(wrong.request);
    return code(bench.ask<JoinAnswer>(std::move(wrong)).error);
  };
  EXPECT_EQ(refused([](JoinRequest& r) { r.protocol_type = "connect"; }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(refused([](JoinRequest& r) { r.protocols.clear(); }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(refused([](JoinRequest& r) { r.protocols[0].name = "sticky"; }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(refused([](JoinRequest& r) { r.protocols[0].metadata = Blob(as_bytes("x")); }),
            Errc::inconsistent_group_protocol);
  EXPECT_EQ(refused([](JoinRequest& r) { r.instance = "i"; }), Errc::unknown_member) << "an id nobody gave it";
  EXPECT_EQ(refused([](JoinRequest&) {}), std::nullopt) << "any id will do";
  EXPECT_EQ(refused([](JoinRequest& r) { r.member = "y"; }), Errc::group_max_size_reached);
}

TEST(Migration, CallsOfTheOtherProtocolsMembersAreRefused) {
  MigrationBench bench;
  const int generation = bench.readers();
  const int epoch = bench.joins("k").epoch;
  EXPECT_EQ(bench.beats("k", epoch), Errc::unknown_member);
  EXPECT_EQ(code(bench.classic_sync("k", epoch).error), Errc::unknown_member);
  EXPECT_EQ(code(bench.classic_sync("c-1", generation + 7).error), Errc::illegal_generation);
  EXPECT_EQ(code(bench.classic_sync("c-1", generation).error), Errc::rebalance_in_progress);
  EXPECT_EQ(code(bench.classic_sync("nobody", generation).error), Errc::unknown_member);
  const int now = bench.classic_join("c-1").generation.v;
  SyncRequest wrong = bench.sync("c-1", now);
  wrong.protocol = "sticky";
  EXPECT_EQ(code(bench.ask<SyncAnswer>(wrong).error), Errc::inconsistent_group_protocol);
  wrong.protocol = "range";
  wrong.protocol_type = "connect";
  EXPECT_EQ(code(bench.ask<SyncAnswer>(wrong).error), Errc::inconsistent_group_protocol);
  auto leaves = [&](LeavingMember one) {
    return code(bench.ask<LeaveAnswer>(LeaveRequest{"g", {std::move(one)}}).members.at(0).error);
  };
  EXPECT_EQ(leaves({.member = "c-2"}), std::nullopt);
  EXPECT_THAT(bench.members(), ElementsAre("c-1", "k*"));
  EXPECT_EQ(leaves({.member = "k"}), std::nullopt) << "an administrator's word";
  EXPECT_EQ(bench.state_of("g"), GroupStateName::preparing_rebalance);
}

TEST(Migration, ClassicMembersAreGivenTheirOwnTimeouts) {
  const Millis session(10'000), rebalance(60'000);
  {
    MigrationBench bench;
    bench.readers();
    bench.joins("k");
    bench.pass(session);
    EXPECT_THAT(bench.members(), ElementsAre("k*")) << "k has longer";
  }
  for (const bool told : {true, false}) {
    MigrationBench bench;
    const int generation = bench.readers();
    ConsumerHeartbeatAnswer k = bench.joins("k");
    const int joined = told ? generation : bench.classic_join("c-1").generation.v;
    auto all_beat = [&] {
      bench.beats("c-1", joined);
      k = bench.ask(ConsumerBench::beat("k", k.epoch));
    };
    all_beat();  // told: to join again; else it shall sync
    for (int second = 0; second < 59; ++second) {
      bench.pass(std::chrono::seconds(1));
      all_beat();
    }
    EXPECT_TRUE(bench.group().member("c-1"));
    bench.pass(rebalance - std::chrono::seconds(59));
    EXPECT_FALSE(bench.group().member("c-1")) << "its heartbeats do not help";
    bench.crash();
    EXPECT_FALSE(bench.group().member("c-1"));
  }
}

TEST(Migration, StaticMembersTakeTheirPlaceAcrossProtocols) {
  MigrationBench bench;
  const int generation = bench.ask<JoinAnswer>(bench.join_static("i", "1")).generation.v;
  SyncRequest leads = bench.sync("i-1", generation);
  leads.assignments = {{"i-1", assignment({0, 1, 2, 3})}};
  bench.send(leads);
  auto request = ConsumerBench::join_request("k");
  request.instance = "i";
  const auto answer = bench.ask(request);
  ASSERT_FALSE(answer.error) << answer.error->message();
  EXPECT_EQ(answer.assignment, parts({0, 1, 2, 3})) << "nobody has to let go";
  EXPECT_THAT(bench.members(), ElementsAre("k*"));
  EXPECT_EQ(bench.beats("i-1", generation), Errc::unknown_member);

  bench.classic_join("x");
  JoinEvent wrong = bench.join_static("i", "2");
  wrong.request.member = "i-1";
  EXPECT_EQ(code(bench.ask<JoinAnswer>(wrong).error), Errc::fenced_instance_id);
  // Back, in the place of the last one of KIP-848: the group is a classic one and gathers.
  const WaiterId back = bench.send(bench.join_static("i", "2"));
  EXPECT_FALSE(bench.answered(back));
  EXPECT_EQ(bench.state_of("g"), GroupStateName::preparing_rebalance);
  const WaiterId other = bench.send(bench.join("x", ""));
  EXPECT_EQ(bench.answer<JoinAnswer>(back).generation, bench.answer<JoinAnswer>(other).generation);
  EXPECT_EQ(bench.answer<JoinAnswer>(back).member, "i-2");
  EXPECT_TRUE(bench.state.consumers.empty());
  EXPECT_EQ(bench.live.stats.members, 2u);
}

TEST(Migration, APlaceIsTakenWithoutNewTargets) {
  MigrationBench bench;
  ConsumerHeartbeatAnswer k = bench.joins("k");
  JoinEvent event = bench.join_static("i", "1");
  event.request.member = bench.ask<JoinAnswer>(event).member;
  k = bench.ask(ConsumerBench::beat("k", k.epoch));
  bench.ask(ConsumerBench::beat("k", k.epoch, k.assignment));
  bench.ask<JoinAnswer>(event);
  const PartitionSet has = bench.has("i-1");
  ASSERT_EQ(partitions_in(has), 2u);
  const std::int32_t epoch = bench.group().epoch();
  auto request = ConsumerBench::join_request("k2");
  request.instance = "i";
  EXPECT_EQ(bench.ask(request).assignment, has);
  EXPECT_EQ(bench.has("k2"), has);
  EXPECT_EQ(bench.group().epoch(), epoch);
}

TEST(Migration, AStaticMemberThatIsAloneChangesAsItLikes) {
  MigrationBench bench;
  auto request = ConsumerBench::join_request("k");
  request.instance = "i";
  bench.ask(request);
  const JoinAnswer back = bench.ask<JoinAnswer>(bench.join_static("i", "1"));
  EXPECT_FALSE(back.error);
  EXPECT_EQ(back.leader, "i-1") << "of a classic group";
  EXPECT_EQ(bench.live.stats.members, 1u);
  EXPECT_TRUE(bench.state.consumers.empty());
}

TEST(Migration, TheGroupIsClassicAgainWhenTheLastOfKip848Goes) {
  for (const bool expires : {false, true}) {
    MigrationBench bench;
    bench.readers();
    bench.joins("k");
    bench.joins("l");
    const auto one = bench.comes_again("c-1");
    const auto two = bench.comes_again("c-2");
    bench.ask(ConsumerBench::beat("l", -1));
    EXPECT_THAT(bench.members(), ElementsAre("c-1", "c-2", "k*")) << "k is there";
    const int epoch = bench.group().epoch();
    auto beat_all = [&] {
      for (const std::string id : {"c-1", "c-2"})
        if (const auto* group = bench.live.find("g")) {
          bench.beats(id, group->generation.v);
        } else {
          bench.beats(id, bench.group().current(id).epoch);
        }
    };
    for (int second = 0; expires && second < 45; ++second) {
      bench.pass(std::chrono::seconds(1));
      beat_all();
    }
    if (!expires) bench.ask(ConsumerBench::beat("k", -1));
    ASSERT_EQ(bench.state_of("g"), GroupStateName::preparing_rebalance);
    EXPECT_TRUE(bench.state.consumers.empty());
    EXPECT_EQ(bench.live.stats.members, 2u);
    const LiveGroup& group = *bench.live.find("g");
    EXPECT_EQ(group.generation.v, epoch);
    EXPECT_EQ(group.protocol, "range");
    EXPECT_EQ(partitions_of(group.members().at("c-1").assignment), one);
    EXPECT_EQ(partitions_of(group.members().at("c-2").assignment), two);
    EXPECT_EQ(group.members().at("c-1").session_timeout, Millis(10'000));
    // A crash takes the round along; what k had must not stay unread.
    bench.crash();
    ASSERT_EQ(bench.state_of("g"), GroupStateName::preparing_rebalance);
    EXPECT_EQ(bench.commits("c-1", epoch), std::nullopt);
    EXPECT_EQ(bench.beats("c-1", epoch), Errc::rebalance_in_progress);
    const WaiterId joins = bench.send(bench.join("c-1", ""));
    bench.send(bench.join("c-2", ""));
    EXPECT_EQ(bench.answer<JoinAnswer>(joins).generation.v, epoch + 1);
  }
}

TEST(Migration, TheGroupStaysWhenItMayNotGoBack) {
  for (const GroupSettings& settings :
       {GroupSettings{.migration = MigrationPolicy::upgrade}, GroupSettings{.members_max = 1}}) {
    MigrationBench bench(settings);
    const ConsumerHeartbeatAnswer k = bench.joins("k");
    bench.classic_join("c-1");
    bench.classic_join("c-2");
    bench.ask(ConsumerBench::beat("k", -1));
    EXPECT_THAT(bench.members(), ElementsAre("c-1", "c-2"));
    bench.crash();
    const auto one = bench.comes_again("c-1");
    const auto two = bench.comes_again("c-2");
    EXPECT_EQ(one.size() + two.size(), 4u) << "and is read on";
  }
}

TEST(Migration, AMemberThatChangesItsProtocolKeepsItsPlace) {
  MigrationBench bench;
  const int generation = bench.readers();
  bench.joins("k");
  const auto answer = bench.joins("c-1");
  ASSERT_FALSE(answer.error);
  EXPECT_THAT(bench.members(), ElementsAre("c-1*", "c-2", "k*"));
  EXPECT_EQ(bench.beats("c-1", generation), Errc::unknown_member);
  EXPECT_EQ(bench.commits("c-1", answer.epoch), std::nullopt);
}

}  // namespace
}  // namespace mr::coordinator
