// Logs are written, then damaged in known places; the report must name the damage and nothing else.
#include "storage/log_verify.h"

#include <gtest/gtest.h>

#include "storage/data_dir.h"
#include "storage/log_fixture.h"
#include "storage/log_repair.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage::test {
namespace {

using Kind = VerifyProblem::Kind;

struct Verified : LogFixture {
  Verified() {
    options.config.segment_bytes = 20'000;
    options.config.index_interval_bytes = 1000;
    must_open();
    for (int i = 0; i < 100; ++i)
      EXPECT_TRUE(append({.records = 1 + i % 3, .timestamp = 1000 + (i ^ 5), .value_bytes = 300}).ok());
    EXPECT_TRUE(log->close().ok());
    log.reset();
  }
  VerifyReport verify() {
    auto report = verify_partition(disk, options.directory);
    EXPECT_TRUE(report.ok()) << report.error().message();
    return std::move(*report);
  }
  std::string path(std::int64_t base, std::string_view suffix) {
    return segment_path(options.directory, Offset{base}, suffix);
  }
  std::size_t first_segment_batches() {
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    while (bytes + written[count].size() <= 20'000) bytes += written[count++].size();
    return count;
  }
};

TEST(LogVerify, WholeLogHasNoProblem) {
  Verified f;
  VerifyReport report = f.verify();
  for (const VerifyProblem& p : report.problems) ADD_FAILURE() << p.file << " " << p.position << " " << p.what;
  EXPECT_EQ(report.batches, 100u);
  EXPECT_EQ(report.records, 199u);
  EXPECT_EQ(report.next, Offset{199});
  EXPECT_GT(report.segments, 2u);
  EXPECT_EQ(report.latest_epoch, LeaderEpoch{0});
}

TEST(LogVerify, ALogThatNobodyWroteToHasNoProblem) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.log->close().ok());
  f.log.reset();
  auto report = verify_partition(f.disk, f.options.directory);
  ASSERT_TRUE(report.ok());
  for (const VerifyProblem& p : report->problems) ADD_FAILURE() << p.file << " " << p.what;
  EXPECT_EQ(report->segments, 1u);
}

TEST(LogVerify, FlippedBitInASealedSegmentIsCorruption) {
  Verified f;
  std::uint64_t third = f.written[0].size() + f.written[1].size();
  f.disk.flip_bit(f.path(0, kLogSuffix), third + 100, 2);
  VerifyReport report = f.verify();
  EXPECT_FALSE(report.healthy());
  ASSERT_FALSE(report.problems.empty());
  EXPECT_EQ(report.problems[0].kind, Kind::corrupt);
  EXPECT_EQ(report.problems[0].position, third);
}

// What a crash leaves: nothing says that the tail had been synced.
TEST(LogVerify, CutEndIsATornTailUnlessItWasSynced) {
  Verified f;
  auto entries = f.disk.list(f.options.directory);
  Offset last{0};
  for (const DirEntry& entry : *entries)
    if (auto name = parse_segment_file_name(entry.name); name && name->suffix == kLogSuffix)
      last = std::max(last, name->base);
  auto file = f.disk.open(f.path(last.v, kLogSuffix), OpenMode::read_write);
  ASSERT_TRUE((*file)->truncate(*(*file)->size() - 10).ok());
  VerifyReport report = f.verify();
  ASSERT_FALSE(report.problems.empty());
  EXPECT_EQ(report.problems[0].kind, Kind::corrupt);
  EXPECT_EQ(report.problems[0].next, Offset{199});
  EXPECT_EQ(report.batches, 99u);
  ASSERT_TRUE(f.disk.remove(f.path(199, kSnapshotSuffix)).ok());
  ASSERT_TRUE(f.disk.remove(f.path(last.v, kSealSuffix)).ok());
  report = f.verify();
  ASSERT_FALSE(report.problems.empty());
  EXPECT_EQ(report.problems[0].kind, Kind::torn_tail);
  EXPECT_TRUE(report.healthy());
}

// The active segment may end in anything, but a batch that fails before one that fits is damage.
TEST(LogVerify, BadBatchBeforeAGoodOneIsNoTornTail) {
  Verified f;
  Offset last{0};
  auto entries = f.disk.list(f.options.directory);
  for (const DirEntry& entry : *entries)
    if (auto name = parse_segment_file_name(entry.name); name && name->suffix == kLogSuffix)
      last = std::max(last, name->base);
  f.disk.flip_bit(f.path(last.v, kLogSuffix), BatchHeader::kBytes + 2, 3);
  VerifyReport report = f.verify();
  EXPECT_FALSE(report.healthy());
  ASSERT_FALSE(report.problems.empty());
  EXPECT_EQ(report.problems[0].kind, Kind::corrupt);
}

