// Random operations on one log and on a plain vector beside it; answers must be the same. Clean stops, kills, power
// cuts with torn writes, full disks and retention come in between. The seed of a failure is in its trace.
#include <gtest/gtest.h>

#include <algorithm>

#include "storage/log_fixture.h"

namespace mr::storage::test {
namespace {

class Model {
 public:
  explicit Model(std::uint64_t seed) : fixture_(seed), random_(seed) {
    LogConfig& config = fixture_.options.config;
    config.segment_bytes = random_.between(1'500, 12'000);
    config.index_interval_bytes = random_.between(1, 3'000);
    config.retention_ms = -1;
    if (random_.one_in(2)) fixture_.options.tails = &tails_;
    fixture_.must_open();
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) step();
    check_everything();
  }

 private:
  struct Batch {
    BatchHeader header;
    std::vector<std::byte> bytes;
  };

  void step() {
    std::uint64_t draw = random_.below(1000);
    if (draw < 450) {
      append();
    } else if (draw < 600) {
      read();
    } else if (draw < 700) {
      sync();
    } else if (draw < 760) {
      timestamps();
    } else if (draw < 800) {
      append_on_full_disk();
    } else if (draw < 840) {
      repeat_of_producer();
    } else if (draw < 870) {
      retention();
    } else if (draw < 900) {
      ++fixture_.epoch.v;
      ASSERT_TRUE(log().start_epoch(fixture_.epoch).ok());
    } else if (draw < 930) {
      clean_restart();
    } else if (draw < 960) {
      crash(sim::CrashMode::keep_all);
    } else if (draw < 980) {
      crash(sim::CrashMode::lose_unsynced);
    } else {
      crash(sim::CrashMode::random);
    }
  }

  PartitionLog& log() { return *fixture_.log; }
  Offset end() { return batches_.empty() ? start_ : batches_.back().header.next_offset(); }

