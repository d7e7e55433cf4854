// Aim: whatever moment the power goes while a log is compacted, the log that comes back holds the newest record of
// every key, nothing that a finished compaction had removed, the offsets it had, and its producer. Method: one seeded
// workload of appends, syncs, compactions and restarts on one log over the fake disk; it is repeated with the power cut
// after each single file operation, unsynced writes and names surviving in a random torn subset; then the log is opened
// again, compared with a model that knows every record, compacted on, and crashed and opened a second time.
#include <algorithm>
#include <map>
#include <set>

#include "model/batch_builder.h"
#include "model/compression.h"
#include "storage/compactor.h"
#include "tests/simulation/log_life.h"

namespace mr::sim {
namespace {

using storage::Log;

constexpr std::int64_t kDeleteRetention = 60;

struct Written {
  std::string key;
  std::optional<std::string> value;
  WallMillis timestamp = 0;
  bool operator==(const Written&) const = default;
};

struct Model {
  std::map<std::int64_t, Written> written;
  std::map<std::int64_t, WallMillis> tombstone_seen;  ///< when a compaction first met it
  std::set<std::int64_t> left_below;                  ///< offsets below cleaned_end that the last whole pass left
  std::int64_t cleaned_end = 0;
  std::int64_t tried_end = 0;  ///< of any pass that began
  std::int64_t next = 0;
  std::int64_t acked_end = 0;
  std::int64_t log_start = 0;
  std::int32_t epoch = 0;
  std::int32_t next_sequence = 0;
  /// The commit journal forgets nothing here until a start has synced all: the harder case.
  storage::CommitEvidence journal;
  std::vector<storage::CommitEvidence::Carried> not_synced;
  std::map<std::int64_t, std::pair<std::int32_t, std::int32_t>> sequences;  ///< base offset -> base sequence, count
};

struct Seen {
  std::map<std::int64_t, Written> records;
  std::vector<BatchHeader> batches;
};

class CompactedLife final : public LogLife {
 public:
  static constexpr int kSteps = 90;
  CompactedLife(std::uint64_t seed, std::uint64_t disk_seed) : LogLife(seed, disk_seed), also_delete_(seed % 2) {}

  bool open(bool clean_stop) override {
    Log::OpenOptions options;
    options.config = {.segment_bytes = 1'500,
                      .index_interval_bytes = 200,
                      .retention_ms = -1,
                      .delete_old = also_delete_,
                      .compacted = true,
                      .compaction = {.delete_retention_ms = kDeleteRetention}};
    options.clean_stop = clean_stop;
    options.log_start = Offset{model.log_start};
    options.cleaned_end = Offset{model.cleaned_end};
    options.now = now_;
    if (!clean_stop) options.evidence = model.journal;
    if (!open_log(std::move(options), ++model.epoch)) return false;
    if (!disk.crashed()) model.journal = {};
    model.not_synced.clear();
    return true;
  }

  void append() {
    bool idempotent = rng_.one_in(2);
    BatchBuilder::Options options{.codec = rng_.one_in(3) ? Codec::lz4 : Codec::none};
    if (idempotent) {
      options.producer_id = ProducerId{kProducer};
      options.producer_epoch = ProducerEpoch{0};
      options.base_sequence = Sequence{model.next_sequence};
    }
    BatchBuilder builder(options);
    std::uint64_t count = rng_.between(1, 3);
    std::vector<Written> records;
    for (std::uint64_t i = 0; i < count; ++i) {
      Written record{fmt::format("key-{}", rng_.below(7)), std::nullopt,
                     kNow + static_cast<WallMillis>(rng_.below(900))};
      if (!rng_.one_in(4)) record.value = fmt::format("{}/{}", number_++, std::string(rng_.between(10, 200), 'v'));
      NewRecord added{.timestamp = record.timestamp, .key = as_bytes(record.key)};
      if (record.value) added.value = as_bytes(*record.value);
      builder.add(added);
      records.push_back(std::move(record));
    }
    std::vector<std::byte> batch = builder.build().value();
    BatchHeader header = BatchHeader::parse(batch).value();
    auto done = log->append(batch, header, header.max_timestamp, LeaderEpoch{model.epoch}, now_);
    ASSERT_TRUE(done.ok()) << done.error().message();
    ASSERT_EQ(done->base_offset.v, model.next);
    model.not_synced.push_back({done->run, batch});
    if (idempotent) {
      model.sequences[model.next] = {model.next_sequence, static_cast<std::int32_t>(count)};
      model.next_sequence += static_cast<std::int32_t>(count);
    }
    for (Written& record : records) model.written[model.next++] = std::move(record);
  }

