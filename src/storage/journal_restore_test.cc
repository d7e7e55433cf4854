// A log whose last batches only the journal has comes back whole, whatever interrupts the coming back.
#include "storage/journal_restore.h"

#include "storage/log_fixture.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

struct Carrier : test::LogFixture {
  explicit Carrier(std::uint64_t seed = 1) : LogFixture(seed) {}
  /// A batch that is in the page cache and carried.
  void append_carried(const test::BatchSpec& spec = {.records = 3}) {
    auto appended = append(spec);
    ASSERT_TRUE(appended.ok());
    options.evidence.carried.push_back({.run = appended->run, .frames = written.back()});
  }
  void append_synced(const test::BatchSpec& spec = {.records = 2}) {
    ASSERT_TRUE(append(spec).ok());
    ASSERT_TRUE(sync().ok());
  }
  std::string segment(std::int64_t base) { return segment_path(options.directory, Offset{base}, kLogSuffix); }
  void expect_all() {
    std::vector<std::byte> all;
    for (const auto& batch : written) all.insert(all.end(), batch.begin(), batch.end());
    auto bytes = read_whole_file(disk, segment(0));
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(*bytes, all);
  }
  RestoreCounts restore(Offset snapshot = Offset{0}, Offset first = Offset{0}) {
    auto counts = restore_carried({disk, options.directory}, options.evidence, snapshot, first);
    EXPECT_TRUE(counts.ok()) << counts.error().message();
    return counts.ok() ? *counts : RestoreCounts{};
  }
};

TEST(JournalRestore, PutsBackWhatTheFileHasLostOnce) {
  Carrier c;
  c.must_open();
  c.append_synced();
  c.append_carried();
  c.append_carried({.records = 1, .value_bytes = 900});
  c.log.reset();
  c.disk.crash(sim::CrashMode::lose_unsynced);
  EXPECT_EQ(c.restore().batches, 2u);
  c.expect_all();
  EXPECT_EQ(c.restore().batches, 0u) << "they are there";
  c.disk.crash(sim::CrashMode::lose_unsynced);
  c.expect_all();
  c.must_open();
  EXPECT_EQ(c.log->log_end(), Offset{6});
  EXPECT_EQ(c.read_all(), Offset{6});
}

TEST(JournalRestore, OpeningAfterAnyCrashFindsAllThatWasCarried) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Carrier c(seed);
    c.must_open();
    c.append_synced();
    for (int i = 0; i < 4; ++i) c.append_carried({.records = 2, .value_bytes = 400});
    c.log.reset();
    c.disk.crash(sim::CrashMode::random);
    // The power goes again while the log is put right.
    c.disk.crash_after(1 + seed % 12, sim::CrashMode::random);
    (void)c.open();
    c.log.reset();
    c.disk.crash_after(0, sim::CrashMode::random);
    c.disk.restart();
    c.must_open();
    EXPECT_EQ(c.log->log_end(), Offset{10}) << "seed " << seed;
    EXPECT_EQ(c.read_all(), Offset{10});
    c.expect_all();
  }
}

TEST(JournalRestore, MendsABatchThatHasRotted) {
  Carrier c;
  c.must_open();
  c.append_carried();
  c.append_carried();
  c.log.reset();
  std::size_t second = c.written[0].size();
  for (std::size_t byte : {std::size_t{0}, second + 7, second + 30, second + 70}) {
    c.disk.flip_bit(c.segment(0), byte, 2);
    EXPECT_EQ(c.restore().batches, 1u) << byte;
    c.expect_all();
  }
}

TEST(JournalRestore, LeavesALaterWritersBatchAlone) {
  Carrier c;
  c.must_open();
  c.append_carried();
  CommitEvidence old = c.options.evidence;
  std::vector<std::byte> later = test::make_batch({.records = 3, .fill = 'y'});
  patch_batch(later, Offset{0}, LeaderEpoch{1});
  auto file = c.disk.open(c.segment(0), OpenMode::read_write);
  ASSERT_TRUE((*file)->write_at(later, 0).ok());
  RestoreCounts counts = c.restore();
  EXPECT_EQ(counts.batches, 0u);
  EXPECT_EQ(counts.conflicts, 1u);
  c.written = {later};
  c.expect_all();

  patch_batch(later, Offset{0}, LeaderEpoch{-1});  // an older leader's: ours came after it
  ASSERT_TRUE((*file)->write_at(later, 0).ok());
  EXPECT_EQ(c.restore().batches, 1u);
}

TEST(JournalRestore, LeavesAloneWhatItMustNotTouch) {
  Carrier c;
  c.must_open();
  c.append_carried();
  c.append_carried();
  c.log.reset();
  auto file = c.disk.open(c.segment(0), OpenMode::read_write);
  ASSERT_TRUE((*file)->truncate(0).ok());
  EXPECT_EQ(c.restore(Offset{6}).batches, 0u) << "below the snapshot";
  EXPECT_EQ(c.restore(Offset{0}, Offset{1}).batches, 0u) << "gone by retention";
  EXPECT_EQ(c.restore(Offset{3}).batches, 1u) << "the second run is above";
  c.options.evidence.carried[0].frames[70] ^= std::byte{1};
  RestoreCounts counts = c.restore();
  EXPECT_EQ(counts.batches, 0u);
  EXPECT_EQ(counts.conflicts, 1u) << "not what was appended";
  ASSERT_TRUE(c.disk.remove(c.segment(0)).ok());
  EXPECT_EQ(c.restore().conflicts, 2u) << "no such file";
}

// Who opened it empty would remove the journal, the only copy there is.
TEST(JournalRestore, ALogWhoseFilesAreGoneIsNotOpenedEmpty) {
  Carrier c;
  c.must_open();
  c.append_synced();
  c.append_carried();
  c.log.reset();
  ASSERT_TRUE(c.disk.remove_all(c.options.directory).ok());
  EXPECT_EQ(c.open().code(), Errc::corrupt_data);
}

TEST(JournalRestore, AFullDiskIsSaidAndHeals) {
  Carrier c;
  c.must_open();
  c.append_carried({.records = 1, .value_bytes = 9000});
  c.log.reset();
  c.disk.crash(sim::CrashMode::lose_unsynced);
  c.disk.set_total_bytes(c.disk.used_bytes());
  EXPECT_EQ(c.open().code(), Errc::disk_full);
  c.disk.heal();
  c.must_open();
  EXPECT_EQ(c.log->log_end(), Offset{1});
}

}  // namespace
}  // namespace mr::storage
