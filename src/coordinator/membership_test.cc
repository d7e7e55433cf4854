// Aim: members come, sync, beat and go through Kafka's states, generations fence who is late, static members keep their
// place. Method: the machine alone with a clock in hand (machine_fixture.h), one event after the other.
#include "coordinator/machine_fixture.h"

namespace mr::coordinator {
namespace {

using enum GroupStateName;

TEST(Join, ANewMemberIsToldItsIdFirst) {
  Bench b;
  JoinEvent first = b.join("", "1");
  first.request.member_id_required = true;
  auto told = b.ask<JoinAnswer>(first);
  EXPECT_EQ(code(told.error), Errc::member_id_required);
  EXPECT_EQ(told.member, "c-1");
  EXPECT_EQ(b.state_of("g"), empty);
  auto in = b.ask<JoinAnswer>(b.join("c-1", ""));
  EXPECT_FALSE(in.error);
  EXPECT_EQ(in.generation.v, 1);
  EXPECT_EQ(in.leader, "c-1");
  EXPECT_EQ(in.protocol, "range");
  EXPECT_EQ(in.protocol_type, "consumer");
  ASSERT_EQ(in.members.size(), 1u);
  EXPECT_EQ(in.members[0].metadata, Bench::subscription({"t"}));
  EXPECT_EQ(b.state_of("g"), completing_rebalance);
}

TEST(Join, AnIdThatNobodyComesBackWithIsForgotten) {
  Bench b;
  JoinEvent first = b.join("", "1");
  first.request.member_id_required = true;
  b.send(first);
  b.pass(std::chrono::seconds(11));
  EXPECT_EQ(code(b.ask<JoinAnswer>(b.join("c-1", "")).error), Errc::unknown_member);
}

TEST(Join, OldVersionsAreInAtOnce) {
  Bench b;
  EXPECT_EQ(b.ask<JoinAnswer>(b.join("", "1")).generation.v, 1);
  EXPECT_EQ(b.records_of_last, 0u) << "a group is stored when its leader has assigned";
}

TEST(Join, WaitsForAllKnownMembersAndOnlyTheLeaderSeesThem) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.sync("c-1", 1, {{"c-1", "all"}}));
  EXPECT_EQ(b.state_of("g"), stable);
  WaiterId second = b.send(b.join("", "2"));
  EXPECT_FALSE(b.answered(second));
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  EXPECT_EQ(code(b.ask<HeartbeatAnswer>(b.heartbeat("c-1", 1)).error), Errc::rebalance_in_progress);
  auto leader = b.ask<JoinAnswer>(b.join("c-1", ""));
  auto follower = b.answer<JoinAnswer>(second);
  EXPECT_EQ(leader.generation.v, 2);
  EXPECT_EQ(follower.generation.v, 2);
  EXPECT_EQ(follower.leader, "c-1");
  EXPECT_EQ(leader.members.size(), 2u);
  EXPECT_TRUE(follower.members.empty());
}

TEST(Join, WhoDoesNotRejoinInTimeIsLeftBehind) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.sync("c-1", 1));
  WaiterId second = b.send(b.join("", "2"));
  b.pass(std::chrono::seconds(9));  // c-1 beats but does not come
  b.send(b.heartbeat("c-1", 1));
  for (int i = 0; i < 6; ++i) {
    b.pass(std::chrono::seconds(9));
    b.send(b.heartbeat("c-1", 1));
  }
  auto in = b.answer<JoinAnswer>(second);
  EXPECT_EQ(in.generation.v, 2);
  EXPECT_EQ(in.leader, "c-2");
  EXPECT_EQ(code(b.ask<HeartbeatAnswer>(b.heartbeat("c-1", 2)).error), Errc::unknown_member);
}