  BatchSpec draw_spec() {
    BatchSpec spec;
    spec.records = static_cast<std::int32_t>(random_.between(1, 5));
    spec.timestamp = static_cast<WallMillis>(10'000 + random_.below(500) + batches_.size());
    spec.value_bytes = random_.below(10) == 0 ? random_.below(3'000) : random_.below(300);
    spec.fill = static_cast<char>('a' + random_.below(26));
    if (random_.one_in(2)) {
      spec.producer_id = static_cast<std::int64_t>(random_.below(3));
      spec.producer_epoch = 0;
      spec.base_sequence = next_sequence_[static_cast<std::size_t>(spec.producer_id)];
    }
    return spec;
  }

  void append() {
    BatchSpec spec = draw_spec();
    std::vector<std::byte> bytes = make_batch(spec);
    auto verdict = log().check_sequence(header_of(bytes));
    ASSERT_TRUE(verdict.ok()) << verdict.error().message();
    ASSERT_EQ(verdict->kind, SequenceVerdict::Kind::fresh);
    auto result = log().append(bytes, header_of(bytes), spec.timestamp, fixture_.epoch, fixture_.now);
    ASSERT_TRUE(result.ok()) << result.error().message();
    ASSERT_EQ(result->base_offset, end());
    batches_.push_back({header_of(bytes), bytes});
    note_sequence(batches_.back().header);
  }

  void note_sequence(const BatchHeader& header) {
    if (header.producer_id >= 0)
      next_sequence_[static_cast<std::size_t>(header.producer_id)] = advance_sequence(header.last_sequence(), 1);
  }

  void append_on_full_disk() {
    BatchSpec spec = draw_spec();
    std::vector<std::byte> bytes = make_batch(spec);
    fixture_.disk.add_fault(
        {.op = sim::DiskOp::write, .path_contains = ".log", .times = sim::Fault::kAlways, .error = Errc::disk_full});
    auto result = log().append(bytes, header_of(bytes), spec.timestamp, fixture_.epoch, fixture_.now);
    if (result.ok()) {  // it waits with what will be written together
      ASSERT_LT(log().written_end(), log().log_end());
      batches_.push_back({header_of(bytes), bytes});
      note_sequence(batches_.back().header);
    } else {
      ASSERT_EQ(result.code(), Errc::disk_full);
    }
    ASSERT_EQ(log().log_end(), end());
    read();
    timestamps();
    fixture_.disk.heal();
  }

  /// The newest batch of each producer must be recognised, also after restarts.
  void repeat_of_producer() {
    std::array<bool, 3> seen{};
    for (std::size_t i = batches_.size(); i-- > 0;) {
      const BatchHeader& header = batches_[i].header;
      if (header.producer_id < 0 || std::exchange(seen[static_cast<std::size_t>(header.producer_id)], true)) continue;
      auto verdict = log().check_sequence(header);
      ASSERT_TRUE(verdict.ok()) << verdict.error().message();
      ASSERT_EQ(verdict->kind, SequenceVerdict::Kind::duplicate);
      ASSERT_EQ(verdict->duplicate_base_offset.v, header.base_offset);
    }
  }

  void read() {
    Offset from{static_cast<std::int64_t>(
        random_.between(static_cast<std::uint64_t>(start_.v), static_cast<std::uint64_t>(end().v)))};
    Offset to = end();
    if (random_.one_in(3) && !batches_.empty())
      to = Offset{batches_[random_.below(batches_.size())].header.base_offset};
    read_and_compare(from, to, random_.below(6'000), random_.one_in(2));
  }

  void read_and_compare(Offset from, Offset to, std::uint64_t bytes_max, bool first_whole) {
    auto read = log().read(from, to, bytes_max, first_whole);
    ASSERT_TRUE(read.ok()) << read.error().message();
    std::vector<std::byte> expected;
    Offset first{-1};
    for (const Batch& batch : batches_) {
      if (batch.header.last_offset() < from || batch.header.base_offset >= to.v || from >= to) continue;
      std::size_t take = batch.bytes.size();
      if (first.v < 0) {
        if (take > bytes_max && !first_whole) break;
        first = Offset{batch.header.base_offset};
      } else {
        take = std::min<std::size_t>(take, bytes_max - std::min<std::size_t>(bytes_max, expected.size()));
      }
      expected.insert(expected.end(), batch.bytes.begin(), batch.bytes.begin() + static_cast<std::ptrdiff_t>(take));
    }
    std::vector<std::byte> got = fixture_.bytes_of(*read);
    ASSERT_EQ(read->first_batch_base, first);
    // A read touches a bounded number of segments; and the next segment's first batch may not fit what is left.
    if (read->fragments.size() > 0 && got.size() < expected.size()) {
      ASSERT_GT(log().segments(), 1u);
      expected.resize(got.size());
    }
    ASSERT_EQ(got, expected) << "from " << from.v << " to " << to.v << " bytes " << bytes_max;
  }

  void timestamps() {
    WallMillis asked = static_cast<WallMillis>(9'990 + random_.below(700 + batches_.size()));
    Offset to = end();
    if (random_.one_in(3) && !batches_.empty())
      to = Offset{batches_[random_.below(batches_.size())].header.base_offset};
    const Batch* expected = nullptr;
    const Batch* largest = nullptr;
    for (const Batch& batch : batches_) {
      if (batch.header.base_offset >= to.v || batch.header.last_offset() < start_) continue;
      if (expected == nullptr && batch.header.max_timestamp >= asked) expected = &batch;
      if (largest == nullptr || batch.header.max_timestamp > largest->header.max_timestamp) largest = &batch;
    }
    compare_hit(log().find_timestamp(asked, to, Offset{0}), expected);
    compare_hit(log().find_max_timestamp(to), largest);
  }

  void compare_hit(const Result<std::optional<Log::TimestampHit>>& hit, const Batch* expected) {
    ASSERT_TRUE(hit.ok()) << hit.error().message();
    ASSERT_EQ(hit->has_value(), expected != nullptr);
    if (expected == nullptr) return;
    ASSERT_EQ((*hit)->header.base_offset, expected->header.base_offset);
    ASSERT_EQ((*hit)->batch, expected->bytes);
  }

  void sync() {
    if (random_.one_in(4)) {
      ASSERT_TRUE(fixture_.seal().ok());
      ASSERT_TRUE(log().may_carry());
      ASSERT_LE(log().recovery_point(), log().synced_end());
      ASSERT_LE(log().synced_end(), log().durable_end());
      return;
    }
    ASSERT_TRUE(fixture_.sync().ok());
    ASSERT_EQ(log().durable_end(), end());
    ASSERT_LE(log().recovery_point(), log().durable_end());
  }

  void retention() {
    LogConfig config = fixture_.options.config;
    config.retention_bytes = static_cast<std::int64_t>(random_.below(30'000));
    log().set_config(config);
    Offset limit = log().durable_end();
    Offset target = log().retention_start(0, limit);
    ASSERT_LE(target, std::max(limit, start_));
    if (random_.one_in(3)) target = std::max(start_, std::min(limit, Offset{target.v + 3}));  // DeleteRecords
    ASSERT_TRUE(log().advance_log_start(target).ok());
    ASSERT_EQ(log().log_start(), target);
    start_ = target;
    for (const std::string& path : log().take_deleted_files())
      if (random_.one_in(2)) ASSERT_TRUE(fixture_.disk.remove(path).ok());
    forget_below_start();
  }

  void forget_below_start() {
    std::erase_if(batches_, [&](const Batch& batch) { return batch.header.last_offset() < start_; });
    if (start_.v > 0) ASSERT_EQ(log().read(Offset{start_.v - 1}, end(), 100, true).code(), Errc::offset_out_of_range);
  }

  void clean_restart() {
    ASSERT_TRUE(log().close().ok());
    fixture_.disk.crash(sim::CrashMode::lose_unsynced);
    reopen(true);
    ASSERT_EQ(log().log_end(), end());
    check_everything();
  }

  void crash(sim::CrashMode mode) {
    Offset durable = log().durable_end();
    Offset before = end(), written = log().written_end();
    if (fixture_.options.tails == nullptr) ASSERT_EQ(written, before);
    if (random_.one_in(3)) {  // in the middle of a round
      fixture_.disk.crash_after(random_.between(1, 8), mode);
      auto ticket = log().begin_sync();
      if (ticket.ok() && *ticket)
        for (auto& file : (*ticket)->files) (void)file->sync();
      fixture_.disk.restart();
    }
    fixture_.disk.crash(mode);
    reopen(false);
    Offset after = log().log_end();
    ASSERT_GE(after, durable);
    ASSERT_LE(after, before);
    if (mode == sim::CrashMode::keep_all) ASSERT_GE(after, written);
    while (!batches_.empty() && batches_.back().header.next_offset() > after) batches_.pop_back();
    next_sequence_ = {};
    for (const Batch& batch : batches_) note_sequence(batch.header);
    // Producers whose batches retention took are still known to the log, from snapshots.
    for (const Log::ProducerInfo& producer : log().producers())
      if (!producer.batches.empty())
        next_sequence_[static_cast<std::size_t>(producer.id.v)] =
            advance_sequence(producer.batches.back().last_sequence, 1);
    ASSERT_EQ(after, end());
    check_everything();
  }

  void reopen(bool clean_stop) {
    fixture_.options.log_start = start_;  // as the checkpoint would have it
    fixture_.must_open(clean_stop);
    ASSERT_EQ(log().log_start(), start_);
    ASSERT_EQ(log().durable_end(), log().log_end());
    ASSERT_LE(log().latest_epoch(), fixture_.epoch);
  }

  void check_everything() {
    for (Offset next = start_; next < end();) {
      read_and_compare(next, end(), 5'000, true);
      auto read = log().read(next, end(), 5'000, true);
      ASSERT_TRUE(read.ok());
      auto headers = fixture_.headers_of(*read);
      ASSERT_FALSE(headers.empty());
      next = headers.back().next_offset();
    }
    timestamps();
    repeat_of_producer();
  }

  WaitingTails tails_{1};
  LogFixture fixture_;
  sim::Random random_;
  std::vector<Batch> batches_;
  std::array<std::int32_t, 3> next_sequence_{};
  Offset start_{0};
};

TEST(LogProperty, AgreesWithAVector) {
  for (std::uint64_t seed = 1; seed <= 40 && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Model(seed).run(400);
  }
}

}  // namespace
}  // namespace mr::storage::test
