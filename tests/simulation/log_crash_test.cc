// Aim: whatever moment the power goes, the log that comes back holds every record whose sync was answered, holds
// nothing that was not appended there, has no hole, and still knows its producers. Method: one seeded workload of about
// sixty operations on one log over the fake disk; it is repeated with the power cut after each single file operation,
// the unsynced writes and names surviving in a random torn subset (and once each: none, all); then the log is opened
// again, compared with what the model knows, written on, and crashed and opened a second time.
#include <map>
#include <set>

#include "tests/simulation/log_life.h"
#include "tests/simulation/records.h"

namespace mr::sim {
namespace {

using storage::Log;

/// What the outside world has been told, and what was tried.
struct Model {
  std::map<std::int64_t, std::string> appended;     ///< value at each offset, of the present incarnation
  std::map<std::int64_t, std::int32_t> epoch_from;  ///< first offset -> epoch, where the epoch changes
  std::int64_t next = 0;
  std::int64_t acked_end = 0;
  std::int64_t log_start = 0;          ///< largest that was asked for
  std::int64_t log_start_durable = 0;  ///< from the checkpoint
  std::int64_t recovery_point = 0;     ///< from the checkpoint
  std::int32_t epoch = 0;
  std::int32_t next_sequence = 0;
  std::map<std::int64_t, std::int32_t> sequence_at;  ///< base offset -> base sequence of producer batches
  std::map<std::int64_t, std::int32_t> count_at;
  std::uint64_t number = 0;
};

class Life final : public LogLife {
 public:
  static constexpr int kSteps = 60;
  using LogLife::LogLife;

  bool open(bool clean_stop) override {
    Log::OpenOptions options;
    options.config = {.segment_bytes = 6'000, .index_interval_bytes = 700};
    options.clean_stop = clean_stop;
    options.recovery_point = Offset{model.recovery_point};
    options.log_start = Offset{model.log_start_durable};
    options.now = kNow;
    return open_log(std::move(options), ++model.epoch);
  }

  void append() {
    BatchSpec spec{.timestamp = kNow + static_cast<WallMillis>(model.number)};
    std::uint64_t count = rng_.between(1, 3);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::size_t bytes = rng_.one_in(6) ? rng_.between(1'000, 3'000) : rng_.between(10, 200);
      spec.values.push_back(tagged_value("r", model.number++, bytes));
    }
    bool idempotent = rng_.one_in(2);
    if (idempotent) {
      spec.producer_id = kProducer;
      spec.producer_epoch = 0;
      spec.base_sequence = model.next_sequence;
    }
    std::vector<std::byte> batch = make_batch(spec);
    BatchHeader header = BatchHeader::parse(batch).value();
    auto done = log->append(batch, header, header.max_timestamp, LeaderEpoch{model.epoch}, kNow);
    if (!done.ok() && done.code() == Errc::disk_full && full_) {
      ++refused;  // nothing of it may be in the log, now or after a crash
      EXPECT_EQ(log->log_end().v, model.next);
      return;
    }
    if (!done.ok()) {
      ADD_FAILURE() << "append: " << done.error().message();
      return;
    }
    EXPECT_EQ(done->base_offset.v, model.next);
    if (model.epoch_from.empty() || model.epoch_from.rbegin()->second != model.epoch) {
      model.epoch_from[model.next] = model.epoch;
    }
    for (const std::string& value : spec.values) model.appended[model.next++] = value;
    EXPECT_EQ(done->next_offset.v, model.next);
    if (idempotent) {
      model.sequence_at[done->base_offset.v] = model.next_sequence;
      model.count_at[done->base_offset.v] = static_cast<std::int32_t>(count);
      model.next_sequence += static_cast<std::int32_t>(count);
    }
  }

