// Appends, reads, rolls, syncs and retention of one log on a simulated disk; answers are compared with what was put in.
#include "storage/partition_log.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "storage/log_fixture.h"

namespace mr::storage::test {
namespace {

TEST(PartitionLog, StartsEmpty) {
  LogFixture f;
  f.must_open();
  EXPECT_EQ(f.log->log_start(), Offset{0});
  EXPECT_EQ(f.log->log_end(), Offset{0});
  EXPECT_EQ(f.log->durable_end(), Offset{0});
  auto read = f.log->read(Offset{0}, Offset{0}, 1000, true);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->bytes, 0u);
  EXPECT_FALSE(f.begin_sync().has_value());
}

TEST(PartitionLog, AppendGivesOffsetsAndReadsBack) {
  LogFixture f;
  f.must_open();
  EXPECT_EQ(f.append({.records = 3})->base_offset, Offset{0});
  f.epoch = LeaderEpoch{4};
  auto second = f.append({.records = 2});
  EXPECT_EQ(second->base_offset, Offset{3});
  EXPECT_EQ(second->next_offset, Offset{5});
  auto read = f.log->read(Offset{0}, f.log->log_end(), 10'000, true);
  ASSERT_TRUE(read.ok());
  std::vector<std::byte> expected = f.written[0];
  expected.insert(expected.end(), f.written[1].begin(), f.written[1].end());
  EXPECT_EQ(f.bytes_of(*read), expected);
  EXPECT_EQ(read->first_batch_base, Offset{0});
  auto headers = f.headers_of(*read);
  EXPECT_EQ(headers[1].leader_epoch, 4);
  EXPECT_EQ(headers[1].base_offset, 3);
}

TEST(PartitionLog, ReadStopsAtEndAndStartsAtTheBatchOfTheOffset) {
  LogFixture f;
  f.must_open();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(f.append({.records = 10, .value_bytes = 200}).ok());
  for (std::int64_t end : {1, 10, 500, 501, 1990, 1999}) {
    auto read = f.log->read(Offset{0}, Offset{end}, 100'000'000, true);
    ASSERT_TRUE(read.ok());
    auto headers = f.headers_of(*read);
    EXPECT_LT(headers.back().base_offset, end);
    EXPECT_GE(headers.back().next_offset().v, end);
  }
  for (std::int64_t from : {0, 5, 999, 1000, 1995}) {
    auto read = f.log->read(Offset{from}, f.log->log_end(), 100'000'000, true);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->first_batch_base.v, from / 10 * 10);
    EXPECT_EQ(f.headers_of(*read).front().base_offset, from / 10 * 10);
  }
}

TEST(PartitionLog, ByteLimitIsSoftForTheFirstBatchOnly) {
  LogFixture f;
  f.must_open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(f.append({.value_bytes = 1000}).ok());
  std::size_t one = f.written[0].size();
  EXPECT_EQ(f.log->read(Offset{0}, Offset{10}, 10, true)->bytes, one);
  EXPECT_EQ(f.log->read(Offset{0}, Offset{10}, 10, false)->bytes, 0u);
  EXPECT_EQ(f.log->read(Offset{0}, Offset{10}, one + 5, true)->bytes, one + 5);
  EXPECT_EQ(f.log->read(Offset{3}, Offset{5}, 1'000'000, true)->bytes, 2 * one);
}

// The commit seam. What the journal carries is durable, not synced: a round still has it to do, and close() too.
TEST(PartitionLog, CarriedIsDurableAndStillToBeSynced) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append({.records = 2}).ok());
  ASSERT_TRUE(f.append().ok());
  f.log->mark_carried(Offset{2});
  EXPECT_EQ(f.log->durable_end(), Offset{2});
  EXPECT_EQ(f.log->synced_end(), Offset{0});
  auto ticket = f.begin_sync();
  ASSERT_TRUE(ticket);
  f.log->mark_carried(Offset{3});
  ASSERT_TRUE(f.append().ok());
  f.log->mark_carried(Offset{4});
  for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
  f.log->end_sync(*ticket, {});
  EXPECT_EQ(f.log->synced_end(), Offset{3});
  EXPECT_EQ(f.log->durable_end(), Offset{4}) << "a round never takes back what the journal has";
  ASSERT_TRUE(f.log->close().ok());
  EXPECT_EQ(f.log->synced_end(), Offset{4});
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{4});
}

