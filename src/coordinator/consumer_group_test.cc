// Aim: KIP-848 groups as members see them: joining, moving partitions, fencing, static members, time, patterns, and
// what a crash leaves. Method: one machine with a clock in hand (consumer_fixture.h); records are applied at once.
#include <gmock/gmock.h>

#include <stdexcept>

#include "coordinator/consumer_fixture.h"

namespace mr::coordinator {
namespace {

// The first member gets everything with its first answer; what nothing changes costs nothing.
TEST(ConsumerGroup, FirstMemberHasAllAtOnce) {
  ConsumerBench bench;
  auto joined = bench.joins("a");
  ASSERT_FALSE(joined.error) << joined.error->message();
  EXPECT_EQ(joined.epoch, 2);
  EXPECT_EQ(joined.assignment, parts({0, 1, 2, 3}));
  EXPECT_EQ(joined.heartbeat_interval, Millis(5'000));
  EXPECT_EQ(bench.state_text(), "Stable");
  auto quiet = bench.ask(bench.beat("a", 2, joined.assignment));
  EXPECT_FALSE(quiet.error);
  EXPECT_FALSE(quiet.assignment) << "null: as before";
  EXPECT_EQ(bench.records_of_last, 0u);
}

// A partition moves in three steps: revoke, acknowledge, assign; nobody has it twice, the rest is read on.
TEST(ConsumerGroup, PartitionsMoveOnlyWhenReleased) {
  ConsumerBench bench;
  auto a = bench.joins("a");
  bench.pass(std::chrono::seconds(2));
  auto b = bench.joins("b");
  EXPECT_EQ(b.epoch, 3);
  EXPECT_EQ(b.assignment, PartitionSet{}) << "all are a's still";
  EXPECT_EQ(b.heartbeat_interval, Millis(500)) << "it waits for others";
  EXPECT_EQ(bench.state_text(), "Reconciling");

  auto revoke = bench.ask(bench.beat("a", 2));
  ASSERT_TRUE(revoke.assignment);
  EXPECT_EQ(revoke.epoch, 2) << "until it has let go";
  EXPECT_EQ(partitions_in(*revoke.assignment), 2u);
  EXPECT_EQ(bench.described().members.at(0).assigned, parts({0, 1, 2, 3})) << "it reads them all still";
  EXPECT_EQ(bench.ask(bench.beat("b", 3)).assignment, std::nullopt);
  auto kept = bench.ask(bench.beat("a", 2, revoke.assignment));
  EXPECT_EQ(kept.epoch, 3);
  EXPECT_FALSE(kept.assignment);
  auto got = bench.ask(bench.beat("b", 3, PartitionSet{}));
  ASSERT_TRUE(got.assignment);
  EXPECT_EQ(partitions_in(*got.assignment), 2u);
  EXPECT_EQ(bench.state_text(), "Stable");
  // Both kept what they have after a crash, and nobody is told anything new.
  bench.crash();
  EXPECT_FALSE(bench.ask(bench.beat("a", 3, revoke.assignment)).assignment);
  EXPECT_FALSE(bench.ask(bench.beat("b", 3, got.assignment)).assignment);
}

TEST(ConsumerGroup, EpochsAreChecked) {
  ConsumerBench bench;
  bench.joins("a");
  EXPECT_EQ(code(bench.ask(bench.beat("a", 3)).error), Errc::fenced_member_epoch);
  EXPECT_EQ(code(bench.ask(bench.beat("b", 1)).error), Errc::unknown_member);
  auto other = bench.beat("a", 2);
  other.group = "h";
  EXPECT_EQ(code(bench.ask(other).error), Errc::group_not_found);
  // A lost answer: the epoch before, and no more than what it was given.
  bench.pass(std::chrono::seconds(2));
  bench.set_topic("t", 1, 6);
  auto moved = bench.ask(bench.beat("a", 2, parts({0, 1, 2, 3})));
  EXPECT_EQ(moved.epoch, 3);
  EXPECT_EQ(bench.ask(bench.beat("a", 2, parts({0, 1, 2, 3}))).epoch, 3);
  EXPECT_EQ(code(bench.ask(bench.beat("a", 2, parts({7}))).error), Errc::fenced_member_epoch);
  EXPECT_EQ(code(bench.ask(bench.beat("a", 2)).error), Errc::fenced_member_epoch);
}

TEST(ConsumerGroup, BadRequestsAreNamed) {
  ConsumerBench bench;
  auto refused = [&](auto change) {
    auto request = bench.join_request("a");
    change(request);
    return code(bench.ask(request).error);
  };
  EXPECT_EQ(refused([](auto& r) { r.group = ""; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.member = ""; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.rebalance_timeout.reset(); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.topics.reset(); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.owned = parts({1}); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.owned.reset(); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.instance = ""; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.epoch = -3; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](auto& r) { r.epoch = -2; }), Errc::invalid_argument) << "without an instance";
  EXPECT_EQ(refused([](auto& r) { r.assignor = "nobody"; }), Errc::unsupported_assignor);
  EXPECT_TRUE(bench.log.empty());
}

TEST(ConsumerGroup, MaxSizeHolds) {
  ConsumerBench bench(GroupSettings{.consumer_members_max = 1});
  EXPECT_FALSE(bench.joins("a").error);
  EXPECT_EQ(code(bench.joins("b").error), Errc::group_max_size_reached);
  EXPECT_FALSE(bench.joins("a").error);
}

// What a member had is free at once when it leaves or is not heard of any more.
TEST(ConsumerGroup, LeavingAndSilenceFreePartitions) {
  ConsumerBench bench;
  bench.joins("a");
  EXPECT_EQ(bench.ask(bench.beat("a", -1)).epoch, -1);
  EXPECT_EQ(bench.state_text(), "Empty");
  bench.pass(std::chrono::seconds(2));
  bench.joins("b");
  bench.pass(std::chrono::seconds(30));
  auto c = bench.joins("c");
  EXPECT_EQ(c.assignment, PartitionSet{});
  bench.pass(std::chrono::seconds(20));
  EXPECT_EQ(code(bench.ask(bench.beat("b", 5)).error), Errc::unknown_member) << "45 s without a word";
  auto all = bench.ask(bench.beat("c", c.epoch));
  EXPECT_EQ(all.assignment, parts({0, 1, 2, 3}));
}

TEST(ConsumerGroup, WhoDoesNotRevokeInTimeIsOut) {
  ConsumerBench bench;
  bench.joins("a");
  bench.pass(std::chrono::seconds(2));
  auto b = bench.joins("b");
  bench.ask(bench.beat("a", 2));
  for (int i = 0; i < 7; ++i) {
    bench.pass(std::chrono::seconds(5));
    bench.ask(bench.beat("a", 2, parts({0, 1, 2, 3})));
  }
  EXPECT_EQ(code(bench.ask(bench.beat("a", 2)).error), Errc::unknown_member);
  EXPECT_EQ(bench.ask(bench.beat("b", b.epoch)).assignment, parts({0, 1, 2, 3}));
}

// Joins that come within a second share one assignment; who waits for it is told to ask again soon.
TEST(ConsumerGroup, AssignmentsAreGathered) {
  ConsumerBench bench;
  bench.joins("a");
  auto b = bench.joins("b");
  auto c = bench.joins("c");
  EXPECT_EQ(b.epoch, 2);
  EXPECT_EQ(c.heartbeat_interval, Millis(500));
  EXPECT_EQ(bench.state_text(), "Assigning");
  EXPECT_EQ(bench.group().epoch(), 4);
  EXPECT_EQ(bench.group().target_epoch(), 2);
  bench.pass(std::chrono::seconds(1));
  EXPECT_EQ(bench.group().target_epoch(), 4) << "without anybody's heartbeat";
}

TEST(ConsumerGroup, StaticMembersComeBack) {
  ConsumerBench bench;
  auto first = bench.join_request("a");
  first.instance = "i";
  EXPECT_EQ(bench.ask(first).assignment, parts({0, 1, 2, 3}));
  auto second = bench.join_request("b");
  second.instance = "i";
  EXPECT_EQ(code(bench.ask(second).error), Errc::unreleased_instance_id);
  auto away = bench.beat("a", -2);
  away.instance = "i";
  EXPECT_EQ(bench.ask(away).epoch, -2);
  bench.pass(std::chrono::seconds(20));
  auto back = bench.ask(second);
  EXPECT_EQ(back.epoch, 2) << "no rebalance";
  EXPECT_EQ(back.assignment, parts({0, 1, 2, 3}));
  EXPECT_EQ(bench.group().epoch(), 2);
  auto old = bench.beat("a", 2);
  old.instance = "i";
  EXPECT_EQ(code(bench.ask(old).error), Errc::fenced_instance_id);
  // Away for too long: as if it had left.
  away = bench.beat("b", -2);
  away.instance = "i";
  bench.ask(away);
  bench.pass(std::chrono::seconds(46));
  EXPECT_EQ(bench.state_text(), "Empty");
}

// Static members come first, so that a dynamic one with an early id does not move what they have.
TEST(ConsumerGroup, StaticMembersAreAssignedFirst) {
  ConsumerBench bench;
  auto dynamic = bench.join_request("a");
  dynamic.assignor = "range";
  bench.ask(dynamic);
  bench.pass(std::chrono::seconds(2));
  auto fixed = bench.join_request("b");
  fixed.instance = "i";
  fixed.assignor = "range";
  bench.ask(fixed);
  EXPECT_EQ(bench.group().target("b"), parts({0, 1}));
  EXPECT_EQ(bench.group().target("a"), parts({2, 3}));
}

TEST(ConsumerGroup, TopicsThatComeAndGrowAreSeen) {
  ConsumerBench bench;
  bench.ask(bench.join_request("a", {"t", "u"}));
  bench.pass(std::chrono::seconds(2));
  bench.set_topic("other", 3, 9);
  EXPECT_EQ(bench.group().epoch(), 2);
  bench.set_topic("u", 2, 2);
  EXPECT_EQ(bench.group().epoch(), 3);
  auto more = bench.ask(bench.beat("a", 2));
  ASSERT_TRUE(more.assignment);
  EXPECT_EQ(more.assignment->at(topic_id(2)), (std::vector<std::int32_t>{0, 1}));
  bench.pass(std::chrono::seconds(2));
  bench.topics = bench.topics->without(topic_id(2));
  bench.send(TopicsChangedEvent{bench.topics, "u"});
  auto less = bench.ask(bench.beat("a", 3));
  EXPECT_EQ(less.assignment, parts({0, 1, 2, 3}));
}

// Topics that changed while the broker was down are noticed after the load.
TEST(ConsumerGroup, LoadComparesTopics) {
  ConsumerBench bench;
  bench.joins("a");
  bench.topics = with_topic(bench.topics, "t", 1, 8);
  bench.crash();
  EXPECT_EQ(bench.group().target_epoch(), 3);
  EXPECT_EQ(partitions_in(*bench.ask(bench.beat("a", 2)).assignment), 8u);
}

TEST(ConsumerGroup, PatternsAreMatchedOffTheShard) {
  ConsumerBench bench;
  auto request = bench.join_request("a", {});
  request.topics.reset();
  request.regex = "t.*";
  auto joined = bench.ask(request);
  ASSERT_FALSE(joined.error);
  EXPECT_EQ(joined.epoch, 1) << "nothing to assign before it is known what matches";
  EXPECT_EQ(joined.assignment, PartitionSet{});
  EXPECT_EQ(joined.heartbeat_interval, Millis(500));
  bench.run_jobs();
  bench.pass(std::chrono::seconds(1));
  auto matched = bench.ask(bench.beat("a", joined.epoch));
  EXPECT_EQ(matched.assignment, parts({0, 1, 2, 3}));
  EXPECT_EQ(bench.group().epoch(), 2);
  EXPECT_EQ(bench.group().regex("t.*")->topics, std::vector<std::string>{"t"});
  bench.set_topic("t2", 2, 1);
  bench.run_jobs();
  bench.pass(std::chrono::seconds(1));
  EXPECT_EQ(bench.ask(bench.beat("a", matched.epoch)).assignment->size(), 2u);
  // The last user of a pattern takes it along.
  bench.ask(bench.beat("a", -1));
  EXPECT_TRUE(bench.group().regexes().empty());
}

// What a member does not ask for any more it lets go of at once: targets may be old, patterns not be matched yet.
TEST(ConsumerGroup, WhoAsksForLessIsToldAtOnce) {
  ConsumerBench bench;
  bench.set_topic("u", 2, 1);
  auto joined = bench.ask(bench.join_request("a", {"t", "u"}));
  auto less = bench.beat("a", joined.epoch);
  less.topics = {"u"};
  auto told = bench.ask(less);
  EXPECT_EQ(bench.state_text(), "Assigning") << "the targets are those of before";
  const PartitionSet only_u{{topic_id(2), {0}}};
  EXPECT_EQ(told.assignment, only_u);
  EXPECT_EQ(told.epoch, joined.epoch);
  bench.pass(std::chrono::seconds(1));
  auto after = bench.ask(bench.beat("a", told.epoch, only_u));
  EXPECT_EQ(after.epoch, joined.epoch + 1);
  auto pattern = bench.beat("a", after.epoch, PartitionSet{});
  pattern.topics.emplace();
  pattern.regex = "t";
  EXPECT_EQ(bench.ask(pattern).assignment, PartitionSet{}) << "and it has none of it any more";
  bench.pass(std::chrono::seconds(1));
  bench.run_jobs();
  bench.pass(std::chrono::seconds(1));
  EXPECT_EQ(bench.ask(bench.beat("a", bench.described().members.at(0).epoch, PartitionSet{})).assignment,
            parts({0, 1, 2, 3}));
}

// A partition that comes back before its owner has said that it let go of it stays its own.
TEST(ConsumerGroup, WhatIsTakenAndGivenBackWaitsForNobody) {
  ConsumerBench bench;
  auto a = bench.joins("a");
  bench.pass(std::chrono::seconds(2));
  bench.joins("b");
  auto revoke = bench.ask(bench.beat("a", a.epoch));
  ASSERT_EQ(partitions_in(*revoke.assignment), 2u);
  bench.pass(std::chrono::seconds(2));
  bench.ask(bench.beat("b", -1));
  auto back = bench.ask(bench.beat("a", a.epoch, revoke.assignment));
  EXPECT_EQ(back.assignment, parts({0, 1, 2, 3}));
  EXPECT_EQ(bench.state_text(), "Stable");
}

TEST(ConsumerGroup, PatternsAreChecked) {
  EXPECT_TRUE(check_pattern("a|b.*").ok());
  EXPECT_EQ(check_pattern("(").code(), Errc::invalid_regular_expression);
  EXPECT_EQ(check_pattern("(?<=a)b").code(), Errc::invalid_regular_expression) << "RE2 has no lookbehind";
  EXPECT_EQ(check_pattern(std::string(5000, 'a')).code(), Errc::invalid_regular_expression);
  EXPECT_EQ(check_pattern("((a{1000}){1000}){1000}").code(), Errc::invalid_regular_expression);
}

// Large groups are assigned off the shard; what comes late is not taken for what is there.
TEST(ConsumerGroup, LargeGroupsAreAssignedOffTheShard) {
  ConsumerBench bench(GroupSettings{.assign_on_shard_max = 0});
  auto a = bench.joins("a");
  EXPECT_EQ(a.epoch, 1);
  EXPECT_EQ(a.assignment, PartitionSet{});
  ASSERT_EQ(bench.jobs.size(), 1u);
  bench.joins("b");
  EXPECT_EQ(bench.jobs.size(), 1u) << "one at a time";
  bench.run_jobs();
  EXPECT_EQ(bench.ask(bench.beat("a", 1)).assignment, parts({0, 1, 2, 3}));
  bench.pass(std::chrono::seconds(1));
  ASSERT_EQ(bench.jobs.size(), 1u);
  auto late = std::get<AssignJob>(bench.jobs.at(0));
  bench.run_jobs();
  const std::int32_t now = bench.group().target_epoch();
  bench.send(run(late));
  EXPECT_EQ(bench.group().target_epoch(), now);
  EXPECT_EQ(partitions_in(bench.group().target("b")), 2u);
}

// Nothing else would ever give the place what was made for it: coming back is no reason for new targets.
TEST(ConsumerGroup, TargetsMadeMeanwhileAreForWhoCameBack) {
  ConsumerBench bench(GroupSettings{.assign_on_shard_max = 0});
  auto fixed = bench.join_request("a");
  fixed.instance = "i";
  bench.ask(fixed);
  bench.joins("b");
  ASSERT_EQ(bench.jobs.size(), 1u);
  auto away = bench.beat("a", -2);
  away.instance = fixed.instance;
  bench.ask(away);
  fixed.member = "a2";
  bench.ask(fixed);
  bench.run_jobs();
  EXPECT_EQ(bench.group().target("a2"), parts({0, 1, 2, 3})) << "made before b came";
  bench.pass(std::chrono::seconds(1));
  bench.run_jobs();
  EXPECT_EQ(partitions_in(bench.group().target("a2")), 2u);
  EXPECT_EQ(partitions_in(bench.group().target("b")), 2u);
  EXPECT_EQ(bench.group().target_epoch(), bench.group().epoch());
}

TEST(ConsumerGroup, AssignorsAreToldTheRacksOfMembers) {
  ConsumerBench bench(GroupSettings{.assign_on_shard_max = 0});
  auto request = bench.join_request("a");
  request.rack = "east";
  bench.ask(request);
  bench.joins("b");
  bench.run_jobs();
  bench.pass(std::chrono::seconds(1));
  ASSERT_EQ(bench.jobs.size(), 1u);
  const auto& members = std::get<AssignJob>(bench.jobs.at(0)).input->members;
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].rack, "east");
  EXPECT_EQ(members[1].rack, std::nullopt);
}

// A job may come back when its group has gone and another has its name, with a job of its own under way.
TEST(ConsumerGroup, WhatWasAskedForAnEarlierGroupIsNotHeard) {
  ConsumerBench bench(GroupSettings{.assign_on_shard_max = 0});
  auto by_pattern = [](std::string member) {
    auto request = ConsumerBench::join_request(std::move(member), {});
    request.regex = "t.*";
    return request;
  };
  bench.joins("a");
  bench.ask(by_pattern("p"));
  ASSERT_EQ(bench.jobs.size(), 2u);
  const auto assign = std::get<AssignJob>(bench.jobs.at(0));
  const auto match = std::get<MatchJob>(bench.jobs.at(1));
  for (const char* id : {"a", "p"}) bench.ask(bench.beat(id, -1));
  bench.Bench::ask<DeleteGroupsAnswer>(DeleteGroupsEvent{{"g"}});
  bench.jobs.clear();
  bench.joins("b");
  bench.ask(by_pattern("q"));
  bench.set_topic("t2", 2, 1);
  bench.send(run(assign));
  bench.send(run(match));
  EXPECT_EQ(bench.group().target_epoch(), 1);
  EXPECT_EQ(bench.group().regex("t.*"), nullptr);
  for (int i = 0; i < 3; ++i) {
    bench.run_jobs();
    bench.pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(bench.group().regex("t.*")->topics, (std::vector<std::string>{"t", "t2"}));
  EXPECT_EQ(partitions_in(bench.group().target("b")) + partitions_in(bench.group().target("q")), 5u);
}

struct Broken : Assignor {
  std::string_view name() const override { return "broken"; }
  AssignorOutput assign(const AssignorInput&) const override { return {}; }
};
struct Throwing : Assignor {
  std::string_view name() const override { return "throwing"; }
  AssignorOutput assign(const AssignorInput&) const override { throw std::runtime_error("no"); }
};
TEST(ConsumerGroup, AssignorFromOutsideIsNotTrusted) {
  for (std::shared_ptr<const Assignor> outside : Assignors{std::make_shared<Broken>(), std::make_shared<Throwing>()}) {
    ConsumerBench bench;
    bench.machine.settings.assignors.push_back(outside);
    bench.joins("a");
    bench.pass(std::chrono::seconds(2));
    auto request = bench.join_request("a");
    request.assignor = std::string(outside->name());
    auto kept = bench.ask(request);
    EXPECT_EQ(kept.epoch, 3);
    EXPECT_EQ(kept.assignment, parts({0, 1, 2, 3}));
  }
}

TEST(ConsumerGroup, AssignorsAreChosenByName) {
  auto broken = std::make_shared<Broken>();
  auto names = [&](std::vector<std::string> settings, Assignors brings) {
    auto chosen = choose_assignors(settings, brings);
    std::vector<std::string> names;
    for (const auto& assignor : *chosen) names.emplace_back(assignor->name());
    return names;
  };
  using testing::ElementsAre;
  EXPECT_THAT(names({"range", "uniform", "range"}, {}), ElementsAre("range", "uniform"));
  EXPECT_THAT(names({"uniform"}, {broken}), ElementsAre("uniform", "broken"));
  EXPECT_THAT(names({"broken", "uniform"}, {broken}), ElementsAre("broken", "uniform"));
  EXPECT_THAT(choose_assignors({"org.example.Mine"}, {broken}).error().detail(),
              testing::HasSubstr("is not one of: uniform, range, roundrobin, broken"));
  EXPECT_EQ(choose_assignors({"uniform"}, {broken, broken}).code(), Errc::invalid_config);
  EXPECT_EQ(choose_assignors({"uniform"}, {make_range_assignor()}).code(), Errc::invalid_config);
}

// A client's end takes all its members with it: one rebalance for those that stay, not one per member.
TEST(ConsumerGroup, MembersThatFallSilentTogetherGoTogether) {
  GroupSettings settings;
  settings.session_step = Millis(200);
  ConsumerBench bench(settings);
  const auto stays = bench.joins("stays");
  for (std::string member : {"a", "b", "c"}) bench.joins(member);
  const auto expired = [&] {
    return bench.live.stats.rebalances[static_cast<std::size_t>(RebalanceCause::member_expired)];
  };
  bench.pass(Millis(44'999));
  bench.ask(bench.beat("stays", stays.epoch));
  EXPECT_EQ(bench.group().members().size(), 4u) << "nobody goes early";
  const std::int32_t epoch = bench.group().epoch();
  bench.pass(Millis(201));
  ASSERT_EQ(bench.group().members().size(), 1u);
  EXPECT_EQ(bench.group().epoch(), epoch + 1);
  EXPECT_EQ(expired(), 1u);
  EXPECT_EQ(bench.live.stats.member_timeouts, 3u);
  EXPECT_EQ(bench.live.stats.members, 1u);
}

// Sessions that run end by the group's time as soon as it is set, and by the broker's when it is not set any more.
TEST(ConsumerGroup, ObeysWhatItSets) {
  auto set = [](config::GroupTimes times) {
    auto configs = std::make_shared<config::GroupConfigs>();
    (*configs)["g"] = {.overrides = {}, .times = times};
    return GroupConfigsEvent{configs};
  };
  const config::GroupTimes own{
      .session_timeout_ms = 60'000, .heartbeat_interval_ms = 7'000, .assignment_interval_ms = 1'000};
  ConsumerBench bench;
  const auto joined = bench.joins("a");
  bench.send(set(own));
  EXPECT_EQ(bench.ask(bench.beat("a", joined.epoch)).heartbeat_interval, Millis(7'000));
  EXPECT_EQ(bench.described().session_timeout, Millis(60'000));
  bench.pass(Millis(59'999));
  EXPECT_EQ(bench.group().members().size(), 1u);
  bench.send(GroupConfigsEvent{std::make_shared<config::GroupConfigs>()});
  bench.pass(Millis(1));
  EXPECT_TRUE(bench.group().members().empty()) << "45 s are over";
  bench.joins("a");
  bench.send(set(own));
  bench.pass(Millis(60'000));
  EXPECT_TRUE(bench.group().members().empty());
}

TEST(ConsumerGroup, OffsetsGoByMemberEpoch) {
  ConsumerBench bench;
  auto commit = [&](std::string member, int epoch) {
    CommitRequest request = bench.commit(std::move(member), epoch, 7);
    request.offsets[0].topic_id = topic_id(1);
    return code(bench.Bench::ask<CommitAnswer>(request).error);
  };
  bench.joins("a");
  EXPECT_EQ(commit("a", 2), std::nullopt);
  EXPECT_EQ(commit("a", 3), Errc::stale_member_epoch);
  EXPECT_EQ(commit("b", 1), Errc::unknown_member);
  EXPECT_EQ(commit("", -1), Errc::unknown_member) << "simple commits need an empty group";
  bench.pass(std::chrono::seconds(2));
  bench.set_topic("t", 1, 6);
  bench.ask(bench.beat("a", 2, parts({0, 1, 2, 3})));
  EXPECT_EQ(commit("a", 2), std::nullopt) << "it has had the partition since epoch 2";
  FetchOffsetsRequest fetch{.group = "g", .member = "a", .member_epoch = 2, .topics = std::nullopt};
  EXPECT_EQ(code(bench.Bench::ask<FetchOffsetsAnswer>(fetch).error), Errc::stale_member_epoch);
  fetch.member_epoch = 3;
  EXPECT_EQ(code(bench.Bench::ask<FetchOffsetsAnswer>(fetch).error), std::nullopt);
  EXPECT_EQ(bench.committed(), 7);
  bench.ask(bench.beat("a", -1));
  EXPECT_EQ(commit("", -1), std::nullopt);
}

TEST(ConsumerGroup, AdminSeesAndDeletes) {
  ConsumerBench bench;
  bench.joins("a");
  auto deletes = [&] { return code(bench.Bench::ask<DeleteGroupsAnswer>(DeleteGroupsEvent{{"g"}}).groups.at(0)); };
  EXPECT_EQ(deletes(), Errc::group_not_empty);
  auto listed = bench.Bench::ask<std::vector<ListedGroup>>(ListEvent{});
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].type, GroupType::consumer);
  EXPECT_EQ(listed[0].state, GroupStateName::stable);
  auto classic = bench.Bench::ask<std::vector<GroupDescription>>(DescribeEvent{{"g"}});
  EXPECT_EQ(code(classic.at(0).error), Errc::group_not_found);
  EXPECT_EQ(bench.described().members.at(0).assigned, parts({0, 1, 2, 3}));
  bench.ask(bench.beat("a", -1));
  EXPECT_EQ(deletes(), std::nullopt);
  EXPECT_EQ(code(bench.described().error), Errc::group_not_found);
  EXPECT_TRUE(bench.replayed().consumers.empty()) << "nothing is left in the log";
}

// Without members a group goes from one protocol to the other, its offsets stay.
TEST(ConsumerGroup, EmptyGroupsConvert) {
  ConsumerBench bench(GroupSettings{.migration = MigrationPolicy::disabled});
  const int generation = bench.stable_pair();
  EXPECT_EQ(code(bench.joins("a").error), Errc::group_not_found) << "classic members are in it";
  bench.send(bench.commit("c-1", generation, 5));
  bench.send(LeaveRequest{.group = "g", .members = {{.member = "c-1"}, {.member = "c-2"}}});
  EXPECT_FALSE(bench.joins("a").error);
  EXPECT_EQ(bench.committed(), 5);
  bench.crash();
  EXPECT_EQ(bench.state_text(), "Stable");
  bench.ask(bench.beat("a", -1));
  bench.send(bench.join("", "3"));
  EXPECT_EQ(bench.live.consumers.size(), 0u);
  bench.reload();
  EXPECT_EQ(bench.committed(), 5);
  EXPECT_TRUE(bench.state.consumers.empty());
}

// A log of Apache Kafka may have members that speak the classic protocol. They stay what they are until they call.
TEST(ConsumerGroup, ClassicMembersOfALogJoinByHeartbeat) {
  ConsumerBench bench;
  bench.log.push_back(group_epoch_record("g", {.epoch = 3}));
  bench.log.push_back(consumer_member_record(
      "g", "a", {.topics = {"t"}, .rebalance_timeout = Millis(30'000), .classic = ClassicSide{Millis(10'000), {}}}));
  bench.crash();
  ASSERT_EQ(bench.described().members.size(), 1u);
  EXPECT_TRUE(bench.described().members[0].asks.classic);
  bench.crash();
  EXPECT_TRUE(bench.described().members[0].asks.classic) << "still, after another life";
  EXPECT_EQ(bench.joins("a").assignment, parts({0, 1, 2, 3}));
  EXPECT_FALSE(bench.described().members[0].asks.classic);
  bench.crash();
  EXPECT_FALSE(bench.described().members[0].asks.classic);
}

TEST(ConsumerGroup, EmptyGroupExpires) {
  ConsumerBench bench;
  bench.joins("a");
  CommitRequest commit = bench.commit("a", 2, 7);
  bench.send(commit);
  bench.ask(bench.beat("a", -1));
  bench.pass(std::chrono::hours(24 * 6));
  EXPECT_EQ(bench.committed(), 7);
  bench.pass(std::chrono::hours(48));
  EXPECT_EQ(bench.committed(), -1);
  EXPECT_TRUE(bench.replayed().consumers.empty());
}

// Else a broker that is started anew more often than that would keep them for ever.
TEST(ConsumerGroup, RestartsDoNotProlongWhatAnEmptyGroupKeeps) {
  ConsumerBench bench;
  bench.joins("a");
  bench.send(bench.commit("a", 2, 7));
  bench.ask(bench.beat("a", -1));
  for (int day = 0; day < 6; ++day) {
    bench.pass(std::chrono::hours(24));
    bench.crash();
  }
  EXPECT_EQ(bench.committed(), 7);
  bench.pass(std::chrono::hours(25));
  EXPECT_EQ(bench.committed(), -1);
  EXPECT_TRUE(bench.replayed().consumers.empty());
}

TEST(ConsumerGroup, AdminRemovesMembers) {
  ConsumerBench bench;
  auto request = bench.join_request("a");
  request.instance = "i";
  bench.ask(request);
  LeaveRequest leave{.group = "g", .members = {{.member = "", .instance = "i"}, {.member = "x"}}};
  auto answer = bench.Bench::ask<LeaveAnswer>(leave);
  EXPECT_FALSE(answer.members.at(0).error);
  EXPECT_EQ(code(answer.members.at(1).error), Errc::unknown_member);
  EXPECT_EQ(bench.state_text(), "Empty");
}

}  // namespace
}  // namespace mr::coordinator
