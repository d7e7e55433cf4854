// The data directory on a simulated disk: whose it is, how the last process ended, what survives a crash.
#include "storage/data_dir.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "sim/disk.h"
#include "storage/commit_journal.h"
#include "storage/partition_metadata.h"
#include "storage/small_file.h"

namespace mr::storage::test {
namespace {

const Uuid kDirectory{0x1111, 0x2222};
const TopicPartition kPartition{"orders", PartitionIndex{3}};

std::unique_ptr<DataDir> must_open(FileSystem& disk) {
  auto dir = DataDir::open(disk, "/data");
  EXPECT_TRUE(dir.ok()) << dir.error().message();
  return std::move(*dir);
}

void put(FileSystem& disk, const std::string& path, std::string_view text) {
  ASSERT_TRUE(replace_file(disk, path, as_bytes(text)).ok());
}

void make_partition(FileSystem& disk, const std::string& name, Uuid id) {
  ASSERT_TRUE(disk.make_directories("/data/" + name).ok());
  ASSERT_TRUE(check_partition_metadata(disk, "/data/" + name, TopicId{id}).ok());
}

TEST(DataDir, SecondProcessIsRefusedByName) {
  sim::Disk disk(1);
  auto first = must_open(disk);
  auto second = DataDir::open(disk, "/data");
  ASSERT_EQ(second.code(), Errc::in_use);
  EXPECT_NE(second.error().detail().find("/data"), std::string::npos);
  first.reset();
  EXPECT_TRUE(DataDir::open(disk, "/data").ok());
}

TEST(DataDir, IdentityIsWrittenOnceAndCompared) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  ASSERT_TRUE(dir->claim("cluster-a", BrokerId{1}, kDirectory).ok());
  dir.reset();
  disk.crash(sim::CrashMode::lose_unsynced);
  dir = must_open(disk);
  EXPECT_EQ(dir->directory_id(), kDirectory);
  EXPECT_TRUE(dir->claim("cluster-a", BrokerId{1}, Uuid{9, 9}).ok());
  EXPECT_EQ(dir->directory_id(), kDirectory);
  EXPECT_EQ(dir->claim("cluster-b", BrokerId{1}, kDirectory).code(), Errc::conflict);
  EXPECT_EQ(dir->claim("cluster-a", BrokerId{2}, kDirectory).code(), Errc::conflict);
}

TEST(DataDir, ReadsKafkasIdentityAndRefusesNewerOnes) {
  sim::Disk disk(1);
  ASSERT_TRUE(disk.make_directories("/data").ok());
  put(disk, "/data/meta.properties",
      "#\n#Sat Nov 21 06:00:00 UTC 2026\ncluster.id=abc\ndirectory.id=AAAAAAAAERERAAAAAAAAIg\nnode.id=4\nversion=1\n");
  EXPECT_TRUE(must_open(disk)->claim("abc", BrokerId{4}, kDirectory).ok());
  put(disk, "/data/meta.properties", "cluster.id=abc\nnode.id=4\nversion=2\n");
  EXPECT_EQ(DataDir::open(disk, "/data").code(), Errc::newer_format);
  put(disk, "/data/meta.properties", "cluster.id=abc\nnode.id=4\nversion=1\nmillrace.format.version=2\n");
  EXPECT_EQ(DataDir::open(disk, "/data").code(), Errc::newer_format);
  put(disk, "/data/meta.properties", "what\n");
  EXPECT_EQ(DataDir::open(disk, "/data").code(), Errc::corrupt_data);
}

TEST(DataDir, CleanMarkerCountsOnce) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  EXPECT_FALSE(dir->was_clean());
  ASSERT_TRUE(disk.sync_directory("/").ok());
  ASSERT_TRUE(dir->mark_clean().ok());
  dir.reset();
  disk.crash(sim::CrashMode::lose_unsynced);
  dir = must_open(disk);
  EXPECT_TRUE(dir->was_clean());
  dir.reset();
  disk.crash(sim::CrashMode::lose_unsynced);
  EXPECT_FALSE(must_open(disk)->was_clean());
}