TEST(LogVerify, WrongIndexEntryIsFound) {
  Verified f;
  f.disk.flip_bit(f.path(0, kOffsetIndexSuffix), 8 + 7, 0);     // position of the second entry
  f.disk.flip_bit(f.path(0, kTimeIndexSuffix), 2 * 12 + 7, 0);  // timestamp of the third
  VerifyReport report = f.verify();
  ASSERT_EQ(report.problems.size(), 2u);
  EXPECT_EQ(report.problems[0].kind, Kind::index_wrong);
  EXPECT_EQ(report.problems[1].kind, Kind::index_wrong);
}

TEST(LogVerify, MissingSegmentIsAHoleAndItsSealSaysMore) {
  Verified f;
  Offset second{0};
  for (std::size_t i = 0; i < f.first_segment_batches(); ++i) second = header_of(f.written[i]).next_offset();
  ASSERT_TRUE(f.disk.remove(f.path(second.v, kLogSuffix)).ok());
  VerifyReport report = f.verify();
  EXPECT_FALSE(report.healthy());
  EXPECT_EQ(report.problems[0].kind, Kind::missing);
  EXPECT_EQ(report.problems[0].file, f.path(second.v, kLogSuffix));
  for (std::string_view suffix : {kSealSuffix, kOffsetIndexSuffix, kTimeIndexSuffix})
    ASSERT_TRUE(f.disk.remove(f.path(second.v, suffix)).ok());
  report = f.verify();
  EXPECT_TRUE(report.healthy());
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].kind, Kind::hole);
}

TEST(LogVerify, ProgressReachesTheEndAndMayStop) {
  Verified f;
  std::uint64_t done = 0, total = 1;
  auto report = verify_partition(f.disk, f.options.directory, {}, [&](std::uint64_t d, std::uint64_t t) {
    done = d;
    total = t;
    return true;
  });
  EXPECT_EQ(done, total);
  EXPECT_EQ(verify_partition(f.disk, f.options.directory, {}, [](auto, auto) { return false; }).code(),
            Errc::cancelled);
}

// A partition that was never written to is nothing to complain of.
TEST(LogVerify, AnEmptyDirectoryLacksOnlyItsName) {
  sim::Disk disk(1);
  ASSERT_TRUE(disk.make_directories("/data/t-0").ok());
  auto report = verify_partition(disk, "/data/t-0");
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->problem_count, 1u);
  EXPECT_EQ(report->problems[0].file, "/data/t-0/partition.metadata");
}

// As the last process left it: every file that is removed is missed, every one that is added is noticed.
struct Closed : Verified {
  Closed() {
    around.closed = around.closed_here = true;
    around.recovery_points = OffsetCheckpoint{{options.partition, Offset{199}}};
  }
  VerifyReport verify() {
    auto report = verify_partition(disk, options.directory, {.around = &around});
    EXPECT_TRUE(report.ok()) << report.error().message();
    return std::move(*report);
  }
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const DirEntry& entry : *disk.list(options.directory)) found.push_back(entry.name);
    return found;
  }
  DataDirReport around;
};

TEST(LogVerify, EveryRemovedFileIsMissed) {
  Closed whole;
  std::vector<std::string> names = whole.names();
  EXPECT_EQ(whole.verify().problem_count, 0u);
  ASSERT_GT(names.size(), 10u);
  int newest_only = 0;
  for (const std::string& name : names) {
    Closed f;
    ASSERT_TRUE(f.disk.remove(f.options.directory + "/" + name).ok());
    VerifyReport report = f.verify();
    // Snapshots but the newest have no use, and what was before the first seal nobody knows.
    bool spare = (name.ends_with(kSnapshotSuffix) && name != "00000000000000000199.snapshot") ||
                 name == "00000000000000000000.seal";
    newest_only += spare ? 1 : 0;
    EXPECT_EQ(report.healthy(), spare) << name;
    for (const VerifyProblem& problem : report.problems) EXPECT_FALSE(remedy_for(problem).action.empty()) << name;
  }
  EXPECT_LT(static_cast<std::size_t>(newest_only), names.size() / 3);
}

// What the remedies promise: a start makes these again, and then nothing is missed.
TEST(LogVerify, AStartMakesSideFilesAgain) {
  for (const std::string& name : Closed().names()) {
    if (name.ends_with(kLogSuffix)) continue;
    Closed f;
    ASSERT_TRUE(f.disk.remove(f.options.directory + "/" + name).ok());
    f.options.recovery_point = Offset{199};
    f.must_open(true);
    ASSERT_TRUE(f.log->close().ok());
    for (const VerifyProblem& problem : f.verify().problems) ADD_FAILURE() << name << ": " << problem.what;
  }
}