TEST(PartitionLog, RunsSayWhatWasAppendedToTheSegment) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  EXPECT_TRUE(f.log->may_carry());
  auto header = [&](std::size_t i) { return ByteView(f.written[i]).first(BatchHeader::kBytes); };
  auto first = f.append({.records = 2, .value_bytes = 100});
  ASSERT_TRUE(first.ok());
  JournalRun run{.topic = f.options.topic_id,
                 .partition = PartitionIndex{0},
                 .segment = Offset{0},
                 .position = 0,
                 .bytes = static_cast<std::uint32_t>(f.written[0].size()),
                 .base = Offset{0},
                 .next = Offset{2},
                 .epoch = LeaderEpoch{0},
                 .headers_crc = crc32c(header(0))};
  EXPECT_EQ(first->run, run);
  ASSERT_TRUE(f.sync().ok());
  f.epoch = LeaderEpoch{3};
  auto second = f.append({.value_bytes = 100});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->run.position, f.written[0].size());
  EXPECT_EQ(second->run.headers_crc, crc32c(header(1)));
  // A statement covers what earlier ones did.
  run.bytes += second->run.bytes;
  run.next = Offset{3};
  run.epoch = LeaderEpoch{3};
  run.headers_crc = crc32c(header(1), crc32c(header(0)));
  auto ticket = f.begin_sync();
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->run, run);
  f.log->end_sync(*ticket, {});

  auto rolled = f.append({.value_bytes = 900});
  ASSERT_TRUE(rolled.ok());
  EXPECT_EQ(rolled->run.segment, Offset{3});
  EXPECT_EQ(rolled->run.position, 0u);
  EXPECT_FALSE(f.log->may_carry());
  ticket = f.begin_sync();
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->run, rolled->run);
  EXPECT_FALSE(f.log->may_carry()) << "the new segment's name is not durable yet";
  for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
  f.log->end_sync(*ticket, {});
  EXPECT_TRUE(f.log->may_carry());
}

// What a topic that syncs late needs of a roll: the old segments safe and closed, the active one left to the kernel.
TEST(PartitionLog, SealingSyncsWhatWasRolledAlone) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  EXPECT_FALSE(f.log->begin_sealing()) << "nothing was rolled";
  for (int i = 1; i < 21; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  const std::size_t held = f.disk.open_files();
  auto ticket = f.log->begin_sealing();
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->end, Offset{20});
  EXPECT_FALSE(ticket->run) << "it says nothing of the active segment";
  EXPECT_FALSE(f.log->may_carry());
  // Meanwhile: nothing of it is given up yet, and what is rolled now is for the next round.
  ASSERT_TRUE(f.log->advance_log_start(Offset{10}).ok());
  EXPECT_EQ(f.log->segments(), 11u);
  for (int i = 21; i < 24; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
  EXPECT_LE(f.disk.open_files(), held - 5) << "closed where they were synced, not on the shard";
  f.log->end_sync(*ticket, {});
  EXPECT_EQ(f.log->synced_end(), Offset{20});
  EXPECT_EQ(f.log->durable_end(), Offset{20});
  EXPECT_EQ(f.log->recovery_point(), Offset{20});
  ASSERT_TRUE(f.log->advance_log_start(Offset{10}).ok());
  EXPECT_EQ(f.log->segments(), 7u);
  ASSERT_TRUE(f.seal().ok());
  EXPECT_EQ(f.log->synced_end(), Offset{22});
  EXPECT_TRUE(f.log->may_carry());
  EXPECT_FALSE(f.log->begin_sealing());
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.options.log_start = Offset{10};
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{22});
  EXPECT_EQ(f.read_all(), Offset{22});
}

TEST(PartitionLog, OffsetsOutsideAreRefused) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.log->read(Offset{2}, Offset{2}, 10, true).code(), Errc::offset_out_of_range);
  EXPECT_EQ(f.log->read(Offset{-1}, Offset{1}, 10, true).code(), Errc::offset_out_of_range);
  EXPECT_TRUE(f.log->read(Offset{1}, Offset{1}, 10, true).ok());
}

