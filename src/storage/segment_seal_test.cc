// Seals: known bytes, any damage to them is noticed, and what they say of a segment finds damage that checksums cannot.
#include "storage/segment_seal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/log_fixture.h"
#include "storage/segment_names.h"
#include "storage/segment_verify.h"

namespace mr::storage::test {
namespace {

SegmentSeal example() {
  return {.base = Offset{100},
          .end = Offset{150},
          .bytes = 9000,
          .batches = 50,
          .epoch = LeaderEpoch{4},
          .crc = 0x01020304,
          .marks = {{4180, 0xaabbccdd}}};
}

// The example of docs/formats/segment-seal.md.
TEST(SegmentSeal, KnownBytes) {
  std::vector<std::byte> bytes = example().encode();
  std::string hex;
  for (std::byte b : bytes) hex += fmt::format("{:02x}", static_cast<unsigned>(b));
  EXPECT_EQ(hex,
            "4d52534c00010000"
            "0000000000000064"
            "0000000000000096"
            "0000000000002328"
            "0000003200000004"
            "0102030400000001"
            "00000000"
            "00001054aabbccdd"
            "7650d4d8");
  EXPECT_EQ(*SegmentSeal::decode(bytes), example());
}

TEST(SegmentSeal, AnyFlippedBitAndAnyCutIsNoticed) {
  std::vector<std::byte> bytes = example().encode();
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::vector<std::byte> bad = bytes;
    bad[i / 8] ^= std::byte{1} << (i % 8);
    EXPECT_EQ(SegmentSeal::decode(bad).code(), Errc::corrupt_data) << i;
  }
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(SegmentSeal::decode(ByteView(bytes).first(n)).code(), Errc::corrupt_data) << n;
}

TEST(SegmentSeal, BatchesWithoutBytesAreRefused) {
  SegmentSeal seal = example();
  seal.bytes = 0;
  seal.marks.clear();
  EXPECT_EQ(SegmentSeal::decode(seal.encode()).code(), Errc::corrupt_data);
}

TEST(HeaderChain, MarksStayFewAndGoOnAfterAResume) {
  std::vector<std::byte> batch = make_batch({.value_bytes = 1000});
  HeaderChain whole, first;
  std::uint64_t end = 0;
  for (int i = 0; i < 5000; ++i) {
    end += batch.size();
    patch_batch(batch, Offset{i}, LeaderEpoch{1});
    whole.add(ByteView(batch).first(BatchHeader::kBytes), end);
    if (i == 2500) first = HeaderChain::resume(first.seal(Offset{0}, Offset{i}));
    first.add(ByteView(batch).first(BatchHeader::kBytes), end);
  }
  SegmentSeal seal = whole.seal(Offset{0}, Offset{5000});
  EXPECT_EQ(seal.batches, 5000u);
  EXPECT_GE(seal.marks.size(), HeaderChain::kMarks / 2);
  EXPECT_LE(seal.marks.size(), HeaderChain::kMarks);
  EXPECT_EQ(first.seal(Offset{0}, Offset{5000}).crc, seal.crc);
  EXPECT_EQ(seal.facts().back().end, end);
}

struct Sealed : LogFixture {
  Sealed() {
    options.config.segment_bytes = 20'000;
    must_open();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(append({.value_bytes = 300}).ok());
    EXPECT_TRUE(log->close().ok());
    log.reset();
  }
  std::string path(std::int64_t base, std::string_view suffix) {
    return segment_path(options.directory, Offset{base}, suffix);
  }
};

// A roll seals the segment, a clean stop the newest one; the next life goes on with the chain of the last.
TEST(SegmentSeal, RollsAndStopsLeaveOneEachAndTheChainGoesOn) {
  Sealed f;
  auto first = read_seal(f.disk, f.options.directory, Offset{0});
  ASSERT_TRUE(first.ok() && *first);
  Offset second = (*first)->end;
  EXPECT_EQ((*first)->batches, static_cast<std::uint32_t>(second.v));
  EXPECT_TRUE(verify_segment(f.disk, f.options.directory, {Offset{0}, second})->sealed);
  f.must_open(true);
  ASSERT_TRUE(f.append({.value_bytes = 300}).ok());
  while (f.log->segments() < 4) ASSERT_TRUE(f.append({.value_bytes = 300}).ok());
  ASSERT_TRUE(f.sync().ok());
  Offset third = Offset{2 * second.v}, fourth = f.log->recovery_point();
  if (fourth != Offset{3 * second.v}) third = second;
  auto verdict = verify_segment(f.disk, f.options.directory, {Offset{2 * second.v}, Offset{3 * second.v}});
  ASSERT_TRUE(verdict.ok()) << verdict.error().message();
  EXPECT_TRUE(verdict->sealed) << "begun in one life, sealed in the next";
  EXPECT_TRUE(verdict->damage.empty());
}

// An epoch that still grows, in the last batch: no order and no checksum tells.
TEST(SegmentSeal, FindsADamagedEpoch) {
  Sealed f;
  Offset end = (*read_seal(f.disk, f.options.directory, Offset{0}))->end;
  std::uint64_t bytes = (*read_seal(f.disk, f.options.directory, Offset{0}))->bytes;
  f.disk.flip_bit(f.path(0, kLogSuffix), bytes - f.written[0].size() + BatchHeader::kLeaderEpochAt + 3, 1);
  auto verdict = verify_segment(f.disk, f.options.directory, {Offset{0}, end});
  ASSERT_EQ(verdict->damage.size(), 1u);
  EXPECT_TRUE(verdict->damage[0].contains(Offset{end.v - 1}));
  ASSERT_TRUE(f.disk.remove(f.path(0, kSealSuffix)).ok());
  EXPECT_TRUE(verify_segment(f.disk, f.options.directory, {Offset{0}, end})->damage.empty()) << "the seal it was";
}

// Damage that one start has seen the next one still knows, clean or not, until the file is mended.
TEST(SegmentSeal, DamageIsRememberedUntilItIsMended) {
  Sealed f;
  std::uint64_t at = 10 * f.written[0].size() + 70;
  f.disk.flip_bit(f.path(0, kLogSuffix), at, 1);
  ASSERT_TRUE(f.disk.remove(f.path(0, kOffsetIndexSuffix)).ok());
  for (bool clean : {true, false, true}) {
    f.must_open(clean);
    EXPECT_EQ(f.log->read(Offset{10}, Offset{100}, 1000, true).code(), Errc::corrupt_batch);
    EXPECT_TRUE(f.log->read(Offset{11}, Offset{100}, 1000, true).ok());
    ASSERT_TRUE(f.log->close().ok());
    f.log.reset();
  }
  f.disk.flip_bit(f.path(0, kLogSuffix), at, 1);
  f.must_open(true);
  EXPECT_EQ(f.read_all(), Offset{100});
}

TEST(SegmentSeal, AForeignFileInsideASealedSegmentIsPassedOver) {
  Sealed f;
  auto file = f.disk.open(f.path(7, kLogSuffix), OpenMode::create);
  ASSERT_TRUE((*file)->write_at(f.written[7], 0).ok());
  for (bool clean : {true, false}) {
    f.must_open(clean);
    EXPECT_EQ(f.read_all(), Offset{100});
    ASSERT_TRUE(f.log->close().ok());
    f.log.reset();
  }
}

// Everything of the newest segment but its seal is gone.
TEST(SegmentSeal, SaysThatTheNewestSegmentIsMissing) {
  Sealed f;
  std::int64_t newest = 0;
  for (const DirEntry& entry : *f.disk.list(f.options.directory))
    if (auto name = parse_segment_file_name(entry.name); name && name->suffix == kLogSuffix)
      newest = std::max(newest, name->base.v);
  for (std::string_view suffix : {kLogSuffix, kOffsetIndexSuffix, kTimeIndexSuffix})
    ASSERT_TRUE(f.disk.remove(f.path(newest, suffix)).ok());
  ASSERT_TRUE(f.disk.remove(f.path(100, kSnapshotSuffix)).ok());
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{100});
  EXPECT_EQ(f.log->read(Offset{newest}, Offset{100}, 1000, true).code(), Errc::corrupt_batch);
  EXPECT_EQ(f.append()->base_offset, Offset{100});
}

}  // namespace
}  // namespace mr::storage::test