TEST(LogVerify, EveryForeignFileIsNoticed) {
  for (const char* name : {"notes.txt", "00000000000000000007.old", "7.log", "00000000000000000005.index",
                           "00000000000000000003.log", "00000000000000000500.log.cleaned", "x.tmp"}) {
    Closed f;
    ASSERT_TRUE(f.disk.open(f.options.directory + "/" + name, OpenMode::create).ok());
    VerifyReport report = f.verify();
    ASSERT_EQ(report.problem_count, 1u) << name;
    EXPECT_EQ(report.problems[0].kind, Kind::foreign) << name;
    EXPECT_TRUE(remedy_for(report.problems[0]).lost.empty());
  }
}

TEST(LogVerify, AllSegmentsGoneIsALoss) {
  Closed f;
  for (const std::string& name : f.names()) ASSERT_TRUE(f.disk.remove(f.options.directory + "/" + name).ok());
  VerifyReport report = f.verify();
  ASSERT_FALSE(report.healthy());
  EXPECT_EQ(report.problems[0].kind, Kind::missing);
  EXPECT_EQ(report.problems[0].next, Offset{199});
  Remedy remedy = remedy_for(report.problems[0]);
  EXPECT_TRUE(remedy.records_lost);
  EXPECT_EQ(remedy.lost, "offsets 0 to 198");
}

TEST(LogVerify, DataDirectoryFilesMustReadAndAfterACleanStopBeThere) {
  sim::Disk disk(1);
  const std::string names[] = {"meta.properties", "recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
                               "replication-offset-checkpoint"};
  auto make = [&] {
    ASSERT_TRUE(disk.make_directories("/data/t-0").ok());
    auto dir = DataDir::open(disk, "/data");
    ASSERT_TRUE(dir.ok());
    ASSERT_TRUE((*dir)->claim("c", BrokerId{1}, Uuid{1, 2}).ok());
    ASSERT_TRUE((*dir)->write_checkpoints({.recovery_points = {{{"t", PartitionIndex{0}}, Offset{5}}}}).ok());
    ASSERT_TRUE((*dir)->mark_clean().ok());
  };
  make();
  auto report = verify_data_directory(disk, "/data");
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->problems.empty());
  EXPECT_TRUE(report->closed && report->closed_here);
  for (const std::string& name : names) {
    disk.flip_bit("/data/" + name, 0, 6);
    EXPECT_EQ(verify_data_directory(disk, "/data")->problems.size(), 1u) << name;
    disk.flip_bit("/data/" + name, 0, 6);
    std::vector<std::byte> saved = *read_whole_file(disk, "/data/" + name);
    ASSERT_TRUE(disk.remove("/data/" + name).ok());
    auto without = verify_data_directory(disk, "/data");
    ASSERT_EQ(without->problems.size(), 1u) << name;
    EXPECT_EQ(without->problems[0].what, "missing");
    ASSERT_TRUE(replace_file(disk, "/data/" + name, saved).ok());
  }
  ASSERT_TRUE(disk.remove_all("/data/t-0").ok());
  auto lost = verify_data_directory(disk, "/data");
  ASSERT_EQ(lost->problems.size(), 1u);
  EXPECT_EQ(lost->problems[0].kind, Kind::missing);
}

TEST(LogDump, ShowsBatchesAndSideFiles) {
  Verified f;
  std::size_t count = 0;
  ASSERT_TRUE(dump_segment(f.disk, f.path(0, kLogSuffix), [&](const DumpedBatch& batch) {
                EXPECT_TRUE(batch.crc_matches);
                EXPECT_TRUE(std::ranges::equal(batch.bytes, f.written[count]));
                ++count;
                return true;
              }).ok());
  EXPECT_EQ(count, f.first_segment_batches());
  auto index = dump_side_file(f.disk, f.path(0, kOffsetIndexSuffix));
  ASSERT_TRUE(index.ok());
  EXPECT_TRUE(index->front().starts_with("offset ")) << index->front();
  EXPECT_EQ(dump_side_file(f.disk, f.options.directory + "/leader-epoch-checkpoint")->front(),
            "epoch 0 starts at offset 0");
  EXPECT_EQ(dump_side_file(f.disk, f.options.directory + "/partition.metadata")->front(),
            "topic id AAAAAAAAAAEAAAAAAAAAAg");
  EXPECT_TRUE(dump_side_file(f.disk, f.path(199, kSnapshotSuffix)).ok());
  EXPECT_EQ(dump_side_file(f.disk, f.path(0, kLogSuffix)).code(), Errc::invalid_argument);
  EXPECT_EQ(partition_directories(f.disk, "/data")->front(), "/data/t-0");
  EXPECT_EQ(partition_directories(f.disk, "/data/t-0")->front(), "/data/t-0");
}

}  // namespace
}  // namespace mr::storage::test
