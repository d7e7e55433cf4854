// Reads of what this process did not write are checked first; damage costs its own batches and nothing else. Method: a
// log on a simulated disk, stopped cleanly, damaged at one place, opened again.
#include "storage/batch_check.h"

#include <gtest/gtest.h>

#include "storage/byte_ranges.h"
#include "storage/log_fixture.h"
#include "storage/segment_names.h"

namespace mr::storage::test {
namespace {

TEST(ByteRanges, JoinsWhatTouches) {
  ByteRanges ranges;
  EXPECT_EQ(ranges.covered_to(5), 5u);
  EXPECT_EQ(ranges.next_from(5, 99), 99u);
  ranges.add(10, 20);
  ranges.add(30, 40);
  ranges.add(7, 7);
  EXPECT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges.covered_to(10), 20u);
  EXPECT_EQ(ranges.covered_to(19), 20u);
  EXPECT_EQ(ranges.covered_to(20), 20u);
  EXPECT_EQ(ranges.next_from(0, 99), 10u);
  EXPECT_EQ(ranges.next_from(15, 99), 10u);
  EXPECT_EQ(ranges.next_from(20, 99), 30u);
  EXPECT_EQ(ranges.next_from(40, 99), 99u);
  ranges.add(20, 30);
  EXPECT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges.covered_to(10), 40u);
  ranges.add(5, 50);
  EXPECT_EQ(ranges.covered_to(5), 50u);
  EXPECT_EQ(ranges.size(), 1u);
}

TEST(ByteRanges, TakesOutWhatIsInIt) {
  ByteRanges ranges;
  ranges.remove(0, 10);
  EXPECT_TRUE(ranges.empty());
  ranges.add(10, 20);
  ranges.add(30, 60);
  ranges.remove(15, 35);
  EXPECT_EQ(ranges.covered_to(10), 15u);
  EXPECT_EQ(ranges.covered_to(15), 15u);
  EXPECT_EQ(ranges.covered_to(35), 60u);
  ranges.remove(40, 50);
  EXPECT_EQ(ranges.covered_to(35), 40u);
  EXPECT_EQ(ranges.covered_to(50), 60u);
  EXPECT_EQ(ranges.size(), 3u);
  ranges.remove(0, 60);
  EXPECT_TRUE(ranges.empty());
}

TEST(ByteRanges, ForgetsTheShortestWhenThereAreMany) {
  ByteRanges ranges;
  for (std::uint64_t i = 0; i < ByteRanges::kMax; ++i) ranges.add(i * 100, i * 100 + 50 - i);
  ranges.add(5'000, 5'060);
  EXPECT_EQ(ranges.size(), ByteRanges::kMax);
  std::uint64_t shortest = (ByteRanges::kMax - 1) * 100;
  EXPECT_EQ(ranges.covered_to(shortest), shortest);
  EXPECT_EQ(ranges.covered_to(5'000), 5'060u);
  EXPECT_EQ(ranges.covered_to(0), 50u);
}

/// Twelve batches of one record in segments of four, as a later life finds them.
struct OpenedAgain : LogFixture {
  OpenedAgain() {
    options.config.segment_bytes = 2'000;
    options.config.index_interval_bytes = 0;
    must_open();
    for (int i = 0; i < 12; ++i) EXPECT_TRUE(append({.value_bytes = 400}).ok());
    EXPECT_EQ(log->segments(), 3u);
    EXPECT_TRUE(log->close().ok());
    must_open(true);
  }
  std::string file(std::int64_t base) { return segment_path("/data/t-0", Offset{base}, kLogSuffix); }
  std::uint64_t position(std::size_t batch) { return (batch % 4) * written[0].size(); }

  /// As a reader does it: reads, checks, and takes what is good.
  Result<std::vector<std::int64_t>> checked_read(std::int64_t from, std::uint64_t bytes_max = 100'000) {
    std::vector<std::int64_t> bases;
    MR_TRY(ReadResult read, log->read(Offset{from}, log->log_end(), bytes_max, true));
    for (Fragment& fragment : read.fragments) {
      auto range = log->range_to_check(fragment, false);
      auto check = check_batches(*fragment.file, *range);
      log->note_check(fragment.segment, *range, check);
      if (!check.ok()) return check.error();
      if (check->bad) events += log->note_damage(fragment.segment, *survey_damage(*fragment.file, *range));
      fragment.length = std::min(fragment.length, check->good_end - fragment.position);
      ReadResult part{.fragments = {fragment}, .bytes = fragment.length};
      for (const BatchHeader& header : headers_of(part)) bases.push_back(header.base_offset);
      if (!check->bad) continue;
      if (bases.empty()) return *check->bad;
      break;
    }
    return bases;
  }
  /// Every offset that can be read, asking for the next one where it cannot.
  std::vector<std::int64_t> readable() {
    std::vector<std::int64_t> found;
    for (std::int64_t next = 0; next < 12;) {
      auto bases = checked_read(next);
      if (!bases.ok()) EXPECT_EQ(bases.code(), Errc::corrupt_batch) << bases.error().message();
      if (bases.ok()) found.insert(found.end(), bases->begin(), bases->end());
      next = bases.ok() ? bases->back() + 1 : next + 1;
    }
    return found;
  }
  std::size_t events = 0;
};

bool holds(const std::vector<std::int64_t>& offsets, std::int64_t offset) {
  return std::ranges::find(offsets, offset) != offsets.end();
}

std::vector<std::int64_t> all_but(std::vector<std::int64_t> missing) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t i = 0; i < 12; ++i)
    if (!holds(missing, i)) offsets.push_back(i);
  return offsets;
}

