// Blocks that are reserved for segments whose own files are synced in large rounds: when, how many, and back to whom.
#include <gtest/gtest.h>

#include "storage/log_fixture.h"

namespace mr::storage::test {
namespace {

struct ReserveFixture : LogFixture {
  /// A round that brings about 100 KiB.
  void round() {
    ASSERT_TRUE(append({.records = 1, .value_bytes = 100'000}).ok());
    ASSERT_TRUE(sync().ok());
    written.clear();
  }
  void rounds(int count) {
    for (int i = 0; i < count; ++i) round();
  }
  std::uint64_t log_bytes() const { return log->bytes(); }
  /// Blocks that are nobody's bytes. Pages of other files are few.
  std::uint64_t reserved() const {
    const std::uint64_t used = disk.used_bytes();
    return used > log_bytes() + 64_KiB ? used - log_bytes() : 0;
  }
};

TEST(Reserve, LargeRoundsFindTheirBlocksReserved) {
  ReserveFixture f;
  f.must_open();
  f.rounds(10);
  EXPECT_EQ(f.reserved(), 0u) << "a small log";
  std::uint64_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    f.round();
    EXPECT_LE(f.reserved(), f.log_bytes() / 8 + 64_KiB);
    most = std::max(most, f.reserved());
  }
  EXPECT_GT(most, 7_MiB);
  EXPECT_LE(most, 8_MiB + 64_KiB) << "an eighth would be 12 MiB";
  EXPECT_EQ(f.read_all(), f.log->log_end());
}

TEST(Reserve, OneCallServesManyRounds) {
  ReserveFixture f;
  int calls = 0;
  f.disk.on_operation([&](const sim::Disk::Operation& op) { calls += op.op == sim::DiskOp::allocate; });
  f.must_open();
  f.rounds(200);
  calls = 0;
  f.rounds(1000);  // 95 MiB, so two new segments
  EXPECT_GT(calls, 10);
  EXPECT_LT(calls, 60);
}

TEST(Reserve, SmallRoundsReserveNothing) {
  ReserveFixture f;
  f.must_open();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(f.append({.records = 1, .value_bytes = 20'000}).ok());
    ASSERT_TRUE(f.sync().ok());
    ASSERT_EQ(f.reserved(), 0u);
  }
  f.rounds(5);
  EXPECT_GT(f.reserved(), 0u);
}

TEST(Reserve, TheEndOfASegmentGivesBack) {
  ReserveFixture f;
  f.options.config.segment_bytes = 4_MiB;
  f.must_open();
  f.rounds(30);
  ASSERT_GT(f.reserved(), 0u);
  while (f.log->segments() == 1) ASSERT_TRUE(f.append({.records = 1, .value_bytes = 100'000}).ok());
  ASSERT_TRUE(f.seal().ok());
  EXPECT_EQ(f.reserved(), 0u);
  f.round();
  EXPECT_GT(f.reserved(), 400'000u) << "of a log of this size the next segment has some from the start";
  EXPECT_EQ(f.read_all(), f.log->log_end());
}

TEST(Reserve, NothingIsReservedBehindTheEndOfASegment) {
  ReserveFixture f;
  f.options.config.segment_bytes = 4_MiB;
  f.must_open();
  f.rounds(38);
  int calls = 0;
  f.disk.on_operation([&](const sim::Disk::Operation& op) { calls += op.op == sim::DiskOp::allocate; });
  f.rounds(3);
  EXPECT_EQ(f.log->segments(), 1u);
  EXPECT_LE(f.log_bytes() + f.reserved(), 4_MiB + 64_KiB);
  EXPECT_LE(calls, 1) << "once for the last ones";
}

TEST(Reserve, AStopAndIdlenessGiveBack) {
  for (bool stop : {true, false}) {
    ReserveFixture f;
    f.must_open();
    f.rounds(50);
    ASSERT_GT(f.reserved(), 0u);
    if (stop) {
      ASSERT_TRUE(f.log->close().ok());
    } else {
      f.log->close_idle_files();
    }
    EXPECT_EQ(f.reserved(), 0u);
    if (stop) continue;
    f.rounds(20);
    EXPECT_GT(f.reserved(), 0u) << "and it goes on";
  }
}

TEST(Reserve, AStartAfterACrashGivesBack) {
  for (sim::CrashMode mode : {sim::CrashMode::lose_unsynced, sim::CrashMode::keep_all}) {
    ReserveFixture f;
    f.must_open();
    f.rounds(50);
    ASSERT_GT(f.reserved(), 0u);
    const Offset end = f.log->log_end();
    f.disk.crash(mode);
    f.must_open();
    EXPECT_EQ(f.log->log_end(), end);
    EXPECT_EQ(f.reserved(), 0u);
    f.rounds(20);
    EXPECT_GT(f.reserved(), 0u);
    EXPECT_EQ(f.read_all(), f.log->log_end());
  }
}

TEST(Reserve, NeverTheLastBlocksOfADisk) {
  ReserveFixture f;
  f.disk.set_total_bytes(64_MiB);
  f.must_open();
  f.rounds(600);
  EXPECT_EQ(f.reserved(), 0u);
  EXPECT_EQ(f.read_all(), f.log->log_end());
}

TEST(Reserve, ADiskThatReservesNothingIsWrittenToAllTheSame) {
  for (Errc error : {Errc::disk_full, Errc::io_error}) {
    ReserveFixture f;
    f.must_open();
    f.disk.add_fault({.op = sim::DiskOp::allocate, .times = sim::Fault::kAlways, .error = error});
    f.rounds(50);
    EXPECT_EQ(f.reserved(), 0u);
    EXPECT_EQ(f.log->durable_end(), f.log->log_end());
    EXPECT_FALSE(f.log->failure().has_value());
  }
}

}  // namespace
}  // namespace mr::storage::test
