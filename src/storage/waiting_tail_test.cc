// Aim: what waits in memory for its file is read, synced, kept and lost exactly as the contract of Log says: nobody who
// asks the log notices, a crash takes only what was not durable, and no error loses or doubles a byte.
// Method: logs on a simulated disk, their files looked at behind the log's back. The property test and the simulations
// have tails, too.
#include "storage/waiting_tail.h"

#include "storage/log_fixture.h"
#include "storage/segment_names.h"

namespace mr::storage {
namespace {

using test::BatchSpec;
using test::LogFixture;

struct TailFixture : LogFixture {
  explicit TailFixture(std::size_t tails_max = 10) : tails(tails_max) { options.tails = &tails; }

  std::uint64_t file_bytes(Offset segment = {}) {
    auto file = disk.open(segment_path(options.directory, segment, kLogSuffix), OpenMode::read);
    return file.ok() ? (*file)->size().value() : 0;
  }
  std::vector<std::byte> all_written() const {
    std::vector<std::byte> all;
    for (const auto& batch : written) all.insert(all.end(), batch.begin(), batch.end());
    return all;
  }
  void expect_all_reads() {
    auto read = log->read(log->log_start(), log->log_end(), 1 << 20, true);
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_EQ(bytes_of(*read), all_written());
  }
  void no_room() {
    disk.add_fault({.path_contains = kLogSuffix.data(), .times = sim::Fault::kAlways, .error = Errc::disk_full});
  }

  WaitingTails tails;
};

TEST(WaitingTail, ItsFirstReaderWritesAllOfIt) {
  TailFixture f;
  f.must_open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.file_bytes(), 0u);
  EXPECT_EQ(f.log->written_end(), Offset{0});
  EXPECT_EQ(f.log->bytes(), f.all_written().size());
  auto read = f.log->read(Offset{1}, Offset{2}, 1000, true);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(f.bytes_of(*read), f.written[1]);
  EXPECT_EQ(f.file_bytes(), f.all_written().size());
  EXPECT_EQ(f.log->written_end(), Offset{3});
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.log->written_end(), Offset{3});
  f.expect_all_reads();
}

TEST(WaitingTail, LookUpsByTimeSeeWhatWaits) {
  TailFixture f;
  f.must_open();
  for (WallMillis t : {100, 300, 200}) ASSERT_TRUE(f.append({.timestamp = t}).ok());
  auto found = f.log->find_timestamp(250, Offset{3}, Offset{0});
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ((*found)->batch, f.written[1]);
  ASSERT_TRUE(f.append({.timestamp = 400}).ok());
  found = f.log->find_max_timestamp(Offset{4});
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ((*found)->batch, f.written[3]);
}

TEST(WaitingTail, ARoundSyncsWhatWaits) {
  TailFixture f;
  f.must_open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append().ok());
  ASSERT_TRUE(f.sync().ok());
  EXPECT_EQ(f.log->synced_end(), Offset{3});
  ASSERT_TRUE(f.append().ok());
  f.disk.crash(sim::CrashMode::keep_all);
  f.must_open();
  EXPECT_EQ(f.log->log_end(), Offset{3}) << "what waited was the process's";
  f.written.pop_back();
  f.expect_all_reads();
}

TEST(WaitingTail, AFullTailIsWrittenAndALargeBatchGoesBehindIt) {
  TailFixture f;
  f.must_open();
  const std::size_t bytes = test::make_batch({.value_bytes = 1000}).size();
  const std::size_t fit = WaitingTail::kBytes / bytes;
  for (std::size_t i = 0; i < fit; ++i) ASSERT_TRUE(f.append({.value_bytes = 1000}).ok());
  EXPECT_EQ(f.file_bytes(), 0u);
  ASSERT_TRUE(f.append({.value_bytes = 1000}).ok());
  EXPECT_EQ(f.file_bytes(), fit * bytes);
  ASSERT_TRUE(f.append({.value_bytes = WaitingTail::kBatchBytesMax}).ok());
  EXPECT_EQ(f.file_bytes(), f.all_written().size());
  f.expect_all_reads();
}

TEST(WaitingTail, ARollWritesWhatWaits) {
  TailFixture f;
  f.options.config.segment_bytes = 1000;
  f.must_open();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(f.append().ok());
  ASSERT_GT(f.log->segments(), 2u);
  EXPECT_EQ(f.tails.in_use(), 1u) << "the active segment's";
  f.expect_all_reads();
  ASSERT_TRUE(f.log->close().ok());
  f.must_open(true);
  f.expect_all_reads();
}

TEST(WaitingTail, AFullDiskLosesNothingAndHeals) {
  TailFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  f.no_room();
  ASSERT_TRUE(f.append().ok());
  f.expect_all_reads();
  EXPECT_EQ(f.log->written_end(), Offset{0});
  EXPECT_EQ(f.log->begin_sync().code(), Errc::disk_full);
  ASSERT_TRUE(f.append().ok()) << "it waits, too";
  std::vector<std::byte> large = test::make_batch({.value_bytes = WaitingTail::kBatchBytesMax});
  EXPECT_EQ(f.log->append(large, test::header_of(large), 1, f.epoch, f.now).code(), Errc::disk_full);
  EXPECT_EQ(f.log->log_end(), Offset{3});
  EXPECT_FALSE(f.log->failure());
  f.expect_all_reads();
  auto found = f.log->find_max_timestamp(Offset{3});
  EXPECT_TRUE(found.ok() && *found);
  f.disk.heal();
  f.expect_all_reads();
  ASSERT_TRUE(f.sync().ok());
  EXPECT_EQ(f.log->durable_end(), Offset{3});
}