TEST(CheckedReads, WhatThisProcessWroteNeedsNoCheck) {
  LogFixture f;
  f.must_open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  EXPECT_FALSE(f.log->read(Offset{0}, Offset{5}, 10'000, true)->unchecked);
  ASSERT_TRUE(f.log->close().ok());
  f.must_open(true);
  EXPECT_TRUE(f.log->read(Offset{0}, Offset{5}, 10'000, true)->unchecked);
  ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  EXPECT_FALSE(f.log->read(Offset{5}, Offset{6}, 10'000, true)->unchecked);
  auto both = f.log->read(Offset{0}, Offset{6}, 10'000, true);
  EXPECT_TRUE(both->unchecked);
  EXPECT_EQ(both->fragments[0].checked, 0u);
}

TEST(CheckedReads, WhatWasCheckedIsRememberedUntilItIsNotReadForAWhile) {
  OpenedAgain f;
  ASSERT_TRUE(f.checked_read(0).ok());
  EXPECT_FALSE(f.log->read(Offset{0}, Offset{12}, 100'000, true)->unchecked);
  f.log->forget_checks();
  EXPECT_FALSE(f.log->read(Offset{4}, Offset{8}, 100'000, true)->unchecked);
  f.log->forget_checks();
  EXPECT_TRUE(f.log->read(Offset{0}, Offset{4}, 100'000, true)->unchecked);
  EXPECT_FALSE(f.log->read(Offset{4}, Offset{8}, 100'000, true)->unchecked);
}

TEST(CheckedReads, WhatIsAppendedAndNotReadForLongIsCheckedAgain) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  f.log->forget_checks();
  EXPECT_FALSE(f.log->read(Offset{0}, Offset{1}, 100'000, true)->unchecked);
  f.log->forget_checks();  // was read
  EXPECT_FALSE(f.log->read(Offset{0}, Offset{1}, 100'000, true)->unchecked);
  for (int i = 0; i < 2; ++i) f.log->forget_checks();
  ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  EXPECT_FALSE(f.log->read(Offset{1}, Offset{2}, 100'000, true)->unchecked);
  EXPECT_TRUE(f.log->read(Offset{0}, Offset{1}, 100'000, true)->unchecked);
}

TEST(CheckedReads, AFlippedBitCostsItsBatchOnly) {
  for (std::size_t batch : {0u, 1u, 3u, 5u, 7u, 10u}) {
    OpenedAgain f;
    auto offset = static_cast<std::int64_t>(batch);
    f.disk.flip_bit(f.file(offset / 4 * 4), f.position(batch) + 100, 2);
    EXPECT_EQ(f.readable(), all_but({offset})) << batch;
    EXPECT_EQ(f.events, 1u) << batch;
    EXPECT_EQ(f.readable(), all_but({offset})) << "remembered: " << batch;
    EXPECT_EQ(f.events, 1u) << batch;
  }
}

TEST(CheckedReads, ALostFrameCostsNoMoreThanUpToTheNextIndexEntry) {
  for (std::size_t byte : {8u, 9u, 11u, 16u}) {  // length, magic
    OpenedAgain f;
    f.disk.flip_bit(f.file(4), f.position(5) + byte, 6);
    EXPECT_EQ(f.readable(), all_but({5})) << byte;
    EXPECT_EQ(f.events, 1u) << byte;
  }
}

// Base offsets lie outside the checksum. Whoever believed a wrong one would skip records or give them other offsets.
TEST(CheckedReads, AWrongBaseOffsetIsNotBelieved) {
  for (std::size_t byte : {0u, 3u, 6u, 7u}) {
    for (unsigned bit : {0u, 1u, 2u, 5u}) {
      for (std::size_t batch : {4u, 5u, 6u, 7u}) {
        OpenedAgain f;
        f.disk.flip_bit(f.file(4), f.position(batch) + byte, bit);
        std::vector<std::int64_t> found = f.readable();
        for (std::int64_t offset : all_but({4, 5, 6, 7})) EXPECT_TRUE(holds(found, offset));
        EXPECT_FALSE(holds(found, static_cast<std::int64_t>(batch))) << batch << " " << byte << " " << bit;
        EXPECT_TRUE(std::ranges::is_sorted(found) && std::ranges::adjacent_find(found) == found.end());
        EXPECT_LE(f.events, 1u);
      }
    }
  }
}

TEST(CheckedReads, ABitThatFlipsOnTheWayIsReadAgain) {
  OpenedAgain f;
  auto read = f.log->read(Offset{4}, Offset{8}, 100'000, true);
  auto range = f.log->range_to_check(read->fragments[0], false);
  f.disk.add_fault({.kind = sim::Fault::Kind::flip_bit, .op = sim::DiskOp::read, .path_contains = "004.log"});
  auto check = check_batches(*read->fragments[0].file, *range);
  ASSERT_TRUE(check.ok());
  EXPECT_FALSE(check->bad);
  EXPECT_TRUE(check->healed);
  EXPECT_EQ(check->good_end, range->end);
}

TEST(CheckedReads, AnAnswerIsCheckedToTheEndOfItsLastBatch) {
  OpenedAgain f;
  std::uint64_t whole = f.written[0].size();
  f.disk.flip_bit(f.file(0), whole * 2 - 1, 0);
  // The second batch is cut behind its header, its bad byte is not even in the answer.
  auto bases = f.checked_read(0, whole + 70);
  ASSERT_TRUE(bases.ok());
  EXPECT_EQ(*bases, std::vector<std::int64_t>{0});
  EXPECT_EQ(f.events, 1u);
}

TEST(CheckedReads, AWrongIndexCostsTimeOnly) {
  OpenedAgain f;
  std::string index = segment_path("/data/t-0", Offset{4}, kOffsetIndexSuffix);
  for (std::uint64_t byte : {3u, 7u, 11u, 15u, 22u}) f.disk.flip_bit(index, byte, 1);
  EXPECT_EQ(f.readable(), all_but({}));
}

TEST(CheckedReads, AFailedReadIsFinal) {
  OpenedAgain f;
  auto read = f.log->read(Offset{4}, Offset{8}, 100'000, true);
  auto range = f.log->range_to_check(read->fragments[0], false);
  f.disk.add_fault({.op = sim::DiskOp::read, .path_contains = "004.log"});
  auto check = check_batches(*read->fragments[0].file, *range);
  EXPECT_EQ(check.code(), Errc::disk_failed);
  f.log->note_check({Offset{4}}, *range, check);
  EXPECT_TRUE(f.log->failure().has_value());
}

TEST(CheckedReads, ASegmentThatRetentionTookIsNoMatter) {
  OpenedAgain f;
  auto read = f.log->read(Offset{0}, Offset{4}, 100'000, true);
  auto range = f.log->range_to_check(read->fragments[0], false);
  ASSERT_TRUE(f.log->advance_log_start(Offset{5}).ok());
  EXPECT_FALSE(f.log->range_to_check(read->fragments[0], false));
  f.log->note_check({Offset{0}}, *range, check_batches(*read->fragments[0].file, *range));
  EXPECT_EQ(f.log->note_damage({Offset{0}}, {{.first = Offset{1}, .next = Offset{2}}}), 0u);
}

}  // namespace
}  // namespace mr::storage::test
