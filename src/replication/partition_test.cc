// Aim: a partition short of descriptors or room keeps its promises late rather than breaking them, its waiters hear of
// a failure at once, and it always stops; what a client says of its largest timestamp is not believed. Method: a real
// log over a simulated disk and world.
#include "replication/partition.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/batch_builder.h"
#include "runtime/shards.h"
#include "sim/world.h"
#include "storage/partition_log.h"
#include "storage/waiting_tail.h"

namespace mr::replication {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  Fixture() : world({.seed = 11}), machine(world.add_host("b")), process(machine.start(1)) {
    auto log = run(offload(env(), [&] { return storage::Log::open(env().files, options); }));
    MR_CHECK(log.ok());
    MR_CHECK((*log)->start_epoch(LeaderEpoch{0}).ok());
    partition = std::make_unique<Partition>(env(), options.partition, options.topic_id, std::move(*log), LeaderEpoch{0},
                                            PartitionConfig{});
  }
  /// Nothing of its own makes it sync; a segment takes two or three batches.
  void never_sync() {
    partition->set_config({.flush_messages = INT64_MAX});
    partition->log().set_config({.segment_bytes = 200, .synced_late = true});
  }
  ~Fixture() {
    machine.disk().heal();
    run(partition->stop());
  }

  Env& env() { return process.env(ShardId{0}); }
  template <class T>
  T run(Task<T> task) {
    return world.run(process, ShardId{0}, std::move(task));
  }
  static std::vector<std::byte> batch(WallMillis timestamp = 1, std::string_view value = "v") {
    BatchBuilder builder;
    builder.add({.timestamp = timestamp, .value = as_bytes(value)});
    return *builder.build();
  }
  /// On the shard, as everything that touches a partition.
  std::expected<Appended, AppendFailure> append(std::vector<std::byte> bytes = batch()) {
    auto work = [](Partition& partition, std::vector<std::byte>& bytes,
                   WallMillis now) -> Task<std::expected<Appended, AppendFailure>> {
      co_return partition.append(bytes, now);
    };
    return run(work(*partition, bytes, env().clock.wall()));
  }
  /// The epoch table is written with the first commit of an epoch.
  void no_descriptors() {
    machine.disk().add_fault({.op = sim::DiskOp::create,
                              .path_contains = "leader-epoch-checkpoint",
                              .times = sim::Fault::kAlways,
                              .error = Errc::resource_exhausted});
  }

  storage::WaitingTails tails;
  const storage::Log::OpenOptions options{.directory = "/data/t-0",
                                          .partition = {"t", PartitionIndex{0}},
                                          .topic_id = TopicId{Uuid{1, 2}},
                                          .tails = &tails};
  sim::World world;
  sim::Host& machine;
  sim::Process& process;
  std::unique_ptr<Partition> partition;
};

TEST(Partition, WantOfDescriptorsDelaysACommit) {
  Fixture f;
  f.no_descriptors();
  auto appended = f.append();
  ASSERT_TRUE(appended);
  EXPECT_EQ(f.run(f.partition->wait_committed(appended->end, f.world.now() + 3s)).code(), Errc::request_timed_out);
  EXPECT_EQ(f.partition->high_watermark(), Offset{0});
  f.machine.disk().heal();
  EXPECT_TRUE(f.run(f.partition->wait_committed(appended->end, f.world.now() + 3s)).ok());
  EXPECT_TRUE(f.append());
}

TEST(Partition, AFullDiskDelaysACommitOfWhatWaits) {
  Fixture f;
  f.machine.disk().add_fault({.path_contains = ".log", .times = sim::Fault::kAlways, .error = Errc::disk_full});
  auto appended = f.append();
  ASSERT_TRUE(appended) << "it waits in memory";
  EXPECT_EQ(f.run(f.partition->wait_committed(appended->end, f.world.now() + 3s)).code(), Errc::request_timed_out);
  EXPECT_EQ(f.partition->high_watermark(), Offset{0});
  f.machine.disk().heal();
  EXPECT_TRUE(f.run(f.partition->wait_committed(appended->end, f.world.now() + 3s)).ok());
}