  void sync() {
    auto begun = log->begin_sync();
    if (!begun.ok() || !*begun) return;
    std::optional<storage::SyncTicket>& ticket = *begun;
    // A full disk costs a snapshot now and then, and recovery knows less of what was synced.
    if (rng_.one_in(3))
      disk.add_fault({.op = DiskOp::write,
                      .path_contains = rng_.one_in(2) ? ".snapshot" : ".seal",
                      .times = Fault::kAlways,
                      .error = Errc::disk_full});
    Result<void> outcome;
    for (auto& file : ticket->files)
      if (outcome.ok()) outcome = file->sync();
    disk.drop_faults(Fault::Kind::fail);
    ASSERT_TRUE(outcome.ok());
    bool before_cut = !disk.crashed();
    log->end_sync(*ticket, outcome);
    if (!before_cut) return;
    model.acked_end = std::max(model.acked_end, ticket->end.v);
    if (ticket->run) model.journal.durable.push_back(*ticket->run);
    while (!model.not_synced.empty() && model.not_synced.front().run.next <= ticket->end) {
      model.journal.carried.push_back(std::move(model.not_synced.front()));
      model.not_synced.erase(model.not_synced.begin());
    }
  }

  /// One pass, as the broker makes it; appends and reads come in between.
  void compact() {
    now_ += static_cast<WallMillis>(rng_.below(50));
    storage::CompactionJob job;
    job.sealed = log->sealed_segments(log->durable_end());
    job.config = log->config().compaction;
    job.dirtiness = storage::judge(job.sealed, log->cleaned_end(), job.config, now_);
    if (job.dirtiness.dirty_bytes == 0) return;
    job.limits = {rng_.one_in(2) ? 1'500u : 4'000u, 1u << 20};
    job.index_interval_bytes = 200;
    for (const auto& producer : log->producers())
      if (!producer.batches.empty()) job.producer_ends.insert(producer.batches.back().last_offset);
    job.map_bytes_max = rng_.one_in(3) ? 100 : 100'000;
    job.buffer_bytes = 700;
    job.seed = {rng_.next(), rng_.next()};
    job.now = now_;
    note_tombstones(job.dirtiness.cleanable_end.v);
    model.tried_end = std::max(model.tried_end, job.dirtiness.cleanable_end.v);
    Offset first_dirty = job.dirtiness.first_dirty;
    storage::Compactor compactor(log->place(), std::move(job));
    for (;;) {
      auto state = compactor.step();
      ASSERT_TRUE(state.ok()) << state.error().message();
      if (*state == storage::Compactor::State::done) break;
      if (rng_.one_in(8)) append();
      bool whole = true;
      if (*state == storage::Compactor::State::group_ready) replace(compactor.take_group(), whole);
      if (!whole || testing::Test::HasFatalFailure()) return;
    }
    ++passes;
    if (compactor.cleaned_end() <= first_dirty) return;
    log->set_cleaned_end(compactor.cleaned_end());
    if (disk.crashed()) return;
    // The checkpoint is instantly durable here, which is the harder case.
    model.cleaned_end = compactor.cleaned_end().v;
    Seen seen = read_all();
    model.left_below.clear();
    for (const auto& [offset, record] : seen.records)
      if (offset < model.cleaned_end) model.left_below.insert(offset);
    check_superseded_are_gone(seen);
  }

  void replace(storage::CleanedGroup group, bool& whole) {
    storage::SegmentReplacement replacement(log->place(), group.first, group.end);
    ASSERT_TRUE(log->begin_replacement(group.first, group.end).ok());
    if (rng_.one_in(10)) {  // as after an error
      ASSERT_TRUE(replacement.withdraw().ok());
      log->end_replacement({});
      whole = false;
      return;
    }
    ASSERT_TRUE(replacement.publish().ok());
    auto pinned = log->read(std::max(group.first, log->log_start()), log->log_end(), 10'000, true);
    ASSERT_TRUE(pinned.ok());
    std::vector<std::byte> before = bytes_of(*pinned);
    log->replace_segments(std::move(group));
    if (rng_.one_in(2)) check_contents();
    ASSERT_TRUE(replacement.finish().ok());
    log->end_replacement({});
    EXPECT_EQ(bytes_of(*pinned), before) << "what was read stays as it was";
    std::vector<std::string> old = replacement.take_deleted_files();
    if (rng_.one_in(2)) return;
    ASSERT_TRUE(disk.sync_directory(kDirectory).ok());
    for (const std::string& path : old)
      if (!rng_.one_in(4)) (void)disk.remove(path);
    ++replaced;
  }

  void move_log_start() {
    if (!also_delete_ || model.acked_end <= model.log_start) return;
    model.log_start +=
        static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(model.acked_end - model.log_start) / 4 + 1));
    EXPECT_TRUE(log->advance_log_start(Offset{model.log_start}).ok());
    for (const std::string& path : log->take_deleted_files())
      if (rng_.one_in(2)) (void)disk.remove(path);
  }

