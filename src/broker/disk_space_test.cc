// Aim: below the reserve appends are refused with an error that clients try again after, everything else goes on, and
// it heals by itself. Method: the decisions alone; then a whole broker over a simulated disk that fills and empties.
#include "broker/disk_space.h"

#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using std::chrono::seconds;
constexpr std::uint64_t kMiB = 1 << 20;

TEST(DiskSpace, TheDefaultReserveLeavesSmallDisksUsable) {
  EXPECT_EQ(reserve_of(256 * kMiB, true, 1024 * kMiB), 1024 * kMiB / 20);
  EXPECT_EQ(reserve_of(256 * kMiB, true, 1ull << 40), 256 * kMiB);
  EXPECT_EQ(reserve_of(256 * kMiB, false, 1024 * kMiB), 256 * kMiB) << "what somebody set holds";
  EXPECT_EQ(reserve_of(0, false, 1024 * kMiB), 0u);
}

TEST(DiskSpace, JournalsLeaveSmallDisksUsable) {
  EXPECT_EQ(journal_half(1ull << 40, 0, 2), 256 * kMiB);
  EXPECT_EQ(journal_half(1ull << 40, 0, 32), 128 * kMiB);
  EXPECT_EQ(journal_half(32ull << 30, 0, 2), 64 * kMiB);
  EXPECT_EQ(journal_half(1ull << 40, 0, 64), 64 * kMiB);
  EXPECT_EQ(journal_half(100 * kMiB, 0, 2), 8 * kMiB);
  EXPECT_EQ(journal_half(0, 0, 2), 8 * kMiB);
  EXPECT_EQ(journal_half(1ull << 40, 8ull << 30, 2), 256 * kMiB);
  EXPECT_EQ(journal_half(1ull << 40, 8ull << 30, 16), 64 * kMiB);
  EXPECT_EQ(journal_half(1ull << 40, 100 * kMiB, 2), 8 * kMiB);
}

TEST(DiskSpace, HealsAboveWhereItGotLow) {
  EXPECT_FALSE(is_low(false, 80, 80));
  EXPECT_TRUE(is_low(false, 79, 80));
  EXPECT_TRUE(is_low(true, 89, 80));
  EXPECT_FALSE(is_low(true, 90, 80));
  EXPECT_FALSE(is_low(false, 0, 0)) << "no reserve, never low";
}

TEST(DiskSpace, LooksLessOftenWithMoreRoom) {
  EXPECT_EQ(next_look(0, 100), Duration(seconds(1)));
  EXPECT_EQ(next_look(20ull << 30, 0), Duration(seconds(10)));
  EXPECT_EQ(next_look(~0ull, 0), Duration(seconds(30)));
}

struct FullDisk : testing::Test {
  sim::World world{{.seed = 21}};
  sim::Host& host = world.add_host("b", 4096 * kMiB);
  Running running{world, host.start(2), std::make_shared<metastore::MemoryJournal>()};
  void leave_free(std::uint64_t bytes) { host.disk().set_total_bytes(host.disk().used_bytes() + bytes); }
};

TEST_F(FullDisk, RefusesAppendsOnlyAndHeals) {
  for (const char* name : {"t", "u"})
    ASSERT_TRUE(running.run(running.broker->create_topic({.name = name, .partitions = 3}, false)).ok());
  for (int p = 0; p < 3; ++p) EXPECT_EQ(running.append("t", "one", p), Offset{0});
  leave_free(0);
  world.run_for(seconds(31));
  for (int p = 0; p < 3; ++p) {
    EXPECT_EQ(running.append("t", "no", p).code(), Errc::disk_full);
    EXPECT_EQ(running.listed("t", p), Offset{1});
    EXPECT_EQ(running.listed("t", p, -2), Offset{0});
  }
  std::uint64_t refused = 0;
  for (std::uint32_t s = 0; s < 2; ++s) refused += running.broker->shard(ShardId{s}).refused.disk_reserve;
  EXPECT_EQ(refused, 3u);
  EXPECT_TRUE(running.broker->log_directories()[0].low);
  EXPECT_EQ(running.run(running.broker->create_topic({.name = "v"}, false)).code(), Errc::disk_full);
  EXPECT_TRUE(running.run(running.broker->delete_topic("u", running.topic("u")->id)).ok());
  host.disk().set_total_bytes(4096 * kMiB);
  world.run_for(seconds(2));
  for (int p = 0; p < 3; ++p) EXPECT_EQ(running.append("t", "two", p), Offset{1});
  EXPECT_TRUE(running.run(running.broker->create_topic({.name = "v"}, false)).ok());
  EXPECT_TRUE(running.stop().ok());
}

// An append that meets the full disk before the watch does makes it look at once.
TEST_F(FullDisk, AFailedAppendMakesItLook) {
  ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t"}, false)).ok());
  EXPECT_EQ(running.append("t", "one"), Offset{0});
  world.run_for(seconds(4));
  leave_free(0);
  Result<Offset> outcome = Errc::internal;
  for (int i = 0; i < 3; ++i) outcome = running.append("t", std::string(5000, 'x'));
  EXPECT_EQ(outcome.code(), Errc::disk_full);
  EXPECT_FALSE(running.broker->log_directories()[0].low);
  world.run_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(running.broker->log_directories()[0].low);
  host.disk().set_total_bytes(4096 * kMiB);
  world.run_for(seconds(2));
  EXPECT_TRUE(running.append("t", "two").ok());
  EXPECT_TRUE(running.stop().ok());
}

}  // namespace
}  // namespace mr::broker