// Retention takes what is sealed, and so makes room: sealing may not wait for the room that it makes.
TEST(Partition, WhatWasRolledIsSealedThoughTheDiskIsFull) {
  Fixture dry;
  dry.partition->log().set_config({.segment_bytes = 200});
  while (dry.partition->log().segments() < 2) ASSERT_TRUE(dry.append());
  const Offset rolled{dry.partition->log().log_end().v - 1};

  Fixture f;
  f.partition->log().set_config({.segment_bytes = 200});
  f.machine.disk().add_fault(
      {.path_contains = fmt::format("{:020}.log", rolled.v), .times = sim::Fault::kAlways, .error = Errc::disk_full});
  while (f.partition->log().segments() < 2) ASSERT_TRUE(f.append());
  EXPECT_EQ(f.run(f.partition->wait_committed(Offset{rolled.v + 1}, f.world.now() + 3s)).code(),
            Errc::request_timed_out);
  EXPECT_EQ(f.partition->log().recovery_point(), rolled);
  EXPECT_EQ(f.partition->high_watermark(), rolled);
  f.machine.disk().heal();
  EXPECT_TRUE(f.run(f.partition->wait_committed(Offset{rolled.v + 1}, f.world.now() + 3s)).ok());
}

// acks=1 answers at once, also for a repeat: what it answers for has to outlive the process.
TEST(Partition, ARepeatThatNobodyWaitsForIsWrittenFirst) {
  Fixture f;
  f.machine.disk().add_fault({.path_contains = ".log", .times = sim::Fault::kAlways, .error = Errc::disk_full});
  BatchBuilder builder(
      {.producer_id = ProducerId{7}, .producer_epoch = ProducerEpoch{0}, .base_sequence = Sequence{0}});
  builder.add({.timestamp = 1, .value = as_bytes(std::string_view("v"))});
  const std::vector<std::byte> once = *builder.build();
  ASSERT_TRUE(f.append(once));
  auto repeat = [&](Acks acks) {
    auto work = [](Partition& partition, std::vector<std::byte> bytes, WallMillis now,
                   Acks acks) -> Task<std::expected<Appended, AppendFailure>> {
      co_return partition.append_looked_into(bytes, now, validate_batch(bytes, partition.rules(now, {})), acks);
    };
    return f.run(work(*f.partition, once, f.env().clock.wall(), acks));
  };
  ASSERT_TRUE(repeat(Acks::all)) << "its answer waits for the disk";
  auto refused = repeat(Acks::leader);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code(), Errc::disk_full);
  f.machine.disk().heal();
  auto answered = repeat(Acks::leader);
  ASSERT_TRUE(answered);
  EXPECT_TRUE(answered->duplicate);
  EXPECT_EQ(f.partition->log().written_end(), Offset{1});
}

// What is acknowledged under a policy that does not sync has to outlive the process, so it may not wait in memory.
TEST(Partition, AWeakerPolicyFirstWritesWhatWaits) {
  Fixture f;
  f.machine.disk().add_fault({.path_contains = ".log", .times = sim::Fault::kAlways, .error = Errc::disk_full});
  ASSERT_TRUE(f.append());
  ASSERT_EQ(f.partition->log().written_end(), Offset{0});
  f.partition->set_config({.flush_messages = INT64_MAX});
  f.partition->log().set_config({.synced_late = true});
  EXPECT_EQ(f.partition->high_watermark(), Offset{0});
  f.machine.disk().heal();
  EXPECT_TRUE(f.run(f.partition->wait_committed(Offset{1}, f.world.now() + 3s)).ok());
  EXPECT_EQ(f.partition->log().written_end(), Offset{1});
  ASSERT_TRUE(f.append());
  EXPECT_EQ(f.partition->high_watermark(), Offset{2});
}

TEST(Partition, CountsWhatWasProducedAndWhatIsNotSynced) {
  Fixture f;
  f.no_descriptors();
  const std::vector<std::byte> bytes = Fixture::batch();
  auto appended = f.append(bytes);
  ASSERT_TRUE(appended);
  ASSERT_TRUE(f.append(bytes));
  EXPECT_EQ(f.partition->stats().appended_records, 2u);
  EXPECT_EQ(f.partition->stats().unsynced_bytes, 2 * bytes.size()) << "no descriptor, no sync";
  f.machine.disk().heal();
  ASSERT_TRUE(f.run(f.partition->wait_committed(Offset{2}, f.world.now() + 30s)).ok());
  EXPECT_EQ(f.partition->stats().unsynced_bytes, 0u);
  f.partition->note_produced(f.world.now() - 7ms);
  EXPECT_EQ(f.partition->stats().produce_durations.by_bucket[2], 1u) << "5 to 10 ms";
}

