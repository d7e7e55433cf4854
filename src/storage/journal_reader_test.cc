// What a broker finds in the journals of the life before, after crashes, rot and recycling.
#include "storage/journal_reader.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/log.h"
#include "storage/journal_fixture.h"

namespace mr::storage {
namespace {

using test::JournalWriter;
using Key = JournalEvidence::Key;

constexpr TopicId kTopic{Uuid{1, 2}};
Key key(std::int32_t p) { return {kTopic, PartitionIndex{p}}; }

struct Reader : JournalWriter {
  explicit Reader(std::uint64_t seed = 1) : JournalWriter(seed) { set_log_level(LogLevel::off); }
  std::unique_ptr<JournalEvidence> read() {
    auto evidence = JournalEvidence::read(disk, "/data");
    EXPECT_TRUE(evidence.ok()) << evidence.error().message();
    return std::move(*evidence);
  }
  /// Offsets of what is carried for a partition; checks the bytes.
  std::vector<std::int64_t> carried(const JournalEvidence& evidence, std::int32_t p) {
    auto found = evidence.evidence_of(kTopic, PartitionIndex{p});
    EXPECT_TRUE(found.ok()) << found.error().message();
    std::vector<std::int64_t> offsets;
    for (const CommitEvidence::Carried& one : found->carried) {
      EXPECT_EQ(one.frames, bytes_of(one.run));
      offsets.push_back(one.run.base.v);
    }
    return offsets;
  }
  Offset end(const JournalEvidence& evidence, std::int32_t p) {
    auto found = evidence.evidence_of(kTopic, PartitionIndex{p});
    return found.ok() ? found->end() : Offset{-1};
  }
  void carry_round(std::int32_t p) {
    ASSERT_TRUE(carry(p));
    ASSERT_TRUE(round().ok());
  }
  /// Of the blocks of half a, in order.
  std::vector<std::uint64_t> positions() {
    auto bytes = read_whole_file(disk, journal_path("/data", 0, 'a'));
    std::vector<std::uint64_t> at;
    std::uint64_t position = 0;
    for (auto block = decode_journal_block(*bytes); block.ok();
         block = decode_journal_block(ByteView(*bytes).subspan(position))) {
      at.push_back(position);
      position += block->bytes;
    }
    return at;
  }
  std::size_t files() {
    auto entries = disk.list("/data");
    return static_cast<std::size_t>(
        std::ranges::count_if(*entries, [](const DirEntry& entry) { return is_journal_name(entry.name); }));
  }
};

TEST(JournalReader, NothingThereIsNoEvidence) {
  Reader r;
  auto evidence = r.read();
  EXPECT_TRUE(evidence->empty());
  EXPECT_TRUE(evidence->retire({}).ok());
}

TEST(JournalReader, ReadsAllShards) {
  Reader r;
  r.carry_round(0);
  JournalRun synced = r.next_run(0);
  r.journal->add_durable(synced);
  r.carry_round(1);
  r.restart(Uuid{5, 6}, 1);
  r.carry_round(2);
  r.disk.crash(sim::CrashMode::lose_unsynced);
  auto evidence = r.read();
  EXPECT_EQ(evidence->partitions(), (std::vector<Key>{key(0), key(1), key(2)}));
  EXPECT_EQ(r.carried(*evidence, 0), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(r.carried(*evidence, 1), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(r.carried(*evidence, 2), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(evidence->evidence_of(kTopic, PartitionIndex{0})->durable, (std::vector<JournalRun>{synced}));
  EXPECT_EQ(r.end(*evidence, 0), synced.next);
  EXPECT_EQ(evidence->damaged_blocks(), 0u);
}

// The last block may be torn: nobody has said that it was on disk. Any other one was.
TEST(JournalReader, TornEndIsNoDamageAndALostBlockIs) {
  for (std::size_t broken = 0; broken < 5; ++broken) {
    Reader r;
    for (int i = 0; i < 5; ++i) r.carry_round(0);
    std::uint64_t at = r.positions()[broken];
    for (std::uint64_t byte : {at, at + 20, at + 36, at + 64, at + 700}) {
      r.disk.flip_bit(journal_path("/data", 0, 'a'), byte, 3);
      auto evidence = r.read();
      std::vector<std::int64_t> expected;
      for (std::int64_t i = 0; i < 5; ++i)
        if (i != static_cast<std::int64_t>(broken)) expected.push_back(i);
      EXPECT_EQ(r.carried(*evidence, 0), expected) << "block " << broken << " byte " << byte - at;
      EXPECT_EQ(evidence->damaged_blocks(), broken == 4 ? 0u : 1u);
      r.disk.flip_bit(journal_path("/data", 0, 'a'), byte, 3);
    }
  }
}

// A block that carries is synced before the next one is written. So a hole above all assertions was statements, which
// nobody waits for, and what is carried behind it may have been answered.
TEST(JournalReader, WhatLiesBehindALostStatementCounts) {
  Reader r;
  r.carry_round(0);
  r.journal->add_durable(r.next_run(3));
  ASSERT_TRUE(r.round().ok());
  JournalRun synced = r.next_run(4);
  r.journal->add_durable(synced);
  r.carry_round(0);
  r.disk.flip_bit(journal_path("/data", 0, 'a'), r.positions()[1] + 40, 1);
  auto evidence = r.read();
  EXPECT_EQ(evidence->damaged_blocks(), 0u);
  EXPECT_EQ(r.carried(*evidence, 0), (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(r.end(*evidence, 4), synced.next);
}

TEST(JournalReader, AMissingHalfIsDamageWhileItIsNeeded) {
  Reader r;
  r.fill_half();
  std::uint64_t blocks = r.blocks('a').size();
  (void)r.journal->begin_half({});
  r.carry_round(1);
  ASSERT_TRUE(r.disk.remove(journal_path("/data", 0, 'a')).ok());
  auto evidence = r.read();
  EXPECT_EQ(evidence->damaged_blocks(), blocks);
  EXPECT_EQ(r.carried(*evidence, 1), (std::vector<std::int64_t>{0}));
  r.journal->release(CommitJournal::Half::a);
  ASSERT_TRUE(r.round().ok());
  EXPECT_EQ(r.read()->damaged_blocks(), 0u);
}

// Old blocks lie behind the new ones of a half that is used again, and under a torn first one.
TEST(JournalReader, RecycledBlocksAreNotTakenForNewOnes) {
  Reader r;
  r.fill_half();
  (void)r.journal->begin_half({});
  r.carry_round(1);
  r.journal->release(CommitJournal::Half::a);
  while (!r.journal->wants_half()) r.carry_round(1);
  (void)r.journal->begin_half({});
  ASSERT_TRUE(r.carry(2));
  std::size_t in_b = r.blocks('b').size();
  auto block = r.journal->take_block();
  ASSERT_TRUE(block->write().ok());
  auto evidence = r.read();
  EXPECT_EQ(evidence->partitions(), (std::vector<Key>{key(1), key(2)}));
  EXPECT_EQ(r.carried(*evidence, 1).size(), in_b);
  EXPECT_EQ(evidence->damaged_blocks(), 0u);
  r.disk.flip_bit(journal_path("/data", 0, 'a'), 100, 0);
  evidence = r.read();
  EXPECT_EQ(evidence->partitions(), (std::vector<Key>{key(1)}));
  EXPECT_EQ(evidence->damaged_blocks(), 0u);
}

TEST(JournalReader, BlocksOfAnotherSessionBehindTheFirstAreStale) {
  Reader r;
  for (int i = 0; i < 4; ++i) r.carry_round(0);
  JournalBlockBuilder builder;
  JournalRun run = r.next_run(1, 1100);
  builder.add(JournalEntry::Kind::carried, run, r.bytes_of(run));
  ByteView block = builder.finish({.session = Uuid{9, 9}, .shard = 0, .sequence = 1, .asserted = 0, .floor = 1});
  ASSERT_EQ(block.size(), r.positions()[1]);
  auto file = r.disk.open(journal_path("/data", 0, 'a'), OpenMode::read_write);
  ASSERT_TRUE((*file)->write_at(block, 0).ok());
  auto evidence = r.read();
  EXPECT_EQ(evidence->partitions(), (std::vector<Key>{key(1)}));
  EXPECT_EQ(evidence->damaged_blocks(), 0u);
}

// Whoever makes records can make them look like the heads of long blocks: a start does not read each of those.
TEST(JournalReader, RecordsThatLookLikeBlocksCostNothing) {
  Reader r;
  r.carry_round(0);
  std::vector<std::byte> hostile(2u << 20);
  for (std::size_t at = 0; at < hostile.size(); at += kJournalAlign) {
    std::vector<std::byte> head = *read_whole_file(r.disk, journal_path("/data", 0, 'a'));
    std::copy_n(head.begin(), kJournalHeaderBytes, hostile.begin() + static_cast<std::ptrdiff_t>(at));
    store_be(hostile.data() + at + 8, static_cast<std::uint32_t>(hostile.size()));
    store_be(hostile.data() + at + 16, std::uint64_t{99});  // a session of their own
  }
  auto file = r.disk.open(journal_path("/data", 0, 'a'), OpenMode::read_write);
  ASSERT_TRUE((*file)->write_at(hostile, 8192).ok());
  std::uint64_t read = 0;
  r.disk.on_operation([&](const sim::Disk::Operation& op) { read += op.op == sim::DiskOp::read ? op.bytes : 0; });
  EXPECT_EQ(r.read()->partitions(), (std::vector<Key>{key(0)}));
  EXPECT_LT(read, 2 * hostile.size());
  r.disk.on_operation({});
}

// What cannot be read may be the only copy of what was answered; who goes on without it gives its offsets away again.
TEST(JournalReader, WhatTheDeviceDoesNotGiveStopsTheStart) {
  Reader r;
  for (int i = 0; i < 4; ++i) r.carry_round(0);
  r.disk.add_fault({.op = sim::DiskOp::read, .path_contains = "commit-journal-0.a"});
  auto refused = JournalEvidence::read(r.disk, "/data");
  ASSERT_EQ(refused.code(), Errc::disk_failed);
  EXPECT_NE(refused.error().detail().find("put the file aside"), std::string::npos) << refused.error().detail();
  EXPECT_EQ(r.carried(*r.read(), 0), (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST(JournalReader, ANewerVersionIsRefused) {
  Reader r;
  r.carry_round(0);
  auto file = r.disk.open(journal_path("/data", 0, 'a'), OpenMode::read_write);
  auto bytes = read_whole_file(r.disk, journal_path("/data", 0, 'a'));
  std::size_t length = decode_journal_block(*bytes)->bytes;
  store_be(bytes->data() + 12, std::uint16_t{2});
  store_be(bytes->data() + 4, crc32c(ByteView(*bytes).subspan(8, length - 8)));
  ASSERT_TRUE((*file)->write_at(*bytes, 0).ok());
  auto evidence = JournalEvidence::read(r.disk, "/data");
  ASSERT_FALSE(evidence.ok());
  EXPECT_EQ(evidence.code(), Errc::newer_format);
}

TEST(JournalReader, ABitThatTheDeviceGivesWrongOnceIsReadAgain) {
  for (std::uint64_t call = 0; call < 6; ++call) {
    Reader r;
    for (int i = 0; i < 3; ++i) r.carry_round(0);
    r.disk.add_fault({.kind = sim::Fault::Kind::flip_bit, .op = sim::DiskOp::read, .after = call});
    auto evidence = r.read();
    EXPECT_EQ(r.carried(*evidence, 0).size(), 3u);
    EXPECT_EQ(evidence->damaged_blocks(), 0u);
  }
}

// A partition that cannot be opened keeps its evidence over any number of lives, until it can.
TEST(JournalReader, KeptEvidenceOutlivesRestarts) {
  Reader r;
  r.fill_half();
  (void)r.journal->begin_half({});
  r.carry_round(1);
  std::size_t in_a = 0;
  {
    auto evidence = r.read();
    in_a = r.carried(*evidence, 0).size();
    ASSERT_TRUE(evidence->retire({key(0)}).ok());
    EXPECT_EQ(evidence->partitions(), (std::vector<Key>{key(0)}));
    EXPECT_EQ(r.carried(*evidence, 0).size(), in_a);
  }
  r.restart(Uuid{7, 8});
  r.carry_round(2);
  r.disk.crash(sim::CrashMode::lose_unsynced);
  auto evidence = r.read();
  EXPECT_EQ(r.carried(*evidence, 0).size(), in_a);
  EXPECT_EQ(r.carried(*evidence, 2).size(), 1u);
  EXPECT_EQ(evidence->damaged_blocks(), 0u);
  EXPECT_EQ(r.files(), 3u);
  ASSERT_TRUE(evidence->retire({key(0)}).ok());
  EXPECT_EQ(r.files(), 2u) << "the last life's journal has served";
  ASSERT_TRUE(evidence->drop(key(0)).ok());
  EXPECT_EQ(r.files(), 0u);
  EXPECT_TRUE(r.read()->empty());
}

// The power goes at any point while journals are removed or put aside: what was to be kept is there, and what was not
// never looks damaged.
TEST(JournalReader, RetiringMayBeInterrupted) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (std::uint64_t stop_after = 1; stop_after <= 12; ++stop_after) {
      Reader r(seed);
      r.fill_half();
      (void)r.journal->begin_half({});
      r.carry_round(1);
      r.restart(Uuid{5, 6}, 1);
      r.carry_round(2);
      r.carry_round(2);
      ASSERT_TRUE(r.disk.sync_directory("/data").ok());
      auto before = r.read();
      std::size_t kept = r.carried(*before, 2).size();
      r.disk.crash_after(stop_after, sim::CrashMode::random);
      (void)before->retire({key(2)});
      r.disk.crash_after(0, sim::CrashMode::random);
      if (!r.disk.crashed()) r.disk.crash(sim::CrashMode::random);
      r.disk.restart();
      auto after = r.read();
      EXPECT_EQ(after->damaged_blocks(), 0u) << stop_after;
      EXPECT_EQ(r.carried(*after, 2).size(), kept) << stop_after;
    }
  }
}

TEST(JournalReader, CleanStopRemovesThisLifesJournals) {
  for (std::uint64_t stop_after = 0; stop_after <= 4; ++stop_after) {
    Reader r;
    r.fill_half();
    (void)r.journal->begin_half({});
    r.carry_round(1);
    if (stop_after > 0) r.disk.crash_after(stop_after, sim::CrashMode::random);
    ASSERT_TRUE(remove_journals(r.disk, "/data").ok());
    r.disk.restart();
    EXPECT_EQ(r.read()->damaged_blocks(), 0u);
    if (stop_after == 0) EXPECT_EQ(r.files(), 0u);
  }
}

}  // namespace
}  // namespace mr::storage
