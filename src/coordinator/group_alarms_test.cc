// Aim: warnings about groups come when they should, and once: too many of them, too many members, one that rebalances
// again and again. Method: the pure parts by numbers and times, then whole groups and a whole coordinator, whose log is
// read.
#include "coordinator/group_alarms.h"

#include "base/log.h"
#include "coordinator/cluster_fixture.h"
#include "coordinator/consumer_fixture.h"

namespace mr::coordinator {
namespace {

using namespace std::literals;

struct Warnings {
  Warnings() {
    set_log_sink([this](LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
      if (level == LogLevel::warn) said.push_back(format_text(room, message, fields));
    });
  }
  ~Warnings() { set_log_sink(nullptr); }
  std::size_t count(std::string_view part) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(said, [&](const std::string& one) { return one.contains(part); }));
  }
  std::vector<std::string> said;
};

TEST(GroupAlarms, SizesAreToldOncePerCrossing) {
  SizeAlarm alarm(100);
  EXPECT_FALSE(alarm.crosses(100));
  EXPECT_TRUE(alarm.crosses(101));
  EXPECT_FALSE(alarm.crosses(500));
  EXPECT_FALSE(alarm.crosses(95)) << "not well below";
  EXPECT_FALSE(alarm.crosses(120));
  EXPECT_FALSE(alarm.crosses(90));
  EXPECT_TRUE(alarm.crosses(101)) << "a new crossing";
}

TEST(GroupAlarms, FlappingIsManyBurstsInOneWindow) {
  FlapWatch watch;
  TimePoint now{};
  int told = 0;
  auto begin_every = [&](Duration pause, int times) {
    for (int i = 0; i < times; ++i) told += watch.begins(now += pause) ? 1 : 0;
  };
  begin_every(100ms, 200);  // a start of many members is one
  EXPECT_EQ(told, 0);
  begin_every(65s, 50);  // not quite fifteen in fifteen minutes
  EXPECT_EQ(told, 0);
  begin_every(60s, 1);
  EXPECT_EQ(told, 0) << "the last fifteen took 905 s";
  begin_every(60s, 1);
  EXPECT_EQ(told, 1) << "and now 900";
  begin_every(60s, 14);
  EXPECT_EQ(told, 1) << "told in this window already";
  begin_every(60s, 1);
  EXPECT_EQ(told, 2) << "it goes on";
}

TEST(GroupAlarms, AClassicGroupThatFlapsIsNamed) {
  Warnings log;
  Bench bench;
  for (int i = 0; i < 20; ++i) {
    bench.send(bench.join("", std::to_string(i)));
    bench.pass(15s);  // whoever does not sync is out, and so the next begins anew
    bench.pass(25s);
  }
  EXPECT_EQ(log.count("rebalances again and again group=g"), 1u);
  EXPECT_EQ(bench.live.stats.flaps, 1u);
}

TEST(GroupAlarms, AConsumerGroupThatFlapsIsNamed) {
  Warnings log;
  ConsumerBench bench;
  for (int i = 0; i < 20; ++i) {
    ASSERT_FALSE(bench.joins("m").error);
    ASSERT_FALSE(bench.ask(ConsumerBench::beat("m", kLeaveEpoch)).error);
    bench.pass(40s);
  }
  EXPECT_EQ(log.count("rebalances again and again group=g"), 1u);
  EXPECT_EQ(bench.live.stats.flaps, 1u);
}

TEST(GroupAlarms, ManyGroupsAreToldOnce) {
  Warnings log;
  Cluster c(1);
  c.find();
  auto commits = [&](std::uint64_t first, std::uint64_t end) {
    std::vector<std::shared_ptr<std::optional<CommitAnswer>>> all;
    for (std::uint64_t i = first; i < end; ++i)
      all.push_back(c.later(0, c.groups->commit_offsets(Cluster::commit_request(1, "g" + std::to_string(i)))));
    c.world.run_until([&] { return std::ranges::all_of(all, [](const auto& one) { return one->has_value(); }); }, 60s);
  };
  commits(0, kGroupsAlarm);
  c.world.run_for(30s);
  EXPECT_EQ(log.count("there are many groups"), 0u);
  commits(kGroupsAlarm, kGroupsAlarm + 1);
  c.world.run_for(60s);
  EXPECT_EQ(log.count("there are many groups"), 1u);
}

}  // namespace
}  // namespace mr::coordinator
