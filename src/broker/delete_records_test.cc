// Aim: records deleted on request are gone for every reader at once and for ever, only those below the watermark can be
// asked for, their segments go, and no other topic of the name inherits the start. Method: a whole broker over a
// simulated disk whose power is cut.
#include <gtest/gtest.h>

#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

const std::map<std::string, std::string> kSmallSegments = {{"segment.bytes", "1048576"}, {"file.delete.delay.ms", "0"}};

struct DeleteRecords : testing::Test {
  DeleteRecords() : world({.seed = 5}), host(world.add_host("b")) { start(); }
  ~DeleteRecords() override { (void)running->stop(); }

  void start() {
    running = std::make_unique<Running>(world, host.start(2), journal);
    MR_CHECK(running->started.ok());
  }
  void crash_and_start() {
    host.crash(sim::CrashMode::lose_unsynced);
    (void)running->stop();  // of a ghost: its disk is cut off
    start();
  }
  void make(const std::string& name, std::map<std::string, std::string> configs = {}) {
    auto made = running->run(running->broker->create_topic({.name = name, .partitions = 1, .configs = configs}, false));
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  void write(const std::string& name, int count, std::size_t bytes = 100) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(running->append(name, std::string(bytes, 'v')).ok());
  }
  Broker::RecordsToDelete below(const std::string& name, std::int64_t before) {
    TopicRef of = running->topic(name);
    return {.topic = of->id,
            .partition = PartitionIndex{0},
            .home = of->partition(PartitionIndex{0})->home,
            .before = Offset{before}};
  }
  Result<Offset> remove(Broker::RecordsToDelete wanted) {
    running->run(running->broker->delete_records(std::span(&wanted, 1)));
    return wanted.log_start;
  }
  Result<Offset> remove(const std::string& name, std::int64_t before) { return remove(below(name, before)); }
  Offset first(const std::string& name) { return running->listed(name, 0, -2).value(); }
  PartitionRef partition(const std::string& name) {
    Broker::RecordsToDelete of = below(name, 0);
    return running->broker->shard(of.home).find(of.topic, of.partition);
  }
  /// ok, or why nothing can be read at `offset`.
  Result<void> read_at(const std::string& name, std::int64_t offset) {
    PartitionRef of = partition(name);
    auto read = of->read(Offset{offset}, of->high_watermark(), 1000, true);
    if (!read.ok()) return read.error();
    return read->first_batch_base == Offset{offset} ? Result<void>() : Errc::not_found;
  }

  sim::World world;
  sim::Host& host;
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();
  std::unique_ptr<Running> running;
};

TEST_F(DeleteRecords, AreGoneForReadersAtOnceAndAfterAPowerCut) {
  make("t");
  write("t", 10);
  EXPECT_EQ(remove("t", 4).value(), Offset{4});
  for (int life = 0; life < 3; ++life) {
    EXPECT_EQ(first("t"), Offset{4});
    EXPECT_EQ(read_at("t", 3).code(), Errc::offset_out_of_range);
    EXPECT_TRUE(read_at("t", 4).ok());
    EXPECT_EQ(running->listed("t", 0).value(), Offset{10});
    crash_and_start();
  }
  EXPECT_EQ(remove("t", -1).value(), Offset{10}) << "-1 is the watermark";
  crash_and_start();
  EXPECT_EQ(first("t"), Offset{10});
  EXPECT_EQ(running->append("t", "next").value(), Offset{10});
}

TEST_F(DeleteRecords, AnOlderStartAndTheSameStartChangeNothing) {
  make("t");
  write("t", 5);
  EXPECT_EQ(remove("t", 3).value(), Offset{3});
  EXPECT_EQ(remove("t", 3).value(), Offset{3});
  EXPECT_EQ(remove("t", 0).value(), Offset{3});
  EXPECT_EQ(first("t"), Offset{3});
}

TEST_F(DeleteRecords, OnlyBelowTheWatermark) {
  make("t");
  write("t", 5);
  EXPECT_EQ(remove("t", 6).code(), Errc::offset_out_of_range);
  EXPECT_EQ(remove("t", -2).code(), Errc::offset_out_of_range);
  EXPECT_EQ(first("t"), Offset{0});
  EXPECT_EQ(remove("t", 5).value(), Offset{5});
}

TEST_F(DeleteRecords, WhatNobodyHasAndWhatNeverDeletesIsRefused) {
  make("kept", {{"cleanup.policy", "compact"}});
  EXPECT_EQ(remove("kept", -1).code(), Errc::policy_violation);
  make("t");
  Broker::RecordsToDelete unknown = below("t", 0);
  unknown.partition = PartitionIndex{7};
  EXPECT_EQ(remove(unknown).code(), Errc::not_leader);
  make("__consumer_offsets");
  EXPECT_EQ(remove("__consumer_offsets", -1).code(), Errc::invalid_topic_name);
}

// The watermark of such a topic counts what no sync has covered. A start above what a power cut leaves would have to go
// back.
TEST_F(DeleteRecords, AWeaklyFlushedLogIsSyncedUpToItsStartFirst) {
  make("weak", {{"flush.messages", "1000"}});
  write("weak", 6);
  ASSERT_LT(partition("weak")->log().durable_end(), Offset{6});
  EXPECT_EQ(remove("weak", 6).value(), Offset{6});
  EXPECT_EQ(partition("weak")->log().durable_end(), Offset{6});
  crash_and_start();
  EXPECT_EQ(first("weak"), Offset{6});
  EXPECT_EQ(running->append("weak", "next").value(), Offset{6});
}

