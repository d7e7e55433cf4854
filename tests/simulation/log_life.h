#pragma once
#include <fmt/format.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/disk.h"
#include "storage/log.h"

namespace mr::sim {

/// One log over a fake disk that loses its power, once and again. Each test brings its workload and its model.
class LogLife {
 public:
  LogLife(std::uint64_t seed, std::uint64_t disk_seed) : disk(disk_seed), rng_(seed) {
    EXPECT_TRUE(disk.make_directories("/data").ok());
    EXPECT_TRUE(disk.sync_directory("/").ok());
  }
  virtual ~LogLife() = default;

  /// Opens the log as the broker does it at a start. False, with a failure noted, when it refuses.
  virtual bool open(bool clean_stop) = 0;
  virtual void step() = 0;
  /// After a crash: everything that was promised is there; the model forgets what was rightly lost.
  virtual void check_recovered() = 0;
  /// Something to lose again.
  virtual void second_life() = 0;
  /// Before a crash that is not the workload's own: the disk is as it was at first.
  virtual void put_right() {}

  /// Runs the workload until its end or the cut.
  void work(int steps) {
    if (!open(false)) return;
    for (int i = 0; i < steps && !disk.crashed() && !testing::Test::HasFailure(); ++i) step();
  }

  void crash_and_check(const std::string& when) {
    SCOPED_TRACE(when);
    log.reset();
    put_right();
    if (disk.crashed()) {
      disk.restart();
    } else {
      disk.crash(CrashMode::random);
    }
    // Half of the time the power goes again while the log recovers.
    if (rng_.one_in(2)) {
      disk.crash_after(rng_.between(1, 30), CrashMode::random);
      (void)open(false);
      log.reset();
      disk.crash_after(0, CrashMode::random);
      if (disk.crashed()) disk.restart();
    }
    if (open(false)) check_recovered();
  }

  /// Of a disk that lied: does the checker find out after a power cut?
  bool is_caught() {
    log.reset();
    disk.crash(CrashMode::lose_unsynced);
    disk.heal();
    testing::TestPartResultArray seen;
    testing::ScopedFakeTestPartResultReporter catcher(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &seen);
    if (open(false)) check_recovered();
    return seen.size() > 0;
  }

  Disk disk;
  std::unique_ptr<storage::Log> log;

 protected:
  static constexpr WallMillis kNow = 1'760'000'000'000;
  static constexpr std::int64_t kProducer = 77;
  static constexpr const char* kDirectory = "/data/t-0";

  /// `options` without what all have in common; leads with `epoch`.
  bool open_log(storage::Log::OpenOptions options, std::int32_t epoch) {
    options.directory = kDirectory;
    options.partition = {"t", PartitionIndex{0}};
    options.topic_id = TopicId{{.high = 7, .low = 9}};
    auto opened = storage::Log::open(disk, std::move(options));
    if (!opened.ok()) {
      if (!disk.crashed()) ADD_FAILURE() << "open: " << opened.error().message();
      return false;
    }
    log = std::move(*opened);
    EXPECT_TRUE(log->start_epoch(LeaderEpoch{epoch}).ok() || disk.crashed());
    return true;
  }

  static std::vector<std::byte> bytes_of(const storage::ReadResult& read) {
    std::vector<std::byte> bytes;
    for (const storage::Fragment& fragment : read.fragments) {
      std::size_t from = bytes.size();
      bytes.resize(from + fragment.length);
      auto count = fragment.file->read_at(std::span(bytes).subspan(from), fragment.position);
      EXPECT_TRUE(count.ok() && *count == fragment.length);
    }
    return bytes;
  }

  static BatchHeader producer_batch(std::int32_t sequence, std::int32_t count) {
    return {.last_offset_delta = count - 1,
            .producer_id = kProducer,
            .producer_epoch = 0,
            .base_sequence = sequence,
            .records_count = count};
  }
  /// The producer's last batch is known as a repeat, the one after it as fresh, a gap as an error.
  void check_last_batch(std::int64_t base, std::int32_t sequence, std::int32_t count) {
    auto repeat = log->check_sequence(producer_batch(sequence, count));
    ASSERT_TRUE(repeat.ok()) << repeat.error().message();
    EXPECT_EQ(repeat->kind, storage::SequenceVerdict::Kind::duplicate);
    EXPECT_EQ(repeat->duplicate_base_offset.v, base);
    auto next = log->check_sequence(producer_batch(sequence + count, count));
    ASSERT_TRUE(next.ok()) << next.error().message();
    EXPECT_EQ(next->kind, storage::SequenceVerdict::Kind::fresh);
    EXPECT_EQ(log->check_sequence(producer_batch(sequence + count + 1, count)).code(), Errc::out_of_order_sequence);
  }

  Random rng_;
};

/// Workload `seed`, power cut after the `k`-th change; then a second life and a second crash.
template <class Life>
void crash_at(std::uint64_t seed, std::uint64_t k, CrashMode mode, std::uint64_t disk_seed) {
  SCOPED_TRACE(fmt::format("workload seed {} cut after change {} mode {} disk seed {}", seed, k, static_cast<int>(mode),
                           disk_seed));
  Life run(seed, disk_seed);
  run.disk.crash_after(k, mode);
  run.work(Life::kSteps);
  if (testing::Test::HasFailure()) return;
  run.crash_and_check("first recovery");
  if (testing::Test::HasFailure()) return;
  run.second_life();
  if (testing::Test::HasFailure()) return;
  run.crash_and_check("second recovery");
}

template <class Life>
std::uint64_t changes_of(std::uint64_t seed) {
  Life run(seed, 1);
  run.work(Life::kSteps);
  return run.disk.changes();
}

/// Forty workloads, each cut at eight places.
template <class Life>
void crash_at_many_places() {
  for (std::uint64_t seed = 100; seed < 140; ++seed) {
    std::uint64_t total = changes_of<Life>(seed);
    ASSERT_FALSE(testing::Test::HasFailure());
    Random rng(seed);
    for (int i = 0; i < 8; ++i) {
      std::uint64_t k = rng.between(1, total);
      CrashMode mode = rng.one_in(5) ? CrashMode::keep_all : CrashMode::random;
      crash_at<Life>(seed, k, mode, rng.next());
      ASSERT_FALSE(testing::Test::HasFailure());
    }
  }
}

}  // namespace mr::sim
