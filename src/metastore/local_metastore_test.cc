// Aim: what the store does when its journal fails: a full disk heals, anything else ends writing but not reading, and
// callers hear which of the two it was. Method: a journal that fails when told to.
#include "metastore/local_metastore.h"

#include <gtest/gtest.h>

#include "sim/world.h"

namespace mr::metastore {
namespace {

class FailingJournal final : public MemoryJournal {
 public:
  Result<void> commit(const Change& change) override {
    if (fail_with) return Error(*fail_with, "told to");
    return MemoryJournal::commit(change);
  }
  std::optional<Errc> fail_with;
};

class LocalMetastoreTest : public testing::Test {
 protected:
  LocalMetastoreTest() {
    auto opened = world.run(process, ShardId{0},
                            LocalMetastore::open(process, ShardId{0}, process.env(ShardId{0}).pool, journal));
    store = std::move(*opened);
  }
  ~LocalMetastoreTest() override { world.run(process, ShardId{0}, store->stop()); }

  Errc put(const std::string& key) {
    auto result = world.run(process, ShardId{0}, store->transact({{}, {Put{key, ""}}, {}}));
    return result.ok() ? Errc{} : result.code();
  }
  std::int64_t count() {
    RangeRequest all{.key = "a", .range_end = "z"};
    return world.run(process, ShardId{0}, store->range(std::move(all)))->count;
  }

  sim::World world{{.seed = 3}};
  sim::Process& process = world.add_host("b").start(1);
  std::shared_ptr<FailingJournal> journal = std::make_shared<FailingJournal>();
  std::unique_ptr<LocalMetastore> store;
};

TEST_F(LocalMetastoreTest, AFullDiskHeals) {
  journal->fail_with = Errc::disk_full;
  EXPECT_EQ(put("a"), Errc::disk_full);
  EXPECT_EQ(count(), 0);
  journal->fail_with.reset();
  EXPECT_EQ(put("b"), Errc{});
  EXPECT_EQ(count(), 1);
}

TEST_F(LocalMetastoreTest, AFailedCommitIsUnknownAndEndsWriting) {
  ASSERT_EQ(put("a"), Errc{});
  journal->fail_with = Errc::io_error;
  EXPECT_EQ(put("b"), Errc::unknown_outcome);
  journal->fail_with.reset();
  EXPECT_EQ(put("c"), Errc::disk_failed);
  EXPECT_EQ(count(), 1);
}

TEST_F(LocalMetastoreTest, ExpiryWaitsForTheDisk) {
  auto lease = world.run(process, ShardId{0}, store->grant(Millis(100)));
  ASSERT_TRUE(lease.ok());
  auto attached = world.run(process, ShardId{0}, store->transact({{}, {Put{"k", "", lease->id}}, {}}));
  ASSERT_TRUE(attached.ok());
  journal->fail_with = Errc::disk_full;
  world.run_for(Millis(3000));
  EXPECT_EQ(count(), 1);
  journal->fail_with.reset();
  world.run_for(Millis(3000));
  EXPECT_EQ(count(), 0);
}

}  // namespace
}  // namespace mr::metastore
