// Aim: the commit journal makes small appends durable with one sync for many partitions, and nothing that is refused,
// fails, fills up, stops or goes away on the way costs an acknowledged record or leaves a waiter behind. Method: real
// logs and a real journal with small halves on a simulated disk; the disk hangs and fails where a test wants it.
#include "replication/group_commit.h"

#include <gtest/gtest.h>

#include "model/batch_builder.h"
#include "replication/partition.h"
#include "runtime/shards.h"
#include "sim/world.h"
#include "storage/small_file.h"

namespace mr::replication {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBlock = 4096;
constexpr std::size_t kCarryMax = 2000;
const TopicId kTopic{Uuid{1, 2}};

struct Fixture {
  explicit Fixture(int partitions = 2, std::uint64_t seed = 3, std::uint64_t half_bytes = 8 * kBlock)
      : world({.seed = seed}), machine(world.add_host("b")), process(machine.start(1)) {
    storage::CommitJournal::Options journal{
        .directory = "/data", .session = Uuid{7, 7}, .half_bytes = half_bytes, .block_bytes_max = kBlock};
    MR_CHECK(env().files.make_directories("/data").ok() && env().files.sync_directory("/").ok());
    group = std::make_shared<GroupCommit>(env(), std::make_unique<storage::CommitJournal>(env().files, journal),
                                          GroupCommit::Options{.carry_bytes_max = kCarryMax});
    for (int p = 0; p < partitions; ++p) add({});
  }
  ~Fixture() {
    machine.disk().heal();
    for (auto& partition : all)
      if (partition) close(partition);
    run(group->stop());
  }

  storage::Log::OpenOptions options(std::size_t p) const {
    TopicPartition name{"t", PartitionIndex{static_cast<std::int32_t>(p)}};
    return {.directory = "/data/" + name.to_string(), .partition = name, .topic_id = kTopic};
  }
  void add(PartitionConfig config) {
    auto opened = options(all.size());
    auto log = run(offload(env(), [&] { return storage::Log::open(env().files, opened); }));
    MR_CHECK(log.ok());
    MR_CHECK((*log)->start_epoch(LeaderEpoch{0}).ok());
    all.push_back(
        std::make_unique<Partition>(env(), opened.partition, kTopic, std::move(*log), LeaderEpoch{0}, config, group));
  }
  void close(std::unique_ptr<Partition>& partition) {
    run(partition->stop());
    (void)run(partition->close_log());
    partition.reset();
  }

  Env& env() { return process.env(ShardId{0}); }
  template <class T>
  T run(Task<T> task) {
    return world.run(process, ShardId{0}, std::move(task));
  }
  static std::vector<std::byte> batch(std::size_t bytes) {
    std::vector<std::byte> value(bytes, std::byte{'v'});
    BatchBuilder builder;
    builder.add({.timestamp = 1, .value = value});
    return *builder.build();
  }
  /// Several appends in one turn of the shard; the end of the last.
  Offset append(std::size_t p, std::vector<std::size_t> sizes) {
    auto work = [](Partition& partition, std::vector<std::size_t> sizes, WallMillis now) -> Task<Offset> {
      Offset end{-1};
      for (std::size_t size : sizes) {
        std::vector<std::byte> bytes = batch(size);
        auto appended = partition.append(bytes, now);
        end = appended ? appended->end : Offset{-1};
      }
      co_return end;
    };
    return run(work(*all[p], std::move(sizes), env().clock.wall()));
  }
  Result<void> committed(std::size_t p, Offset end, Duration patience = 20s) {
    return run(all[p]->wait_committed(end, world.now() + patience));
  }
  /// One append, answered for.
  Result<void> put(std::size_t p, std::size_t bytes = 100) {
    Offset end = append(p, {bytes});
    return end.v < 0 ? Result<void>(Errc::internal) : committed(p, end);
  }
  sim::Fault fault(sim::Fault::Kind kind, sim::DiskOp op, std::string path, Errc error = Errc::disk_failed) {
    return {.kind = kind, .op = op, .path_contains = std::move(path), .times = sim::Fault::kAlways, .error = error};
  }
  /// What a crash right now would leave in the journal.
  std::vector<storage::JournalRun> in_journal(storage::JournalEntry::Kind kind) {
    std::vector<storage::JournalRun> runs;
    for (char half : {'a', 'b'}) {
      auto bytes = machine.disk().durable_bytes(storage::journal_path("/data", 0, half));
      if (!bytes.ok()) continue;
      ByteView rest = *bytes;
      while (true) {
        auto block = storage::decode_journal_block(rest);
        if (!block.ok()) break;
        for (const storage::JournalEntry& entry : block->entries)
          if (entry.kind == kind) runs.push_back(entry.run);
        rest = rest.subspan(block->bytes);
      }
    }
    return runs;
  }
  bool carried_on_disk(std::size_t p, Offset end) {
    return std::ranges::any_of(in_journal(storage::JournalEntry::Kind::carried), [&](const storage::JournalRun& run) {
      return run.partition.v == static_cast<std::int32_t>(p) && run.next == end;
    });
  }
  std::uint64_t refused(CommitStats::Refusal why) const { return group->stats().refused[why]; }