  void reopen_cleanly() {
    auto closed = log->close();
    ASSERT_TRUE(closed.ok()) << closed.error().message();
    if (disk.crashed()) return;
    model.acked_end = model.next;
    log.reset();
    if (open(true)) check_contents();
  }

  void step() override {
    std::uint64_t draw = rng_.below(100);
    if (draw < 50) {
      append();
    } else if (draw < 75) {
      sync();
    } else if (draw < 88) {
      compact();
    } else if (draw < 92) {
      move_log_start();
    } else if (draw < 96) {
      reopen_cleanly();
    } else {
      check_contents();
    }
  }

  void take_in(const BatchView& batch, std::int64_t from, Seen& seen) {
    ASSERT_TRUE(batch_crc_matches(batch.bytes));
    seen.batches.push_back(batch.header);
    Inflater inflater;
    auto records = inflater.inflate(batch.header.codec(), batch.records(), 1 << 20);
    ASSERT_TRUE(records.ok());
    RecordReader in(*records, batch.header.records_count);
    for (Record record; in.next(record);) {
      std::int64_t offset = batch.header.base_offset + record.offset_delta;
      if (offset < from) continue;
      Written one{std::string(as_text(*record.key)), std::nullopt,
                  batch.header.base_timestamp + record.timestamp_delta};
      if (record.value) one.value = std::string(as_text(*record.value));
      seen.records[offset] = std::move(one);
    }
    ASSERT_TRUE(in.ok()) << in.problem();
  }

  /// As a consumer reads: each answer moves on, to the very end.
  Seen read_from(std::int64_t from) {
    Seen seen;
    std::int64_t at = from, end = log->log_end().v;
    while (at < end) {
      auto read = log->read(Offset{at}, Offset{end}, 900, true);
      EXPECT_TRUE(read.ok()) << "at " << at << ": " << read.error().message();
      if (!read.ok()) return seen;
      std::vector<std::byte> bytes = bytes_of(*read);
      BatchReader in(bytes);
      std::int64_t before = at;
      for (BatchView batch; in.next(batch);) {
        if (at == before) {
          EXPECT_EQ(read->first_batch_base.v, batch.header.base_offset);
        }
        EXPECT_GE(batch.header.last_offset().v, at);
        EXPECT_TRUE(seen.batches.empty() || batch.header.base_offset >= at) << "batches do not overlap";
        take_in(batch, from, seen);
        at = batch.header.next_offset().v;
      }
      EXPECT_GT(at, before) << "stuck at " << before << " of " << end;
      if (at <= before) return seen;
    }
    EXPECT_EQ(at, end);
    return seen;
  }
  Seen read_all() { return read_from(log->log_start().v); }

  void check_contents() {
    Seen seen = read_all();
    std::int64_t start = log->log_start().v, end = log->log_end().v;
    ASSERT_LE(end, model.next) << "records nobody wrote";
    std::map<std::string, std::int64_t> newest;
    for (std::int64_t offset = start; offset < end; ++offset) newest[model.written.at(offset).key] = offset;
    for (const auto& [offset, record] : seen.records) {
      ASSERT_EQ(record, model.written.at(offset)) << "at " << offset;
      ASSERT_TRUE(offset >= model.cleaned_end || model.left_below.contains(offset))
          << "removed by a finished compaction, back at " << offset;
    }
    for (std::int64_t offset = start; offset < end; ++offset) {
      if (seen.records.contains(offset)) continue;
      const Written& lost = model.written.at(offset);
      ASSERT_LT(offset, model.tried_end) << "nobody has cleaned there";
      if (newest[lost.key] != offset) continue;
      ASSERT_FALSE(lost.value.has_value()) << "the newest value of " << lost.key << " is gone, at " << offset;
      ASSERT_TRUE(model.tombstone_seen.contains(offset));
      ASSERT_GE(now_, model.tombstone_seen.at(offset) + kDeleteRetention) << "a young tombstone is gone, at " << offset;
    }
    if (end > start) check_reads_between(seen, start, end);
  }

