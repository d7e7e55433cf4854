#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "sim/disk.h"
#include "storage/partition_log.h"
#include "storage/test_batches.h"

namespace mr::storage::test {

/// A log on a simulated disk, with the few calls that every test makes.
struct LogFixture {
  explicit LogFixture(std::uint64_t seed = 1) : disk(seed) {
    set_log_level(LogLevel::off);  // every crash warns
    options.directory = "/data/t-0";
    options.partition = {"t", PartitionIndex{0}};
    options.topic_id = TopicId{Uuid{1, 2}};
    EXPECT_TRUE(disk.make_directories("/data").ok());
    EXPECT_TRUE(disk.sync_directory("/").ok());
  }

  /// Opens (again). The old log goes first, as after a crash: nothing is closed.
  Result<void> open(bool clean_stop = false) {
    log.reset();
    Log::OpenOptions copy = options;
    copy.clean_stop = clean_stop;
    MR_TRY(log, PartitionLog::open(disk, std::move(copy)));
    return {};
  }
  void must_open(bool clean_stop = false) {
    auto opened = open(clean_stop);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
  }

  Result<AppendResult> append(const BatchSpec& spec = {}) {
    std::vector<std::byte> batch = make_batch(spec);
    auto result = log->append(batch, header_of(batch), spec.timestamp, epoch, now);
    if (result.ok()) written.push_back(batch);
    return result;
  }
  /// From now on until disk.heal(), for files whose path has this in it.
  void no_descriptors(const std::string& path_contains) {
    for (sim::DiskOp op : {sim::DiskOp::open, sim::DiskOp::create})
      disk.add_fault(
          {.op = op, .path_contains = path_contains, .times = sim::Fault::kAlways, .error = Errc::resource_exhausted});
  }
  /// Empty when there is nothing to sync, or something is in the way.
  std::optional<SyncTicket> begin_sync() {
    auto begun = log->begin_sync();
    return begun.ok() ? std::move(*begun) : std::nullopt;
  }
  /// A whole group-commit round.
  Result<void> sync() { return finish(begin_sync()); }
  /// The same for what was rolled alone.
  Result<void> seal() { return finish(log->begin_sealing()); }
  Result<void> finish(std::optional<SyncTicket> ticket) {
    if (!ticket) return {};
    Result<void> outcome;
    for (auto& file : ticket->files)
      if (outcome.ok()) outcome = file->sync();
    log->end_sync(*ticket, outcome);
    return outcome;
  }

  std::vector<std::byte> bytes_of(const ReadResult& read) {
    std::vector<std::byte> bytes;
    for (const Fragment& fragment : read.fragments) {
      std::vector<std::byte> part(fragment.length);
      auto got = fragment.file->read_at(part, fragment.position);
      EXPECT_TRUE(got.ok() && *got == part.size());
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    EXPECT_EQ(bytes.size(), read.bytes);
    return bytes;
  }
  /// Headers of the whole batches of a read.
  std::vector<BatchHeader> headers_of(const ReadResult& read) {
    std::vector<std::byte> bytes = bytes_of(read);
    std::vector<BatchHeader> headers;
    ByteView rest = bytes;
    while (rest.size() >= BatchHeader::kBytes) {
      auto header = BatchHeader::parse(rest);
      EXPECT_TRUE(header.ok()) << header.error().message();
      if (!header.ok() || header->total_bytes() > rest.size()) break;
      EXPECT_TRUE(batch_crc_matches(rest.subspan(0, header->total_bytes())));
      headers.push_back(*header);
      rest = rest.subspan(header->total_bytes());
    }
    return headers;
  }
  /// Everything from log start to log end, read in steps of `step` bytes, must be dense batches. Returns the end.
  Offset read_all(std::uint64_t step = 100'000) {
    Offset next = log->log_start();
    while (next < log->log_end()) {
      auto read = log->read(next, log->log_end(), step, true);
      EXPECT_TRUE(read.ok()) << read.error().message();
      if (!read.ok()) return next;
      Offset before = next;
      for (const BatchHeader& header : headers_of(*read)) {
        EXPECT_LE(header.base_offset, next.v);
        next = header.next_offset();
      }
      EXPECT_GT(next, before) << "no progress at " << before.v;
      if (next == before) return next;
    }
    return next;
  }

  sim::Disk disk;
  Log::OpenOptions options;
  LeaderEpoch epoch{0};
  WallMillis now = 1'000'000;
  std::unique_ptr<PartitionLog> log;
  std::vector<std::vector<std::byte>> written;  ///< batches as they were patched
};

}  // namespace mr::storage::test
