// Aim: what a compaction does to one log's files beside the records (compaction_test.cc): only segments that a producer
// snapshot covers are touched, their seals speak of the new files, what the commit journal says of the old ones hurts
// nobody, and neither does what a reader found in them. Method: a log on a simulated disk and one pass by hand.
#include "storage/compactor.h"

#include <gtest/gtest.h>

#include "model/batch_builder.h"
#include "storage/log_fixture.h"
#include "storage/segment_names.h"
#include "storage/segment_verify.h"

namespace mr::storage::test {
namespace {

/// Batches of one record, three to a segment, over two keys.
struct Compacting : LogFixture {
  explicit Compacting(bool open_now = true) {
    options.config = {.segment_bytes = 3'500, .delete_old = false, .compacted = true};
    if (open_now) must_open();
  }

  void append(int count) {
    for (int i = 0; i < count; ++i) append_one("key " + std::to_string(number++ % 2), std::string(1'000, 'v'));
    sync_all();
  }
  void append_one(const std::string& key, const std::optional<std::string>& value) {
    NewRecord record{.timestamp = now, .key = as_bytes(key)};
    if (value) record.value = as_bytes(*value);
    BatchBuilder builder;
    builder.add(record);
    std::vector<std::byte> batch = builder.build().value();
    BatchHeader header = header_of(batch);
    auto done = log->append(batch, header, header.max_timestamp, epoch, now);
    ASSERT_TRUE(done.ok());
    evidence.carried.push_back({done->run, batch});
  }
  void sync_all() {
    auto begun = log->begin_sync();
    ASSERT_TRUE(begun.ok() && *begun);
    std::optional<SyncTicket>& ticket = *begun;
    for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
    log->end_sync(*ticket, {});
    if (ticket->run) evidence.durable.push_back(*ticket->run);
  }

  CompactionJob job() {
    CompactionJob job;
    job.sealed = log->sealed_segments(log->durable_end());
    job.config = log->config().compaction;
    job.dirtiness = judge(job.sealed, log->cleaned_end(), job.config, now);
    job.now = now;
    job.limits = {4 * log->config().segment_bytes, 1u << 20};
    return job;
  }
  Result<void> compact() {
    Compactor compactor(log->place(), job());
    for (;;) {
      auto state = compactor.step();
      if (!state.ok()) {
        (void)compactor.remove_output();
        return std::move(state).error();
      }
      if (*state == Compactor::State::done) break;
      if (*state != Compactor::State::group_ready) continue;
      CleanedGroup group = compactor.take_group();
      SegmentReplacement replacement(log->place(), group.first, group.end);
      MR_TRY_VOID(log->begin_replacement(group.first, group.end));
      MR_TRY_VOID(replacement.publish());
      log->replace_segments(std::move(group));
      MR_TRY_VOID(replacement.finish());
      log->end_replacement({});
    }
    log->set_cleaned_end(compactor.cleaned_end());
    return {};
  }
  void must_compact() {
    auto done = compact();
    ASSERT_TRUE(done.ok()) << done.error().message();
  }

  /// Offsets of all records, as a consumer meets them.
  std::vector<std::int64_t> offsets() {
    std::vector<std::int64_t> all;
    Offset next = log->log_start();
    while (next < log->log_end()) {
      auto read = log->read(next, log->log_end(), 100'000, true);
      EXPECT_TRUE(read.ok()) << read.error().message();
      if (!read.ok() || read->bytes == 0) break;
      for (const BatchHeader& header : headers_of(*read)) {
        if (header.records_count > 0) all.push_back(header.base_offset);
        next = header.next_offset();
      }
    }
    return all;
  }
  std::string path(std::int64_t base, std::string_view suffix) {
    return segment_path(options.directory, Offset{base}, suffix);
  }
  bool exists(std::int64_t base, std::string_view suffix) { return *disk.exists(path(base, suffix)); }

  int number = 0;
  CommitEvidence evidence;
};

using Offsets = std::vector<std::int64_t>;

TEST(Compactor, NewSegmentHasASealOfItsOwn) {
  Compacting f;
  f.append(11);
  f.must_compact();
  EXPECT_EQ(f.offsets(), (Offsets{7, 8, 9, 10}));
  auto seal = read_seal(f.disk, f.options.directory, Offset{0});
  ASSERT_TRUE(seal.ok() && *seal);
  EXPECT_TRUE((*seal)->compacted);
  EXPECT_EQ((*seal)->end, Offset{9});
  EXPECT_FALSE(f.exists(3, kSealSuffix));
  auto verdict = verify_segment(f.disk, f.options.directory, {Offset{0}, Offset{9}});
  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(verdict->sealed && verdict->damage.empty()) << "holes are allowed without being told";
  f.disk.flip_bit(f.path(0, kLogSuffix), 15, 1);  // an epoch, which no checksum of Kafka's covers
  verdict = verify_segment(f.disk, f.options.directory, {Offset{0}, Offset{9}});
  EXPECT_FALSE(verdict->damage.empty());
}

// The trap: a roll on a full disk goes without its snapshot, and recovery looks at everything behind the newest one.
TEST(Compactor, SegmentWithoutASnapshotWaits) {
  Compacting f;
  sim::Fault full{.op = sim::DiskOp::write, .path_contains = ".snapshot", .times = sim::Fault::kAlways};
  full.error = Errc::disk_full;
  f.disk.add_fault(full);
  f.append(11);
  EXPECT_EQ(f.log->recovery_point(), Offset{9});
  EXPECT_TRUE(f.log->sealed_segments(f.log->durable_end()).empty());
  f.disk.drop_faults(sim::Fault::Kind::fail);
  f.append(2);
  EXPECT_EQ(f.log->sealed_segments(f.log->durable_end()).size(), 4u) << "the next snapshot speaks for all before";
  f.must_compact();
  f.options.evidence = f.evidence;
  f.disk.crash(sim::CrashMode::lose_unsynced);
  f.must_open();
  EXPECT_EQ(f.offsets(), (Offsets{10, 11, 12}));
  EXPECT_EQ(f.log->log_end(), Offset{13});
}

// A journal outlives the files that it speaks of, also when the snapshot that should say so has rotted.
TEST(Compactor, JournalOfTheFilesBeforeIsNotBelieved) {
  for (bool rotten : {false, true}) {
    Compacting f;
    f.append(5);
    f.append(6);
    f.must_compact();
    Offsets before = f.offsets();
    EXPECT_EQ(before, (Offsets{7, 8, 9, 10}));
    auto size = (*f.disk.open(f.path(0, kLogSuffix), OpenMode::read))->size();
    if (rotten) f.disk.flip_bit(f.path(9, kSnapshotSuffix), 2, 1);
    f.options.evidence = f.evidence;
    f.disk.crash(sim::CrashMode::lose_unsynced);
    f.must_open();
    EXPECT_EQ(f.offsets(), before);
    EXPECT_EQ(f.log->log_end(), Offset{11});
    EXPECT_EQ(*(*f.disk.open(f.path(0, kLogSuffix), OpenMode::read))->size(), *size);
    auto verdict = verify_segment(f.disk, f.options.directory, {Offset{0}, Offset{9}});
    ASSERT_TRUE(verdict.ok());
    EXPECT_TRUE(verdict->damage.empty());
  }
}

// Copying a rotten header into a new segment with a new seal would hide the rot for ever.
TEST(Compactor, WhatDoesNotFitItsSealIsNotCopied) {
  for (std::uint64_t at : {7u, 15u}) {  // base offset of the first batch, its epoch
    Compacting f;
    f.append(11);
    f.disk.flip_bit(f.path(3, kLogSuffix), at, 0);
    EXPECT_EQ(f.compact().code(), Errc::corrupt_batch);
    EXPECT_FALSE(f.exists(0, ".log.cleaned"));
    EXPECT_FALSE(f.exists(0, ".seal.cleaned"));
    f.log->leave_uncompacted(Offset{3});
    f.must_compact();
    EXPECT_TRUE(f.exists(3, kLogSuffix));
  }
}

// A start after a crash believes no new segment above a `.cleaned` while its old one is there; parts of that may be
// gone.
TEST(Compactor, WhatAFailedPassLeftIsRemovedByTheNext) {
  Compacting f;
  f.append(11);
  f.options.config.segment_bytes = 1;  // no two segments merge
  f.log->set_config(f.options.config);
  const std::string left = f.path(3, ".log.cleaned");
  f.disk.add_fault({.op = sim::DiskOp::write, .path_contains = left, .error = Errc::disk_full});
  f.disk.add_fault({.op = sim::DiskOp::remove, .path_contains = left, .error = Errc::io_error});
  EXPECT_EQ(f.compact().code(), Errc::disk_full);
  EXPECT_TRUE(f.exists(3, ".log.cleaned"));
  f.log->leave_uncompacted(Offset{3});  // the next pass does not come by
  f.must_compact();
  EXPECT_FALSE(f.exists(3, ".log.cleaned"));
}

// What the kernel's cache has wrong the device may have right.
TEST(Compactor, WhatTheDeviceHasRightIsCompacted) {
  Compacting f;
  f.append(11);
  f.disk.add_fault(
      {.kind = sim::Fault::Kind::flip_bit, .op = sim::DiskOp::read, .path_contains = f.path(3, kLogSuffix)});
  f.must_compact();
  EXPECT_EQ(f.disk.faults_fired(), 1u);
  EXPECT_EQ(f.offsets(), (Offsets{7, 8, 9, 10}));
}

// The trap: a deletion is kept above a segment that was left alone, but its key is clean by the checkpoint. When the
// segment reads again, the old value in it is the newest that the next pass knows of.
TEST(Compactor, DeletedKeyStaysDeletedWhenASegmentReadsAgain) {
  Compacting f;
  f.append_one("deleted", std::string(1'000, 'v'));
  f.append(5);
  f.append_one("deleted", std::nullopt);
  f.append(5);
  const std::string first = f.path(0, kLogSuffix);
  f.disk.flip_bit(first, 100, 0);
  EXPECT_EQ(f.compact().code(), Errc::corrupt_batch);
  f.log->leave_uncompacted(Offset{0});
  f.must_compact();
  EXPECT_GT(f.log->cleaned_end(), Offset{6}) << "a pass goes on above";
  EXPECT_EQ(f.log->lasting_cleaned_end(), Offset{0});
  EXPECT_FALSE(f.job().dirtiness.due(f.options.config.compaction)) << "and not again and again";

  f.disk.flip_bit(first, 100, 0);
  for (int life = 0; life < 3; ++life) {
    f.now += 2 * f.options.config.compaction.delete_retention_ms;
    f.options.cleaned_end = f.log->lasting_cleaned_end();
    ASSERT_TRUE(f.log->close().ok());
    f.must_open(true);
    f.append(3);  // something is dirty
    f.must_compact();
    EXPECT_EQ(std::ranges::count(f.offsets(), 0), 0) << "the value came back in life " << life;
    EXPECT_EQ(f.log->lasting_cleaned_end(), f.log->cleaned_end());
  }
}

// A topic may stop being compacted; its holes stay, and are no loss.
TEST(Compactor, HolesStayWhatTheyAreWhenThePolicyChanges) {
  Compacting f;
  f.append(11);
  f.must_compact();
  Offsets before = f.offsets();
  f.options.config.delete_old = true;
  f.options.config.compacted = false;
  f.log->set_config(f.options.config);
  EXPECT_EQ(f.offsets(), before);
  for (bool clean : {true, false}) {
    if (clean) ASSERT_TRUE(f.log->close().ok());
    f.must_open(clean);  // and the cleaner's checkpoint was lost
    EXPECT_EQ(f.offsets(), before);
    auto read = f.log->read(Offset{0}, f.log->log_end(), 100'000, true);
    ASSERT_TRUE(read.ok());
    auto range = f.log->range_to_check(read->fragments[0], true);
    ASSERT_TRUE(range.has_value());
    EXPECT_FALSE(check_batches(*read->fragments[0].file, *range)->bad);
  }
}

// A read of the old file that is checked after the change says nothing about the new one.
TEST(Compactor, ChecksOfTheOldFileAreNotNotedOfTheNewOne) {
  Compacting f;
  f.append(11);
  auto read = f.log->read(Offset{0}, Offset{2}, 100'000, true);
  ASSERT_TRUE(read.ok());
  auto range = f.log->range_to_check(read->fragments[0], true);
  ASSERT_TRUE(range.has_value());
  f.must_compact();
  EXPECT_FALSE(f.log->range_to_check(read->fragments[0], true));
  f.log->note_check(read->fragments[0].segment, *range, check_batches(*read->fragments[0].file, *range));
  EXPECT_EQ(f.log->note_damage(read->fragments[0].segment, {{.first = Offset{7}, .next = Offset{8}}}), 0u);
  auto again = f.log->read(Offset{0}, f.log->log_end(), 100'000, true);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->unchecked) << "the new file has not been looked at";
  EXPECT_EQ(f.offsets(), (Offsets{7, 8, 9, 10}));
}

}  // namespace
}  // namespace mr::storage::test
