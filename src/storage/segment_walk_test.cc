// Segment files with damage in known places: the walk must give every batch that is still as it was written, name the
// rest, and believe nothing that only looks like a batch.
#include "storage/segment_walk.h"

#include <gtest/gtest.h>

#include "sim/disk.h"
#include "storage/test_batches.h"

namespace mr::storage::test {
namespace {

struct Walked {
  std::vector<std::int64_t> bases;
  Damage damage;
  std::optional<std::string> torn;
  Offset next;
  bool facts_hold = false;
};

/// Ten batches of one record at offsets 0 to 9.
struct WalkFixture {
  WalkFixture() {
    for (int i = 0; i < 10; ++i) add({.value_bytes = 100});
  }
  void add(const BatchSpec& spec) {
    std::vector<std::byte> batch = make_batch(spec);
    patch_batch(batch, next, epoch);
    next = header_of(batch).next_offset();
    starts.push_back(bytes.size());
    bytes.insert(bytes.end(), batch.begin(), batch.end());
  }
  void flip(std::size_t batch, std::size_t byte, unsigned bit = 0) {
    bytes[starts[batch] + byte] ^= std::byte{1} << bit;
  }
  Walked walk(WalkInput input) {
    auto file = disk.open("/segment", OpenMode::create);
    EXPECT_TRUE((*file)->truncate(0).ok() && (*file)->write_at(bytes, 0).ok());
    SegmentWalk walk(**file, bytes.size(), std::move(input), 4096);
    Walked seen;
    while (true) {
      auto item = walk.next();
      EXPECT_TRUE(item.ok());
      if (!item.ok() || !*item) break;
      seen.bases.push_back((*item)->header.base_offset);
    }
    seen.damage = walk.damage();
    seen.torn = walk.torn();
    seen.next = walk.next_offset();
    seen.facts_hold = walk.facts_hold();
    return seen;
  }
  /// All was synced.
  Walked walk_synced() { return walk({.evidence = next}); }