TEST(PartitionLog, RollsByBytesAndReadsAcrossSegments) {
  LogFixture f;
  f.options.config.segment_bytes = 5000;
  f.must_open();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(f.append({.value_bytes = 500}).ok());
  EXPECT_GT(f.log->segments(), 9u);
  EXPECT_EQ(f.read_all(), Offset{100});
  EXPECT_EQ(f.read_all(700), Offset{100});
  EXPECT_GT(f.log->read(Offset{0}, Offset{100}, 100'000, true)->fragments.size(), 1u);
}

TEST(PartitionLog, RollsByTimestampDistanceAndByFullIndex) {
  LogFixture f;
  f.options.config.segment_ms = 1000;
  f.must_open();
  ASSERT_TRUE(f.append({.timestamp = 5000}).ok());
  ASSERT_TRUE(f.append({.timestamp = 6000}).ok());
  EXPECT_EQ(f.log->segments(), 1u);
  ASSERT_TRUE(f.append({.timestamp = 6001}).ok());
  EXPECT_EQ(f.log->segments(), 2u);

  LogFixture g;
  g.options.config.segment_index_bytes = 24;
  g.options.config.index_interval_bytes = 1;
  g.must_open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(g.append({.timestamp = 1000 + i}).ok());
  EXPECT_GT(g.log->segments(), 2u);
  EXPECT_EQ(g.read_all(), Offset{10});
}

TEST(PartitionLog, DurableEndFollowsTheRoundNotTheAppend) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  auto ticket = f.begin_sync();
  ASSERT_TRUE(ticket.has_value());
  ASSERT_TRUE(f.append().ok());
  for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
  f.log->end_sync(*ticket, {});
  EXPECT_EQ(f.log->durable_end(), Offset{1});
  ASSERT_TRUE(f.sync().ok());
  EXPECT_EQ(f.log->durable_end(), Offset{2});
}

TEST(PartitionLog, RecoveryPointMovesWhenASealedSegmentIsDurable) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  EXPECT_EQ(f.log->recovery_point(), Offset{0});
  ASSERT_TRUE(f.sync().ok());
  EXPECT_EQ(f.log->recovery_point(), Offset{4});
}

TEST(PartitionLog, FailedSyncIsFinal) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  f.disk.add_fault({.op = sim::DiskOp::sync, .path_contains = ".log"});
  EXPECT_FALSE(f.sync().ok());
  EXPECT_EQ(f.append().code(), Errc::disk_failed);
  EXPECT_EQ(f.log->read(Offset{0}, Offset{1}, 10, true).code(), Errc::disk_failed);
  EXPECT_EQ(f.log->durable_end(), Offset{0});
  EXPECT_EQ(f.log->close().code(), Errc::disk_failed);
}

TEST(PartitionLog, FullDiskAppendsNothingAndHeals) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  for (int i = 0; i < 20; ++i) {
    f.disk.add_fault({.op = sim::DiskOp::write, .path_contains = ".log", .error = Errc::disk_full});
    EXPECT_EQ(f.append({.value_bytes = 3000}).code(), Errc::disk_full);
    EXPECT_EQ(f.log->log_end(), Offset{1 + i});
    ASSERT_TRUE(f.append({.value_bytes = 30}).ok());
  }
  EXPECT_EQ(f.read_all(), Offset{21});
  ASSERT_TRUE(f.log->close().ok());
  f.must_open(true);
  EXPECT_EQ(f.read_all(), Offset{21});
}

TEST(PartitionLog, WriteErrorIsFinal) {
  LogFixture f;
  f.must_open();
  f.disk.add_fault({.op = sim::DiskOp::write, .path_contains = ".log", .error = Errc::disk_failed});
  EXPECT_EQ(f.append().code(), Errc::disk_failed);
  EXPECT_EQ(f.append().code(), Errc::disk_failed);
}

TEST(PartitionLog, CleanStopKeepsEverything) {
  LogFixture f;
  f.options.config.segment_bytes = 5000;
  f.must_open();
  ASSERT_TRUE(f.log->start_epoch(LeaderEpoch{0}).ok());
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(f.append({.value_bytes = 300, .producer_id = 7, .producer_epoch = 0, .base_sequence = i}).ok());
  ASSERT_TRUE(f.log->close().ok());
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open(true);
  EXPECT_EQ(f.log->log_end(), Offset{50});
  EXPECT_EQ(f.read_all(), Offset{50});
  ASSERT_EQ(f.log->producers().size(), 1u);
  EXPECT_EQ(f.log->producers()[0].batches.back().last_sequence, 49);
  EXPECT_EQ(f.log->producers()[0].batches.size(), 5u) << "a repeat of any of the last five must be known";
  EXPECT_EQ(f.log->latest_epoch(), LeaderEpoch{0});
  ASSERT_TRUE(f.append({.producer_id = 7, .producer_epoch = 0, .base_sequence = 50}).ok());
  EXPECT_EQ(f.read_all(), Offset{51});
}