TEST(DataDir, CheckpointsComeBack) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  ASSERT_TRUE(disk.sync_directory("/").ok());
  Checkpoints checkpoints;
  checkpoints.recovery_points[kPartition] = Offset{10};
  checkpoints.log_starts[kPartition] = Offset{5};
  checkpoints.high_watermarks[kPartition] = Offset{12};
  ASSERT_TRUE(dir->write_checkpoints(checkpoints).ok());
  EXPECT_EQ(as_text(*read_whole_file(disk, "/data/log-start-offset-checkpoint")), "0\n1\norders 3 5\n");
  dir.reset();
  disk.crash(sim::CrashMode::lose_unsynced);
  dir = must_open(disk);
  EXPECT_EQ(dir->recovery_point(kPartition), Offset{10});
  EXPECT_EQ(dir->log_start(kPartition), Offset{5});
  EXPECT_EQ(dir->high_watermark(kPartition), Offset{12});
  EXPECT_EQ(dir->log_start({"orders", PartitionIndex{4}}), Offset{0});
}

// The power goes after each single change on the disk: the start that comes back is the one before or the new one, and
// the new one once the call has returned.
TEST(DataDir, ASavedLogStartIsDurable) {
  const TopicPartition other{"orders", PartitionIndex{4}};
  for (auto mode : {sim::CrashMode::lose_unsynced, sim::CrashMode::random, sim::CrashMode::keep_all}) {
    bool returned = false;
    for (std::uint64_t changes = 1; !returned; ++changes) {
      ASSERT_LT(changes, 100u);
      sim::Disk disk(changes);
      auto dir = must_open(disk);
      ASSERT_TRUE(disk.sync_directory("/").ok());
      ASSERT_TRUE(dir->write_checkpoints({.recovery_points = {}, .log_starts = {{other, Offset{7}}}}).ok());
      ASSERT_TRUE(dir->save_log_starts({{kPartition, Offset{5}}}).ok());
      disk.crash_after(changes, mode);
      (void)dir->save_log_starts({{kPartition, Offset{9}}});
      returned = !disk.crashed();
      dir.reset();
      if (returned) disk.crash(mode);
      if (!returned) disk.restart();
      dir = must_open(disk);
      Offset found = dir->log_start(kPartition);
      EXPECT_TRUE(found == Offset{9} || (!returned && found == Offset{5})) << found.v << " after " << changes;
      EXPECT_EQ(dir->log_start(other), Offset{7});
      ASSERT_TRUE(dir->save_log_starts({{kPartition, Offset{3}}}).ok());
      EXPECT_EQ(dir->log_start(kPartition), found) << "it never goes back";
    }
  }
}

// The power goes after each single change of a deletion that the next start finishes: whoever gets the name then starts
// at 0, after one more crash too.
TEST(DataDir, ALogStartDoesNotOutliveItsTopic) {
  const TopicId owner{Uuid{1, 1}};
  for (auto mode : {sim::CrashMode::lose_unsynced, sim::CrashMode::random, sim::CrashMode::keep_all}) {
    bool returned = false;
    for (std::uint64_t changes = 1; !returned; ++changes) {
      ASSERT_LT(changes, 100u);
      sim::Disk disk(changes);
      auto dir = must_open(disk);
      ASSERT_TRUE(disk.sync_directory("/").ok());
      make_partition(disk, "orders-3", owner.v);
      ASSERT_TRUE(disk.sync_directory("/data/orders-3").ok() && disk.sync_directory("/data").ok());
      ASSERT_TRUE(dir->save_log_starts({{kPartition, Offset{5}}}).ok());
      disk.crash_after(changes, mode);
      (void)dir->remove_partition(kPartition, owner, Uuid{8, 8});
      returned = !disk.crashed();
      dir.reset();
      if (!returned) disk.restart();
      dir = must_open(disk);
      ASSERT_TRUE(dir->remove_topic_data(owner).ok());
      make_partition(disk, "orders-3", Uuid{2, 2});
      ASSERT_TRUE(disk.sync_directory("/data/orders-3").ok() && disk.sync_directory("/data").ok());
      dir.reset();
      disk.crash(mode);
      EXPECT_EQ(must_open(disk)->log_start(kPartition), Offset{0}) << "cut after " << changes;
    }
  }
}