  sim::Disk disk{1};
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> starts;
  Offset next{0};
  LeaderEpoch epoch{3};
};

std::vector<std::int64_t> all_but(std::int64_t count, std::initializer_list<std::int64_t> without) {
  std::vector<std::int64_t> bases;
  for (std::int64_t i = 0; i < count; ++i)
    if (std::ranges::find(without, i) == without.end()) bases.push_back(i);
  return bases;
}

// Whatever field of the header or place in the records is hit, only its own batch is lost.
TEST(SegmentWalk, AnyFlippedBitCostsItsOwnBatchOnly) {
  WalkFixture whole;
  std::size_t batch_bytes = whole.starts[1];
  for (std::size_t batch : {0u, 4u, 9u}) {
    for (std::size_t byte = 0; byte < batch_bytes; ++byte) {
      for (unsigned bit : {0u, 3u, 7u}) {
        WalkFixture f;
        f.flip(batch, byte, bit);
        Walked seen = f.walk_synced();
        SCOPED_TRACE(testing::Message() << "batch " << batch << " byte " << byte << " bit " << bit);
        // Of an epoch in the first or the last batch that goes with its one neighbour only a fact could tell.
        bool unseen = byte >= BatchHeader::kLeaderEpochAt && byte < BatchHeader::kMagicAt && seen.damage.empty();
        if (unseen) {
          ASSERT_NE(batch, 4u);
          continue;
        }
        ASSERT_EQ(seen.bases, all_but(10, {static_cast<std::int64_t>(batch)}));
        ASSERT_EQ(seen.damage.size(), 1u);
        EXPECT_EQ(seen.damage[0].position, f.starts[batch]);
        EXPECT_EQ(seen.damage[0].first.v, static_cast<std::int64_t>(batch));
        EXPECT_EQ(seen.damage[0].next.v, static_cast<std::int64_t>(batch) + 1);
        EXPECT_FALSE(seen.torn);
      }
    }
  }
}

TEST(SegmentWalk, SeveralRangesAndAZeroedPage) {
  WalkFixture f;
  f.flip(2, 70);
  std::fill(f.bytes.begin() + static_cast<std::ptrdiff_t>(f.starts[5] + 30),
            f.bytes.begin() + static_cast<std::ptrdiff_t>(f.starts[7] + 10), std::byte{0});
  Walked seen = f.walk_synced();
  EXPECT_EQ(seen.bases, all_but(10, {2, 5, 6, 7}));
  ASSERT_EQ(seen.damage.size(), 2u);
  EXPECT_EQ(seen.damage[1].first, Offset{5});
  EXPECT_EQ(seen.damage[1].next, Offset{8});
  EXPECT_EQ(seen.damage[1].end, f.starts[8]);
}

// A record may hold a whole batch, with offsets that would fit, checksum and all.
TEST(SegmentWalk, ABatchInsideARecordIsNotBelieved) {
  WalkFixture f;
  std::vector<std::byte> inner = make_batch({.value_bytes = 20});
  patch_batch(inner, Offset{5}, f.epoch);
  ASSERT_LT(inner.size(), 100u);
  std::ranges::copy(inner, f.bytes.begin() + static_cast<std::ptrdiff_t>(f.starts[4] + BatchHeader::kBytes + 7));
  f.flip(4, BatchHeader::kLengthAt + 1, 3);  // and its frame does not lead on
  Walked seen = f.walk_synced();
  EXPECT_EQ(seen.bases, all_but(10, {4}));
  EXPECT_EQ(f.walk({.evidence = Offset{10}, .anchors = {f.starts[6]}}).bases, all_but(10, {4}));
}

TEST(SegmentWalk, AboveTheEvidenceTheFirstBadByteEndsIt) {
  WalkFixture f;
  f.flip(2, 70);
  f.flip(6, 70);
  Walked seen = f.walk({.evidence = Offset{5}});
  EXPECT_EQ(seen.bases, (std::vector<std::int64_t>{0, 1, 3, 4, 5}));
  EXPECT_EQ(seen.damage.size(), 1u);
  EXPECT_TRUE(seen.torn);
  EXPECT_EQ(seen.next, Offset{6});
}

TEST(SegmentWalk, WhatTheFileLacksBelowTheEvidenceIsDamage) {
  WalkFixture f;
  f.bytes.resize(f.starts[7] + 20);
  Walked seen = f.walk_synced();
  EXPECT_EQ(seen.bases, all_but(7, {}));
  ASSERT_EQ(seen.damage.size(), 1u);
  EXPECT_EQ(seen.damage[0].first, Offset{7});
  EXPECT_EQ(seen.damage[0].next, Offset{10});
  EXPECT_EQ(seen.next, Offset{10});
}

// Headers are covered by facts: a valid file that is not this one, and an epoch that only looks possible.
TEST(SegmentWalk, FactsTellTheFileFromAnother) {
  WalkFixture f;
  std::vector<HeaderFact> facts;
  std::uint32_t crc = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    std::uint32_t seed = crc;
    crc = crc32c(ByteView(f.bytes).subspan(f.starts[i], BatchHeader::kBytes), seed);
    std::uint64_t end = i + 1 < 10 ? f.starts[i + 1] : f.bytes.size();
    facts.push_back({f.starts[i], end, seed, crc, {}, true});
  }
  auto synced = [&] { return WalkInput{.evidence = Offset{10}, .facts = facts}; };
  Walked seen = f.walk(synced());
  EXPECT_TRUE(seen.facts_hold);
  EXPECT_TRUE(seen.damage.empty());

  f.flip(9, BatchHeader::kLeaderEpochAt + 2);
  seen = f.walk(synced());
  EXPECT_FALSE(seen.facts_hold);
  ASSERT_EQ(seen.damage.size(), 1u);
  EXPECT_EQ(seen.damage[0].first, Offset{9});

  WalkFixture other;
  other.bytes.clear();
  other.starts.clear();
  other.next = Offset{0};
  for (int i = 0; i < 10; ++i) other.add({.value_bytes = 100, .fill = 'y'});
  seen = other.walk(synced());
  ASSERT_EQ(seen.damage.size(), 1u);
  EXPECT_EQ(seen.damage[0].first, Offset{0});
  EXPECT_EQ(seen.damage[0].next, Offset{10});
}

TEST(Damage, OverlappingRangesBecomeOne) {
  Damage damage = normalized(
      {{Offset{8}, Offset{9}, 80, 90, "c"}, {Offset{1}, Offset{3}, 10, 30, "a"}, {Offset{2}, Offset{4}, 20, 40, "b"}});
  ASSERT_EQ(damage.size(), 2u);
  EXPECT_EQ(damage[0].next, Offset{4});
  EXPECT_EQ(damage[0].why, "a");
  EXPECT_EQ(find_damage(damage, Offset{3})->first, Offset{1});
  EXPECT_EQ(find_damage(damage, Offset{4}), nullptr);
  EXPECT_EQ(find_damage(damage, Offset{0}), nullptr);
}

}  // namespace
}  // namespace mr::storage::test
