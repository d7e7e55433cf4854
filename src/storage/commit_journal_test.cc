// The writing side on a simulated disk: what is where, which half is used when, what errors do.
#include "storage/commit_journal.h"

#include <gtest/gtest.h>

#include "storage/journal_fixture.h"

namespace mr::storage {
namespace {

using test::JournalWriter;

TEST(CommitJournal, IdleJournalTouchesNothing) {
  JournalWriter w;
  EXPECT_FALSE(w.journal->has_work());
  EXPECT_EQ(w.journal->take_block(), nullptr);
  EXPECT_EQ(*w.disk.exists(journal_path("/data", 0, 'a')), false);
}

TEST(CommitJournal, CarriedBytesSurviveOnceTheirBlockIsSynced) {
  JournalWriter w;
  ASSERT_TRUE(w.carry(0));
  ASSERT_TRUE(w.carry(1));
  ASSERT_TRUE(w.round().ok());
  w.disk.crash(sim::CrashMode::lose_unsynced);
  auto bytes = read_whole_file(w.disk, journal_path("/data", 0, 'a'));
  ASSERT_TRUE(bytes.ok());
  auto block = decode_journal_block(*bytes);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(block->entries.size(), 2u);
  EXPECT_EQ(block->header.sequence, 1u);
  EXPECT_EQ(block->header.asserted, 0u);
}

TEST(CommitJournal, StatementsNeedNoSyncAndTheNextSyncCoversThem) {
  JournalWriter w;
  w.journal->add_durable(w.next_run(0));
  auto block = w.journal->take_block();
  ASSERT_NE(block, nullptr);
  EXPECT_FALSE(block->needs_sync());
  EXPECT_EQ(w.journal->take_block(), nullptr) << "one at a time";
  ASSERT_TRUE(block->write().ok());
  w.journal->block_done(std::move(block), {});
  ASSERT_TRUE(w.carry(0));
  ASSERT_TRUE(w.round().ok());
  ASSERT_TRUE(w.carry(0));
  ASSERT_TRUE(w.round().ok());
  std::vector<JournalBlockHeader> blocks = w.blocks('a');
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[1].asserted, 0u) << "the statement was not synced when this one was written";
  EXPECT_EQ(blocks[2].asserted, 2u);
}

TEST(CommitJournal, ALaterStatementAboutTheSameReplacesTheOneThatWaits) {
  JournalWriter w;
  JournalRun run = w.next_run(0, 100);
  w.journal->add_durable(run);
  run.bytes = 200;
  run.next = Offset{5};
  w.journal->add_durable(run);
  ASSERT_TRUE(w.round().ok());
  auto bytes = read_whole_file(w.disk, journal_path("/data", 0, 'a'));
  auto block = decode_journal_block(*bytes);
  ASSERT_TRUE(block.ok());
  ASSERT_EQ(block->entries.size(), 1u);
  EXPECT_EQ(block->entries[0].run, run);
}

TEST(CommitJournal, FullBlockRefusesAndTheNextTakesMore) {
  JournalWriter w;
  ASSERT_TRUE(w.carry(0, 3000));
  EXPECT_FALSE(w.carry(1, 1000));
  ASSERT_TRUE(w.round().ok());
  EXPECT_TRUE(w.carry(1, 1000));
}

// A half that carries something is not touched before its bytes are in their own files and a block on disk says so.
TEST(CommitJournal, HalvesTakeTurns) {
  JournalWriter w;
  w.fill_half();
  std::uint64_t last_of_a = w.blocks('a').back().sequence;
  JournalRun still_needed = w.next_run(7);
  EXPECT_EQ(w.journal->begin_half({still_needed}), CommitJournal::Half::a);
  auto carried = w.journal->carried_in(CommitJournal::Half::a);
  ASSERT_EQ(carried.size(), 1u);
  EXPECT_EQ(carried[0].partition, PartitionIndex{0});

  ASSERT_TRUE(w.carry(1));
  ASSERT_TRUE(w.round().ok());
  EXPECT_EQ(w.blocks('b')[0].sequence, last_of_a + 1);
  EXPECT_EQ(w.blocks('b')[0].floor, 1u) << "half a is still needed";
  EXPECT_EQ(w.blocks('b')[0].asserted, last_of_a);
  auto bytes = read_whole_file(w.disk, journal_path("/data", 0, 'b'));
  auto first = decode_journal_block(*bytes);
  ASSERT_EQ(first->entries.size(), 2u);
  EXPECT_EQ(first->entries[1].run, still_needed);

  while (w.carry(1)) ASSERT_TRUE(w.round().ok());
  EXPECT_FALSE(w.journal->wants_half()) << "half a is not free";
  w.journal->release(CommitJournal::Half::a);
  EXPECT_FALSE(w.journal->wants_half()) << "no block says so yet";
  ASSERT_TRUE(w.round().ok());
  EXPECT_EQ(w.blocks('b').back().floor, last_of_a + 1);
  EXPECT_TRUE(w.journal->wants_half());
  EXPECT_EQ(w.journal->begin_half({}), CommitJournal::Half::b);
  ASSERT_TRUE(w.carry(2));
  ASSERT_TRUE(w.round().ok());
  std::vector<JournalBlockHeader> again = w.blocks('a');
  EXPECT_EQ(again.size(), 1u) << "old blocks behind it do not follow";
  EXPECT_EQ(again[0].sequence, w.blocks('b').back().sequence + 1);
}

// The first block of a half says that all before it are on disk: those of the other file too.
TEST(CommitJournal, FirstSyncOfAHalfCoversTheOtherFile) {
  JournalWriter w;
  w.fill_half();
  w.journal->add_durable(w.next_run(3));
  ASSERT_TRUE(w.round().ok());  // not synced
  ASSERT_TRUE(w.journal->wants_half());
  (void)w.journal->begin_half({});
  ASSERT_TRUE(w.carry(1));
  ASSERT_TRUE(w.round().ok());
  std::uint64_t last = w.blocks('b').back().sequence;
  w.disk.crash(sim::CrashMode::lose_unsynced);
  EXPECT_EQ(w.blocks('a').back().sequence, last - 1);
}

TEST(CommitJournal, AFullDiskRefusesUntilThereIsRoom) {
  JournalWriter w;
  ASSERT_TRUE(w.carry(0));
  ASSERT_TRUE(w.round().ok());
  w.disk.set_total_bytes(w.disk.used_bytes());
  JournalRun statement = w.next_run(9);
  bool refused = false;
  for (int i = 0; i < 10 && !refused; ++i) {
    ASSERT_TRUE(w.carry(0, 3000)) << "there is room in the half";
    w.journal->add_durable(statement);
    Result<void> outcome = w.round();
    refused = !outcome.ok();
    if (refused) EXPECT_EQ(outcome.code(), Errc::disk_full);
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(w.journal->failure(), std::nullopt);
  EXPECT_TRUE(w.journal->growth_refused());
  EXPECT_FALSE(w.carry(0, 3000));
  w.disk.heal();
  w.journal->retry_growth();
  EXPECT_TRUE(w.carry(0, 3000));
  std::uint64_t before = w.blocks('a').back().sequence;
  ASSERT_TRUE(w.round().ok());
  EXPECT_EQ(w.blocks('a').back().sequence, before + 1) << "the failed block's number is used again";
}

// Until all of a checkpoint is written the other half keeps what it says; a refused block must not count for it.
TEST(CommitJournal, ARefusedBlockOfTheOldHalfDoesNotShortenTheCheckpoint) {
  JournalWriter w;
  while (!w.journal->wants_half()) ASSERT_TRUE(w.carry(0, 3000) && w.round().ok());
  for (int p = 100; p < 120; ++p) w.journal->add_durable(w.next_run(p));
  auto refused = w.journal->take_block();
  ASSERT_NE(refused, nullptr);
  std::vector<JournalRun> checkpoint;
  for (int p = 1; p <= 50; ++p) checkpoint.push_back(w.next_run(p));
  (void)w.journal->begin_half(checkpoint);
  w.journal->block_done(std::move(refused), Errc::resource_exhausted);
  w.journal->retry_growth();
  w.journal->release(CommitJournal::Half::a);
  ASSERT_TRUE(w.round().ok());
  EXPECT_EQ(w.blocks('b').back().floor, 1u) << "the checkpoint is not all there";
  ASSERT_TRUE(w.round().ok());
  EXPECT_GT(w.blocks('b').back().floor, 1u);
}

TEST(CommitJournal, NoDescriptorForTheNameOfTheFileIsNoFailure) {
  JournalWriter w;
  ASSERT_TRUE(w.carry(0));
  w.disk.add_fault({.op = sim::DiskOp::sync_directory, .path_contains = "/data", .error = Errc::resource_exhausted});
  EXPECT_EQ(w.round().code(), Errc::resource_exhausted);
  EXPECT_EQ(w.journal->failure(), std::nullopt);
  w.journal->retry_growth();
  ASSERT_TRUE(w.carry(0));
  EXPECT_TRUE(w.round().ok());
}

TEST(CommitJournal, AFailedSyncIsFinal) {
  JournalWriter w;
  ASSERT_TRUE(w.carry(0));
  w.disk.add_fault({.op = sim::DiskOp::sync, .path_contains = "commit-journal"});
  EXPECT_EQ(w.round().code(), Errc::disk_failed);
  ASSERT_TRUE(w.journal->failure().has_value());
  EXPECT_FALSE(w.carry(0));
  w.journal->add_durable(w.next_run(0));
  EXPECT_FALSE(w.journal->has_work());
  EXPECT_EQ(w.journal->take_block(), nullptr);
}

TEST(CommitJournal, WaitingStatementsHaveABound) {
  sim::Disk disk(1);
  CommitJournal journal(disk, {.directory = "/data", .session = Uuid{5, 6}, .statements_max = 10});
  ASSERT_TRUE(disk.make_directories("/data").ok());
  JournalWriter w;
  for (int i = 0; i < 20; ++i) journal.add_durable(w.next_run(i));
  auto block = journal.take_block();
  ASSERT_TRUE(block->write().ok());
  journal.block_done(std::move(block), {});
  auto bytes = read_whole_file(disk, journal_path("/data", 0, 'a'));
  EXPECT_EQ(decode_journal_block(*bytes)->entries.size(), 10u);
}

}  // namespace
}  // namespace mr::storage