TEST(PartitionLog, TimestampsAreFound) {
  LogFixture f;
  f.options.config.segment_bytes = 4000;
  f.options.config.index_interval_bytes = 500;
  f.must_open();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(f.append({.timestamp = 1000 + 10 * (i ^ 1), .value_bytes = 200}).ok());
  for (WallMillis asked : {0, 1000, 1005, 1010, 1500, 1990}) {
    std::int64_t expected = 0;
    while (1000 + 10 * (expected ^ 1) < asked) ++expected;
    auto hit = f.log->find_timestamp(asked, Offset{100}, Offset{0});
    ASSERT_TRUE(hit.ok() && *hit) << asked;
    EXPECT_EQ((*hit)->header.base_offset, expected) << asked;
    EXPECT_EQ((*hit)->batch, f.written[static_cast<std::size_t>(expected)]);
  }
  EXPECT_FALSE(f.log->find_timestamp(1991, Offset{100}, Offset{0})->has_value());
  EXPECT_FALSE(f.log->find_timestamp(1500, Offset{40}, Offset{0})->has_value());
  EXPECT_EQ((*f.log->find_max_timestamp(Offset{100}))->header.base_offset, 98);
  EXPECT_EQ((*f.log->find_max_timestamp(Offset{41}))->header.base_offset, 40);
}

TEST(PartitionLog, RetentionBySizeAndTime) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.options.config.retention_ms = 1000;
  f.must_open();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(f.append({.timestamp = 1000 + i, .value_bytes = 400}).ok());
  EXPECT_EQ(f.log->retention_start(1500, Offset{20}), Offset{0});
  // Two batches a segment: those up to timestamp 1009 are too old at 2010, but 1010 is not.
  EXPECT_EQ(f.log->retention_start(2010, Offset{20}), Offset{10});
  EXPECT_EQ(f.log->retention_start(2010, Offset{5}), Offset{4});  // the watermark holds it back
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.log->advance_log_start(Offset{10}).ok());
  EXPECT_EQ(f.log->log_start(), Offset{10});
  EXPECT_EQ(f.log->segments(), 5u);
  EXPECT_EQ(f.log->read(Offset{9}, Offset{20}, 100, true).code(), Errc::offset_out_of_range);
  auto deleted = f.log->take_deleted_files();
  EXPECT_GE(deleted.size(), 15u);
  for (const std::string& path : deleted) EXPECT_TRUE(f.disk.remove(path).ok()) << path;

  LogConfig config = f.options.config;
  config.retention_ms = -1;
  config.retention_bytes = static_cast<std::int64_t>(f.log->bytes()) - 1200;
  f.log->set_config(config);
  EXPECT_EQ(f.log->retention_start(2010, Offset{20}), Offset{12});

  // Everything is old: the active segment rolls and goes too.
  config.retention_bytes = -1;
  config.retention_ms = 1;
  f.log->set_config(config);
  EXPECT_EQ(f.log->retention_start(1'000'000, Offset{20}), Offset{20});
  ASSERT_TRUE(f.log->advance_log_start(Offset{20}).ok());
  EXPECT_GT(f.log->bytes(), 0u) << "the new segment's name is not durable yet: without both files offsets would repeat";
  EXPECT_EQ(f.log->read(Offset{19}, Offset{20}, 100, true).code(), Errc::offset_out_of_range);
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.log->advance_log_start(Offset{20}).ok());
  EXPECT_EQ(f.log->bytes(), 0u);
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.read_all(), Offset{21});
}

TEST(PartitionLog, PinnedBytesOutliveDeletion) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  auto read = f.log->read(Offset{0}, Offset{2}, 10'000, true);
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.log->advance_log_start(Offset{4}).ok());
  for (const std::string& path : f.log->take_deleted_files()) ASSERT_TRUE(f.disk.remove(path).ok());
  EXPECT_EQ(f.headers_of(*read).size(), 2u);
}