TEST(Partition, WaitersHearOfAFailedAppendAtOnce) {
  Fixture f;
  f.no_descriptors();
  auto appended = f.append();
  ASSERT_TRUE(appended);
  std::optional<Result<void>> answer;
  auto wait = [](Partition& partition, Offset end, std::optional<Result<void>>& into) -> Task<void> {
    into.emplace(co_await partition.wait_committed(end, kForever));
  };
  f.process.spawn(ShardId{0}, "wait", wait(*f.partition, appended->end, answer));
  f.world.run_for(2s);
  ASSERT_FALSE(answer);
  f.machine.disk().add_fault({.op = sim::DiskOp::write, .path_contains = ".log"});
  EXPECT_FALSE(f.append(Fixture::batch(1, std::string(storage::WaitingTail::kBatchBytesMax, 'v'))));
  f.world.run_until([&] { return answer.has_value(); }, 5s);
  ASSERT_TRUE(answer) << "still waiting for a commit that cannot come";
  EXPECT_EQ(answer->code(), Errc::disk_failed);
}

TEST(Partition, StopsThoughItCannotCommit) {
  Fixture f;
  f.no_descriptors();
  ASSERT_TRUE(f.append());
  TimePoint before = f.world.now();
  f.run(f.partition->stop());
  EXPECT_LT(f.world.now() - before, 10s);
  f.world.run_for(10s);  // nothing may be left that touches the log
  EXPECT_EQ(f.run(f.partition->close_log()).code(), Errc::resource_exhausted);
}

// A broker has thousands of partitions that nobody writes to at the moment: they hold no descriptors.
TEST(Partition, AnIdleOneGivesItsDescriptorsBack) {
  Fixture f;
  auto& log = dynamic_cast<storage::PartitionLog&>(f.partition->log());
  ASSERT_TRUE(f.append());
  f.partition->rest_if_idle();
  EXPECT_EQ(log.open_segments(), 1u) << "written to since the call before";
  ASSERT_TRUE(f.run(f.partition->flush()).ok());
  f.partition->rest_if_idle();
  EXPECT_EQ(log.open_segments(), 0u);
  ASSERT_TRUE(f.append());
  ASSERT_TRUE(f.run(f.partition->flush()).ok());
  EXPECT_EQ(log.log_end(), Offset{2});
  EXPECT_EQ(f.partition->high_watermark(), Offset{2});
}

// Not one whose file is not synced: a later descriptor might not hear that writing it back has failed.
TEST(Partition, AnIdleOneSyncsBeforeItCloses) {
  Fixture f;
  auto& log = dynamic_cast<storage::PartitionLog&>(f.partition->log());
  f.partition->set_config({.flush_messages = 1000});
  ASSERT_TRUE(f.append());
  f.partition->rest_if_idle();
  EXPECT_EQ(log.synced_end(), Offset{0});
  auto idle = [](Partition& partition) -> Task<void> {
    partition.rest_if_idle();
    co_return;
  };
  f.run(idle(*f.partition));
  EXPECT_EQ(log.open_segments(), 1u);
  f.world.run_for(1s);
  EXPECT_EQ(log.synced_end(), Offset{1});
  f.run(idle(*f.partition));
  EXPECT_EQ(log.open_segments(), 0u);
}

// Its descriptors would run out: three for each segment, until somebody looks at retention.
TEST(Partition, WhatIsRolledIsSealedThoughNothingElseSyncs) {
  Fixture f;
  f.never_sync();
  const std::size_t one = Fixture::batch().size();
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    auto appended = f.append();
    ASSERT_TRUE(appended);
    ASSERT_EQ(f.partition->high_watermark(), appended->end) << "an answer waits for no sync";
    f.world.run_for(1ms);
    most = std::max(most, f.machine.disk().open_files());
  }
  f.world.run_for(1s);
  storage::Log& log = f.partition->log();
  ASSERT_GT(log.segments(), 300u);
  EXPECT_LE(most, 120u) << "those of sixteen segments, and of as many on their way to the disk";
  EXPECT_LE(f.machine.disk().open_files(), 63u)
      << "those of sixteen segments, the active one and four that may be read";
  EXPECT_EQ(log.synced_end(), log.recovery_point());
  EXPECT_LT(log.log_end().v - log.synced_end().v, 60) << "what sixteen segments and the active one hold";
  EXPECT_LT(log.synced_end(), log.log_end());
  EXPECT_EQ(f.partition->stats().unsynced_bytes, one * static_cast<std::size_t>(log.log_end().v - log.synced_end().v));

  ASSERT_TRUE(f.machine.disk().sync_directory("/").ok());
  auto after_a_power_cut = f.machine.disk().fork(1);
  after_a_power_cut->crash(sim::CrashMode::lose_unsynced);
  auto found = storage::Log::open(*after_a_power_cut, f.options);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->log_end(), log.synced_end());

  ASSERT_TRUE(f.run(f.partition->flush()).ok());
  EXPECT_EQ(log.synced_end(), log.log_end());
  EXPECT_EQ(f.partition->stats().unsynced_bytes, 0u);
}

