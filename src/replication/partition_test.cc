// Aim: a partition short of descriptors keeps its promises late rather than breaking them, its waiters hear of a
// failure at once, and it always stops; what a client says of its largest timestamp is not believed. Method: a real log
// over a simulated disk and world.
#include "replication/partition.h"

#include <gtest/gtest.h>

#include "model/batch_builder.h"
#include "runtime/shards.h"
#include "sim/world.h"
#include "storage/partition_log.h"

namespace mr::replication {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  Fixture() : world({.seed = 11}), machine(world.add_host("b")), process(machine.start(1)) {
    storage::Log::OpenOptions options{
        .directory = "/data/t-0", .partition = {"t", PartitionIndex{0}}, .topic_id = TopicId{Uuid{1, 2}}};
    auto log = run(offload(env(), [&] { return storage::Log::open(env().files, options); }));
    MR_CHECK(log.ok());
    MR_CHECK((*log)->start_epoch(LeaderEpoch{0}).ok());
    partition = std::make_unique<Partition>(env(), options.partition, options.topic_id, std::move(*log), LeaderEpoch{0},
                                            PartitionConfig{});
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
  static std::vector<std::byte> batch(WallMillis timestamp = 1) {
    BatchBuilder builder;
    builder.add({.timestamp = timestamp, .value = as_bytes("v")});
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
  EXPECT_FALSE(f.append());
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