TEST(WaitingTail, AnyOtherErrorIsFinal) {
  for (bool by_reading : {true, false}) {
    TailFixture f;
    f.must_open();
    ASSERT_TRUE(f.append().ok());
    f.disk.add_fault({.path_contains = kLogSuffix.data(), .error = Errc::disk_failed});
    Errc code = by_reading ? f.log->read(Offset{0}, Offset{1}, 1000, true).code() : f.log->begin_sync().code();
    EXPECT_EQ(code, Errc::disk_failed);
    ASSERT_TRUE(f.log->failure());
    EXPECT_EQ(f.append().code(), Errc::disk_failed);
  }
}

TEST(WaitingTail, WantOfDescriptorsForAnIndexLosesNothing) {
  TailFixture f;
  f.options.config.index_interval_bytes = 1;
  f.must_open();
  f.no_descriptors("index");
  for (int i = 0; i < 200; ++i) (void)f.append({.timestamp = 1000 + i});
  f.disk.heal();
  ASSERT_TRUE(f.append({.timestamp = 5000}).ok());
  EXPECT_EQ(f.log->log_end().v, static_cast<std::int64_t>(f.written.size()));
  f.expect_all_reads();
  ASSERT_TRUE(f.sync().ok());
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open();
  f.expect_all_reads();
}

// A whole batch that was refused must not lie where the next one waits to be written: after a kill it would be
// believed.
TEST(WaitingTail, WhatWasRefusedLeavesNothingWhereTheNextOneGoes) {
  for (bool stays : {false, true}) {
    TailFixture f;
    f.options.config.index_interval_bytes = 1;
    f.must_open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(f.append({.timestamp = 1000 + i}).ok());
    ASSERT_TRUE(f.log->close().ok());
    f.must_open(true);
    f.log->close_idle_files();
    const std::uint64_t before = f.file_bytes();
    f.no_descriptors(".timeindex");
    if (stays) f.disk.add_fault({.op = sim::DiskOp::truncate, .path_contains = kLogSuffix.data()});
    std::vector<std::byte> batch = test::make_batch({.timestamp = 5000});
    ASSERT_EQ(f.log->append(batch, test::header_of(batch), 5000, f.epoch, f.now, false).code(),
              Errc::resource_exhausted);
    EXPECT_EQ(f.file_bytes(), stays ? before + batch.size() : before);
    f.disk.heal();
    ASSERT_TRUE(f.append({.timestamp = 5000}).ok());
    EXPECT_EQ(f.log->written_end(), stays ? Offset{4} : Offset{3});
    f.expect_all_reads();
  }
}

TEST(WaitingTail, ReadersOnAFullDiskShareOneCopyAndLeaveTheDiskAlone) {
  TailFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  ASSERT_TRUE(f.sync().ok());
  ASSERT_TRUE(f.append().ok());
  f.no_room();
  auto first = f.log->read(Offset{1}, Offset{2}, 1000, true);
  f.disk.heal();
  auto second = f.log->read(Offset{1}, Offset{2}, 1000, true);
  auto old = f.log->read(Offset{0}, Offset{1}, 1000, true);
  ASSERT_TRUE(first.ok() && second.ok() && old.ok());
  EXPECT_EQ(first->fragments[0].file, second->fragments[0].file) << "and no read tried the disk again";
  EXPECT_NE(old->fragments[0].file, first->fragments[0].file);
  EXPECT_EQ(f.log->written_end(), Offset{1});
  EXPECT_EQ(f.bytes_of(*first), f.written[1]);
  ASSERT_TRUE(f.log->write_waiting().ok());
  EXPECT_EQ(f.log->written_end(), Offset{2});
  EXPECT_EQ(f.bytes_of(*second), f.written[1]) << "who has the copy keeps it";
  f.expect_all_reads();
}

// Where an ack means page cache, what is acknowledged has to be there.
TEST(WaitingTail, NothingWaitsWhereAnAckMeansPageCache) {
  TailFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  LogConfig config = f.options.config;
  config.synced_late = true;
  f.log->set_config(config);
  EXPECT_EQ(f.log->written_end(), Offset{0});
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.log->written_end(), Offset{2});
  EXPECT_EQ(f.file_bytes(), f.all_written().size());
  f.expect_all_reads();
}

// As acks=1 has it: answered before it is durable, and there after the process has died.
TEST(WaitingTail, WhatMayNotWaitTakesAlongWhatWaited) {
  TailFixture f;
  f.must_open();
  ASSERT_TRUE(f.append().ok());
  std::vector<std::byte> batch = test::make_batch({});
  ASSERT_TRUE(f.log->append(batch, test::header_of(batch), 1, f.epoch, f.now, false).ok());
  f.written.push_back(batch);
  EXPECT_EQ(f.log->written_end(), Offset{2});
  f.disk.crash(sim::CrashMode::keep_all);
  f.must_open();
  f.expect_all_reads();
}

TEST(WaitingTail, MemoryIsBoundedAndGivenBack) {
  TailFixture f(1), other;
  other.options.tails = &f.tails;
  f.must_open();
  other.must_open();
  ASSERT_TRUE(f.append().ok());
  EXPECT_EQ(f.tails.in_use(), 1u);
  ASSERT_TRUE(other.append().ok());
  EXPECT_EQ(f.tails.in_use(), 1u);
  EXPECT_EQ(other.file_bytes(), other.all_written().size()) << "written at once";
  ASSERT_TRUE(f.sync().ok());
  f.log->close_idle_files();
  EXPECT_EQ(f.tails.in_use(), 0u);
  ASSERT_TRUE(other.append().ok());
  EXPECT_EQ(f.tails.in_use(), 1u);
  other.log.reset();
  EXPECT_EQ(f.tails.in_use(), 0u);
}

}  // namespace
}  // namespace mr::storage