// One job at a time, however slow the disk is; what needs more than it waits for a round of its own behind it.
TEST(Partition, NobodyWaitsForSealingWhoDoesNotHaveTo) {
  Fixture f;
  f.never_sync();
  std::uint64_t syncs = f.partition->stats().syncs;
  f.machine.disk().add_fault({.kind = sim::Fault::Kind::hang, .op = sim::DiskOp::sync, .path_contains = ".log"});
  for (int i = 0; i < 100; ++i) {
    auto appended = f.append();
    ASSERT_TRUE(appended);
    ASSERT_EQ(f.partition->high_watermark(), appended->end);
    f.world.run_for(1ms);
  }
  storage::Log& log = f.partition->log();
  EXPECT_EQ(f.partition->stats().syncs, syncs);
  EXPECT_EQ(log.synced_end(), Offset{0});
  std::optional<Result<Offset>> deleted;
  auto purge = [](Partition& partition, std::optional<Result<Offset>>& into) -> Task<void> {
    into.emplace(co_await partition.delete_records(Offset{99}));
  };
  f.process.spawn(ShardId{0}, "purge", purge(*f.partition, deleted));
  f.world.run_for(1s);
  EXPECT_FALSE(deleted);
  f.machine.disk().heal();
  f.world.run_for(1s);
  ASSERT_TRUE(deleted);
  ASSERT_TRUE(deleted->ok());
  EXPECT_EQ(log.synced_end(), Offset{100});
  EXPECT_EQ(log.segments(), 1u) << "all but the active one";
  EXPECT_EQ(f.partition->stats().syncs, syncs + 2);
  EXPECT_LE(f.machine.disk().open_files(), 3u);
}

// Where producers are faster than the disk a round follows the other without a break.
TEST(Partition, DeletingRecordsEndsThoughRoundsGoOn) {
  Fixture f;
  f.never_sync();
  f.machine.disk().add_fault({.kind = sim::Fault::Kind::delay,
                              .op = sim::DiskOp::sync,
                              .path_contains = ".log",
                              .times = sim::Fault::kAlways,
                              .delay = 10ms});
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(f.append());
  std::optional<Result<Offset>> deleted;
  auto purge = [](Partition& partition, std::optional<Result<Offset>>& into) -> Task<void> {
    into.emplace(co_await partition.delete_records(Offset{150}));
  };
  f.process.spawn(ShardId{0}, "purge", purge(*f.partition, deleted));
  for (int i = 0; i < 10'000 && !deleted; ++i) {
    ASSERT_TRUE(f.append());
    f.world.run_for(1ms);
  }
  ASSERT_TRUE(deleted) << "within ten seconds";
  EXPECT_TRUE(deleted->ok());
}

TEST(Partition, WhatCouldNotBeSealedWaitsForNoFlushTimer) {
  Fixture f;
  f.never_sync();
  f.partition->set_config({.flush_messages = INT64_MAX, .flush_ms = 3'600'000});
  f.no_descriptors();
  while (f.partition->log().segments() < 20) ASSERT_TRUE(f.append());
  f.world.run_for(1s);
  EXPECT_EQ(f.partition->log().synced_end(), Offset{0});
  f.machine.disk().heal();
  f.world.run_for(1s);
  EXPECT_EQ(f.partition->log().synced_end(), f.partition->log().log_end());
}

TEST(Partition, AFailureToSealIsFinal) {
  Fixture f;
  f.never_sync();
  f.machine.disk().add_fault({.op = sim::DiskOp::sync, .path_contains = ".log"});
  while (f.partition->log().segments() < 20) ASSERT_TRUE(f.append());
  f.world.run_for(1s);
  auto refused = f.append();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error, Errc::disk_failed);
}

TEST(Partition, TheLargestTimestampIsThatOfTheRecords) {
  Fixture f;
  std::vector<std::byte> lying = Fixture::batch(5);
  restamp_batch(lying, 1'000'000, false);
  ASSERT_TRUE(f.append(lying));
  ASSERT_TRUE(f.append(Fixture::batch(9)));
  auto hit = f.partition->log().find_timestamp(9, Offset{2});
  ASSERT_TRUE(hit.ok() && *hit);
  EXPECT_EQ((**hit).header.base_offset, 1) << "a batch that only claims to be newer";
  EXPECT_TRUE(f.run(f.partition->flush()).ok());
}

}  // namespace
}  // namespace mr::replication