TEST(Join, BadRequests) {
  GroupSettings settings;
  settings.members_max = 1;
  Bench b(settings);
  auto asked = [&](auto change) {
    JoinEvent event = b.join("", "x");
    change(event.request);
    return code(b.ask<JoinAnswer>(event).error);
  };
  EXPECT_EQ(asked([](JoinRequest& r) { r.group.clear(); }), Errc::invalid_group_id);
  EXPECT_EQ(asked([](JoinRequest& r) { r.session_timeout = Millis(5'999); }), Errc::invalid_session_timeout);
  EXPECT_EQ(asked([](JoinRequest& r) { r.session_timeout = Millis(1'800'001); }), Errc::invalid_session_timeout);
  EXPECT_EQ(asked([](JoinRequest& r) { r.client_id.assign(40'000, 'x'); }), Errc::invalid_argument);
  EXPECT_EQ(asked([](JoinRequest& r) { r.protocols.clear(); }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(asked([](JoinRequest& r) { r.protocol_type.clear(); }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(asked([](JoinRequest& r) { r.member = "nobody"; }), Errc::unknown_member);
  EXPECT_TRUE(b.live.groups.empty()) << "nothing is left of a refused request";
  b.send(b.join("", "1"));
  EXPECT_EQ(asked([](JoinRequest& r) { r.protocol_type = "connect"; }), Errc::group_max_size_reached);
  b.machine.settings.members_max = 5;
  EXPECT_EQ(asked([](JoinRequest& r) { r.protocol_type = "connect"; }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(asked([](JoinRequest& r) { r.protocols[0].name = "sticky"; }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(asked([](JoinRequest& r) { r.member = "nobody"; }), Errc::unknown_member);
  b.machine.settings.blob_bytes_max = 100;
  EXPECT_EQ(asked([](JoinRequest& r) { r.protocols[0].metadata = Blob(as_bytes(std::string(200, 'x'))); }),
            Errc::group_record_too_large);
  b.machine.settings.waiting_max = 0;
  EXPECT_EQ(asked([](JoinRequest&) {}), Errc::group_overloaded);
}

TEST(Join, TheProtocolMostPreferAmongThoseThatAllSpeak) {
  Bench b;
  b.send(b.join("", "1", {"range", "sticky", "mine"}));
  WaiterId two = b.send(b.join("", "2", {"sticky", "range"}));
  WaiterId three = b.send(b.join("", "3", {"sticky", "range", "sticky"}));
  auto leader = b.ask<JoinAnswer>(b.join("c-1", "", {"range", "sticky", "mine"}));
  EXPECT_EQ(leader.protocol, "sticky");
  EXPECT_EQ(b.answer<JoinAnswer>(two).protocol, "sticky");
  EXPECT_EQ(b.answer<JoinAnswer>(three).protocol, "sticky");
}

TEST(Join, AgainWithNothingNewIsAnsweredFromTheRound) {
  Bench b;
  int generation = b.stable_pair();
  auto same = b.ask<JoinAnswer>(b.join("c-2", ""));
  EXPECT_EQ(same.generation.v, generation) << "a follower";
  EXPECT_EQ(b.state_of("g"), stable);
  WaiterId changed = b.send(b.join("c-2", "", {"range", "sticky"}));
  EXPECT_FALSE(b.answered(changed));
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  b.send(b.join("c-1", ""));
  EXPECT_EQ(b.answer<JoinAnswer>(changed).generation.v, generation + 1);
  // In CompletingRebalance, too: the answer was lost.
  auto lost = b.ask<JoinAnswer>(b.join("c-1", ""));
  EXPECT_EQ(lost.generation.v, generation + 1);
  EXPECT_EQ(lost.members.size(), 2u);
  EXPECT_EQ(b.state_of("g"), completing_rebalance);
}

TEST(Join, TheLeaderAsksForARound) {
  Bench b;
  int generation = b.stable_pair();
  WaiterId leader = b.send(b.join("c-1", ""));
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  b.send(b.join("c-2", ""));
  EXPECT_EQ(b.answer<JoinAnswer>(leader).generation.v, generation + 1);
}

TEST(Join, TheFirstRoundWaitsWhenAskedTo) {
  GroupSettings settings;
  settings.first_round_delay = Millis(3'000);
  Bench b(settings);
  WaiterId one = b.send(b.join("", "1"));
  b.pass(std::chrono::seconds(2));
  WaiterId two = b.send(b.join("", "2"));
  b.pass(std::chrono::seconds(2));
  EXPECT_FALSE(b.answered(one)) << "somebody came: the wait is longer";
  b.pass(std::chrono::seconds(3));
  EXPECT_EQ(b.answer<JoinAnswer>(one).generation.v, 1);
  EXPECT_EQ(b.answer<JoinAnswer>(two).generation.v, 1);
  EXPECT_EQ(b.answer<JoinAnswer>(one).members.size(), 2u);
}

TEST(Join, AClientThatGoesBeforeItsFirstAnswerIsForgotten) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.sync("c-1", 1));
  WaiterId gone = b.send(b.join("", "2"));
  for (int i = 0; i < 40 && !b.answered(gone); ++i) {
    b.pass(std::chrono::seconds(9));
    if (b.state_of("g") == stable) break;
    b.send(b.heartbeat("c-1", 1));
  }
  ASSERT_TRUE(b.answered(gone));
}

TEST(Sync, FollowersWaitForTheLeaderAndGetWhatItSays) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.join("", "2"));
  int generation = b.ask<JoinAnswer>(b.join("c-1", "")).generation.v;
  WaiterId follower = b.send(b.sync("c-2", generation));
  EXPECT_FALSE(b.answered(follower));
  auto leader = b.ask<SyncAnswer>(b.sync("c-1", generation, {{"c-1", "one"}, {"stranger", "x"}}));
  EXPECT_EQ(text(leader.assignment), "one");
  EXPECT_EQ(leader.protocol, "range");
  EXPECT_EQ(text(b.answer<SyncAnswer>(follower).assignment), "") << "left out: empty";
  EXPECT_EQ(b.state_of("g"), stable);
  EXPECT_EQ(b.records_of_last, 1u);
  EXPECT_EQ(text(b.ask<SyncAnswer>(b.sync("c-1", generation)).assignment), "one") << "again";
}

TEST(Sync, Refusals) {
  Bench b;
  auto asked = [&](SyncRequest request) { return code(b.ask<SyncAnswer>(std::move(request)).error); };
  EXPECT_EQ(asked(b.sync("c-1", 1)), Errc::unknown_member) << "no group";
  int generation = b.stable_pair();
  EXPECT_EQ(asked(b.sync("c-3", generation)), Errc::unknown_member);
  EXPECT_EQ(asked(b.sync("c-1", generation - 1)), Errc::illegal_generation);
  EXPECT_EQ(asked(b.sync("c-1", generation + 1)), Errc::illegal_generation);
  SyncRequest other = b.sync("c-1", generation);
  other.protocol = "sticky";
  EXPECT_EQ(asked(other), Errc::inconsistent_group_protocol);
  other.protocol = "range";
  other.protocol_type = "connect";
  EXPECT_EQ(asked(other), Errc::inconsistent_group_protocol);
  other.protocol_type = "consumer";
  EXPECT_EQ(asked(other), std::nullopt);
  other.group.clear();
  EXPECT_EQ(asked(other), Errc::invalid_group_id);
  b.send(b.join("c-1", ""));
  EXPECT_EQ(asked(b.sync("c-2", generation)), Errc::rebalance_in_progress);
}

TEST(Sync, WhoeverDoesNotFetchItsAssignmentIsOut) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.join("", "2"));
  b.send(b.join("c-1", ""));
  b.send(b.sync("c-1", 2, {{"c-1", "x"}, {"c-2", "y"}}));
  EXPECT_EQ(b.state_of("g"), stable);
  for (int i = 0; i < 7; ++i) {
    b.send(b.heartbeat("c-1", 2));
    b.send(b.heartbeat("c-2", 2));
    b.pass(std::chrono::seconds(9));
  }
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  EXPECT_EQ(code(b.ask<HeartbeatAnswer>(b.heartbeat("c-2", 2)).error), Errc::unknown_member);
}

TEST(Sync, AnAssignmentThatFitsNoRecordFailsTheRoundByName) {
  GroupSettings settings;
  settings.record_bytes_max = 1000;
  Bench b(settings);
  b.send(b.join("", "1"));
  auto answer = b.ask<SyncAnswer>(b.sync("c-1", 1, {{"c-1", std::string(2000, 'x')}}));
  EXPECT_EQ(code(answer.error), Errc::group_record_too_large);
  EXPECT_EQ(b.records_of_last, 0u);
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  EXPECT_EQ(b.ask<JoinAnswer>(b.join("c-1", "")).generation.v, 2);
}

TEST(Sync, ANewRoundSendsWaitingFollowersBack) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.join("", "2"));
  b.send(b.join("c-1", ""));
  WaiterId follower = b.send(b.sync("c-2", 2));
  b.send(b.join("", "3"));
  EXPECT_EQ(code(b.answer<SyncAnswer>(follower).error), Errc::rebalance_in_progress);
}

TEST(Heartbeat, Refusals) {
  Bench b;
  auto asked = [&](HeartbeatRequest request) { return code(b.ask<HeartbeatAnswer>(std::move(request)).error); };
  EXPECT_EQ(asked(b.heartbeat("c-1", 1)), Errc::unknown_member);
  int generation = b.stable_pair();
  EXPECT_EQ(asked(b.heartbeat("c-1", generation)), std::nullopt);
  EXPECT_EQ(asked(b.heartbeat("c-1", generation - 1)), Errc::illegal_generation);
  EXPECT_EQ(asked(b.heartbeat("c-9", generation)), Errc::unknown_member);
  EXPECT_EQ(asked({.group = "", .generation = Generation{1}, .member = "c-1"}), Errc::invalid_group_id);
}

TEST(Heartbeat, KeepsAMemberAndItsLackEndsIt) {
  Bench b;
  int generation = b.stable_pair();
  for (int i = 0; i < 5; ++i) {
    b.pass(std::chrono::seconds(6));
    b.send(b.heartbeat("c-1", generation));
    if (i < 1) b.send(b.heartbeat("c-2", generation));
  }
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  EXPECT_EQ(b.live.stats.member_timeouts, 1u);
  auto alone = b.ask<JoinAnswer>(b.join("c-1", ""));
  EXPECT_EQ(alone.generation.v, generation + 1);
  EXPECT_EQ(alone.members.size(), 1u);
}

TEST(Heartbeat, TheQueueOfDeadlinesDoesNotGrowWithThem) {
  Bench b;
  int generation = b.stable_pair();
  const std::size_t before = b.live.deadlines.entries();
  for (int i = 0; i < 1000; ++i) {
    b.pass(Millis(100));
    b.send(b.heartbeat("c-1", generation));
    b.send(b.heartbeat("c-2", generation));
  }
  EXPECT_EQ(b.state_of("g"), stable);
  EXPECT_LE(b.live.deadlines.entries(), before);
}

TEST(Leave, TheLastOneLeavesAnEmptyGroupBehind) {
  Bench b;
  int generation = b.stable_pair();
  auto left = b.ask<LeaveAnswer>(LeaveRequest{.group = "g", .members = {{.member = "c-2"}, {.member = "c-9"}}});
  ASSERT_EQ(left.members.size(), 2u);
  EXPECT_FALSE(left.members[0].error);
  EXPECT_EQ(code(left.members[1].error), Errc::unknown_member);
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  b.send(LeaveRequest{.group = "g", .members = {{.member = "c-1"}}});
  EXPECT_EQ(b.state_of("g"), empty);
  EXPECT_EQ(b.records_of_last, 1u);
  EXPECT_EQ(b.live.find("g")->generation.v, generation + 1);
  auto none = b.ask<LeaveAnswer>(LeaveRequest{.group = "no", .members = {{.member = "c-1"}}});
  EXPECT_FALSE(none.error);
  EXPECT_EQ(code(none.members.at(0).error), Errc::unknown_member);
}

TEST(Leave, ALeaderThatGoesWithItsRoundOpenIsSucceeded) {
  Bench b;
  b.send(b.join("", "1"));
  b.send(b.join("", "2"));
  b.send(b.join("c-1", ""));
  WaiterId follower = b.send(b.sync("c-2", 2));
  b.send(LeaveRequest{.group = "g", .members = {{.member = "c-1"}}});
  EXPECT_EQ(code(b.answer<SyncAnswer>(follower).error), Errc::rebalance_in_progress);
  auto next = b.ask<JoinAnswer>(b.join("c-2", ""));
  EXPECT_EQ(next.leader, "c-2");
  EXPECT_EQ(next.members.size(), 1u);
}

TEST(Leave, OneWhoseJoinWaitsIsAnswered) {
  Bench b;
  b.send(b.join("", "1"));
  WaiterId waits = b.send(b.join("", "2"));
  b.send(LeaveRequest{.group = "g", .members = {{.member = "c-2"}}});
  EXPECT_EQ(code(b.answer<JoinAnswer>(waits).error), Errc::unknown_member);
  EXPECT_EQ(b.live.waiting, 0u);
}

// KIP-345 and 814.
struct StaticPair : Bench {
  StaticPair() {
    send(join_static("i1", "1"));
    send(join_static("i2", "2"));
    WaiterId w = send([this] {
      JoinEvent event = join("i1-1", "");
      event.request.instance = "i1";
      return event;
    }());
    generation = answer<JoinAnswer>(w).generation.v;
    send(sync("i2-2", generation));
    send(sync("i1-1", generation, {{"i1-1", "one"}, {"i2-2", "two"}}));
    EXPECT_EQ(state_of("g"), stable);
  }
  int generation = 0;
};

TEST(Static, AFollowerComesBackWithoutARound) {
  StaticPair b;
  auto back = b.ask<JoinAnswer>(b.join_static("i2", "9"));
  EXPECT_FALSE(back.error);
  EXPECT_EQ(back.member, "i2-9");
  EXPECT_EQ(back.generation.v, b.generation);
  EXPECT_EQ(back.leader, "i1-1");
  EXPECT_TRUE(back.members.empty());
  EXPECT_EQ(b.records_of_last, 1u) << "the new id is stored";
  EXPECT_EQ(b.state_of("g"), stable);
  EXPECT_EQ(text(b.ask<SyncAnswer>(b.sync("i2-9", b.generation)).assignment), "two");
  // The zombie is fenced where it says its instance, and unknown where it does not.
  HeartbeatRequest zombie = b.heartbeat("i2-2", b.generation);
  EXPECT_EQ(code(b.ask<HeartbeatAnswer>(zombie).error), Errc::unknown_member);
  zombie.instance = "i2";
  EXPECT_EQ(code(b.ask<HeartbeatAnswer>(zombie).error), Errc::fenced_instance_id);
  CommitRequest commit = b.commit("i2-2", b.generation, 5);
  commit.instance = "i2";
  EXPECT_EQ(code(b.ask<CommitAnswer>(commit).error), Errc::fenced_instance_id);
  b.reload();
  EXPECT_NE(b.live.find("g")->find("i2-9"), nullptr);
  EXPECT_EQ(b.live.find("g")->find("i2-2"), nullptr);
}

TEST(Static, AReturningLeaderMustNotAssignAgain) {
  for (bool knows : {false, true}) {
    StaticPair b;
    JoinEvent event = b.join_static("i1", "9");
    event.request.skip_assignment_known = knows;
    auto back = b.ask<JoinAnswer>(event);
    EXPECT_EQ(back.member, "i1-9");
    EXPECT_EQ(back.skip_assignment, knows);
    EXPECT_EQ(back.members.size(), knows ? 2u : 0u);
    EXPECT_EQ(back.leader, knows ? "i1-9" : "i1-1") << "who cannot be told is told that somebody else leads";
    EXPECT_EQ(b.live.find("g")->leader, "i1-9");
  }
}

TEST(Static, OnlyAnotherChoiceOfProtocolBeginsARound) {
  for (bool changes : {false, true}) {
    Bench b;
    b.send(b.join_static("i1", "1", {"range", "sticky"}));
    b.send(b.sync("i1-1", 1, {{"i1-1", "one"}}));
    WaiterId back = b.send(b.join_static(
        "i1", "9", changes ? std::vector<std::string>{"sticky"} : std::vector<std::string>{"range", "mine"}));
    ASSERT_TRUE(b.answered(back)) << "it is alone: whatever begins is complete";
    EXPECT_EQ(b.answer<JoinAnswer>(back).generation.v, changes ? 2 : 1);
    EXPECT_EQ(b.state_of("g"), changes ? completing_rebalance : stable);
    EXPECT_EQ(b.live.stats.rebalances[static_cast<std::size_t>(RebalanceCause::member_replaced)], changes ? 1u : 0u);
  }
}

TEST(Static, ComingBackWhileAssignmentsAreMadeBeginsARound) {
  StaticPair b;
  JoinEvent again = b.join("i1-1", "");
  again.request.instance = "i1";
  b.send(again);
  JoinEvent other = b.join("i2-2", "");
  other.request.instance = "i2";
  b.send(other);
  ASSERT_EQ(b.state_of("g"), completing_rebalance);
  WaiterId old_sync = b.send([&] {
    SyncRequest request = b.sync("i2-2", b.generation + 1);
    request.instance = "i2";
    return request;
  }());
  WaiterId back = b.send(b.join_static("i2", "9"));
  EXPECT_EQ(code(b.answer<SyncAnswer>(old_sync).error), Errc::fenced_instance_id);
  EXPECT_EQ(b.state_of("g"), preparing_rebalance);
  EXPECT_FALSE(b.answered(back));
  b.send(again);
  EXPECT_EQ(b.answer<JoinAnswer>(back).generation.v, b.generation + 2);
}

TEST(Static, AwayOverARoundIsNotOut) {
  StaticPair b;
  JoinEvent again = b.join("i1-1", "");
  again.request.instance = "i1";
  // A session longer than the round: away, but not gone.
  b.live.find("g")->find("i2-2")->session_timeout = Millis(600'000);
  b.send(b.heartbeat("i2-2", b.generation));
  WaiterId waits = b.send(again);
  b.pass(std::chrono::seconds(61));
  ASSERT_TRUE(b.answered(waits));
  EXPECT_EQ(b.answer<JoinAnswer>(waits).members.size(), 2u) << "the leader assigns to it as well";
}

TEST(Static, AnAdministratorRemovesByInstance) {
  StaticPair b;
  auto left = b.ask<LeaveAnswer>(
      LeaveRequest{.group = "g", .members = {{.member = "", .instance = "i2"}, {.member = "", .instance = "i9"}}});
  EXPECT_FALSE(left.members[0].error);
  EXPECT_EQ(code(left.members[1].error), Errc::unknown_member);
  EXPECT_EQ(b.live.find("g")->members().size(), 1u);
}

TEST(Load, MembersAreThereAgainWithFreshSessions) {
  Bench b;
  int generation = b.stable_pair();
  b.pass(std::chrono::seconds(9));
  b.reload();
  EXPECT_EQ(b.state_of("g"), stable);
  EXPECT_EQ(b.live.find("g")->leader, "c-1");
  b.pass(std::chrono::seconds(9));
  EXPECT_FALSE(b.ask<HeartbeatAnswer>(b.heartbeat("c-1", generation)).error);
  EXPECT_EQ(text(b.ask<SyncAnswer>(b.sync("c-2", generation)).assignment), "two");
  EXPECT_EQ(b.live.find("g")->members().size(), 2u);
  b.pass(std::chrono::seconds(9));
  EXPECT_EQ(b.live.find("g")->members().size(), 1u) << "c-2 has not been heard of since the load";
}

TEST(Load, ARoundThatWasNotStoredIsForgottenAndItsMembersRejoin) {
  Bench b;
  int generation = b.stable_pair();
  b.send(b.join("", "3"));
  b.send(b.join("c-1", ""));
  b.send(b.join("c-2", ""));
  ASSERT_EQ(b.state_of("g"), completing_rebalance);
  b.reload();
  EXPECT_EQ(b.state_of("g"), stable);
  EXPECT_EQ(code(b.ask<SyncAnswer>(b.sync("c-1", generation + 1)).error), Errc::illegal_generation);
  EXPECT_EQ(code(b.ask<JoinAnswer>(b.join("c-3", "")).error), Errc::unknown_member);
  EXPECT_EQ(b.live.stats.members, 2u);
  EXPECT_EQ(b.live.stats.groups_active, 1u);
}

}  // namespace
}  // namespace mr::coordinator