TEST(DataDir, DamagedCheckpointIsDoneWithout) {
  set_log_level(LogLevel::off);
  sim::Disk disk(1);
  ASSERT_TRUE(disk.make_directories("/data").ok());
  put(disk, "/data/log-start-offset-checkpoint", "0\n7\norders 3 5\n");
  EXPECT_EQ(must_open(disk)->log_start(kPartition), Offset{0});
  put(disk, "/data/log-start-offset-checkpoint", "1\n0\n");
  EXPECT_EQ(DataDir::open(disk, "/data").code(), Errc::newer_format);
}

TEST(DataDir, ListsPartitionsAndNothingElse) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  make_partition(disk, "orders-3", Uuid{1, 1});
  const Uuid odd{static_cast<std::uint64_t>(Errc::resource_exhausted), 2};  // what an error's memory may look like
  make_partition(disk, "a-b-0", odd);
  ASSERT_TRUE(disk.make_directories("/data/no-metadata-7").ok());
  ASSERT_TRUE(disk.make_directories("/data/orders-x").ok());
  ASSERT_TRUE(disk.make_directories("/data/orders-03").ok());
  put(disk, "/data/stranger", "?");
  auto found = dir->partitions();
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ((*found)[0].name, (TopicPartition{"a-b", PartitionIndex{0}}));
  EXPECT_EQ((*found)[0].topic_id, (TopicId{odd}));
  EXPECT_FALSE((*found)[1].topic_id.has_value());
  EXPECT_EQ((*found)[2].name, kPartition);
  EXPECT_EQ(dir->unknown().size(), 3u);
}

TEST(DataDir, DeletedPartitionsStayDeleted) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  ASSERT_TRUE(disk.sync_directory("/").ok());
  make_partition(disk, "orders-3", Uuid{1, 1});
  Checkpoints checkpoints;
  checkpoints.log_starts[kPartition] = Offset{500};
  ASSERT_TRUE(dir->write_checkpoints(checkpoints).ok());
  auto trash = dir->move_to_trash(kPartition, Uuid{0xabc, 0xdef});
  ASSERT_TRUE(trash.ok());
  EXPECT_EQ(*trash, "/data/orders-3.0000000000000abc0000000000000def-delete");
  EXPECT_TRUE(dir->partitions()->empty());
  dir.reset();
  disk.crash(sim::CrashMode::lose_unsynced);
  dir = must_open(disk);
  EXPECT_TRUE(dir->partitions()->empty());
  EXPECT_FALSE(*disk.exists(*trash));
  // A topic of the same name made now starts at 0.
  EXPECT_EQ(dir->log_start(kPartition), Offset{0});
  EXPECT_TRUE(dir->move_to_trash(kPartition, Uuid{1, 2}).ok()) << "a missing directory is fine";
}

TEST(DataDir, RemovesNoPartitionWithoutEvidence) {
  set_log_level(LogLevel::off);
  sim::Disk disk(1);
  auto dir = must_open(disk);
  const TopicId owner{Uuid{1, 1}};
  EXPECT_TRUE(dir->remove_partition(kPartition, owner, Uuid{5, 5}).ok()) << "a missing directory is fine";
  make_partition(disk, "orders-3", Uuid{2, 2});
  EXPECT_TRUE(dir->remove_partition(kPartition, owner, Uuid{5, 5}).ok());
  EXPECT_TRUE(*disk.exists("/data/orders-3")) << "another topic's";
  ASSERT_TRUE(disk.remove("/data/orders-3/partition.metadata").ok());
  put(disk, "/data/orders-3/00000000000000000000.log", "records");
  EXPECT_TRUE(dir->remove_partition(kPartition, owner, Uuid{5, 5}).ok());
  EXPECT_TRUE(*disk.exists("/data/orders-3")) << "somebody's records";
  ASSERT_TRUE(disk.remove("/data/orders-3/00000000000000000000.log").ok());
  EXPECT_TRUE(dir->remove_partition(kPartition, owner, Uuid{5, 5}).ok());
  EXPECT_FALSE(*disk.exists("/data/orders-3")) << "nobody's, and empty";
  make_partition(disk, "orders-3", owner.v);
  disk.add_fault({.op = sim::DiskOp::open, .path_contains = "partition.metadata"});
  EXPECT_FALSE(dir->remove_partition(kPartition, owner, Uuid{5, 5}).ok());
  EXPECT_TRUE(dir->remove_partition(kPartition, owner, Uuid{5, 5}).ok());
  EXPECT_FALSE(*disk.exists("/data/orders-3"));
}