TEST(PartitionLog, SequencesAreChecked) {
  LogFixture f;
  f.must_open();
  auto check = [&](std::int16_t epoch, std::int32_t sequence, std::int32_t records = 1) {
    auto batch = make_batch({.records = records, .producer_id = 5, .producer_epoch = epoch, .base_sequence = sequence});
    return f.log->check_sequence(header_of(batch));
  };
  EXPECT_TRUE(check(0, 100).ok());  // unknown here: any start
  for (int i = 0; i < 7; ++i)
    ASSERT_TRUE(f.append({.records = 2, .producer_id = 5, .producer_epoch = 3, .base_sequence = 2 * i}).ok());
  auto repeat = check(3, 12, 2);
  ASSERT_TRUE(repeat.ok());
  EXPECT_EQ(repeat->kind, SequenceVerdict::Kind::duplicate);
  EXPECT_EQ(repeat->duplicate_base_offset, Offset{12});
  EXPECT_EQ(check(3, 4, 2)->kind, SequenceVerdict::Kind::duplicate);  // the fifth newest
  EXPECT_EQ(check(3, 2, 2).code(), Errc::out_of_order_sequence);      // the sixth is forgotten
  EXPECT_EQ(check(3, 12, 1).code(), Errc::out_of_order_sequence);     // other length: no repeat
  EXPECT_EQ(check(3, 14, 1)->kind, SequenceVerdict::Kind::fresh);
  EXPECT_EQ(check(3, 15).code(), Errc::out_of_order_sequence);
  EXPECT_EQ(check(2, 14).code(), Errc::invalid_producer_epoch);
  EXPECT_EQ(check(4, 14).code(), Errc::out_of_order_sequence);
  EXPECT_TRUE(check(4, 0).ok());
}

TEST(PartitionLog, SequenceWrapsToZero) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append({.records = 2, .producer_id = 5, .producer_epoch = 0, .base_sequence = INT32_MAX - 1}).ok());
  auto next = make_batch({.producer_id = 5, .producer_epoch = 0, .base_sequence = 0});
  EXPECT_EQ(f.log->check_sequence(header_of(next))->kind, SequenceVerdict::Kind::fresh);
  ASSERT_TRUE(f.append({.records = 3, .producer_id = 6, .producer_epoch = 0, .base_sequence = INT32_MAX}).ok());
  auto after = make_batch({.producer_id = 6, .producer_epoch = 0, .base_sequence = 2});
  EXPECT_EQ(f.log->check_sequence(header_of(after))->kind, SequenceVerdict::Kind::fresh);
}

TEST(PartitionLog, EpochEnds) {
  LogFixture f;
  f.must_open();
  EXPECT_EQ(f.log->epoch_end(LeaderEpoch{0}).end, Offset{-1});
  ASSERT_TRUE(f.log->start_epoch(LeaderEpoch{2}).ok());
  f.epoch = LeaderEpoch{2};
  ASSERT_TRUE(f.append({.records = 5}).ok());
  ASSERT_TRUE(f.log->start_epoch(LeaderEpoch{5}).ok());
  f.epoch = LeaderEpoch{5};
  ASSERT_TRUE(f.append({.records = 5}).ok());
  EXPECT_EQ(f.log->epoch_end(LeaderEpoch{3}).epoch, LeaderEpoch{2});
  EXPECT_EQ(f.log->epoch_end(LeaderEpoch{3}).end, Offset{5});
  EXPECT_EQ(f.log->epoch_end(LeaderEpoch{5}).end, Offset{10});
  EXPECT_EQ(f.log->epoch_end(LeaderEpoch{6}).end, Offset{-1});
}

TEST(PartitionLog, AnotherTopicIdIsRefused) {
  LogFixture f;
  f.must_open();
  f.options.topic_id = TopicId{Uuid{3, 4}};
  EXPECT_EQ(f.open().code(), Errc::inconsistent_topic_id);
}