  /// A whole group-commit round, or one for what was rolled alone; appends may come between its begin and its end.
  void sync() {
    const bool all = !rng_.one_in(4);
    auto begun = all ? log->begin_sync() : Result<std::optional<storage::SyncTicket>>(log->begin_sealing());
    if (!begun.ok() && !disk.crashed()) ADD_FAILURE() << begun.error().message();
    if (!begun.ok()) return;
    std::optional<storage::SyncTicket>& ticket = *begun;
    if (!ticket) {
      if (all) EXPECT_EQ(log->durable_end(), log->log_end());
      return;
    }
    if (rng_.one_in(2)) append();
    Result<void> outcome;
    for (auto& file : ticket->files) {
      if (outcome.ok()) outcome = file->sync();
    }
    EXPECT_TRUE(outcome.ok());
    bool before_cut = !disk.crashed();
    log->end_sync(*ticket, outcome);
    EXPECT_GE(log->durable_end(), ticket->end);
    // Appends behind the ticket may ride along, but only what the log calls durable has been promised.
    if (before_cut) model.acked_end = std::max(model.acked_end, ticket->end.v);
  }

  /// What the broker's checkpoint timer does. The files that hold these numbers are its own; here they are instantly
  /// durable, which is the harder case: a recovery point must never run ahead of the data.
  void checkpoint() {
    Offset point = log->recovery_point();
    EXPECT_LE(point, log->durable_end());
    if (disk.crashed()) return;
    model.recovery_point = point.v;
    model.log_start_durable = log->log_start().v;
  }

  void move_log_start() {
    std::int64_t limit = model.acked_end;
    if (limit <= model.log_start) return;
    auto to = static_cast<std::int64_t>(
        rng_.between(static_cast<std::uint64_t>(model.log_start), static_cast<std::uint64_t>(limit)));
    model.log_start = to;
    auto moved = log->advance_log_start(Offset{to});
    EXPECT_TRUE(moved.ok());
    if (rng_.one_in(2)) checkpoint();
    std::vector<std::string> given_up = log->take_deleted_files();
    if (!given_up.empty() && rng_.one_in(2)) {  // else the crash comes before the delay is over
      EXPECT_TRUE(disk.sync_directory(kDirectory).ok());
      for (const std::string& file : given_up) EXPECT_TRUE(disk.remove(file).ok());
    }
  }

