// Aim: of what is written the window keeps the newest bytes, hands out the rest in order, and a log tells it nothing
// that is not written or, where syncs are awaited, not synced. Method: ranges by hand, then a log on a simulated disk
// whose window is asked after each append and each sync.
#include "storage/page_cache_window.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "runtime/real_host.h"
#include "storage/log_fixture.h"
#include "storage/segment_names.h"

namespace mr::storage {
namespace {

using test::LogFixture;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kChunk = PageCacheWindow::kChunkBytes;

/// A window of 16 chunks, so steps of two and twelve young ones, and what it handed out: (segment, from, to) in chunks.
struct Filled {
  using Chunks = std::tuple<std::int64_t, std::uint64_t, std::uint64_t>;

  void add(std::int64_t segment, std::uint64_t chunk, bool synced = true) {
    window.add({log, Offset{segment}, chunk * kChunk, (chunk + 1) * kChunk, synced});
  }
  std::vector<Chunks> take() {
    std::vector<Chunks> due;
    for (const WrittenRange& r : window.take_due()) due.emplace_back(r.segment.v, r.from / kChunk, r.to / kChunk);
    return due;
  }

  int rung = 0;
  PageCacheWindow window{16 * kChunk, [this] { ++rung; }};
  std::shared_ptr<WrittenTail> log =
      std::make_shared<WrittenTail>(window, LogPlace{real_files(), "/none"}, WrittenTail::Position{});
};

TEST(PageCacheWindow, KeepsTheNewestAndHandsOutTheOldestAsFewRanges) {
  Filled f;
  for (std::uint64_t i = 0; i < 16; ++i) f.add(i < 3 ? 0 : 50, i < 3 ? i : i - 3);
  EXPECT_THAT(f.take(), IsEmpty()) << "not more than is to be kept";
  f.rung = 0;
  f.add(50, 13);
  EXPECT_EQ(f.rung, 1);
  EXPECT_THAT(f.take(), ElementsAre(Filled::Chunks(0, 0, 3))) << "a step below what may be kept";
  EXPECT_EQ(f.window.bytes(), 14 * kChunk);
  for (std::uint64_t i = 14; i < 17; ++i) f.add(50, i);
  EXPECT_THAT(f.take(), ElementsAre(Filled::Chunks(50, 0, 3)));
  EXPECT_THAT(f.take(), IsEmpty());
}

TEST(PageCacheWindow, WhatIsNotSyncedBeginsToBeWrittenBeforeItsTurn) {
  Filled f;
  for (std::uint64_t i = 0; i < 14; ++i) f.add(0, i, i % 2 == 0);
  EXPECT_EQ(f.rung, 0);
  f.add(0, 14);
  EXPECT_EQ(f.rung, 1);
  EXPECT_THAT(f.take(), ElementsAre(Filled::Chunks(0, 1, 2))) << "of the oldest three";
  f.add(0, 15);
  f.add(0, 16);
  EXPECT_THAT(f.take(), ElementsAre(Filled::Chunks(0, 0, 4))) << "three are dropped, the next is begun";
}

// Nobody comes: the disk hangs. What is remembered has a bound, and the newest is kept.
TEST(PageCacheWindow, ForgetsTheOldestWhenNobodyComes) {
  Filled f;
  constexpr std::uint64_t most = 16 + PageCacheWindow::kOverdueMax / kChunk;
  for (std::uint64_t i = 0; i < 3 * most; ++i) f.add(0, i);
  EXPECT_EQ(f.window.bytes(), most * kChunk);
  EXPECT_THAT(f.take(), ElementsAre(Filled::Chunks(0, 2 * most, 2 * most + 4))) << "two steps in one job";
  std::uint64_t next = 2 * most + 4;
  for (auto due = f.take(); !due.empty(); due = f.take()) {
    EXPECT_EQ(std::get<1>(due.front()), next);
    next = std::get<2>(due.back());
  }
  EXPECT_EQ(f.window.bytes(), 16 * kChunk);
  EXPECT_EQ(next, 3 * most - 16);
}

/// A log that tells a window.
struct Told : LogFixture {
  Told() {
    options.window = &window;
    options.config.segment_bytes = 5_MiB;
  }
  /// What has become due since, checked: oldest first, without holes but for ends of segments, nothing twice.
  void take() {
    for (auto due = window.take_due(); !due.empty(); due = window.take_due()) {
      for (const WrittenRange& range : due) {
        EXPECT_EQ(range.log->place().directory, options.directory);
        if (range.segment == segment) {
          EXPECT_EQ(range.from, position);
        } else {
          EXPECT_GT(range.segment, segment);
          EXPECT_EQ(range.from, 0u);
          EXPECT_LT(size_of(segment) - position, PageCacheWindow::kLeastBytes);
        }
        segment = range.segment;
        position = range.to;
        EXPECT_LE(position, size_of(segment));
        dropped += range.bytes();
      }
    }
  }
  std::uint64_t size_of(Offset base) {
    auto file = disk.open(segment_path(options.directory, base, kLogSuffix), OpenMode::read);
    return file.ok() ? *(*file)->size() : position;
  }
  void append_some() { ASSERT_TRUE(append({.value_bytes = 300'000}).ok()); }

  PageCacheWindow window{8_MiB, [] {}};
  Offset segment{0};
  std::uint64_t position = 0, dropped = 0;
};

TEST(PageCacheWindow, ALogTellsWhatASyncHasCovered) {
  Told f;
  f.must_open();
  for (int i = 0; i < 100; ++i) {
    f.append_some();
    // A sync now and then, with an append in the middle, which may roll: it is not covered.
    if (i % 4 != 3) continue;
    auto ticket = f.begin_sync();
    ASSERT_TRUE(ticket);
    const std::uint64_t covered = f.log->bytes();
    f.append_some();
    for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
    f.log->end_sync(*ticket, {});
    f.take();
    EXPECT_LE(f.dropped + f.window.bytes(), covered);
  }
  const std::uint64_t all = f.log->bytes();
  EXPECT_LE(f.dropped, all - 7_MiB) << "the newest stays";
  EXPECT_GE(f.dropped, all - 12_MiB);
}

TEST(PageCacheWindow, ALogThatSyncsLateTellsWhatItAppended) {
  Told f;
  f.options.config.synced_late = true;
  f.must_open();
  std::uint64_t begun = 0, dropped = 0;
  for (int i = 0; i < 100; ++i) {
    f.append_some();
    for (const WrittenRange& range : f.window.take_due()) {
      EXPECT_FALSE(range.synced);
      begun += range.bytes();
    }
    dropped = f.log->bytes() - f.window.bytes();
  }
  EXPECT_LE(f.window.bytes(), 8_MiB);
  EXPECT_GE(begun, 2 * dropped * 9 / 10) << "each twice, but for the ends of segments";
}

TEST(PageCacheWindow, AnOpenedLogTellsNothingOfWhatWasThere) {
  Told f;
  f.must_open();
  for (int i = 0; i < 10; ++i) f.append_some();
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.log->close().ok());
  const std::uint64_t told = f.window.bytes();
  f.must_open(true);
  f.append_some();
  ASSERT_TRUE(f.sync().ok());
  EXPECT_EQ(f.window.bytes(), told);
}

// The next read of it comes from the device, so it is checked, away from the shard.
TEST(PageCacheWindow, WhatIsDroppedIsUncheckedAgain) {
  Told f;
  f.must_open();
  auto unchecked = [&](std::int64_t offset) {
    auto read = f.log->read(Offset{offset}, f.log->log_end(), 1000, true);
    EXPECT_TRUE(read.ok());
    return read->unchecked;
  };
  for (int i = 0; i < 20; ++i) f.append_some();
  ASSERT_TRUE(f.sync().ok());
  f.take();
  ASSERT_EQ(f.dropped, 0u);
  EXPECT_FALSE(unchecked(0));
  for (int round = 0; round < 2; ++round) {  // what is read is then remembered in another way
    f.log->forget_checks();
    EXPECT_FALSE(unchecked(0));
  }
  for (int i = 20; i < 60; ++i) f.append_some();
  ASSERT_TRUE(f.sync().ok());
  f.take();
  ASSERT_GT(f.dropped, 6_MiB);
  EXPECT_TRUE(unchecked(0));
  EXPECT_TRUE(unchecked(19));
  EXPECT_FALSE(unchecked(59));
  ASSERT_TRUE(f.log->range_to_check(f.log->read(Offset{0}, f.log->log_end(), 1000, true)->fragments[0], false));
  f.log->note_check({Offset{0}, 0}, {.position = 0, .end = 300'100}, BatchCheck{.good_end = 400'000});
  EXPECT_FALSE(unchecked(0)) << "whoever has read it";
  for (int i = 60; i < 80; ++i) f.append_some();
  ASSERT_TRUE(f.sync().ok());
  f.take();
  EXPECT_FALSE(unchecked(0)) << "stays";
}

// Retention takes segments that the window still remembers: they are skipped, and the log goes on.
TEST(PageCacheWindow, SegmentsThatAreGoneAreSkipped) {
  Told f;
  f.must_open();
  std::vector<WrittenRange> due;
  for (int i = 0; i < 60; ++i) {
    f.append_some();
    ASSERT_TRUE(f.sync().ok());
    if (i == 40) ASSERT_TRUE(f.log->advance_log_start(f.log->log_end()).ok());
    std::ranges::copy(f.window.take_due(), std::back_inserter(due));
  }
  ASSERT_FALSE(due.empty());
  drop_from_page_cache(due);
  EXPECT_FALSE(f.disk.exists(segment_path(f.options.directory, Offset{0}, kLogSuffix)).value());
  EXPECT_EQ(f.read_all(), f.log->log_end());
}

// The kernel keeps large pages that lie across the border of two ranges: they go with the later one.
TEST(PageCacheWindow, BordersAreDroppedWithTheRangeBehindThem) {
  LogFixture f;
  PageCacheWindow window(0, [] {});
  auto log = std::make_shared<WrittenTail>(window, LogPlace{f.disk, "/data"}, WrittenTail::Position{});
  std::string path = segment_path("/data", Offset{7}, kLogSuffix);
  auto file = f.disk.open(path, OpenMode::create);
  ASSERT_TRUE(file.ok());
  const std::vector<std::byte> medium(8 * kChunk), cached(8 * kChunk, std::byte{1});
  ASSERT_TRUE((*file)->write_at(medium, 0).ok() && (*file)->sync().ok());
  // After a sync that failed, pages are clean that the medium has only in part: it shows which are dropped.
  f.disk.add_fault({.op = sim::DiskOp::sync});
  for (std::uint64_t at = 0; at < cached.size(); at += 64_KiB)
    ASSERT_TRUE((*file)->write_at(ByteView(cached).subspan(at, 64_KiB), at).ok());
  ASSERT_FALSE((*file)->sync().ok());
  drop_from_page_cache({{log, Offset{7}, 4 * kChunk + 5, 6 * kChunk}, {log, Offset{8}, 0, kChunk}});
  std::vector<std::byte> now(8 * kChunk);
  ASSERT_TRUE((*file)->read_at(now, 0).ok());
  auto is_cached = [&](std::uint64_t from, std::uint64_t to) {
    return std::all_of(now.begin() + static_cast<std::ptrdiff_t>(from), now.begin() + static_cast<std::ptrdiff_t>(to),
                       [](std::byte b) { return b == std::byte{1}; });
  };
  EXPECT_TRUE(is_cached(0, 3 * kChunk));
  EXPECT_FALSE(is_cached(3 * kChunk + 4096, 4 * kChunk));
  EXPECT_FALSE(is_cached(4 * kChunk, 6 * kChunk));
  EXPECT_TRUE(is_cached(6 * kChunk, 8 * kChunk));
}

}  // namespace
}  // namespace mr::storage
