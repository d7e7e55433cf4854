// Aim: a log directory that fails, or cannot be opened, takes its own partitions offline and nothing else; nothing is
// made again empty, nothing is deleted without evidence. Method: a whole broker over a simulated disk with two
// directories, one of which meets faults, over several lives.
#include "broker/broker_fixture.h"
#include "storage/partition_metadata.h"

namespace mr::broker {
namespace {

const std::vector<std::string> kBoth = {"/a", "/b"};

struct TwoDirectories : testing::Test {
  sim::World world{{.seed = 11}};
  sim::Host& host = world.add_host("b");
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();

  std::unique_ptr<Running> start() { return std::make_unique<Running>(world, host.start(3), journal, kBoth); }
  /// A life that makes "t" with four partitions, two in each directory, one record in each.
  void first_life() {
    auto first = start();
    ASSERT_TRUE(first->started.ok());
    ASSERT_TRUE(first->run(first->broker->create_topic({.name = "t", .partitions = 4}, false)).ok());
    for (int p = 0; p < 4; ++p) EXPECT_EQ(first->append("t", "one", p), Offset{0});
    EXPECT_TRUE(first->stop().ok());
  }
  bool lies_in(const std::string& directory, const std::string& partition) {
    return host.disk().exists(directory + "/" + partition).value();
  }
  std::string home_of(int partition) { return lies_in("/a", "t-" + std::to_string(partition)) ? "/a" : "/b"; }
  void break_syncs(const std::string& where) {
    host.disk().add_fault({.op = sim::DiskOp::sync, .path_contains = where, .times = sim::Fault::kAlways});
  }
  /// The directory does not open: its lock cannot be made.
  void hide(const std::string& directory) {
    for (sim::DiskOp op : {sim::DiskOp::open, sim::DiskOp::create})
      host.disk().add_fault(
          {.op = op, .path_contains = directory + "/", .times = sim::Fault::kAlways, .error = Errc::permission_denied});
  }
};

TEST_F(TwoDirectories, OneThatFailsTakesOnlyItsPartitions) {
  first_life();
  ASSERT_EQ(home_of(0), home_of(2));
  ASSERT_NE(home_of(0), home_of(1));
  const std::string bad = home_of(0), good = home_of(1);
  auto running = start();
  break_syncs(bad + "/");
  EXPECT_EQ(running->append("t", "lost", 0).code(), Errc::disk_failed);
  world.run_for(std::chrono::seconds(1));
  std::uint64_t tried = host.disk().faults_fired();
  EXPECT_EQ(tried, 1u);
  // Its other partition too, for every kind of request; nothing is tried on the disk any more.
  EXPECT_EQ(running->append("t", "no", 2).code(), Errc::disk_failed);
  EXPECT_EQ(running->append("t", "no", 0).code(), Errc::disk_failed);
  EXPECT_EQ(running->listed("t", 2).code(), Errc::disk_failed);
  for (int p : {1, 3}) EXPECT_EQ(running->append("t", "two", p), Offset{1});
  ASSERT_TRUE(running->run(running->broker->create_topic({.name = "later", .partitions = 3}, false)).ok());
  for (int p = 0; p < 3; ++p) {
    EXPECT_EQ(running->append("later", "x", p), Offset{0});
    EXPECT_TRUE(lies_in(good, "later-" + std::to_string(p)));
  }
  running->run(running->broker->write_checkpoints());
  EXPECT_FALSE(running->fatal);
  EXPECT_TRUE(running->stop().ok());
  EXPECT_EQ(host.disk().faults_fired(), tried) << "no sync is tried again";
  host.disk().heal();

  running = start();
  EXPECT_EQ(running->was_clean, (std::vector<bool>{good == "/a", good == "/b"}));
  EXPECT_EQ(running->listed("t", 1), Offset{2});
  EXPECT_EQ(running->listed("t", 2), Offset{1});
  EXPECT_GE(running->listed("t", 0).value(), Offset{1});
  EXPECT_TRUE(running->append("t", "back", 0).ok());
  EXPECT_TRUE(running->stop().ok());
}

// Whatever ends the commit journal ends its directory: what has been carried there is all that is known of it.
TEST_F(TwoDirectories, AJournalThatCannotBeMadeTakesItsDirectory) {
  first_life();
  const std::string bad = home_of(0);
  auto running = start();
  host.disk().add_fault({.op = sim::DiskOp::create,
                         .path_contains = bad + "/commit-journal",
                         .times = sim::Fault::kAlways,
                         .error = Errc::permission_denied});
  EXPECT_EQ(running->append("t", "lost", 0).code(), Errc::disk_failed);
  world.run_for(std::chrono::seconds(1));
  EXPECT_EQ(running->listed("t", 0).code(), Errc::disk_failed);
  EXPECT_EQ(running->listed("t", 2).code(), Errc::disk_failed) << "whatever its shard";
  for (int p : {1, 3}) EXPECT_EQ(running->append("t", "two", p), Offset{1});
  EXPECT_TRUE(running->stop().ok());
  EXPECT_FALSE(host.disk().exists(bad + "/.kafka_cleanshutdown").value());
}

TEST_F(TwoDirectories, APartitionsOwnFileThatFailsTakesItsDirectory) {
  first_life();
  auto running = start();
  break_syncs(home_of(0) + "/t-0/");
  EXPECT_EQ(running->append("t", std::string(40'000, 'v'), 0).code(), Errc::disk_failed) << "too large to be carried";
  world.run_for(std::chrono::seconds(1));
  EXPECT_EQ(running->append("t", "no", 2).code(), Errc::disk_failed);
  for (int p : {1, 3}) EXPECT_EQ(running->append("t", "two", p), Offset{1});
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(TwoDirectories, TheLastOneThatFailsIsTold) {
  first_life();
  auto running = start();
  break_syncs("commit-journal");
  EXPECT_FALSE(running->append("t", "lost", 0).ok());
  world.run_for(std::chrono::seconds(1));
  EXPECT_FALSE(running->fatal);
  EXPECT_FALSE(running->append("t", "lost", 1).ok());
  world.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(running->fatal);
  EXPECT_EQ(running->run(running->broker->create_topic({.name = "later"}, false)).code(), Errc::disk_failed);
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(TwoDirectories, OneThatDoesNotOpenIsServedAroundAndComesBack) {
  first_life();
  const std::string hidden = home_of(0);
  hide(hidden);
  auto running = start();
  ASSERT_TRUE(running->started.ok()) << running->started.error().message();
  EXPECT_EQ(running->append("t", "no", 0).code(), Errc::disk_failed);
  EXPECT_EQ(running->listed("t", 2).code(), Errc::disk_failed);
  EXPECT_EQ(running->append("t", "two", 1), Offset{1});
  ASSERT_TRUE(running->run(running->broker->create_topic({.name = "later", .partitions = 2}, false)).ok());
  EXPECT_EQ(running->append("later", "x", 0), Offset{0});
  EXPECT_TRUE(running->stop().ok());
  host.disk().heal();

  EXPECT_NE(home_of(0), hidden == "/a" ? "/b" : "/a") << "no empty twin";
  running = start();
  EXPECT_EQ(running->append("t", "two", 0), Offset{1});
  EXPECT_EQ(running->append("t", "three", 1), Offset{2});
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(TwoDirectories, WhatIsDeletedWhileItsDirectoryIsAwayGoesWhenThatComesBack) {
  first_life();
  const std::string hidden = home_of(0), seen = home_of(1);
  hide(hidden);
  auto running = start();
  TopicRef old = running->topic("t");
  ASSERT_TRUE(running->run(running->broker->delete_topic("t", old->id)).ok());
  EXPECT_FALSE(lies_in(seen, "t-1"));
  ASSERT_TRUE(running->run(running->broker->create_topic({.name = "t", .partitions = 1}, false)).ok());
  EXPECT_EQ(running->append("t", "new", 0), Offset{0});
  EXPECT_TRUE(running->stop().ok());
  running = start();  // the evidence outlives another start without it
  EXPECT_TRUE(running->stop().ok());
  host.disk().heal();
  EXPECT_TRUE(lies_in(hidden, "t-0"));

  running = start();
  EXPECT_FALSE(lies_in(hidden, "t-0"));
  EXPECT_FALSE(lies_in(hidden, "t-2"));
  EXPECT_EQ(running->append("t", "new", 0), Offset{1});
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(TwoDirectories, ADirectoryThatDoesNotSayWhoseItIsGetsNoTwin) {
  first_life();
  const std::string mine = home_of(0), other = mine == "/a" ? "/b" : "/a";
  {
    auto file = host.disk().open(mine + "/t-0/" + std::string(storage::kPartitionMetadataName), OpenMode::read_write);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->truncate(0).ok());
    ASSERT_TRUE((*file)->write_at(as_bytes("rubbish"), 0).ok());
  }
  // It is ours by its name, as it is without the file (and in Apache Kafka); the file is written again.
  auto running = start();
  EXPECT_EQ(running->append("t", "two", 0), Offset{1});
  EXPECT_FALSE(lies_in(other, "t-0"));
  EXPECT_TRUE(running->stop().ok());
  auto again = storage::read_partition_metadata(host.disk(), mine + "/t-0");
  EXPECT_TRUE(again.ok()) << again.error().message();
  ASSERT_TRUE(host.disk().remove(mine + "/t-0/" + std::string(storage::kPartitionMetadataName)).ok());
  running = start();
  EXPECT_EQ(running->append("t", "three", 0), Offset{2});
  EXPECT_FALSE(lies_in(other, "t-0"));
  EXPECT_TRUE(running->stop().ok());
}

// The metadata of a partition met a bad sector: its records are there all the same, and nowhere else.
TEST_F(TwoDirectories, ADirectoryWhoseMetadataCannotBeReadGetsNoTwin) {
  first_life();
  const std::string mine = home_of(0), other = mine == "/a" ? "/b" : "/a";
  for (std::uint64_t times : {std::uint64_t{1}, sim::Fault::kAlways}) {
    host.disk().add_fault({.op = sim::DiskOp::open, .path_contains = mine + "/t-0/partition.metadata", .times = times});
    auto running = start();
    if (times == 1) EXPECT_EQ(running->listed("t", 0), Offset{1}) << "it read when it was opened";
    if (times != 1) EXPECT_EQ(running->append("t", "no", 0).code(), Errc::disk_failed);
    EXPECT_FALSE(lies_in(other, "t-0"));
    EXPECT_TRUE(running->stop().ok());
    host.disk().heal();
  }
  auto running = start();
  EXPECT_EQ(running->append("t", "two", 0), Offset{1});
  EXPECT_TRUE(running->stop().ok());
}

TEST_F(TwoDirectories, ANameWhoseOldDataCouldNotBeMovedAwayIsFreeElsewhere) {
  first_life();
  const std::string bad = home_of(0), good = home_of(1);
  auto running = start();
  host.disk().add_fault({.op = sim::DiskOp::rename, .path_contains = bad + "/t-0"});
  ASSERT_TRUE(running->run(running->broker->delete_topic("t", running->topic("t")->id)).ok());
  auto made = running->run(running->broker->create_topic({.name = "t", .partitions = 2}, false));
  ASSERT_TRUE(made.ok()) << made.error().message();
  for (int p = 0; p < 2; ++p) {
    EXPECT_TRUE(lies_in(good, "t-" + std::to_string(p)));
    EXPECT_EQ(running->append("t", "new", p), Offset{0});
  }
  EXPECT_TRUE(running->stop().ok());
  EXPECT_TRUE(lies_in(bad, "t-0"));
  running = start();
  EXPECT_FALSE(lies_in(bad, "t-0")) << "the tombstone was kept";
  for (int p = 0; p < 2; ++p) EXPECT_EQ(running->listed("t", p), Offset{1});
  EXPECT_TRUE(running->stop().ok());
}

// Not the disk's fault, so the directory stays: the old data goes before the name is given out again.
TEST_F(TwoDirectories, ANameIsRefusedWhileItsOldDataIsThere) {
  first_life();
  auto running = start();
  host.disk().add_fault({.op = sim::DiskOp::rename,
                         .path_contains = "/t-",
                         .times = sim::Fault::kAlways,
                         .error = Errc::permission_denied});
  ASSERT_TRUE(running->run(running->broker->delete_topic("t", running->topic("t")->id)).ok());
  EXPECT_EQ(running->run(running->broker->create_topic({.name = "t", .partitions = 4}, false)).code(),
            Errc::disk_failed);
  host.disk().heal();
  auto made = running->run(running->broker->create_topic({.name = "t", .partitions = 4}, false));
  ASSERT_TRUE(made.ok()) << made.error().message();
  for (int p = 0; p < 4; ++p) EXPECT_EQ(running->append("t", "new", p), Offset{0});
  EXPECT_TRUE(running->stop().ok());
}

// A directory that no topic claims (whose metadata is lost, say) has the name: creating the topic fails, and takes
// nothing away.
TEST_F(TwoDirectories, AForeignDirectorySurvivesACreationOfItsName) {
  first_life();
  const std::string before = home_of(0);
  journal = std::make_shared<metastore::MemoryJournal>();
  const std::vector<std::string> one = {before};
  for (const DirEntry& entry : *host.disk().list("/"))
    if (entry.is_directory) (void)host.disk().remove("/" + entry.name + "/meta.properties");
  Running running(world, host.start(3), journal, one);
  ASSERT_TRUE(running.started.ok()) << running.started.error().message();
  EXPECT_EQ(running.run(running.broker->create_topic({.name = "t"}, false)).code(), Errc::disk_failed);
  EXPECT_EQ(running.topic("t"), nullptr);
  EXPECT_TRUE(lies_in(before, "t-0/00000000000000000000.log"));
  ASSERT_TRUE(running.run(running.broker->create_topic({.name = "u"}, false)).ok());
  EXPECT_TRUE(running.stop().ok());
}

// What a creation has left that failed before it wrote whose the directory is, in another directory than the partition.
TEST_F(TwoDirectories, WhatAFailedCreationLeftIsNotTakenForThePartition) {
  first_life();
  const std::string name = home_of(0) == "/b" ? "t-0" : "t-1";
  const int partition = name.back() - '0';
  ASSERT_TRUE(lies_in("/b", name));
  ASSERT_TRUE(host.disk().make_directories("/a/" + name).ok());
  {
    // Which of both it is cannot be read: about this process, so nothing is begun anew.
    host.disk().add_fault({.op = sim::DiskOp::open,
                           .path_contains = "/b/" + name + "/" + std::string(storage::kPartitionMetadataName),
                           .error = Errc::resource_exhausted});
    auto without = start();
    EXPECT_EQ(without->started.code(), Errc::resource_exhausted);
    EXPECT_FALSE(without->fatal);
    EXPECT_TRUE(without->stop().ok());
  }
  auto damage = [&] {
    auto file =
        host.disk().open("/b/" + name + "/" + std::string(storage::kPartitionMetadataName), OpenMode::read_write);
    ASSERT_TRUE(file.ok() && (*file)->write_at(as_bytes(std::string_view("?????????????????????????")), 0).ok());
  };
  damage();
  for (int life = 1; life <= 2; ++life) {
    auto running = start();
    ASSERT_TRUE(running->started.ok()) << running->started.error().message();
    EXPECT_EQ(running->append("t", "next", partition), Offset{life});
    EXPECT_TRUE(running->stop().ok());
  }
}

TEST_F(TwoDirectories, OneThatCannotBeClosedKeepsNoOtherFromBeingClean) {
  first_life();
  auto running = start();
  for (int p = 0; p < 4; ++p) EXPECT_EQ(running->append("t", "two", p), Offset{1});
  const std::string bad = home_of(0), good = home_of(1);
  break_syncs(bad + "/");
  EXPECT_FALSE(running->stop().ok());
  host.disk().heal();
  running = start();
  EXPECT_EQ(running->was_clean, (std::vector<bool>{good == "/a", good == "/b"}));
  for (int p = 0; p < 4; ++p) EXPECT_EQ(running->listed("t", p), Offset{2});
  EXPECT_TRUE(running->stop().ok());
}

}  // namespace
}  // namespace mr::broker
