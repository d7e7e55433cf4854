// The commit journal against a model. Two ways, by the first byte:
// - a history of a writer (carry, state, round, switch halves, release) made from the input, then a crash of the
//   simulated disk and, perhaps, damage. What the reader finds must have been written; without damage all that was
//   synced and is still needed must be found, and nothing may look damaged;
// - arbitrary bytes as journal files, checksums made right, put back into an arbitrary segment. Reading may refuse;
//   putting back twice must be the same as once.
#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "sim/disk.h"
#include "storage/commit_journal.h"
#include "storage/journal_reader.h"
#include "storage/journal_restore.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"
#include "storage/test_batches.h"
#include "tests/fuzz/input.h"

using namespace mr;           // NOLINT: a program, not a header
using namespace mr::storage;  // NOLINT

namespace {

constexpr std::int32_t kPartitions = 4;
const TopicId kTopic{Uuid{1, 2}};

/// Runs of partitions that nobody keeps a log of: their bytes follow from partition and offset.
struct Writer {
  explicit Writer(std::uint8_t seed) : disk(seed) {
    MR_CHECK(disk.make_directories("/data").ok() && disk.sync_directory("/").ok());
  }

  JournalRun next_run(std::int32_t p, std::uint32_t bytes) {
    JournalRun run{.topic = kTopic,
                   .partition = PartitionIndex{p},
                   .position = position[p],
                   .bytes = bytes,
                   .base = Offset{next[p]},
                   .next = Offset{next[p] + 1},
                   .epoch = LeaderEpoch{1}};
    position[p] += bytes;
    ++next[p];
    return run;
  }
  static std::vector<std::byte> bytes_of(const JournalRun& run) {
    return std::vector<std::byte>(run.bytes, static_cast<std::byte>(run.base.v * 5 + run.partition.v));
  }
  void carry(std::int32_t p, std::uint32_t bytes) {
    JournalRun run = next_run(p, bytes);
    if (!journal.add_carried(run, bytes_of(run))) return;
    ever_carried[p].push_back(run);
    waiting.push_back({run, journal.half_in_use()});
  }
  void state(std::int32_t p, std::uint32_t bytes) {
    JournalRun run = next_run(p, bytes);
    ever_stated[p].push_back(run);
    journal.add_durable(run);
  }
  void round(bool eager) {
    auto block = journal.take_block();
    if (block == nullptr) return;
    auto under_way = std::exchange(waiting, {});
    Result<void> outcome = block->write();
    bool sync = outcome.ok() && (block->needs_sync() || eager);
    if (sync) outcome = block->sync();
    journal.block_done(std::move(block), outcome);
    if (!outcome.ok() || !sync) return;
    needed.insert(needed.end(), under_way.begin(), under_way.end());
  }
  void switch_halves() {
    if (!journal.wants_half()) return;
    draining = journal.begin_half({});
  }
  /// As if everything that the half carries had been synced in its own files.
  void release() {
    if (!draining) return;
    std::erase_if(needed, [&](const auto& one) { return one.second == *draining; });
    std::erase_if(waiting, [&](const auto& one) { return one.second == *draining; });
    journal.release(*std::exchange(draining, std::nullopt));
  }

  sim::Disk disk;
  CommitJournal journal{
      disk,
      {.directory = "/data", .session = Uuid{5, 6}, .half_bytes = 16384, .block_bytes_max = 4096, .grow_bytes = 4096}};
  std::uint64_t position[kPartitions] = {};
  std::int64_t next[kPartitions] = {};
  std::vector<JournalRun> ever_carried[kPartitions], ever_stated[kPartitions];
  std::vector<std::pair<JournalRun, CommitJournal::Half>> waiting, needed;
  std::optional<CommitJournal::Half> draining;
};

void write_and_read(FuzzInput& in) {
  Writer w(in.byte());
  std::uint8_t end = in.byte();
  for (int steps = 0; !in.left.empty() && steps < 2000; ++steps) {
    std::uint8_t op = in.byte();
    std::int32_t p = op & 3;
    std::uint32_t bytes = 61 + in.byte() * 4u;
    switch (op >> 2 & 7) {
      case 0:
      case 1:
      case 2:
        w.carry(p, bytes);
        break;
      case 3:
        w.state(p, bytes);
        break;
      case 4:
        w.round(false);
        break;
      case 5:
        w.round(true);
        break;
      case 6:
        w.switch_halves();
        break;
      case 7:
        w.release();
        break;
    }
  }
  if (auto block = w.journal.take_block(); block != nullptr && (end & 1) != 0) (void)block->write();
  w.disk.crash((end & 2) != 0 ? sim::CrashMode::random : sim::CrashMode::lose_unsynced);
  bool damaged = (end & 4) != 0;
  for (int i = 0; damaged && i < (end >> 4) + 1; ++i) {
    std::string path = journal_path("/data", 0, (end >> 3 & 1) != 0 ? 'a' : 'b');
    auto bytes = read_whole_file(w.disk, path);
    if (!bytes.ok() || bytes->empty()) continue;
    w.disk.flip_bit(path, (static_cast<std::uint64_t>(end) * 97 + i * 512u) % bytes->size(), i & 7);
  }

  auto evidence = JournalEvidence::read(w.disk, "/data");
  MR_CHECK(evidence.ok());
  MR_CHECK(damaged || (*evidence)->damaged_blocks() == 0);
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    auto found = (*evidence)->evidence_of(kTopic, PartitionIndex{p});
    MR_CHECK(found.ok());
    for (const JournalRun& run : found->durable)
      MR_CHECK(std::ranges::find(w.ever_stated[p], run) != w.ever_stated[p].end());
    for (const auto& one : found->carried) {
      MR_CHECK(std::ranges::find(w.ever_carried[p], one.run) != w.ever_carried[p].end());
      MR_CHECK(one.frames == Writer::bytes_of(one.run));
    }
    for (const auto& [run, half] : w.needed) {
      if (damaged || run.partition.v != p) continue;
      MR_CHECK(std::ranges::any_of(found->carried, [&](const auto& one) { return one.run == run; }));
    }
  }
  MR_CHECK((*evidence)->retire({}).ok());
  evidence = JournalEvidence::read(w.disk, "/data");
  MR_CHECK(evidence.ok() && (*evidence)->empty());
}

