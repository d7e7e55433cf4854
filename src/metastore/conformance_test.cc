// Aim: every implementation of Metastore keeps the contract of metastore.h. Method: one suite, run against memory,
// SQLite, and memory behind delays, on a simulated broker; calls cross from another shard.
#include <gmock/gmock.h>

#include "metastore/metastore_fixture.h"

namespace mr::metastore {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class Conformance : public testing::TestWithParam<Kind> {
 protected:
  Result<TransactionResult> write(std::vector<Operation> operations, std::vector<Compare> compares = {}) {
    return stage.run(stage.store().transact({std::move(compares), std::move(operations), {}}));
  }
  void put(const std::string& key, const std::string& value, LeaseId lease = {}) {
    auto result = write({Put{key, value, lease}});
    ASSERT_TRUE(result.ok()) << result.error().message();
  }
  RangeResult range(RangeRequest request) {
    auto result = stage.run(stage.store().range(std::move(request)));
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message());
    return result.ok() ? *result : RangeResult{};
  }
  std::optional<KeyValue> get(const std::string& key) {
    auto result = range({.key = key});
    return result.items.empty() ? std::nullopt : std::optional(result.items.front());
  }
  std::vector<std::string> keys(RangeRequest request) {
    std::vector<std::string> found;
    for (const auto& kv : range(std::move(request)).items) found.push_back(kv.key);
    return found;
  }
  LeaseId grant(Millis ttl) {
    auto lease = stage.run(stage.store().grant(ttl));
    EXPECT_TRUE(lease.ok());
    return lease->id;
  }

