// Aim: logs work at the edges of the format: segments just below 2 GiB (positions are int32), offsets 2^31 behind the
// segment's base (relative offsets are int32), offsets near 2^62. Method: directories with one sparse batch that fills
// a segment, and logs that start far from 0, on a simulated disk; then append, read, roll, crash, open.
#include <fmt/format.h>

#include "storage/epoch_table.h"
#include "storage/log_fixture.h"
#include "storage/partition_metadata.h"
#include "storage/segment_names.h"

namespace mr::storage {
namespace {

using test::BatchSpec;
using test::LogFixture;
using test::make_batch;

constexpr std::uint64_t kRoom = 150;  // one small batch, and not two
constexpr std::int64_t kFar = 1ll << 62;

void put(LogFixture& f, const std::string& path, ByteView bytes, std::uint64_t size) {
  auto file = f.disk.open(path, OpenMode::create);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write_at(bytes, 0).ok() && (*file)->truncate(size).ok() && (*file)->sync().ok());
}

/// A cleanly closed log whose only segment holds one batch of `records` records in `size` bytes, nearly all a hole.
void put_segment(LogFixture& f, std::uint64_t size, std::int32_t records) {
  ASSERT_TRUE(f.disk.make_directories(f.options.directory).ok());
  std::vector<std::byte> header = make_batch({.records = 1});
  header.resize(BatchHeader::kBytes);
  store_be(header.data() + BatchHeader::kLengthAt, static_cast<std::int32_t>(size - BatchHeader::kLengthPrefix));
  store_be<std::int32_t>(header.data() + BatchHeader::kLeaderEpochAt, 0);
  store_be(header.data() + 23, records - 1);
  store_be(header.data() + 57, records);
  auto path = [&](std::string_view suffix) { return segment_path(f.options.directory, Offset{0}, suffix); };
  put(f, path(kLogSuffix), header, size);
  for (std::string_view suffix : {kOffsetIndexSuffix, kTimeIndexSuffix}) put(f, path(suffix), {}, 0);
  EpochTable epochs;
  epochs.assign(LeaderEpoch{0}, Offset{0});
  std::string text = epochs.encode();
  put(f, epoch_checkpoint_path(f.options.directory), as_bytes(text), text.size());
}

TEST(LogLimits, ASegmentIsFilledUpTo2GiBAndNoFurther) {
  LogFixture f;
  f.options.config.segment_bytes = UINT32_MAX;
  f.options.config.index_interval_bytes = 0;
  const std::uint64_t filled = Segment::kBytesMax - kRoom;
  put_segment(f, filled, 1);
  f.must_open(true);
  ASSERT_EQ(f.log->log_end(), Offset{1});
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.log->segments(), 1u) << "it fits";
  EXPECT_LE(f.log->bytes(), Segment::kBytesMax);
  auto read = f.log->read(Offset{1}, f.log->log_end(), 1000, true);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->fragments.at(0).position, filled);
  ASSERT_TRUE(f.append({.value_bytes = kRoom}).ok());
  EXPECT_EQ(f.log->segments(), 2u) << "rolled before it would have been longer";
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.log->close().ok());
  // The index holds a position near its largest, and a look-up finds it.
  f.must_open(true);
  EXPECT_EQ(f.log->log_end(), Offset{3});
  EXPECT_EQ(f.log->open_segments(), 0u) << "idle: no descriptors";
  for (std::int64_t offset : {1, 2}) {
    read = f.log->read(Offset{offset}, Offset{offset + 1}, 1000, true);
    ASSERT_TRUE(read.ok()) << read.error().message();
    ASSERT_EQ(f.headers_of(*read).size(), 1u);
    EXPECT_EQ(f.headers_of(*read)[0].base_offset, offset);
  }
}

TEST(LogLimits, ASegmentHoldsOffsetsThatFitInItsIndex) {
  LogFixture f;
  put_segment(f, 4096, INT32_MAX);
  f.must_open(true);
  ASSERT_EQ(f.log->log_end(), Offset{INT32_MAX});
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.log->segments(), 1u) << "the last offset that is 2^31 - 1 behind the base";
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.log->segments(), 2u);
  ASSERT_TRUE(f.sync().ok());
  auto read = f.log->read(Offset{INT32_MAX}, f.log->log_end(), 1000, true);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(f.headers_of(*read).size(), 2u);
}

TEST(LogLimits, OffsetsNear2To62) {
  LogFixture f;
  f.options.log_start = Offset{kFar};
  f.options.config.segment_bytes = 2000;
  f.options.config.index_interval_bytes = 100;
  f.must_open();
  EXPECT_EQ(f.log->log_start(), Offset{kFar});
  while (f.log->segments() < 4) {
    ASSERT_TRUE(f.append({.records = 3,
                          .producer_id = 7,
                          .producer_epoch = 0,
                          .base_sequence = static_cast<std::int32_t>(f.log->log_end().v - kFar)})
                    .ok());
    ASSERT_TRUE(f.sync().ok());
  }
  const Offset end = f.log->log_end();
  for (bool clean : {false, true}) {
    if (clean) ASSERT_TRUE(f.log->close().ok());
    if (!clean) f.disk.crash(sim::CrashMode::lose_unsynced);
    f.must_open(clean);
    EXPECT_EQ(f.log->log_start(), Offset{kFar});
    EXPECT_EQ(f.log->log_end(), end);
    EXPECT_EQ(f.read_all(300), end);
    auto hit = f.log->find_timestamp(1'000, end, Offset{0});
    ASSERT_TRUE(hit.ok() && *hit);
    EXPECT_EQ((*hit)->header.base_offset, kFar);
    EXPECT_EQ(f.log->producers().at(0).batches.back().last_offset, Offset{end.v - 1});
  }
  ASSERT_TRUE(f.log->advance_log_start(Offset{end.v - 1}).ok());
  EXPECT_EQ(f.log->read(Offset{kFar}, end, 1000, true).code(), Errc::offset_out_of_range);
  EXPECT_EQ(f.read_all(), end);
}

}  // namespace
}  // namespace mr::storage