void put(FileSystem& disk, const std::string& path, ByteView bytes) {
  auto file = disk.open(path, OpenMode::create);
  MR_CHECK(file.ok() && (*file)->write_at(bytes, 0).ok() && (*file)->sync().ok());
}

/// A block out of each piece of the input: whatever fields it says, under a checksum that is right.
std::vector<std::byte> arbitrary_blocks(FuzzInput& in, std::size_t bytes) {
  ByteView taken = in.piece(bytes);
  std::vector<std::byte> file(journal_padded(taken.size()));
  std::ranges::copy(taken, file.begin());
  for (std::size_t at = 0; at < file.size();) {
    std::byte* p = file.data() + at;
    std::size_t length = std::clamp<std::size_t>(load_be<std::uint32_t>(p + 8), kJournalHeaderBytes, file.size() - at);
    store_be(p, 0x4d524a42u);
    store_be(p + 8, static_cast<std::uint32_t>(length));
    store_be(p + 12, std::uint32_t{1} << 16);
    std::size_t padded = journal_padded(length);
    store_be(p + 4, crc32c(ByteView(p, padded).subspan(8)));
    at += padded;
  }
  return file;
}

void put_back_anything(FuzzInput& in) {
  sim::Disk disk(1);
  const std::string directory = "/data/t-0";
  MR_CHECK(disk.make_directories(directory).ok());
  std::size_t first = in.number(), second = in.number();
  put(disk, journal_path("/data", 0, 'a'), arbitrary_blocks(in, first));
  put(disk, journal_path("/data", 0, 'b'), arbitrary_blocks(in, second));
  auto evidence = JournalEvidence::read(disk, "/data");
  MR_CHECK(evidence.ok());
  const std::string log = segment_path(directory, Offset{0}, kLogSuffix);
  put(disk, log, in.left);
  for (auto [topic, partition] : (*evidence)->partitions()) {
    auto found = (*evidence)->evidence_of(topic, partition);
    MR_CHECK(found.ok());
    (void)found->end();
    // Puts batches in place of what nobody would have carried, so that the writing is reached too.
    for (auto& one : found->carried) {
      std::vector<std::byte> batch = test::make_batch({.value_bytes = one.run.bytes % 300});
      patch_batch(batch, one.run.base, one.run.epoch);
      one.run.next = Offset{one.run.base.v + 1};
      one.run.bytes = static_cast<std::uint32_t>(batch.size());
      one.run.segment = Offset{0};
      one.run.position %= 1u << 20;
      one.frames = std::move(batch);
    }
    LogPlace place{disk, directory};
    MR_CHECK(restore_carried(place, *found, Offset{0}, Offset{0}).ok());
    auto once = read_whole_file(disk, log);
    auto again = restore_carried(place, *found, Offset{0}, Offset{0});
    MR_CHECK(again.ok());
    bool overlap = found->carried.size() > 1;  // two runs in one place take it from each other
    MR_CHECK(overlap || (again->batches == 0 && *read_whole_file(disk, log) == *once));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  set_log_level(LogLevel::off);
  FuzzInput in{{reinterpret_cast<const std::byte*>(data), size}};
  if ((in.byte() & 1) != 0) {
    write_and_read(in);
  } else {
    put_back_anything(in);
  }
  return 0;
}
