// Crashes of a log on a simulated disk. What a sync covered must be there afterwards, what follows must be whole
// batches.
#include "storage/recovery.h"

#include <gtest/gtest.h>

#include "storage/log_fixture.h"
#include "storage/segment_names.h"

namespace mr::storage::test {
namespace {

TEST(Recovery, UnsyncedTailIsLostAndSyncedStays) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append({.records = 3}).ok());
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.append({.records = 2}).ok());
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{3});
  EXPECT_EQ(f.log->durable_end(), Offset{3});
  EXPECT_EQ(f.append()->base_offset, Offset{3});
  EXPECT_EQ(f.read_all(), Offset{4});
}

TEST(Recovery, KilledProcessLosesNothing) {
  LogFixture f;
  f.options.config.segment_bytes = 2000;
  f.must_open();
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(f.append({.value_bytes = 300, .producer_id = 9, .producer_epoch = 1, .base_sequence = i}).ok());
  f.disk.crash(sim::CrashMode::keep_all);
  f.must_open();
  EXPECT_EQ(f.read_all(), Offset{50});
  ASSERT_EQ(f.log->producers().size(), 1u);
  EXPECT_EQ(f.log->producers()[0].batches.size(), 5u);
  EXPECT_EQ(f.log->producers()[0].batches.back().last_sequence, 49);
}

// What a recovery writes may survive in any order: a seal speaks for records whose epoch the checkpoint has to know.
TEST(Recovery, ACrashWithinRecoveryDamagesNothing) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    for (std::uint64_t cut = 1; cut <= 40; ++cut) {
      LogFixture f(seed);
      f.must_open();
      ASSERT_TRUE(f.append().ok());
      ASSERT_TRUE(f.log->close().ok());
      f.must_open(true);
      f.epoch = LeaderEpoch{1};
      ASSERT_TRUE(f.append({.value_bytes = 100}).ok());
      f.options.config.segment_bytes = f.log->bytes();  // the next one rolls
      f.log->set_config(f.options.config);
      ASSERT_TRUE(f.append({.value_bytes = 100}).ok());
      ASSERT_EQ(f.log->segments(), 2u);
      f.disk.crash(sim::CrashMode::random);
      f.disk.crash_after(cut, sim::CrashMode::random);
      (void)f.open();
      f.disk.restart();
      RecoveryCounts counts;
      f.options.counts = &counts;
      f.must_open();
      ASSERT_EQ(counts.damaged_ranges, 0u) << "seed " << seed << " cut after change " << cut;
    }
  }
}

TEST(Recovery, TornBatchIsCut) {
  LogFixture f;
  f.must_open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append({.value_bytes = 100}).ok());
  ASSERT_TRUE(f.sync().ok());
  f.log.reset();
  std::uint64_t second = f.written[0].size() + f.written[1].size();
  f.disk.flip_bit(segment_path("/data/t-0", Offset{0}, kLogSuffix), second + 70, 3);
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{2});
  EXPECT_EQ(f.log->bytes(), second);
}

// Base offset and leader epoch lie outside the checksum: a flipped bit there must not carry the log end away.
TEST(Recovery, ImpossibleBaseOffsetsAreNotBelieved) {
  for (std::size_t byte : {0u, 1u, 4u, 7u}) {
    LogFixture f;
    f.must_open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append({.value_bytes = 100}).ok());
    ASSERT_TRUE(f.sync().ok());
    f.log.reset();
    f.disk.flip_bit(segment_path("/data/t-0", Offset{0}, kLogSuffix), f.written[0].size() + byte, 6);
    f.must_open();
    EXPECT_EQ(f.log->log_end(), Offset{1}) << byte;
  }
}

