// Aim: moving a deadline costs no entry, none comes early, none is lost, and sessions of a group come together while
// those of many groups do not. Method: the queue and its steps by hand.
#include "coordinator/deadlines.h"

#include <gtest/gtest.h>

#include <set>

#include "coordinator/live_group.h"

namespace mr::coordinator {
namespace {

using namespace std::literals;

TimePoint at(Duration time) { return TimePoint(1000s + time); }

DeadlineKey session_of(std::string group, std::string member = "m") {
  return {DeadlineKind::consumer_session, std::move(group), std::move(member)};
}

/// Two members of one group.
struct Two {
  Deadlines queue{SessionSteps{200ms}};
  Deadline a, b;
  /// Members that come out at `now`.
  std::string due(TimePoint now) {
    DeadlineKey key;
    std::string all;
    while (queue.next_due(now, key, [this](const DeadlineKey& k) { return k.member == "a" ? &a : &b; }))
      all += key.member;
    return all;
  }
};

TEST(Deadlines, SessionsOfAGroupComeTogetherAndOnTime) {
  Two two;
  two.queue.arm(two.a, at(10ms), session_of("g", "a"));
  two.queue.arm(two.b, at(11ms), session_of("g", "b"));
  const TimePoint look = two.queue.next();
  ASSERT_GE(look, at(11ms)) << "take another name: this group's moment is between the two";
  EXPECT_LT(look, at(10ms) + 200ms);
  EXPECT_EQ(two.due(look - 1ns), "");
  EXPECT_EQ(two.due(look), "ab");
  EXPECT_EQ(two.queue.next(), kForever);
}

TEST(Deadlines, AMovedSessionNeedsNoEntry) {
  Two two;
  two.queue.arm(two.a, at(0ms), session_of("g", "a"));
  for (Duration later = 1ms; later < 1s; later += 1ms) two.queue.arm(two.a, at(later), session_of("g", "a"));
  EXPECT_EQ(two.queue.entries(), 1u);
  EXPECT_EQ(two.due(at(998ms)), "");
  EXPECT_EQ(two.due(at(999ms) + 200ms), "a");
}

TEST(Deadlines, WhatIsPutBackComesAtOnce) {
  Two two;
  two.queue.arm(two.a, at(0ms), session_of("g", "a"));
  const TimePoint look = two.queue.next();
  EXPECT_EQ(two.due(look), "a");
  two.queue.put_back(two.a, look, session_of("g", "a"));
  EXPECT_EQ(two.due(look), "a");
  EXPECT_EQ(two.due(look + 1h), "");
}

TEST(SessionSteps, SpreadGroupsAndNothingElse) {
  const SessionSteps steps{200ms};
  std::set<TimePoint> moments;
  for (int g = 0; g < 1000; ++g) {
    const DeadlineKey key = session_of("group-" + std::to_string(g));
    const TimePoint look = steps(key, at(0s));
    EXPECT_GE(look, at(0s));
    EXPECT_LT(look, at(200ms));
    EXPECT_EQ(steps(key, look), look);
    EXPECT_EQ(steps(key, look + 1ns), look + 200ms);
    moments.insert(std::chrono::floor<std::chrono::milliseconds>(look));
  }
  EXPECT_GT(moments.size(), 150u) << "a thousand in 200 ms leave few of these empty";
  EXPECT_EQ(steps({DeadlineKind::consumer_revoke, "group-0", "m"}, at(7ms)), at(7ms));
  EXPECT_EQ(SessionSteps{}(session_of("group-0"), at(7ms)), at(7ms));
}

}  // namespace
}  // namespace mr::coordinator