  /// From any offset, in a hole or not, the same records follow; times are found where they are.
  void check_reads_between(const Seen& all, std::int64_t start, std::int64_t end) {
    std::int64_t from = start + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(end - start)));
    Seen seen = read_from(from);
    std::map<std::int64_t, Written> expected(all.records.lower_bound(from), all.records.end());
    ASSERT_EQ(seen.records, expected) << "from " << from;
    WallMillis wanted = kNow + static_cast<WallMillis>(rng_.below(950));
    const BatchHeader *first = nullptr, *largest = nullptr;
    for (const BatchHeader& batch : all.batches) {
      if (batch.records_count == 0) continue;
      if (first == nullptr && batch.max_timestamp >= wanted) first = &batch;
      if (largest == nullptr || batch.max_timestamp > largest->max_timestamp) largest = &batch;
    }
    auto found = log->find_timestamp(wanted, Offset{end});
    auto newest = log->find_max_timestamp(Offset{end});
    ASSERT_TRUE(found.ok() && newest.ok());
    ASSERT_EQ(found->has_value(), first != nullptr);
    ASSERT_EQ(newest->has_value(), largest != nullptr);
    if (first != nullptr)
      ASSERT_EQ((*found)->header.base_offset, first->base_offset)
          << "time " << wanted - kNow << " is in [" << first->base_offset << ", " << first->next_offset().v
          << ") start " << start << " max " << first->max_timestamp - kNow << " crashed " << disk.crashed();
    if (largest != nullptr) ASSERT_EQ((*newest)->header.max_timestamp, largest->max_timestamp);
  }

  /// After a whole pass: below its end at most one record of a key.
  void check_superseded_are_gone(const Seen& seen) {
    std::set<std::string> keys;
    for (const auto& [offset, record] : seen.records)
      if (offset < model.cleaned_end) ASSERT_TRUE(keys.insert(record.key).second) << "at " << offset;
  }

  void check_recovered() override {
    std::int64_t end = log->log_end().v;
    ASSERT_GE(end, model.acked_end) << "lost records whose sync was answered";
    model.next = model.acked_end = end;
    model.written.erase(model.written.lower_bound(end), model.written.end());
    model.sequences.erase(model.sequences.lower_bound(end), model.sequences.end());
    check_contents();
    check_producer();
  }

  void check_producer() {
    if (model.sequences.empty() || model.sequences.rbegin()->first < log->log_start().v) return;
    auto [base, batch] = *model.sequences.rbegin();
    auto [sequence, count] = batch;
    check_last_batch(base, sequence, count);
    model.next_sequence = sequence + count;
  }

  void second_life() override {
    for (int i = 0; i < 8 && !testing::Test::HasFailure(); ++i) append();
    if (testing::Test::HasFailure()) return;
    sync();
    compact();
  }

  Model model;
  std::uint64_t passes = 0;
  std::uint64_t replaced = 0;

 private:
  void note_tombstones(std::int64_t end) {
    for (const auto& [offset, record] : model.written)
      if (offset < end && !record.value) model.tombstone_seen.emplace(offset, now_);
  }

  bool also_delete_;
  WallMillis now_ = kNow;
  std::uint64_t number_ = 0;
};

TEST(CompactionCrash, WorkloadsCompact) {
  std::uint64_t passes = 0, replaced = 0;
  for (std::uint64_t seed = 1; seed <= 30 && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    CompactedLife life(seed, seed);
    life.work(CompactedLife::kSteps);
    passes += life.passes;
    replaced += life.replaced;
  }
  EXPECT_GT(passes, 100u);
  EXPECT_GT(replaced, 100u);
}

TEST(CompactionCrash, SurvivesAPowerCutAfterEveryFileOperation) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    CompactedLife whole(seed, 1);
    whole.work(CompactedLife::kSteps);
    ASSERT_FALSE(HasFailure());
    ASSERT_GT(whole.passes, 1u);
    for (std::uint64_t k = 1; k <= whole.disk.changes(); ++k) {
      crash_at<CompactedLife>(seed, k, k % 4 == 0 ? CrashMode::lose_unsynced : CrashMode::random, seed * 1'000 + k);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(CompactionCrash, SurvivesManyTastesOfTornWrites) { crash_at_many_places<CompactedLife>(); }

// The checker itself: with a disk that lies about syncing the new segments, the same test must find lost records.
TEST(CompactionCrash, FindsASkippedSync) {
  int caught = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CompactedLife run(seed, seed);
    run.disk.add_fault(
        {.kind = Fault::Kind::lie, .op = DiskOp::sync, .path_contains = ".log.cleaned", .times = Fault::kAlways});
    run.work(CompactedLife::kSteps);
    ASSERT_FALSE(HasFailure());
    caught += run.is_caught();
  }
  EXPECT_GE(caught, 6);
}

}  // namespace
}  // namespace mr::sim
