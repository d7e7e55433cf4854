#pragma once
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

#include "sim/disk.h"
#include "storage/commit_journal.h"
#include "storage/small_file.h"

namespace mr::storage::test {

/// A journal on a simulated disk, with small halves, and runs of partitions that nobody keeps a log of.
struct JournalWriter {
  explicit JournalWriter(std::uint64_t seed = 1) : disk(seed) {
    EXPECT_TRUE(disk.make_directories("/data").ok() && disk.sync_directory("/").ok());
    restart(Uuid{5, 6});
  }

  /// A run of `bytes` that follows the one before in partition `p`.
  JournalRun next_run(std::int32_t p, std::uint32_t bytes = 1000) {
    Place& at = places[p];
    JournalRun run{.topic = TopicId{Uuid{1, 2}},
                   .partition = PartitionIndex{p},
                   .segment = Offset{0},
                   .position = at.position,
                   .bytes = bytes,
                   .base = Offset{at.next},
                   .next = Offset{at.next + 1},
                   .epoch = LeaderEpoch{1},
                   .headers_crc = 0};
    at.position += bytes;
    ++at.next;
    return run;
  }
  static std::vector<std::byte> bytes_of(const JournalRun& run) {
    return std::vector<std::byte>(run.bytes, static_cast<std::byte>(run.base.v * 7 + run.partition.v));
  }
  bool carry(std::int32_t p, std::uint32_t bytes = 1000) {
    JournalRun run = next_run(p, bytes);
    return journal->add_carried(run, bytes_of(run));
  }
  /// One round as group commit does it.
  Result<void> round() {
    auto block = journal->take_block();
    if (block == nullptr) return Error(Errc::not_found);
    Result<void> outcome = block->write();
    if (outcome.ok() && block->needs_sync()) outcome = block->sync();
    journal->block_done(std::move(block), outcome);
    return outcome;
  }
  /// The blocks of one file, as far as they follow one another.
  std::vector<JournalBlockHeader> blocks(char half) {
    auto bytes = read_whole_file(disk, journal_path("/data", 0, half));
    std::vector<JournalBlockHeader> found;
    if (!bytes.ok()) return found;
    ByteView rest = *bytes;
    while (true) {
      auto block = decode_journal_block(rest);
      if (!block.ok() || (!found.empty() && block->header.sequence != found.back().sequence + 1)) return found;
      found.push_back(block->header);
      rest = rest.subspan(block->bytes);
    }
  }
  /// Fills the half in use with carried blocks.
  void fill_half() {
    while (!journal->wants_half()) {
      ASSERT_TRUE(carry(0));
      ASSERT_TRUE(round().ok());
    }
  }

  struct Place {
    std::uint64_t position = 0;
    std::int64_t next = 0;
  };
  /// A new life: another session, on what is on the disk.
  void restart(Uuid session, std::uint32_t shard = 0) {
    journal.emplace(disk, CommitJournal::Options{.directory = "/data",
                                                 .shard = shard,
                                                 .session = session,
                                                 .half_bytes = 16384,
                                                 .block_bytes_max = 4096,
                                                 .grow_bytes = 8192});
  }

  sim::Disk disk;
  std::map<std::int32_t, Place> places;
  std::optional<CommitJournal> journal;
};

}  // namespace mr::storage::test