  Stage stage{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(All, Conformance, testing::Values(Kind::memory, Kind::sqlite, Kind::unruly),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Conformance, RevisionsAndVersionsCountAsInEtcd) {
  put("a", "1");
  put("b", "1");
  put("a", "2");
  EXPECT_EQ(get("a"), (KeyValue{"a", "2", Revision{1}, Revision{3}, 2, {}}));
  EXPECT_EQ(get("b"), (KeyValue{"b", "1", Revision{2}, Revision{2}, 1, {}}));
  ASSERT_TRUE(write({Delete{"a", ""}}).ok());
  EXPECT_EQ(get("a"), std::nullopt);
  put("a", "3");
  EXPECT_EQ(get("a"), (KeyValue{"a", "3", Revision{5}, Revision{5}, 1, {}}));
  // Deleting nothing changes nothing.
  EXPECT_EQ(write({Delete{"z", ""}})->revision, Revision{5});
  EXPECT_EQ(range({.key = "z"}).revision, Revision{5});
}

TEST_P(Conformance, RangesHaveEndsLimitsAndCounts) {
  ASSERT_TRUE(write({Put{"p/1", ""}, Put{"p/2", ""}, Put{"p/3", ""}, Put{"q", ""}, Put{"o", ""}}).ok());
  EXPECT_THAT(keys({.key = "p/", .range_end = prefix_end("p/")}), ElementsAre("p/1", "p/2", "p/3"));
  EXPECT_THAT(keys({.key = "p/2", .range_end = "q"}), ElementsAre("p/2", "p/3"));
  EXPECT_THAT(keys({.key = "p/3", .range_end = std::string(1, '\0')}), ElementsAre("p/3", "q"));
  EXPECT_THAT(keys({.key = "p/"}), IsEmpty());
  auto cut = range({.key = "p/", .range_end = prefix_end("p/"), .limit = 2});
  EXPECT_EQ(cut.items.size(), 2u);
  EXPECT_EQ(cut.count, 3);
  EXPECT_TRUE(cut.more);
  EXPECT_FALSE(range({.key = "p/", .range_end = prefix_end("p/"), .limit = 3}).more);
  EXPECT_EQ(prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(prefix_end("\xff"), std::string(1, '\0'));
}

TEST_P(Conformance, GuardsDecideTheBranch) {
  put("k", "m");  // revision 1
  put("k", "n");  // revision 2, version 2
  using Target = Compare::Target;
  using Relation = Compare::Relation;
  const std::pair<Compare, bool> cases[] = {
      {Compare::absent("k"), false},
      {Compare::absent("other"), true},
      {{"k", Target::version, Relation::equal, 2}, true},
      {{"k", Target::version, Relation::greater, 2}, false},
      {{"k", Target::create_revision, Relation::equal, 1}, true},
      {{"k", Target::create_revision, Relation::less, 1}, false},
      {{"k", Target::mod_revision, Relation::not_equal, 2}, false},
      {{"k", Target::mod_revision, Relation::greater, 1}, true},
      {{"k", Target::value, Relation::equal, 0, "n"}, true},
      {{"k", Target::value, Relation::less, 0, "m"}, false},
  };
  for (const auto& [guard, expected] : cases) {
    Transaction t{{guard}, {RangeRequest{.key = "k"}}, {}};
    auto result = stage.run(stage.store().transact(std::move(t)));
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->succeeded, expected);
    EXPECT_EQ(result->results.size(), expected ? 1u : 0u);
  }
  Transaction both{{Compare::absent("new"), Compare::absent("k")}, {Put{"new", "1"}}, {Put{"refused", "1"}}};
  EXPECT_FALSE(stage.run(stage.store().transact(std::move(both)))->succeeded);
  EXPECT_EQ(get("new"), std::nullopt);
  EXPECT_NE(get("refused"), std::nullopt);
}

TEST_P(Conformance, OperationsOfOneTransactionSeeEachOther) {
  put("x/1", "");
  auto result = write({Put{"x/2", "v"}, RangeRequest{.key = "x/", .range_end = "x0"}, Delete{"x/1", ""},
                       RangeRequest{.key = "x/", .range_end = "x0"}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(std::get<RangeResult>(result->results[1]).items.size(), 2u);
  EXPECT_EQ(std::get<DeleteResult>(result->results[2]).deleted, 1);
  EXPECT_EQ(std::get<RangeResult>(result->results[3]).items.size(), 1u);
  EXPECT_EQ(result->revision, Revision{2});
  EXPECT_EQ(get("x/2")->mod_revision, Revision{2});
}

TEST_P(Conformance, LimitsOfEtcdHoldAndARefusalChangesNothing) {
  std::vector<Operation> many;
  for (std::size_t i = 0; i <= kOperationsMax; ++i) many.push_back(Put{"k" + std::to_string(i), ""});
  EXPECT_EQ(write(many).code(), Errc::too_large);
  many.pop_back();
  EXPECT_TRUE(write(many).ok());
  std::vector<Compare> guards(kOperationsMax + 1, Compare::absent("none"));
  EXPECT_EQ(write({Put{"a", ""}}, guards).code(), Errc::too_large);
  EXPECT_EQ(write({Put{"a", std::string(kRequestBytesMax, 'x')}}).code(), Errc::too_large);
  EXPECT_TRUE(write({Put{"a", std::string(kRequestBytesMax - 1, 'x')}}).ok());
  EXPECT_EQ(write({Put{"b", "1"}, Put{"b", "2"}}).code(), Errc::invalid_argument);
  EXPECT_EQ(write({Put{"b", "1"}, Delete{"a", "c"}}).code(), Errc::invalid_argument);
  EXPECT_EQ(write({Put{"", "1"}}).code(), Errc::invalid_argument);
  EXPECT_EQ(write({Put{"c", ""}, Put{"b", "", LeaseId{12345}}}).code(), Errc::not_found);
  EXPECT_THAT(keys({.key = "b", .range_end = "d"}), IsEmpty());
  EXPECT_EQ(range({.key = "a"}).revision, Revision{2});
}

TEST_P(Conformance, OldRevisionsCanBeReadUntilCompacted) {
  put("a", "1");
  put("b", "1");
  put("a", "2");
  ASSERT_TRUE(write({Delete{"b", ""}}).ok());
  EXPECT_EQ(range({.key = "a", .revision = Revision{2}}).items.at(0).value, "1");
  EXPECT_THAT(keys({.key = "a", .range_end = "c", .revision = Revision{1}}), ElementsAre("a"));
  EXPECT_THAT(keys({.key = "a", .range_end = "c", .revision = Revision{3}}), ElementsAre("a", "b"));
  EXPECT_THAT(keys({.key = "a", .range_end = "c"}), ElementsAre("a"));
  auto at = [&](std::int64_t revision) {
    return stage.run(stage.store().range({.key = "a", .revision = Revision{revision}}));
  };
  EXPECT_EQ(at(5).code(), Errc::invalid_argument);
  ASSERT_TRUE(stage.run(stage.store().compact(Revision{3})).ok());
  EXPECT_EQ(at(2).code(), Errc::not_found);
  EXPECT_EQ(at(3)->items.at(0).value, "2");
  EXPECT_EQ(stage.run(stage.store().compact(Revision{3})).code(), Errc::not_found);
  EXPECT_EQ(stage.run(stage.store().compact(Revision{9})).code(), Errc::invalid_argument);
}

TEST_P(Conformance, KeysLiveAsLongAsTheirLease) {
  const LeaseId lease = grant(seconds(10));
  put("l/1", "", lease);
  put("l/2", "", lease);
  put("l/3", "", lease);
  put("l/3", "kept");  // no longer attached
  const auto before = range({.key = "l/3"}).revision;
  for (int i = 0; i < 4; ++i) {
    stage.world.run_for(seconds(7));
    EXPECT_EQ(stage.run(stage.store().keep_alive(lease)).value(), seconds(10));
  }
  EXPECT_EQ(keys({.key = "l/", .range_end = "l0"}).size(), 3u);
  stage.world.run_for(seconds(11));
  EXPECT_THAT(keys({.key = "l/", .range_end = "l0"}), ElementsAre("l/3"));
  EXPECT_EQ(range({.key = "l/3"}).revision.v, before.v + 1);  // both at one revision
  EXPECT_EQ(stage.run(stage.store().keep_alive(lease)).code(), Errc::not_found);
  EXPECT_EQ(write({Put{"l/4", "", lease}}).code(), Errc::not_found);
}

TEST_P(Conformance, RevokedLeasesTakeTheirKeys) {
  const LeaseId lease = grant(seconds(10));
  const LeaseId other = grant(seconds(1000));
  put("l/1", "", lease);
  put("l/2", "", other);
  ASSERT_TRUE(stage.run(stage.store().revoke(lease)).ok());
  EXPECT_THAT(keys({.key = "l/", .range_end = "l0"}), ElementsAre("l/2"));
  EXPECT_EQ(stage.run(stage.store().revoke(lease)).code(), Errc::not_found);
  EXPECT_EQ(stage.run(stage.store().grant(Millis(0))).code(), Errc::invalid_argument);
}

TEST_P(Conformance, WatchTellsEveryChangeOnceInOrder) {
  put("w/0", "");
  put("other", "");
  put("w/1", "a");
  WatchRequest request{.key = "w/", .range_end = "w0", .start = Revision{2}};
  auto watch = stage.run(stage.store().watch(request));
  ASSERT_TRUE(watch.ok());
  auto first = stage.run((*watch)->next());
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->events.size(), 1u);
  EXPECT_EQ(first->events[0].kv.key, "w/1");
  EXPECT_EQ(first->events[0].previous, std::nullopt);

  ASSERT_TRUE(write({Put{"w/1", "b"}, Delete{"w/0", ""}}).ok());
  auto second = stage.run((*watch)->next());
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->events.size(), 2u);
  EXPECT_EQ(second->events[0].previous->value, "a");
  EXPECT_TRUE(second->events[1].removed);
  EXPECT_EQ(second->events[1].kv.mod_revision, Revision{4});

  put("other", "again");  // of no interest
  EXPECT_EQ(stage.run((*watch)->next(stage.world.now() + seconds(3))).code(), Errc::timed_out);
}

Task<Result<TransactionResult>> put_later(Metastore& store, Env& env, std::string key, Duration after) {
  (void)co_await sleep_until(env.now() + after);
  Transaction t;
  t.success = {Put{std::move(key), ""}};
  co_return co_await store.transact(std::move(t));
}
Task<void> ignore(Task<Result<TransactionResult>> task) { (void)co_await std::move(task); }

TEST_P(Conformance, WaitingWatchWakesForAChangeOfAnotherShard) {
  auto watch = stage.run(stage.store().watch({.key = "w"}));
  ASSERT_TRUE(watch.ok());
  Env& env = stage.process().env(ShardId{0});
  stage.process().spawn(ShardId{0}, "put", ignore(put_later(stage.store(), env, "other", seconds(1))));
  stage.process().spawn(ShardId{0}, "put", ignore(put_later(stage.store(), env, "w", seconds(2))));
  auto batch = stage.run((*watch)->next());
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->events.at(0).kv.key, "w");
  stage.world.run_for(seconds(1));  // the put's own answer
}

TEST_P(Conformance, WatchOfACompactedRevisionSaysSo) {
  put("w", "1");
  auto watch = stage.run(stage.store().watch({.key = "w", .start = Revision{1}}));
  put("w", "2");
  put("w", "3");
  ASSERT_TRUE(stage.run(stage.store().compact(Revision{2})).ok());
  EXPECT_EQ(stage.run((*watch)->next()).code(), Errc::not_found);
  EXPECT_EQ(stage.run(stage.store().watch({.key = "w", .start = Revision{2}})).code(), Errc::not_found);
  auto later = stage.run(stage.store().watch({.key = "w", .start = Revision{3}}));
  EXPECT_EQ(stage.run((*later)->next())->events.at(0).kv.value, "3");
}

TEST_P(Conformance, HistoryIsBounded) {
  std::vector<Operation> many;
  for (std::size_t i = 0; i < kOperationsMax; ++i) many.push_back(Put{"k" + std::to_string(i), ""});
  for (std::size_t i = 0; i < State::kHistoryMax / kOperationsMax + 2; ++i) ASSERT_TRUE(write(many).ok());
  EXPECT_EQ(stage.run(stage.store().range({.key = "k1", .revision = Revision{1}})).code(), Errc::not_found);
}

TEST_P(Conformance, EverythingAnsweredSurvivesARestart) {
  const LeaseId lease = grant(seconds(10));
  put("leased", "", lease);
  put("a", "1");
  put("a", std::string("\0\xff\n", 3));
  put("b", "");
  ASSERT_TRUE(write({Delete{"b", ""}}).ok());
  const auto before = range({.key = "", .range_end = std::string(1, '\0')});
  stage.reopen();
  const auto after = range({.key = "", .range_end = std::string(1, '\0')});
  EXPECT_EQ(before.items, after.items);
  EXPECT_EQ(before.revision, after.revision);
  // What was watched must be read again: history does not outlive the process.
  EXPECT_EQ(stage.run(stage.store().watch({.key = "a", .start = Revision{2}})).code(), Errc::not_found);
  put("c", "");
  EXPECT_EQ(get("c")->mod_revision.v, before.revision.v + 1);
  // The lease has its whole time again, then goes.
  stage.world.run_for(seconds(8));
  EXPECT_NE(get("leased"), std::nullopt);
  stage.world.run_for(seconds(3));
  EXPECT_EQ(get("leased"), std::nullopt);
  stage.reopen();
  EXPECT_EQ(get("leased"), std::nullopt);
  EXPECT_EQ(stage.run(stage.store().keep_alive(lease)).code(), Errc::not_found);
}

TEST_P(Conformance, StoppedStoreRefusesAndWakesWatches) {
  auto watch = stage.run(stage.store().watch({.key = "w"}));
  stage.world.run(stage.process(), ShardId{0}, stage.local().stop());
  EXPECT_EQ(stage.run((*watch)->next()).code(), Errc::shutting_down);
  EXPECT_EQ(write({Put{"a", ""}}).code(), Errc::shutting_down);
  EXPECT_EQ(stage.run(stage.store().range({.key = "a"})).code(), Errc::shutting_down);
}

/// A plain map that does what a few random transactions do.
struct Model {
  std::map<std::string, std::string> items;
  std::int64_t revision = 0;
};

TEST_P(Conformance, RandomTransactionsMatchAPlainMap) {
  sim::Random rng(77);
  Model model;
  auto key = [&] { return "k" + std::to_string(rng.below(12)); };
  for (int round = 0; round < 150; ++round) {
    const auto guarded = key();
    const bool want_absent = rng.below(2) == 0;
    Transaction t;
    t.compares.push_back(Compare::absent(guarded));
    if (!want_absent) t.compares[0].relation = Compare::Relation::greater;
    const bool holds = model.items.contains(guarded) != want_absent;
    auto& branch = holds ? t.success : t.failure;
    const auto value = std::to_string(round);
    if (rng.below(3) == 0) {
      auto from = key(), end = key();
      if (end < from) std::swap(from, end);
      branch.push_back(Delete{from, end + "0"});
      const auto erased =
          std::erase_if(model.items, [&](auto& kv) { return kv.first >= from && kv.first < end + "0"; });
      model.revision += erased > 0;
    } else {
      const auto target = key();
      branch.push_back(Put{target, value});
      model.items[target] = value;
      ++model.revision;
    }
    auto result = stage.run(stage.store().transact(std::move(t)));
    ASSERT_TRUE(result.ok());
    ASSERT_EQ(result->succeeded, holds);
    ASSERT_EQ(result->revision.v, model.revision);
    if (round % 50 == 49) stage.reopen();
  }
  std::map<std::string, std::string> found;
  for (const auto& kv : range({.key = "k", .range_end = "l"}).items) found[kv.key] = kv.value;
  EXPECT_EQ(found, model.items);
}

}  // namespace
}  // namespace mr::metastore