TEST_F(DeleteRecords, SegmentsBelowTheStartGo) {
  make("t", kSmallSegments);
  write("t", 4, 600'000);  // one to a segment
  ASSERT_GE(partition("t")->log().segments(), 4u);
  world.run_for(1s);
  EXPECT_EQ(remove("t", 2).value(), Offset{2});
  world.run_for(1s);
  EXPECT_EQ(partition("t")->log().segments(), 2u);
  EXPECT_FALSE(host.disk().exists("/data/t-0/00000000000000000000.log").value());
  EXPECT_FALSE(host.disk().exists("/data/t-0/00000000000000000000.log.deleted").value());
  EXPECT_TRUE(host.disk().exists("/data/t-0/00000000000000000002.log").value());
}

// An answer is only given once the start is saved; when that cannot be done the next question may succeed.
TEST_F(DeleteRecords, AStartThatCannotBeSavedIsNotAnswered) {
  make("t");
  write("t", 5);
  host.disk().add_fault(
      {.op = sim::DiskOp::create, .path_contains = "log-start-offset-checkpoint", .error = Errc::disk_full});
  EXPECT_EQ(remove("t", 2).code(), Errc::disk_full);
  EXPECT_EQ(remove("t", 2).value(), Offset{2});
  crash_and_start();
  EXPECT_EQ(first("t"), Offset{2});
}

// A request names thousands of partitions, on every shard, and is still one write of each directory's checkpoint.
TEST_F(DeleteRecords, ManyPartitionsAreSavedTogether) {
  constexpr int kPartitions = 40;
  ASSERT_TRUE(running->run(running->broker->create_topic({.name = "wide", .partitions = kPartitions}, false)).ok());
  std::vector<Broker::RecordsToDelete> wanted;
  for (int p = 0; p < kPartitions; ++p) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(running->append("wide", "v", p).ok());
    wanted.push_back(below("wide", p % 2 == 0 ? 2 : 9));
    wanted.back().partition = PartitionIndex{p};
    wanted.back().home = running->topic("wide")->partition(PartitionIndex{p})->home;
  }
  auto writes = std::make_shared<int>(0);  // whoever listens to the disk goes on to the end
  host.disk().on_operation([writes](const sim::Disk::Operation& done) {
    const bool starts = done.path.find("log-start-offset-checkpoint") != std::string_view::npos;
    if (starts && done.op == sim::DiskOp::create) ++*writes;
  });
  running->run(running->broker->delete_records(wanted));
  EXPECT_EQ(*writes, 1);
  crash_and_start();
  for (int p = 0; p < kPartitions; ++p) {
    const Result<Offset>& answer = wanted[static_cast<std::size_t>(p)].log_start;
    if (p % 2 == 0) EXPECT_EQ(answer.value(), Offset{2}) << p;
    if (p % 2 == 1) EXPECT_EQ(answer.code(), Errc::offset_out_of_range) << p;
    EXPECT_EQ(running->listed("wide", p, -2).value(), Offset{p % 2 == 0 ? 2 : 0}) << p;
  }
}

TEST_F(DeleteRecords, ATopicMadeAgainBeginsAtZero) {
  make("t");
  write("t", 5);
  Broker::RecordsToDelete old = below("t", 5);
  ASSERT_EQ(remove("t", 3).value(), Offset{3});
  ASSERT_TRUE(running->run(running->broker->delete_topic("t", old.topic)).ok());
  EXPECT_FALSE(remove(old).ok());
  make("t");
  write("t", 4);
  crash_and_start();
  EXPECT_EQ(first("t"), Offset{0});
  EXPECT_TRUE(read_at("t", 0).ok());
}

// The question comes at any moment of the topic's deletion: no line of it may stay behind.
TEST_F(DeleteRecords, RacesWithTheDeletionOfTheTopic) {
  auto remove_topic = [](Broker& broker, TopicId id, std::optional<Result<void>>& into) -> Task<void> {
    into = co_await broker.delete_topic("t", id);
  };
  int answered = 0, refused = 0;
  for (int round = 0; round < 30; ++round) {
    make("t");
    write("t", 5);
    Broker::RecordsToDelete wanted = below("t", 3);
    std::optional<Result<void>> gone;
    running->process.spawn(ShardId{0}, "delete topic", remove_topic(*running->broker, wanted.topic, gone));
    world.run_for(std::chrono::microseconds(100 * round));
    Result<Offset> answer = remove(wanted);
    ++(answer.ok() ? answered : refused);
    ASSERT_EQ(world.run_until([&] { return gone.has_value(); }, 10s), sim::RunEnd::done);
    make("t");
    write("t", 5);
    crash_and_start();
    EXPECT_EQ(first("t"), Offset{0}) << "round " << round;
    ASSERT_TRUE(running->run(running->broker->delete_topic("t", running->topic("t")->id)).ok());
  }
  EXPECT_GT(answered, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace mr::broker