  sim::World world;
  sim::Host& machine;
  sim::Process& process;
  std::shared_ptr<GroupCommit> group;
  std::vector<std::unique_ptr<Partition>> all;
};

TEST(GroupCommit, OneSyncAnswersManyPartitionsAndOnlyAfterIt) {
  Fixture f(7);
  f.machine.disk().add_fault(f.fault(sim::Fault::Kind::hang, sim::DiskOp::sync, "commit-journal"));
  for (std::size_t p = 0; p < 7; ++p) EXPECT_EQ(f.append(p, {100, 200}), Offset{2});
  EXPECT_EQ(f.committed(5, Offset{1}, 3s).code(), Errc::request_timed_out);
  for (auto& partition : f.all) EXPECT_EQ(partition->high_watermark(), Offset{0});
  f.machine.disk().heal();
  for (std::size_t p = 0; p < 7; ++p) {
    ASSERT_TRUE(f.committed(p, Offset{2}).ok());
    EXPECT_TRUE(f.carried_on_disk(p, Offset{2}));
    EXPECT_EQ(f.all[p]->log().synced_end(), Offset{0}) << "its own file comes later";
    EXPECT_EQ(f.all[p]->stats().syncs, 0u);
  }
  EXPECT_LE(f.group->stats().syncs, 3u);
  EXPECT_EQ(f.group->stats().carried_batches, 14u);
}

TEST(GroupCommit, WhatFollowsALargeBatchWaitsForItsFile) {
  Fixture f;
  ASSERT_TRUE(f.put(0).ok());
  f.machine.disk().add_fault(f.fault(sim::Fault::Kind::hang, sim::DiskOp::sync, "t-0/00000000000000000000.log"));
  EXPECT_EQ(f.append(0, {kCarryMax}), Offset{2});
  EXPECT_EQ(f.append(0, {100}), Offset{3});
  EXPECT_TRUE(f.put(1).ok()) << "others do not wait";
  EXPECT_EQ(f.committed(0, Offset{2}, 1s).code(), Errc::request_timed_out);
  EXPECT_EQ(f.all[0]->high_watermark(), Offset{1});
  EXPECT_EQ(f.refused(CommitStats::too_large), 1u);
  EXPECT_EQ(f.refused(CommitStats::own_file_pending), 1u);
  f.machine.disk().heal();
  ASSERT_TRUE(f.committed(0, Offset{3}).ok());
  EXPECT_EQ(f.all[0]->log().synced_end(), Offset{3});
  EXPECT_FALSE(f.carried_on_disk(0, Offset{3}));
  ASSERT_TRUE(f.put(0).ok());
  EXPECT_TRUE(f.carried_on_disk(0, Offset{4})) << "nothing waits any more";
}

TEST(GroupCommit, AFailedBlockIsTheEndOfItsDirectory) {
  Fixture f;
  ASSERT_TRUE(f.put(1).ok());
  f.machine.disk().add_fault({.op = sim::DiskOp::sync, .path_contains = "commit-journal"});
  Offset end = f.append(0, {100});
  EXPECT_EQ(f.committed(0, end).code(), Errc::disk_failed);
  EXPECT_EQ(f.all[0]->high_watermark(), Offset{0});
  EXPECT_EQ(f.append(1, {100}), Offset{-1}) << "who had nothing in the block fails, too";
}

// The journal finds no room: all go to their own files, also what had been handed over behind the refused block.
TEST(GroupCommit, AFullDiskSendsAllToTheirOwnFiles) {
  Fixture f;
  ASSERT_TRUE(f.put(1).ok());
  f.machine.disk().add_fault(f.fault(sim::Fault::Kind::fail, sim::DiskOp::write, "commit-journal", Errc::disk_full));
  auto both = [](Fixture& f) -> Task<void> {
    std::vector<std::byte> first = Fixture::batch(100), second = Fixture::batch(100);
    EXPECT_TRUE(f.all[0]->append(first, 1));
    auto soon = sleep_until(f.env().now() + 1us);
    (void)co_await soon;  // the block is on its way
    EXPECT_TRUE(f.all[0]->append(second, 1));
  };
  f.run(both(f));
  ASSERT_TRUE(f.committed(0, Offset{2}).ok());
  EXPECT_EQ(f.all[0]->log().synced_end(), Offset{2});
  ASSERT_TRUE(f.put(1).ok());
  EXPECT_GE(f.world.probes().count("commit_journal_refused"), 1u);
  f.machine.disk().heal();
  f.world.run_for(2s);
  ASSERT_TRUE(f.put(0).ok());
  EXPECT_TRUE(f.carried_on_disk(0, Offset{3})) << "there is room again";
  for (const auto& run : f.in_journal(storage::JournalEntry::Kind::carried))
    EXPECT_TRUE(run.partition.v != 0 || run.base == Offset{2}) << "nothing of what was refused";
}

// Statements that find no room are tried again about once a second, with or without anybody who appends.
TEST(GroupCommit, StatementsWaitForRoomInPeace) {
  Fixture f(0);
  f.add({.flush_messages = 3});
  f.machine.disk().add_fault(f.fault(sim::Fault::Kind::fail, sim::DiskOp::create, "commit-journal", Errc::disk_full));
  EXPECT_EQ(f.append(0, {100, 100, 100}), Offset{3});
  f.world.run_for(10s);
  EXPECT_GE(f.machine.disk().faults_fired(), 8u);
  EXPECT_LE(f.machine.disk().faults_fired(), 12u);
  f.machine.disk().heal();
  f.world.run_for(3s);
  auto statements = f.in_journal(storage::JournalEntry::Kind::durable);
  ASSERT_FALSE(statements.empty());
  EXPECT_EQ(statements.back().next, Offset{3});
}

TEST(GroupCommit, HalvesAreUsedAgainOnceTheirBytesAreInTheirFiles) {
  Fixture f(3);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(f.put(static_cast<std::size_t>(i) % 3, 1000).ok());
  EXPECT_GE(f.group->stats().destages, 4u);
  EXPECT_GT(f.group->stats().carried_batches, 200u);
  for (auto& partition : f.all) EXPECT_GT(partition->log().synced_end(), Offset{0});
}

// What waits for the half to be full would be written in one burst, and commits behind it.
TEST(GroupCommit, OwnFilesAreSyncedInStepsOfWhatTheJournalCarries) {
  Fixture f(2, 3, 8u << 20);
  for (int i = 0; i < 1'900; ++i) ASSERT_TRUE(f.put(0, 1900).ok());
  ASSERT_TRUE(f.put(1).ok());
  f.world.run_for(1s);
  EXPECT_EQ(f.group->stats().destages, 0u);
  EXPECT_EQ(f.all[0]->stats().syncs, 3u) << "3.6 MiB, one for each";
  EXPECT_EQ(f.all[1]->stats().syncs, 0u) << "too little";
}

// A file that does not sync keeps its half; appends go on through the own files of the others.
TEST(GroupCommit, ASlowDestageNeverStopsAppends) {
  Fixture f(3);
  ASSERT_TRUE(f.put(0).ok());
  f.machine.disk().add_fault(f.fault(sim::Fault::Kind::hang, sim::DiskOp::sync, "t-0/00000000000000000000.log"));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(f.put(1 + static_cast<std::size_t>(i) % 2, 1000).ok());
  EXPECT_EQ(f.group->stats().destages, 0u);
  EXPECT_GT(f.refused(CommitStats::no_room), 0u);
  EXPECT_TRUE(f.carried_on_disk(0, Offset{1})) << "the half with the only safe copy was not written over";
  f.machine.disk().heal();
  f.world.run_for(1s);
  std::uint64_t before = f.group->stats().carried_batches;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(f.put(1).ok());
  EXPECT_GE(f.group->stats().destages, 1u);
  EXPECT_GT(f.group->stats().carried_batches, before);
}

TEST(GroupCommit, AStopInTheMiddleLosesNothing) {
  Fixture f;
  ASSERT_TRUE(f.put(0).ok());
  EXPECT_EQ(f.append(0, {100, 100}), Offset{3});
  EXPECT_EQ(f.append(1, {100, kCarryMax, 100}), Offset{3});
  for (auto& partition : f.all) {
    f.run(partition->stop());
    EXPECT_EQ(partition->high_watermark(), Offset{3});
    EXPECT_TRUE(f.run(partition->close_log()).ok());
    partition.reset();
  }
  f.run(f.group->stop());
  f.machine.crash(sim::CrashMode::lose_unsynced);
  for (std::size_t p = 0; p < 2; ++p) {
    auto log = storage::Log::open(f.machine.disk(), f.options(p));
    ASSERT_TRUE(log.ok());
    EXPECT_EQ((*log)->log_end(), Offset{3});
  }
}

TEST(GroupCommit, ADeletedPartitionDoesNotHoldAHalf) {
  Fixture f(3);
  ASSERT_TRUE(f.put(0).ok());
  EXPECT_EQ(f.append(0, {100}), Offset{2});
  f.run(f.all[0]->stop());
  f.all[0]->forget_carried();
  f.all[0].reset();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(f.put(1 + static_cast<std::size_t>(i) % 2, 1000).ok());
  EXPECT_GE(f.group->stats().destages, 1u);
}

// Its file could not be synced: the journal keeps what it has of it, for the next start.
TEST(GroupCommit, WhatOnlyTheJournalHasIsKept) {
  Fixture f(3);
  ASSERT_TRUE(f.put(0).ok());
  f.run(f.all[0]->stop());
  f.all[0].reset();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(f.put(1 + static_cast<std::size_t>(i) % 2, 1000).ok());
  EXPECT_EQ(f.group->stats().destages, 0u);
  EXPECT_TRUE(f.carried_on_disk(0, Offset{1}));
}

TEST(GroupCommit, WeakTopicsAreNotCarriedButSpokenOf) {
  Fixture f(1);
  f.add({.flush_messages = 3});
  EXPECT_EQ(f.append(1, {100, 100}), Offset{2});
  EXPECT_EQ(f.all[1]->high_watermark(), Offset{2});
  EXPECT_EQ(f.append(1, {100}), Offset{3});
  f.world.run_for(1500ms);
  EXPECT_EQ(f.group->stats().carried_batches, 0u);
  auto statements = f.in_journal(storage::JournalEntry::Kind::durable);
  ASSERT_FALSE(statements.empty()) << "synced within a second though nobody waits for it";
  EXPECT_EQ(statements.back().partition, PartitionIndex{1});
  EXPECT_EQ(statements.back().next, Offset{3});
  EXPECT_EQ(statements.back().base, Offset{0});
}

}  // namespace
}  // namespace mr::replication
