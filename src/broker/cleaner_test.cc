// Aim: a compacted topic is compacted by itself, its readers find the newest value of each key, a restart goes on where
// it ended, a stop or a deletion in the middle of a pass is prompt and leaves nothing behind, and a power cut there
// takes nothing that was answered for. Method: a whole broker over a simulated disk and clock.
#include <gtest/gtest.h>

#include <map>

#include "broker/broker_fixture.h"
#include "model/record.h"

namespace mr::broker {
namespace {

using namespace std::chrono_literals;

const std::map<std::string, std::string> kCompacted = {
    {"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}, {"min.cleanable.dirty.ratio", "0.1"}};

struct Compacting : Running {
  using Running::Running;

  Task<Result<Offset>> append_task(TopicRef to, std::vector<std::byte> batch) {
    std::array<ProduceItem, 1> items;
    items[0].topic = to->id;
    items[0].partition = PartitionIndex{0};
    items[0].home = to->partition(PartitionIndex{0})->home;
    items[0].batch = batch;
    Produce produce(*broker, replication::Acks::all, true, kForever);
    co_await produce.append(items);
    co_await produce.committed();
    if (!items[0].outcome) co_return items[0].outcome.error().error;
    co_return items[0].outcome->base_offset;
  }
  /// `count` values over three keys; each begins with its offset.
  void write(int count, std::size_t bytes = 200'000) {
    for (int i = 0; i < count; ++i) {
      std::string key = "key " + std::to_string(number % 3);
      std::string value = std::to_string(number++) + " " + std::string(bytes, 'v');
      BatchBuilder builder;
      builder.add({.timestamp = 1'000, .key = as_bytes(key), .value = as_bytes(value)});
      auto done = run(append_task(topic("t"), builder.build().value()));
      ASSERT_TRUE(done.ok()) << done.error().message();
      newest[key] = value.substr(0, value.find(' '));
    }
  }
  PartitionRef partition() {
    TopicRef of = topic("t");
    return broker->shard(of->partition(PartitionIndex{0})->home).find(of->id, PartitionIndex{0});
  }
  std::uint64_t passes() {
    std::uint64_t sum = 0;
    for (std::uint32_t s = 0; s < broker->shards().count(); ++s) sum += broker->shard(ShardId{s}).compaction.passes;
    return sum;
  }
  /// Newest value of each key, and how many records there are.
  std::pair<std::map<std::string, std::string>, int> read_all() {
    std::pair<std::map<std::string, std::string>, int> found;
    PartitionRef of = partition();
    Offset at = of->log_start();
    while (at < of->high_watermark()) {
      auto read = of->read(at, of->high_watermark(), 1 << 20, true);
      MR_CHECK(read.ok() && read->bytes > 0);
      std::vector<std::byte> bytes(read->fragments[0].length);
      MR_CHECK(read->fragments[0].file->read_at(bytes, read->fragments[0].position).ok());
      BatchReader in(bytes);
      for (BatchView batch; in.next(batch);) {
        at = batch.header.next_offset();
        RecordReader records(batch.records(), batch.header.records_count);
        for (Record record; records.next(record); ++found.second) {
          std::string value(as_text(*record.value).substr(0, as_text(*record.value).find(' ')));
          EXPECT_EQ(value, std::to_string(batch.header.base_offset + record.offset_delta));
          found.first[std::string(as_text(*record.key))] = value;
        }
      }
    }
    return found;
  }

  int number = 0;
  std::map<std::string, std::string> newest;
};

TEST(Cleaner, CompactsByItselfAndGoesOnAfterARestart) {
  sim::World world({.seed = 21});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  Offset cleaned;
  {
    Compacting first(world, host.start(2), journal);
    ASSERT_TRUE(first.run(first.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
    first.write(16);
    world.run_until([&] { return first.passes() > 0; }, 60s);
    EXPECT_EQ(first.passes(), 1u);
    auto [values, count] = first.read_all();
    EXPECT_EQ(values, first.newest);
    EXPECT_LE(count, 3 + 5) << "one of each key, and what is in the active segment";
    EXPECT_EQ(first.partition()->high_watermark(), Offset{16});
    cleaned = first.partition()->log().cleaned_end();
    EXPECT_GT(cleaned, Offset{8});
    EXPECT_TRUE(first.stop().ok());
  }
  Compacting again(world, host.start(2), journal);
  EXPECT_EQ(again.partition()->log().cleaned_end(), cleaned) << "the checkpoint";
  EXPECT_EQ(again.read_all().first.size(), 3u);
  EXPECT_TRUE(again.stop().ok());
}

// The rate is so low that a pass takes minutes.
TEST(Cleaner, StopAndDeletionDoNotWaitForAPass) {
  for (bool deletion : {false, true}) {
    sim::World world({.seed = 22});
    sim::Host& host = world.add_host("b");
    auto journal = std::make_shared<metastore::MemoryJournal>();
    std::vector<config::SettingInput> slow(1);
    slow[0].name = "log.cleaner.io.max.bytes.per.second";
    slow[0].value = "10000";
    Compacting running(world, host.start(2), journal, {"/data"}, slow);
    ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
    running.write(16);
    TopicRef of = running.topic("t");
    auto busy = [&] {
      std::uint64_t read = 0;
      for (std::uint32_t s = 0; s < 2; ++s) read += running.broker->shard(ShardId{s}).compaction.bytes_read;
      return read > 0;
    };
    world.run_until(busy, 60s);
    EXPECT_TRUE(busy());
    EXPECT_EQ(running.passes(), 0u);
    if (deletion) {
      EXPECT_TRUE(running.run(running.broker->delete_topic("t", of->id)).ok());
      auto left = host.disk().list("/data");
      ASSERT_TRUE(left.ok());
      for (const DirEntry& entry : *left) EXPECT_FALSE(entry.name.starts_with("t-0")) << entry.name;
    }
    EXPECT_TRUE(running.stop().ok());
    if (deletion) continue;
    auto left = host.disk().list("/data/t-0");
    ASSERT_TRUE(left.ok());
    for (const DirEntry& entry : *left) EXPECT_FALSE(entry.name.ends_with(".cleaned")) << entry.name;
  }
}

// Large values go to their own files, small ones are carried by the commit journal, which outlives the cut.
TEST(Cleaner, PowerCutsInPassesTakeNothing) {
  int in_a_pass = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    sim::World world({.seed = seed});
    sim::Host& host = world.add_host("b");
    auto journal = std::make_shared<metastore::MemoryJournal>();
    int number = 0;
    std::map<std::string, std::string> newest;
    for (int life = 0; life < 3; ++life) {
      Compacting running(world, host.start(2), journal);
      ASSERT_TRUE(running.started.ok()) << running.started.error().message();
      if (life == 0)
        ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
      EXPECT_EQ(running.partition()->high_watermark(), Offset{number});
      EXPECT_EQ(running.read_all().first, newest);
      running.number = number;
      running.newest = newest;
      running.write(11);
      running.write(9, 300);
      if (life == 2) {
        world.run_until([&] { return running.passes() > 0; }, 60s);
        EXPECT_GT(running.passes(), 0u);
        EXPECT_EQ(running.read_all().first, running.newest);
        EXPECT_TRUE(running.stop().ok());
        break;
      }
      number = running.number;
      newest = running.newest;
      host.disk().crash_after(world.rng().between(1, 50), sim::CrashMode::random);
      world.run_until([&] { return host.disk().crashed() || running.passes() > 0; }, 60s);
      if (host.disk().crashed()) {
        ++in_a_pass;
        host.finish_crash();
      } else {
        host.disk().crash_after(0, sim::CrashMode::random);
        host.crash(sim::CrashMode::random);
      }
      (void)running.stop();
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(in_a_pass, 20);
}

// Names may want room too: before the new file counts it is withdrawn, afterwards the names are tried again.
TEST(Cleaner, FullDiskBetweenNames) {
  for (bool published : {false, true}) {
    sim::World world({.seed = 24});
    sim::Host& host = world.add_host("b");
    auto journal = std::make_shared<metastore::MemoryJournal>();
    Compacting running(world, host.start(1), journal);
    ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
    running.write(16);
    host.disk().add_fault({.op = sim::DiskOp::rename,
                           .path_contains = published ? ".log.swap" : ".log.cleaned",
                           .error = Errc::disk_full});
    world.run_until([&] { return running.passes() > 0; }, 60s);
    EXPECT_EQ(running.passes(), 1u);
    EXPECT_EQ(running.broker->shard(ShardId{0}).compaction.failures, published ? 0u : 1u);
    EXPECT_EQ(world.probes().count(published ? "compaction_names_wait" : "compaction_withdrawn"), 1u);
    EXPECT_EQ(running.read_all().first, running.newest);
    EXPECT_TRUE(running.stop().ok());
    auto left = host.disk().list("/data/t-0");
    ASSERT_TRUE(left.ok());
    for (const DirEntry& entry : *left)
      EXPECT_FALSE(entry.name.ends_with(".cleaned") || entry.name.ends_with(".swap")) << entry.name;
  }
}

// A pass that runs out of memory is given up like one on a full disk: the next look tries again, and a stop ends.
TEST(Cleaner, NoMemoryEndsAPassAndNothingElse) {
  for (std::string_view where : {".log.cleaned", ".log.swap"}) {
    for (sim::DiskOp op : {sim::DiskOp::create, sim::DiskOp::write, sim::DiskOp::rename}) {
      SCOPED_TRACE(std::string(where) + std::to_string(static_cast<int>(op)));
      const bool of_names = op == sim::DiskOp::rename;
      if (where == ".log.swap" && !of_names) continue;
      sim::World world({.seed = 25});
      sim::Host& host = world.add_host("b");
      auto journal = std::make_shared<metastore::MemoryJournal>();
      Compacting running(world, host.start(1), journal);
      ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
      running.write(16);
      sim::Fault fault{.kind = sim::Fault::Kind::out_of_memory, .op = op};
      fault.path_contains = where;
      host.disk().add_fault(fault);
      world.run_until([&] { return host.disk().faults_fired() > 0; }, 60s);
      EXPECT_EQ(running.passes(), 0u);
      world.run_until([&] { return running.passes() > 0; }, 60s);
      EXPECT_EQ(running.passes(), 1u);
      EXPECT_EQ(running.broker->shard(ShardId{0}).compaction.failures, where == ".log.swap" ? 0u : 1u);
      EXPECT_EQ(running.read_all().first, running.newest);
      EXPECT_TRUE(running.stop().ok());
    }
  }
}

// What throws on the shard itself: the look at what is dirty reads there.
TEST(Cleaner, AnExceptionEndsARoundAndNotTheCleaner) {
  sim::World world({.seed = 26});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  Compacting running(world, host.start(1), journal);
  auto configs = kCompacted;
  configs["max.compaction.lag.ms"] = "86400000";
  ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = configs}, false)).ok());
  running.write(16);
  host.disk().add_fault({.kind = sim::Fault::Kind::out_of_memory, .op = sim::DiskOp::read, .path_contains = "t-0/"});
  world.run_until([&] { return running.passes() > 0; }, 60s);
  EXPECT_EQ(host.disk().faults_fired(), 1u);
  EXPECT_EQ(running.broker->shard(ShardId{0}).compaction.failures, 1u);
  EXPECT_EQ(running.passes(), 1u);
  EXPECT_TRUE(running.stop().ok());
}

// What a failed pass had put in place counts, too.
TEST(Cleaner, CountsEveryRecordThatItRemoves) {
  sim::World world({.seed = 27});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  Compacting running(world, host.start(1), journal);
  ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
  running.write(16);
  const replication::CompactionStats& stats = running.broker->shard(ShardId{0}).compaction;
  host.disk().add_fault({.op = sim::DiskOp::create, .path_contains = "05.log.cleaned", .error = Errc::disk_full});
  world.run_until([&] { return stats.failures > 0; }, 60s);
  EXPECT_EQ(stats.records_removed, 16u - static_cast<unsigned>(running.read_all().second));
  EXPECT_GT(stats.records_removed, 0u);
  world.run_until([&] { return stats.passes > 0; }, 60s);
  EXPECT_EQ(stats.records_removed, 16u - static_cast<unsigned>(running.read_all().second));
  EXPECT_TRUE(running.stop().ok());
}

// A bad read of a good segment: read again, told, and compacted.
TEST(Cleaner, WhatTheDeviceHasRightIsNotDamage) {
  sim::World world({.seed = 28});
  sim::Host& host = world.add_host("b");
  Compacting running(world, host.start(1), std::make_shared<metastore::MemoryJournal>());
  ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
  running.write(16);
  host.disk().add_fault({.kind = sim::Fault::Kind::flip_bit, .op = sim::DiskOp::read, .path_contains = "05.log"});
  world.run_until([&] { return running.passes() > 0; }, 60s);
  EXPECT_EQ(host.disk().faults_fired(), 1u);
  const replication::CompactionStats& stats = running.broker->shard(ShardId{0}).compaction;
  EXPECT_EQ(stats.healed, 1u);
  EXPECT_EQ(stats.failures + stats.segments_left_alone, 0u);
  EXPECT_EQ(running.read_all().first, running.newest);
  EXPECT_TRUE(running.stop().ok());
}

// Damage in a sealed segment: it is left alone, told once, and the rest is compacted.
TEST(Cleaner, DamageIsLeftAlone) {
  sim::World world({.seed = 23});
  sim::Host& host = world.add_host("b");
  auto journal = std::make_shared<metastore::MemoryJournal>();
  Compacting running(world, host.start(1), journal);
  ASSERT_TRUE(running.run(running.broker->create_topic({.name = "t", .configs = kCompacted}, false)).ok());
  running.write(16);
  auto size = [&] {
    auto file = host.disk().open("/data/t-0/00000000000000000005.log", OpenMode::read);
    return file.ok() ? *(*file)->size() : 0;
  };
  std::uint64_t before = size();
  EXPECT_GT(before, 0u);
  host.disk().flip_bit("/data/t-0/00000000000000000005.log", 300'000, 2);
  world.run_until([&] { return running.passes() > 0; }, 60s);
  EXPECT_EQ(running.passes(), 1u);
  const replication::CompactionStats& stats = running.broker->shard(ShardId{0}).compaction;
  EXPECT_EQ(stats.segments_left_alone, 1u);
  EXPECT_EQ(stats.failures, 1u);
  EXPECT_EQ(size(), before) << "as it was";
  EXPECT_GT(running.partition()->log().cleaned_end(), Offset{5});
  EXPECT_TRUE(running.stop().ok());
  Compacting again(world, host.start(1), journal);
  EXPECT_EQ(again.partition()->log().cleaned_end(), Offset{5}) << "in another life it may read";
  EXPECT_TRUE(again.stop().ok());
}

}  // namespace
}  // namespace mr::broker