// The gate of the hot path: one write per append, index entries in groups, and a reader at the tail reads nothing
// itself.
TEST(PartitionLog, SystemCallsOfAppendAndTailRead) {
  LogFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  std::size_t log_writes = 0, other_writes = 0, reads = 0, others = 0;
  f.disk.on_operation([&](const sim::Disk::Operation& operation) {
    if (operation.op == sim::DiskOp::write) {
      ++(operation.path.ends_with(".log") ? log_writes : other_writes);
    } else if (operation.op == sim::DiskOp::read) {
      ++reads;
    } else {
      ++others;
    }
  });
  for (int i = 0; i < 1000; ++i) {
    Offset tail = f.log->log_end();
    ASSERT_TRUE(f.append({.timestamp = 1000 + i, .value_bytes = 4000}).ok());
    EXPECT_EQ(f.log->read(tail, f.log->log_end(), 1 << 20, true)->fragments.size(), 1u);
  }
  f.disk.on_operation({});
  EXPECT_EQ(log_writes, 1000u);
  EXPECT_LE(other_writes, 2 * 1000 / IndexFile::kPendingMax);
  EXPECT_EQ(reads, 0u);
  EXPECT_LE(others, 2u);  // the index files are opened
}

TEST(PartitionLog, LargestTimestampIsTheFirstOfEqualOnes) {
  LogFixture f;
  f.options.config.index_interval_bytes = 1;
  f.must_open();
  for (WallMillis timestamp : {5, 9, 9, 3, 9, 2}) ASSERT_TRUE(f.append({.timestamp = timestamp}).ok());
  EXPECT_EQ((*f.log->find_max_timestamp(Offset{6}))->header.base_offset, 1);
  EXPECT_EQ((*f.log->find_max_timestamp(Offset{1}))->header.base_offset, 0);
  EXPECT_EQ((*f.log->find_timestamp(9, Offset{6}, Offset{0}))->header.base_offset, 1);
}

// Descriptors are few: a log keeps open the active segment and the sealed ones that were read last.
TEST(PartitionLog, OpenFilesAreBounded) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  EXPECT_GT(f.log->segments(), 20u);
  EXPECT_EQ(f.read_all(), Offset{60});
  EXPECT_LE(f.log->open_segments(), 5u);
}

// A batch that was refused for want of descriptors must not stay behind under an offset that is given out again.
TEST(PartitionLog, WantOfDescriptorsGivesNoOffsetTwice) {
  LogFixture f;
  f.options.config.index_interval_bytes = 1;
  f.must_open();
  f.no_descriptors("index");
  for (int i = 0; i < 200; ++i) (void)f.append({.timestamp = 1000 + i});
  f.disk.heal();
  ASSERT_TRUE(f.append({.timestamp = 5000}).ok());
  ASSERT_TRUE(f.sync().ok());
  auto read = f.log->read(Offset{0}, f.log->log_end(), 1 << 20, true);
  ASSERT_TRUE(read.ok());
  std::int64_t next = 0;
  for (const BatchHeader& header : f.headers_of(*read)) {
    ASSERT_EQ(header.base_offset, next);
    next = header.next_offset().v;
  }
  EXPECT_EQ(next, f.log->log_end().v);
  EXPECT_EQ(f.written.size(), static_cast<std::size_t>(next));
  ASSERT_TRUE(f.log->find_timestamp(5000, f.log->log_end(), Offset{0}).ok());
}

// Files beside the log that cannot be opened put a round off; only a failed sync is final.
TEST(PartitionLog, WantOfDescriptorsPutsARoundOff) {
  LogFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());
  f.disk.add_fault({.op = sim::DiskOp::create, .path_contains = ".snapshot", .error = Errc::resource_exhausted});
  EXPECT_EQ(f.sync().code(), Errc::resource_exhausted);
  EXPECT_EQ(f.log->durable_end(), Offset{0});
  EXPECT_FALSE(f.log->failure());
  auto ticket = f.begin_sync();
  ASSERT_TRUE(ticket);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append({.value_bytes = 400}).ok());  // rolls again meanwhile
  f.log->end_sync(*ticket, Errc::resource_exhausted);
  ASSERT_TRUE(f.sync().ok());
  EXPECT_EQ(f.log->durable_end(), Offset{6});
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{6});
  EXPECT_EQ(f.read_all(), Offset{6});
}

// Design: thousands of idle partitions. What one holds after start must stay small.
TEST(PartitionLog, IdlePartitionIsSmall) {
  LogFixture f;
  f.must_open();
  EXPECT_LT(f.log->memory_bytes(), 2048u);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(f.append({.timestamp = i, .value_bytes = 5000}).ok());
  EXPECT_LT(f.log->memory_bytes(), 6144u);
}

}  // namespace
}  // namespace mr::storage::test
