// Logs are written, then damaged in known places; the report must name the damage and nothing else.
#include "storage/log_verify.h"

#include <gtest/gtest.h>

#include "storage/log_fixture.h"
#include "storage/segment_names.h"

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

TEST(LogVerify, CutEndIsATornTail) {
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
  EXPECT_EQ(report.problems[0].kind, Kind::torn_tail);
  EXPECT_EQ(report.batches, 99u);
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

TEST(LogVerify, MissingSegmentIsAHole) {
  Verified f;
  Offset second{0};
  for (std::size_t i = 0; i < f.first_segment_batches(); ++i) second = header_of(f.written[i]).next_offset();
  ASSERT_TRUE(f.disk.remove(f.path(second.v, kLogSuffix)).ok());
  VerifyReport report = f.verify();
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

TEST(LogVerify, NothingThereIsSaid) {
  sim::Disk disk(1);
  ASSERT_TRUE(disk.make_directories("/data/t-0").ok());
  EXPECT_EQ(verify_partition(disk, "/data/t-0").code(), Errc::not_found);
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
