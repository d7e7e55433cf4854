// Aim: what only the commit journal has is served after a start, waits for a partition that cannot be opened yet, and
// leaves no file behind. Method: a whole broker over a simulated disk; between two lives a journal is written as the
// first life would have left it.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/crc32c.h"
#include "broker/broker_fixture.h"
#include "storage/commit_journal.h"

namespace mr::broker {
namespace {

struct Lives {
  Lives() : host(world.add_host("b")) {
    Running first(world, host.start(2), metadata);
    topic = (*first.run(first.broker->create_topic({.name = "t"}, false)))->id;
    EXPECT_EQ(first.append("t", "a"), Offset{0});
    EXPECT_TRUE(first.stop().ok());
    EXPECT_TRUE(host.disk().remove("/data/.kafka_cleanshutdown").ok());
    size = *(*host.disk().open("/data/t-0/00000000000000000000.log", OpenMode::read))->size();
  }
  /// A batch of one record that the crash has taken from the segment, but not from the journal.
  void carry(Offset base, std::size_t value_bytes, std::uint32_t shard = 0) {
    BatchBuilder builder;
    std::string value(value_bytes, 'v');
    builder.add({.timestamp = 1, .value = as_bytes(value)});
    std::vector<std::byte> batch = *builder.build();
    patch_batch(batch, base, LeaderEpoch{1});
    storage::JournalRun run{.topic = topic,
                            .partition = PartitionIndex{0},
                            .segment = Offset{0},
                            .position = size,
                            .bytes = static_cast<std::uint32_t>(batch.size()),
                            .base = base,
                            .next = Offset{base.v + 1},
                            .epoch = LeaderEpoch{1},
                            .headers_crc = crc32c(ByteView(batch).first(BatchHeader::kBytes))};
    storage::CommitJournal journal(host.disk(), {.directory = "/data", .shard = shard, .session = Uuid{1, 1}});
    ASSERT_TRUE(journal.add_carried(run, batch));
    auto block = journal.take_block();
    ASSERT_TRUE(block->write().ok() && block->sync().ok());
    journal.block_done(std::move(block), {});
  }
  std::ptrdiff_t journals() {
    auto entries = host.disk().list("/data");
    return std::ranges::count_if(*entries, [](const DirEntry& e) { return storage::is_journal_name(e.name); });
  }

  sim::World world{{.seed = 5}};
  sim::Host& host;
  std::shared_ptr<metastore::MemoryJournal> metadata = std::make_shared<metastore::MemoryJournal>();
  TopicId topic;
  std::uint64_t size = 0;
};

TEST(JournalLife, WhatOnlyTheJournalHasIsServedAndTheDirectoryIsPlainAfterwards) {
  Lives lives;
  lives.carry(Offset{1}, 100, 7);  // that life had more shards
  Running again(lives.world, lives.host.start(3), lives.metadata);
  ASSERT_TRUE(again.started.ok());
  EXPECT_EQ(again.listed("t", 0), Offset{2});
  EXPECT_EQ(lives.journals(), 0) << "it has served";
  EXPECT_EQ(again.append("t", "b"), Offset{2});
  EXPECT_EQ(lives.journals(), 1) << "this life's own";
  EXPECT_TRUE(again.stop().ok());
  EXPECT_EQ(lives.journals(), 0);
  EXPECT_TRUE(*lives.host.disk().exists("/data/.kafka_cleanshutdown"));
}

TEST(JournalLife, EvidenceWaitsUntilThePartitionCanBeOpened) {
  Lives lives;
  lives.carry(Offset{1}, 9000);
  lives.host.disk().set_total_bytes(lives.host.disk().used_bytes());
  for (int life = 0; life < 2; ++life) {
    Running full(lives.world, lives.host.start(2), lives.metadata);
    ASSERT_TRUE(full.started.ok()) << full.started.error().message();
    EXPECT_EQ(full.append("t", "x").code(), Errc::disk_failed) << "offline";
    EXPECT_TRUE(full.stop().ok());
    EXPECT_EQ(lives.journals(), 1);
  }
  Running last(lives.world, lives.host.start(2), lives.metadata);
  lives.host.disk().heal();
  lives.world.run_for(std::chrono::seconds(5));
  EXPECT_EQ(last.listed("t", 0), Offset{2});
  EXPECT_EQ(lives.journals(), 0);
  EXPECT_EQ(last.append("t", "b"), Offset{2});
  EXPECT_TRUE(last.stop().ok());
}

// No descriptor left is about the process: the directory is not to blame, and the next start finds everything.
TEST(JournalLife, WithoutADescriptorTheStartFailsAndNoDirectory) {
  Lives lives;
  lives.carry(Offset{1}, 9000);
  lives.host.disk().set_total_bytes(lives.host.disk().used_bytes());  // the partition waits, its evidence is kept
  lives.host.disk().add_fault(
      {.op = sim::DiskOp::rename, .path_contains = "commit-journal", .error = Errc::resource_exhausted});
  {
    Running without(lives.world, lives.host.start(2), lives.metadata);
    EXPECT_EQ(without.started.code(), Errc::resource_exhausted);
    EXPECT_FALSE(without.fatal);
    EXPECT_TRUE(without.stop().ok());
  }
  lives.host.disk().heal();
  Running again(lives.world, lives.host.start(2), lives.metadata);
  ASSERT_TRUE(again.started.ok()) << again.started.error().message();
  EXPECT_EQ(again.listed("t", 0), Offset{2});
  EXPECT_TRUE(again.stop().ok());
}

// The journal's files are made when there is something to write: a disk without room for them ends nothing.
TEST(JournalLife, NoRoomForTheJournalIsNoFailure) {
  Lives lives;
  for (sim::DiskOp op : {sim::DiskOp::create, sim::DiskOp::write})
    lives.host.disk().add_fault(
        {.op = op, .path_contains = "commit-journal", .times = sim::Fault::kAlways, .error = Errc::disk_full});
  Running full(lives.world, lives.host.start(2), lives.metadata);
  ASSERT_TRUE(full.started.ok()) << full.started.error().message();
  for (int i = 1; i < 4; ++i) EXPECT_EQ(full.append("t", "through its own file"), Offset{i});
  EXPECT_EQ(lives.journals(), 0);
  EXPECT_FALSE(full.fatal);
  lives.host.disk().heal();
  lives.world.run_for(std::chrono::seconds(2));
  EXPECT_EQ(full.append("t", "carried"), Offset{4});
  EXPECT_EQ(lives.journals(), 1);
  EXPECT_TRUE(full.stop().ok());
  EXPECT_EQ(lives.journals(), 0);
  EXPECT_TRUE(*lives.host.disk().exists("/data/.kafka_cleanshutdown"));
}

// Nobody will ever ask for the evidence of a partition that has no directory any more.
TEST(JournalLife, EvidenceOfWhatIsGoneIsNotKept) {
  Lives lives;
  lives.topic = TopicId{Uuid{99, 99}};
  lives.carry(Offset{1}, 100);
  Running again(lives.world, lives.host.start(2), lives.metadata);
  ASSERT_TRUE(again.started.ok());
  EXPECT_EQ(lives.journals(), 0);
  EXPECT_EQ(again.listed("t", 0), Offset{1});
  EXPECT_TRUE(again.stop().ok());
}

}  // namespace
}  // namespace mr::broker