TEST(Recovery, DamageBelowWhatWasSealedIsNotCut) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  ASSERT_TRUE(f.sync().ok());
  f.log.reset();
  // Both the first segment's data and its index are lost to the medium: the scan must look at it.
  f.disk.flip_bit(segment_path("/data/t-0", Offset{0}, kLogSuffix), f.written[0].size() + 70, 1);
  ASSERT_TRUE(f.disk.remove(segment_path("/data/t-0", Offset{0}, kOffsetIndexSuffix)).ok());
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{5});
  EXPECT_EQ(f.headers_of(*f.log->read(Offset{0}, Offset{5}, 10'000, true)).size(), 1u);
  EXPECT_EQ(f.log->read(Offset{1}, Offset{5}, 10'000, true).code(), Errc::corrupt_batch);
  EXPECT_EQ(f.headers_of(*f.log->read(Offset{2}, Offset{5}, 10'000, true)).size(), 3u);
}

// The newest segment has damage below what was synced: it stays as it is, and the log goes on behind it.
TEST(Recovery, LogGoesOnBehindDamageInTheNewestSegment) {
  LogFixture f;
  f.must_open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(f.append({.value_bytes = 100}).ok());
  ASSERT_TRUE(f.log->close().ok());
  f.log.reset();
  std::string path = segment_path("/data/t-0", Offset{0}, kLogSuffix);
  f.disk.flip_bit(path, f.written[0].size() + 70, 1);
  f.disk.flip_bit(path, 3 * f.written[0].size() + 70, 1);
  for (int life = 0; life < 2; ++life) {
    f.must_open();
    EXPECT_EQ(f.log->log_end(), Offset{5 + life});
    EXPECT_EQ(f.log->segments(), 2u);
    for (std::int64_t at : {1, 3})
      EXPECT_EQ(f.log->read(Offset{at}, Offset{5}, 10'000, true).code(), Errc::corrupt_batch) << at;
    for (std::int64_t at : {0, 2}) {
      auto headers = f.headers_of(*f.log->read(Offset{at}, Offset{5}, 10'000, true));
      ASSERT_EQ(headers.size(), 1u) << "nothing behind the damage rides along";
      EXPECT_EQ(headers[0].base_offset, at);
    }
    EXPECT_EQ(f.append()->base_offset, Offset{5 + life});
    EXPECT_EQ(f.headers_of(*f.log->read(Offset{4}, f.log->log_end(), 10'000, true)).size(), 2u + life);
    ASSERT_TRUE(f.sync().ok());
  }
}

// A missing file in the middle, one cut short, and one of another partition: their offsets answer corrupt_batch, and no
// read passes over them in silence.
TEST(Recovery, MissingShortAndForeignFilesAreRanges) {
  enum class Harm { missing, short_by_a_batch, empty, foreign };
  for (Harm harm : {Harm::missing, Harm::short_by_a_batch, Harm::empty, Harm::foreign}) {
    SCOPED_TRACE(static_cast<int>(harm));
    LogFixture f;
    f.options.config.segment_bytes = 1000;
    f.must_open();
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
    ASSERT_TRUE(f.log->close().ok());
    f.log.reset();
    std::string path = segment_path("/data/t-0", Offset{2}, kLogSuffix);
    std::int64_t bad_from = 2;
    if (harm == Harm::missing) {
      ASSERT_TRUE(f.disk.remove(path).ok());
    } else {
      auto file = f.disk.open(path, OpenMode::read_write);
      ASSERT_TRUE((*file)->truncate(harm == Harm::short_by_a_batch ? f.written[2].size() + 50 : 0).ok());
      if (harm == Harm::short_by_a_batch) bad_from = 3;
      if (harm == Harm::foreign) {
        std::vector<std::byte> other = f.written[0];
        patch_batch(other, Offset{700}, LeaderEpoch{0});
        ASSERT_TRUE((*file)->write_at(other, 0).ok());
      }
    }
    ASSERT_TRUE(f.disk.remove(segment_path("/data/t-0", Offset{2}, kOffsetIndexSuffix)).ok());
    f.must_open(true);
    EXPECT_EQ(f.log->log_end(), Offset{6});
    for (std::int64_t at = bad_from; at < 4; ++at)
      EXPECT_EQ(f.log->read(Offset{at}, Offset{6}, 10'000, true).code(), Errc::corrupt_batch) << at;
    auto before = f.headers_of(*f.log->read(Offset{0}, Offset{6}, 10'000, true));
    EXPECT_EQ(before.size(), static_cast<std::size_t>(bad_from));
    EXPECT_EQ(f.headers_of(*f.log->read(Offset{4}, Offset{6}, 10'000, true)).size(), 2u);
  }
}

// Apache Kafka's compaction gives up the segments it has rewritten under the same names. They say nothing about what
// lies below them; what retention gave up does.
// A file that has grown out of bounds takes nothing that lies behind it along.
TEST(Recovery, AFileBeyond2GiBTakesNoOtherSegmentAlong) {
  LogFixture f;
  f.options.config.segment_bytes = 2000;
  f.must_open();
  while (f.log->segments() < 4) ASSERT_TRUE(f.append({.value_bytes = 700}).ok() && f.sync().ok());
  Offset end = f.log->log_end();
  ASSERT_TRUE(f.log->close().ok());
  f.log.reset();
  std::string first = segment_path(f.options.directory, Offset{0}, kLogSuffix);
  auto file = f.disk.open(first, OpenMode::read_write);
  ASSERT_TRUE((*file)->truncate(std::uint64_t{3} << 30).ok());
  ASSERT_TRUE((*file)->sync().ok());
  auto names = [&] {
    std::vector<std::string> logs;
    for (const DirEntry& entry : *f.disk.list(f.options.directory))
      if (entry.name.ends_with(kLogSuffix)) logs.push_back(entry.name);
    std::ranges::sort(logs);
    return logs;
  };
  auto before = names();
  f.must_open();
  EXPECT_EQ(f.log->log_end(), end);
  EXPECT_EQ(names(), before);
}

TEST(Recovery, SegmentsGivenUpByCompactionTakeNothingWithThem) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  ASSERT_TRUE(f.log->close().ok());
  f.log.reset();
  std::string second = segment_path("/data/t-0", Offset{2}, kLogSuffix);
  ASSERT_TRUE(f.disk.open(second + ".deleted", OpenMode::create).ok());
  f.must_open(true);
  EXPECT_EQ(f.log->log_start(), Offset{0});
  EXPECT_EQ(f.read_all(), Offset{6});
  EXPECT_FALSE(*f.disk.exists(second + ".deleted"));

  // Retention's: the first segment's rename was lost, the second's was not.
  f.log.reset();
  ASSERT_TRUE(f.disk.rename(second, second + ".deleted").ok());
  f.must_open(true);
  EXPECT_EQ(f.log->log_start(), Offset{4});
}

TEST(Recovery, EpochLinesAboveTheCutGo) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.log->start_epoch(LeaderEpoch{1}).ok());
  f.epoch = LeaderEpoch{1};
  ASSERT_TRUE(f.append({.records = 4}).ok());
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.append({.records = 4}).ok());
  ASSERT_TRUE(f.log->start_epoch(LeaderEpoch{2}).ok());
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{4});
  EXPECT_EQ(f.log->latest_epoch(), LeaderEpoch{1});
}

// Any subset of what no sync covered may survive, torn. Many seeds; each time what was synced must be there, the rest
// must be whole, and the log must go on.
TEST(Recovery, RandomCrashesKeepWhatWasSynced) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    LogFixture f(seed);
    f.options.config.segment_bytes = 3000;
    f.options.config.index_interval_bytes = 300;
    f.must_open();
    sim::Random random(seed);
    for (int life = 0; life < 4; ++life) {
      for (int i = 0; i < 30; ++i) {
        ASSERT_TRUE(
            f.append({.records = 1 + static_cast<std::int32_t>(random.below(4)), .value_bytes = random.below(500)})
                .ok());
        if (random.below(5) == 0) ASSERT_TRUE(f.sync().ok());
      }
      Offset durable = f.log->durable_end();
      Offset end = f.log->log_end();
      if (random.below(3) == 0 && f.log->log_end() > durable) {
        // The power goes while the round is under way.
        f.disk.crash_after(1 + random.below(6), sim::CrashMode::random);
        (void)f.sync();
        f.disk.restart();
      }
      f.disk.crash(sim::CrashMode::random);
      f.must_open();
      EXPECT_GE(f.log->log_end(), durable);
      EXPECT_LE(f.log->log_end(), end);
      EXPECT_EQ(f.read_all(1500), f.log->log_end());
    }
  }
}

}  // namespace
}  // namespace mr::storage::test