TEST(DataDir, LongestTopicNameFitsInTheTrash) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  TopicPartition longest{std::string(249, 'n'), PartitionIndex{0}};
  ASSERT_TRUE(disk.make_directories(dir->partition_path(longest)).ok());
  auto trash = dir->move_to_trash(longest, Uuid{1, 2});
  ASSERT_TRUE(trash.ok());
  EXPECT_LE(trash->size() - std::string("/data/").size(), 255u);
  EXPECT_TRUE(dir->remove_trash(*trash).ok());
}

TEST(DataDir, RemovesOnlyTheTopicAsked) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  make_partition(disk, "orders-0", Uuid{1, 1});
  make_partition(disk, "orders-1", Uuid{1, 1});
  make_partition(disk, "orders-2", Uuid{2, 2});  // of a topic made again under the name
  make_partition(disk, "other-0", Uuid{3, 3});
  ASSERT_TRUE(dir->remove_topic_data(TopicId{Uuid{1, 1}}).ok());
  auto left = dir->partitions();
  ASSERT_EQ(left->size(), 2u);
  EXPECT_EQ((*left)[0].topic_id, (TopicId{Uuid{2, 2}}));
}

TEST(DataDirDeathTest, NamesNeverBecomePathsUnchecked) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  EXPECT_DEATH((void)dir->partition_path({"../etc", PartitionIndex{0}}), "");
}

/// A journal that speaks of partition 3 of topic `id`.
void write_journal(FileSystem& disk, Uuid id) {
  CommitJournal journal(disk, {.directory = "/data", .session = Uuid{id.high, 77}});
  journal.add_durable({.topic = TopicId{id}, .partition = PartitionIndex{3}, .bytes = 100, .next = Offset{1}});
  auto block = journal.take_block();
  ASSERT_TRUE(block->write().ok() && block->sync().ok());
  journal.block_done(std::move(block), {});
}

TEST(DataDir, JournalsAreKeptForPartitionsThatAreThereAndNotOpen) {
  for (bool there : {false, true}) {
    for (bool open : {false, true}) {
      sim::Disk disk(1);
      ASSERT_TRUE(disk.make_directories("/data").ok());
      if (there) make_partition(disk, "orders-3", Uuid{1, 2});
      write_journal(disk, Uuid{1, 2});
      auto dir = must_open(disk);
      ASSERT_TRUE(dir->partitions().ok());
      EXPECT_TRUE(dir->unknown().empty()) << "a journal is ours";
      EXPECT_FALSE(dir->journals().empty());
      std::set<JournalEvidence::Key> opened;
      if (open) opened.insert({TopicId{Uuid{1, 2}}, PartitionIndex{3}});
      ASSERT_TRUE(dir->retire_journals(opened).ok());
      EXPECT_EQ(dir->journals().empty(), !there || open);
    }
  }
}

TEST(DataDir, ACleanDirectoryHasNoJournalOfItsLastLife) {
  sim::Disk disk(1);
  auto dir = must_open(disk);
  ASSERT_TRUE(disk.sync_directory("/").ok());
  write_journal(disk, Uuid{1, 2});
  ASSERT_TRUE(dir->mark_clean().ok());
  dir.reset();
  disk.crash(sim::CrashMode::lose_unsynced);
  dir = must_open(disk);
  EXPECT_TRUE(dir->was_clean());
  EXPECT_TRUE(dir->journals().empty());
}

}  // namespace
}  // namespace mr::storage::test
