// What a crash in the middle of a compaction leaves, laid out by hand: the log opens with the new segment or with the
// old ones, never with a mixture.
#include "storage/compaction_recovery.h"

#include <gtest/gtest.h>

#include "storage/log_fixture.h"
#include "storage/segment_names.h"

namespace mr::storage::test {
namespace {

/// Six batches of one record, two to a segment: 0, 2 and 4.
struct Leftovers : LogFixture {
  explicit Leftovers(bool also_delete = false) {
    options.config = {.segment_bytes = 2'200, .delete_old = also_delete, .compacted = true};
    must_open();
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(append({.value_bytes = 1'000}).ok());
    EXPECT_TRUE(sync().ok());
    EXPECT_EQ(log->segments(), 3u);
    log.reset();
  }

  std::string path(std::int64_t base, std::string_view suffix) {
    return segment_path(options.directory, Offset{base}, suffix);
  }
  /// A file of these batches, by offset.
  void write(const std::string& name, std::initializer_list<std::size_t> batches) {
    auto file = disk.open(name, OpenMode::create);
    ASSERT_TRUE(file.ok());
    std::uint64_t at = 0;
    for (std::size_t n : batches) {
      ASSERT_TRUE((*file)->write_at(ByteView(written[n]), at).ok());
      at += written[n].size();
    }
    ASSERT_TRUE((*file)->sync().ok());
    ASSERT_TRUE(disk.sync_directory(options.directory).ok());
  }
  /// Base offsets of all batches that the log gives out.
  std::vector<std::int64_t> offsets() {
    std::vector<std::int64_t> all;
    Offset next = log->log_start();
    while (next < log->log_end()) {
      auto read = log->read(next, log->log_end(), 100'000, true);
      EXPECT_TRUE(read.ok() && read->bytes > 0) << "at " << next.v;
      if (!read.ok() || read->bytes == 0) break;
      for (const BatchHeader& header : headers_of(*read)) {
        all.push_back(header.base_offset);
        next = header.next_offset();
      }
    }
    return all;
  }
  bool leftovers() {
    auto entries = disk.list(options.directory);
    return !entries.ok() || has_unfinished_compaction(*entries);
  }
};

using Offsets = std::vector<std::int64_t>;

TEST(CompactionRecovery, CompleteSwapReplacesWhatItCovers) {
  for (bool clean : {false, true}) {
    Leftovers f;
    f.write(f.path(0, ".log.swap"), {1, 3});
    f.must_open(clean);
    EXPECT_EQ(f.offsets(), (Offsets{1, 3, 4, 5}));
    EXPECT_EQ(f.log->segments(), 2u);
    EXPECT_FALSE(f.leftovers());
    EXPECT_FALSE(*f.disk.exists(f.path(2, kLogSuffix)));
    f.must_open();
    EXPECT_EQ(f.offsets(), (Offsets{1, 3, 4, 5}));
  }
}

TEST(CompactionRecovery, UnfinishedOutputNeverCounted) {
  Leftovers f;
  f.write(f.path(0, ".log.cleaned"), {1});
  f.write(f.path(0, ".index.cleaned"), {});
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{0, 1, 2, 3, 4, 5}));
  EXPECT_FALSE(f.leftovers());
}

// The crash may take one of several renames back: then the old files are all there, and stay.
TEST(CompactionRecovery, SwapAtOrAboveUnfinishedOutputIsTakenBack) {
  Leftovers f;
  f.write(f.path(0, ".timeindex.cleaned"), {});
  f.write(f.path(0, ".log.swap"), {1});
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{0, 1, 2, 3, 4, 5}));
  EXPECT_FALSE(f.leftovers());
}

// An output that could not be removed must not speak against a group that has replaced its segments since.
TEST(CompactionRecovery, SwapThatIsTheOnlyOneLeftIsNotTakenBack) {
  Leftovers f;
  f.write(f.path(0, ".log.cleaned"), {0, 1});
  f.write(f.path(2, ".log.swap"), {3});
  ASSERT_TRUE(f.disk.rename(f.path(2, kLogSuffix), f.path(2, ".log.deleted")).ok());
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{0, 1, 3, 4, 5}));
  EXPECT_FALSE(f.leftovers());
}

TEST(CompactionRecovery, DamagedSwapDoesNotReplaceWhatReads) {
  Leftovers f;
  f.write(f.path(0, ".log.swap"), {1, 3});
  f.disk.flip_bit(f.path(0, ".log.swap"), 500, 1);
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{0, 1, 2, 3, 4, 5}));
}

// An index of the old segment beside the new log would answer with positions of another file.
TEST(CompactionRecovery, OldIndexesDoNotOutliveTheirLog) {
  Leftovers f;
  f.write(f.path(0, ".log.swap"), {1});
  f.write(f.path(0, kOffsetIndexSuffix), {5});  // anything
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{1, 2, 3, 4, 5}));
  auto read = f.log->read(Offset{0}, Offset{2}, 100'000, true);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(f.headers_of(*read).size(), 1u);
}

// Compaction and retention both give segments up. What compaction merged away says nothing about what lies below.
TEST(CompactionRecovery, MergedSegmentsAreNotTakenForRetentions) {
  Leftovers f(true);
  f.write(f.path(0, ".log.swap"), {1, 3});
  f.must_open();
  f.write(f.path(2, ".log.deleted"), {2, 3});
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{1, 3, 4, 5}));
  EXPECT_FALSE(*f.disk.exists(f.path(2, ".log.deleted")));
}

TEST(CompactionRecovery, WhatRetentionGaveUpTakesOlderSegmentsAlong) {
  Leftovers f(true);
  ASSERT_TRUE(f.disk.rename(f.path(2, kLogSuffix), f.path(2, ".log.deleted")).ok());
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{4, 5}));
}

}  // namespace
}  // namespace mr::storage::test