  /// The disk fills up; some steps later there is room again.
  void toggle_full_disk() {
    full_ = !full_;
    disk.set_total_bytes(full_ ? disk.used_bytes() + rng_.below(12'000) : 1_GiB);
  }
  void put_right() override {
    if (full_) toggle_full_disk();
  }

  void reopen_cleanly() {
    put_right();
    auto closed = log->close();
    EXPECT_TRUE(closed.ok()) << closed.error().message();
    if (disk.crashed()) return;
    model.acked_end = model.next;
    model.recovery_point = model.next;
    model.log_start_durable = log->log_start().v;
    log.reset();
    open(true);
  }

  void step() override {
    std::uint64_t draw = rng_.below(100);
    if (draw < 45) {
      append();
    } else if (draw < 75) {
      sync();
    } else if (draw < 83) {
      checkpoint();
    } else if (draw < 88) {
      move_log_start();
    } else if (draw < 91) {
      reopen_cleanly();
    } else if (draw < 93) {
      toggle_full_disk();
    } else if (draw < 95) {
      EXPECT_TRUE(log->start_epoch(LeaderEpoch{++model.epoch}).ok());
    } else {
      check_contents();
    }
  }

  /// The log says exactly what the model says it should hold between its two ends.
  void check_contents() {
    std::int64_t at = log->log_start().v;
    std::int64_t end = log->log_end().v;
    ASSERT_LE(end, model.next) << "records nobody wrote";
    while (at < end) {
      auto read = log->read(Offset{at}, Offset{end}, 5'000, true);
      ASSERT_TRUE(read.ok()) << "read at " << at << ": " << read.error().message();
      std::vector<std::byte> bytes = bytes_of(*read);
      auto batches = read_batches(bytes);
      ASSERT_TRUE(batches.ok()) << batches.error().message();
      ASSERT_FALSE(batches->empty()) << "the first batch must come whole, at " << at;
      for (const SeenBatch& batch : *batches) {
        for (const SeenRecord& record : batch.records) {
          if (record.offset < at) continue;  // the batch that contains `from` may begin before it
          ASSERT_EQ(record.offset, at) << "a hole";
          auto expected = model.appended.find(at);
          ASSERT_TRUE(expected != model.appended.end()) << "a record nobody wrote at " << at;
          ASSERT_EQ(record.value, expected->second) << "at " << at;
          ++at;
        }
      }
    }
  }

  void check_recovered() override {
    std::int64_t end = log->log_end().v;
    ASSERT_GE(end, model.acked_end) << "lost records whose sync was answered";
    ASSERT_EQ(log->durable_end().v, end);
    ASSERT_GE(log->log_start().v, model.log_start_durable);
    ASSERT_LE(log->log_start().v, std::max(model.log_start, model.log_start_durable));
    check_contents();
    if (testing::Test::HasFatalFailure()) return;
    model.next = end;
    model.acked_end = end;
    model.appended.erase(model.appended.lower_bound(end), model.appended.end());
    model.sequence_at.erase(model.sequence_at.lower_bound(end), model.sequence_at.end());
    model.epoch_from.erase(model.epoch_from.lower_bound(end), model.epoch_from.end());
    check_epochs();
    check_producer();
  }

  /// Each epoch that has records still ends where the next one begins.
  void check_epochs() {
    for (auto at = model.epoch_from.begin(); at != model.epoch_from.end(); ++at) {
      auto next = std::next(at);
      std::int64_t end = next == model.epoch_from.end() ? model.next : next->first;
      if (end <= model.log_start) continue;  // trimmed, even when the crash took the trimming back
      Log::EpochEnd found = log->epoch_end(LeaderEpoch{at->second});
      EXPECT_EQ(found.epoch.v, at->second) << "epoch from offset " << at->first;
      EXPECT_EQ(found.end.v, end) << "epoch " << at->second;
    }
  }

  /// The last batch of the producer that is there is known as a repeat, the one after it as fresh, a gap as an error.
  void check_producer() {
    if (model.sequence_at.empty() || model.sequence_at.rbegin()->first < log->log_start().v) return;
    // All of the last five batches: the client may not have heard of any of them.
    std::size_t known = 0;
    for (auto at = model.sequence_at.rbegin(); at != model.sequence_at.rend() && known < 5; ++at, ++known) {
      if (at->first < log->log_start().v) break;
      auto verdict = log->check_sequence(producer_batch(at->second, model.count_at[at->first]));
      ASSERT_TRUE(verdict.ok()) << "batch at " << at->first << ": " << verdict.error().message();
      EXPECT_EQ(verdict->kind, storage::SequenceVerdict::Kind::duplicate);
    }
    auto [base, sequence] = *model.sequence_at.rbegin();
    std::int32_t count = model.count_at[base];
    check_last_batch(base, sequence, count);
    model.next_sequence = sequence + count;
  }

  void second_life() override {
    for (int i = 0; i < 6; ++i) append();
    sync();
    append();
  }

  Model model;
  std::uint64_t refused = 0;

 private:
  bool full_ = false;
};

TEST(LogCrash, SurvivesAPowerCutAfterEveryFileOperation) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    std::uint64_t total = changes_of<Life>(seed);
    ASSERT_FALSE(HasFailure());
    ASSERT_GT(total, 60u);
    for (std::uint64_t k = 1; k <= total; ++k) {
      for (CrashMode mode : {CrashMode::random, CrashMode::lose_unsynced}) {
        crash_at<Life>(seed, k, mode, seed * 1'000 + k);
        ASSERT_FALSE(HasFailure());
      }
    }
  }
}

TEST(LogCrash, WorkloadsFillTheDisk) {
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 100; seed < 140; ++seed) {
    Life life(seed, seed);
    life.work(Life::kSteps);
    refused += life.refused;
  }
  EXPECT_GT(refused, 20u);
}

TEST(LogCrash, SurvivesManyTastesOfTornWrites) { crash_at_many_places<Life>(); }

// The checker itself: with a disk whose sync lies, the same test must find lost records.
TEST(LogCrash, FindsAnAckBeforeTheSync) {
  int caught = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Life run(seed, seed);
    run.disk.add_fault(
        {.kind = Fault::Kind::lie, .op = DiskOp::sync, .path_contains = ".log", .times = Fault::kAlways});
    run.work(Life::kSteps);
    caught += run.is_caught();
  }
  EXPECT_GE(caught, 9);
}

}  // namespace
}  // namespace mr::sim
