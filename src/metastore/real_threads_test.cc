// Aim: the production wiring (shard threads, a one-thread pool of its own, SQLite) loses no change and shares no state
// between threads unlocked (the thread sanitizer looks). Method: two shards write at once; then the file is read again.
#include <gtest/gtest.h>

#include <cstdio>

#include "metastore/cluster_state.h"
#include "metastore/metastore_fixture.h"

namespace mr::metastore {
namespace {

constexpr int kWrites = 100;
constexpr int kPartitions = 2000;

Task<int> write_some(Metastore& store, std::string prefix) {
  int done = 0;
  for (int i = 0; i < kWrites; ++i) {
    Transaction t;
    t.success = {Put{prefix + std::to_string(i), "value"}};
    Result<TransactionResult> result = co_await store.transact(std::move(t));
    done += result.ok();
  }
  co_return done;
}

Task<int> both_shards(RealHost& host, OffloadPool& pool, const std::string& path) {
  auto opened = co_await LocalMetastore::open(host.shards(), ShardId{0}, pool, make_sqlite_journal(path));
  if (!opened.ok()) co_return 1;
  LocalMetastore& store = **opened;
  auto watch = co_await store.watch({.key = "other/", .range_end = prefix_end("other/")});
  int there = 0;
  Scope scope(host.env(ShardId{0}).executor);
  auto run = [](Shards& shards, Metastore& metadata, int& into) -> Task<void> {
    auto fn = [&metadata] { return write_some(metadata, "other/"); };
    into = co_await shards.call(ShardId{1}, std::move(fn));
  };
  scope.spawn("other", run(host.shards(), store, there));
  const int here = co_await write_some(store, "mine/");
  co_await scope.drained();
  std::size_t seen = 0;
  while (seen < kWrites) {
    auto batch = co_await (*watch)->next();
    if (!batch.ok()) co_return 2;
    seen += batch->events.size();
  }
  watch->reset();

  ClusterState state(store);
  TopicRecord topic{.name = "t", .id = TopicId{Uuid{1, 1}}};
  std::vector<ClusterState::EpochBump> bumps;
  for (int i = 0; i < kPartitions; ++i) {
    topic.partitions.push_back({PartitionIndex{i}, BrokerId{1}, LeaderEpoch{0}, {BrokerId{1}}, {BrokerId{1}}});
    bumps.push_back({"t", PartitionIndex{i}, LeaderEpoch{0}});
  }
  const TimePoint before = host.env(ShardId{0}).now();
  auto created = co_await state.create_topic(topic);
  const TimePoint middle = host.env(ShardId{0}).now();
  auto bumped = co_await state.bump_epochs(bumps);
  const TimePoint after = host.env(ShardId{0}).now();
  std::printf("%d partitions: created in %.1f ms, epochs bumped in %.1f ms\n", kPartitions,
              static_cast<double>((middle - before).count()) / 1e6,
              static_cast<double>((after - middle).count()) / 1e6);
  co_await store.stop();
  if (!created.ok() || !bumped.ok()) co_return 3;
  co_return here == kWrites&& there == kWrites&& seen == kWrites ? 0 : 4;
}

TEST(RealThreads, TwoShardsWriteAtOnce) {
  TemporaryDirectory directory;
  const auto path = directory.file("metadata.db");
  auto pool = make_offload_pool("metadata", 1);
  RealHost host({.shards = 2});
  EXPECT_EQ(host.run([&](RealHost& h) { return both_shards(h, *pool, path); }), 0);
  auto snapshot = make_sqlite_journal(path)->load();
  ASSERT_TRUE(snapshot.ok());
  EXPECT_EQ(snapshot->items.size(), 2u * kWrites + kPartitions + 2);
}

}  // namespace
}  // namespace mr::metastore
