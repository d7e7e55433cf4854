// Aim: a fetch session remembers what its reader asked and was told, and all sessions together stay within their number
// and memory; who has to go is the one that gains least. Method: plain calls with a clock of the test's own; what a
// session holds is compared with a map.
#include "server/kafka/fetch_sessions.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "sim/random.h"

namespace mr::server::kafka {
namespace {

using namespace std::chrono_literals;
using wire::fetch::FetchPartition;
using wire::fetch::PartitionData;

/// A request with what it refers to.
class Asking {
 public:
  Asking& want(std::string name, std::vector<std::pair<int, std::int64_t>> partitions) {
    std::vector<FetchPartition>& list = partitions_.emplace_back();
    for (auto [index, offset] : partitions)
      list.push_back({.partition = PartitionIndex{index}, .fetch_offset = Offset{offset}, .partition_max_bytes = 100});
    names_.push_back(std::move(name));
    topics_.push_back({.partitions = {list.data(), list.size()}});
    return *this;
  }
  Asking& forget(std::string name, std::vector<int> partitions) {
    std::vector<PartitionIndex>& list = gone_.emplace_back();
    for (int index : partitions) list.push_back(PartitionIndex{index});
    gone_names_.push_back(std::move(name));
    forgotten_.push_back({.partitions = {list.data(), list.size()}});
    return *this;
  }
  /// Names count up to version 12, ids (made of the names' first letter) from 13 on.
  const wire::fetch::Request& request() {
    for (std::size_t i = 0; i < topics_.size(); ++i) name_it(topics_[i], names_[i]);
    for (std::size_t i = 0; i < forgotten_.size(); ++i) name_it(forgotten_[i], gone_names_[i]);
    request_.topics = {topics_.data(), topics_.size()};
    request_.forgotten_topics_data = {forgotten_.data(), forgotten_.size()};
    return request_;
  }
  static TopicId id_of(const std::string& name) { return TopicId{Uuid{7, static_cast<std::uint64_t>(name[0])}}; }

 private:
  static void name_it(auto& topic, const std::string& name) {
    topic.topic = name;
    topic.topic_id = id_of(name);
  }
  std::deque<std::vector<FetchPartition>> partitions_;
  std::deque<std::vector<PartitionIndex>> gone_;
  std::deque<std::string> names_, gone_names_;
  std::vector<wire::fetch::FetchTopic> topics_;
  std::vector<wire::fetch::ForgottenTopic> forgotten_;
  wire::fetch::Request request_;
};

using Held = std::map<std::pair<std::string, int>, std::int64_t>;
Held held(FetchSession& session) {
  Held all;
  for (auto& [name, topic] : session.topics()) {
    std::string key = session.by_id() ? std::string(1, static_cast<char>(topic.id.v.low)) : name;
    for (auto& p : topic.partitions) all[{key, p.index.v}] = p.offset.v;
  }
  return all;
}

std::shared_ptr<FetchSession> session_of(int partitions, bool by_id = false) {
  Asking asking;
  std::vector<std::pair<int, std::int64_t>> all;
  for (int i = 0; i < partitions; ++i) all.emplace_back(i, 0);
  auto session = std::make_shared<FetchSession>(by_id);
  session->update(asking.want("t", all).request());
  return session;
}

struct Cache {
  explicit Cache(std::size_t sessions_max, std::uint64_t bytes_max = 1 << 20, std::uint32_t shard = 0)
      : account("sessions", bytes_max), sessions(ShardId{shard}, 3, sessions_max, account, rng) {}
  sim::Random rng{3};
  MemoryAccount account;
  FetchSessions sessions;
  TimePoint now{1h};
};

TEST(FetchSession, EpochsGoRoundWithoutZero) {
  FetchSession session(false);
  EXPECT_EQ(session.epoch(), 1);
  session.advance();
  EXPECT_EQ(session.epoch(), 2);
  EXPECT_EQ(FetchSession::epoch_after(INT32_MAX - 1), INT32_MAX);
  EXPECT_EQ(FetchSession::epoch_after(INT32_MAX), 1);
}

TEST(FetchSession, RemembersWhatWasAsked) {
  for (bool by_id : {false, true}) {
    FetchSession session(by_id);
    session.update(Asking().want("b", {{5, 50}, {1, 10}, {1, 11}}).want("a", {{0, 1}}).want("b", {{2, 20}}).request());
    EXPECT_EQ(held(session), (Held{{{"a", 0}, 1}, {{"b", 1}, 11}, {{"b", 2}, 20}, {{"b", 5}, 50}}));
    EXPECT_EQ(session.partition_count(), 4u);
    session.update(Asking().want("b", {{2, 21}}).want("c", {}).forget("a", {0, 7}).forget("b", {5}).request());
    EXPECT_EQ(held(session), (Held{{{"b", 1}, 11}, {{"b", 2}, 21}}));
    session.update(Asking().forget("b", {1, 2}).forget("x", {1}).request());
    EXPECT_EQ(session.partition_count(), 0u);
    EXPECT_TRUE(session.topics().empty());
  }
}

TEST(FetchSession, HoldsWhatAMapWouldHold) {
  std::mt19937_64 rng(8);
  FetchSession session(false);
  Held model;
  auto name = [&] { return std::string(1, static_cast<char>('a' + rng() % 4)); };
  for (int round = 0; round < 2000; ++round) {
    Asking asking;
    for (std::uint64_t t = rng() % 4; t > 0; --t) {
      std::string topic = name();
      std::vector<std::pair<int, std::int64_t>> partitions;
      for (std::uint64_t p = rng() % 5; p > 0; --p) partitions.emplace_back(rng() % 9, rng() % 1000);
      for (auto [index, offset] : partitions) model[{topic, index}] = offset;
      asking.want(topic, partitions);
    }
    for (std::uint64_t t = rng() % 3; t > 0; --t) {
      std::string topic = name();
      std::vector<int> partitions;
      for (std::uint64_t p = rng() % 5; p > 0; --p) partitions.push_back(static_cast<int>(rng() % 9));
      for (int index : partitions) model.erase({topic, index});
      asking.forget(topic, partitions);
    }
    session.update(asking.request());
    ASSERT_EQ(held(session), model) << "round " << round;
    ASSERT_EQ(session.partition_count(), model.size());
  }
}

TEST(FetchSession, TellsOnlyNews) {
  SessionPartition p;
  PartitionData answer{.high_watermark = Offset{5}, .last_stable_offset = Offset{5}, .log_start_offset = Offset{0}};
  answer.records = wire::Records::of({});
  EXPECT_TRUE(p.tell(answer)) << "the first word";
  EXPECT_FALSE(p.tell(answer));
  answer.high_watermark = Offset{6};
  EXPECT_TRUE(p.tell(answer));
  EXPECT_FALSE(p.tell(answer));
  answer.last_stable_offset = Offset{6};
  EXPECT_TRUE(p.tell(answer));
  answer.log_start_offset = Offset{2};
  EXPECT_TRUE(p.tell(answer));
  EXPECT_FALSE(p.tell(answer));
  answer.records = wire::Records::external(10, 0);
  EXPECT_TRUE(p.tell(answer));
  EXPECT_TRUE(p.tell(answer)) << "records are always news";
  answer.records = wire::Records::of({});
  answer.diverging_epoch.epoch = LeaderEpoch{3};
  EXPECT_TRUE(p.tell(answer));
  answer.diverging_epoch.epoch = kNoLeaderEpoch;
  answer.error_code = wire::KafkaError::not_leader_or_follower;
  EXPECT_TRUE(p.tell(answer));
  EXPECT_TRUE(p.tell(answer)) << "errors too";
  answer.error_code = wire::KafkaError::none;
  EXPECT_TRUE(p.tell(answer)) << "and that one has gone";
  EXPECT_FALSE(p.tell(answer));
}

TEST(FetchSessions, IdsSayTheirShard) {
  for (std::uint32_t shard : {0u, 1u, 2u}) {
    Cache cache(500, 1 << 20, shard);
    for (int i = 0; i < 500; ++i) {
      auto session = cache.sessions.add(session_of(1), cache.now);
      ASSERT_NE(session, nullptr);
      EXPECT_GT(session->id(), 0);
      EXPECT_EQ(cache.sessions.home_of(session->id()), ShardId{shard});
      EXPECT_EQ(cache.sessions.find(session->id()), session);
    }
    EXPECT_EQ(cache.sessions.counters().sessions.load(), 500u);
  }
}

TEST(FetchSessions, AFullCacheKeepsWhoIsThere) {
  Cache cache(2);
  auto a = cache.sessions.add(session_of(3), cache.now);
  auto b = cache.sessions.add(session_of(5), cache.now);
  EXPECT_EQ(cache.sessions.add(session_of(100), cache.now), nullptr) << "both are young";
  cache.sessions.remove(a->id());
  EXPECT_EQ(cache.sessions.find(a->id()), nullptr);
  EXPECT_NE(cache.sessions.add(session_of(1), cache.now), nullptr);
  EXPECT_EQ(cache.sessions.counters().partitions.load(), 6u);
  EXPECT_EQ(cache.sessions.counters().evicted.load(), 0u);
}

TEST(FetchSessions, WhoWasNotUsedForLongGoesFirst) {
  Cache cache(2);
  auto a = cache.sessions.add(session_of(3), cache.now);
  auto b = cache.sessions.add(session_of(5), cache.now);
  cache.now += FetchSessions::kEvictionAge;
  ASSERT_TRUE(cache.sessions.update(*a, Asking().request(), cache.now));
  EXPECT_EQ(cache.sessions.add(session_of(1), cache.now), nullptr) << "not quite long enough";
  cache.now += 1ms;
  EXPECT_NE(cache.sessions.add(session_of(1), cache.now), nullptr);
  EXPECT_EQ(cache.sessions.find(b->id()), nullptr);
  EXPECT_NE(cache.sessions.find(a->id()), nullptr);
  EXPECT_EQ(cache.sessions.counters().evicted.load(), 1u);
}

TEST(FetchSessions, ALargerOnePushesOutASmallerThatWasThereForLong) {
  Cache cache(2);
  auto a = cache.sessions.add(session_of(3), cache.now);
  auto b = cache.sessions.add(session_of(5), cache.now);
  cache.now += FetchSessions::kEvictionAge + 1ms;
  ASSERT_TRUE(cache.sessions.update(*a, Asking().request(), cache.now));
  ASSERT_TRUE(cache.sessions.update(*b, Asking().request(), cache.now));
  EXPECT_EQ(cache.sessions.add(session_of(3), cache.now), nullptr) << "not larger";
  EXPECT_NE(cache.sessions.add(session_of(4), cache.now), nullptr);
  EXPECT_EQ(cache.sessions.find(a->id()), nullptr);
  EXPECT_EQ(cache.sessions.add(session_of(4), cache.now), nullptr) << "what is left is larger or young";
  ASSERT_TRUE(cache.sessions.update(*b, Asking().forget("t", {0, 1, 2}).request(), cache.now));
  EXPECT_NE(cache.sessions.add(session_of(4), cache.now), nullptr) << "it has shrunk";
}

TEST(FetchSessions, NoneAreKeptWhereNoneAreAllowed) {
  Cache cache(0);
  EXPECT_EQ(cache.sessions.add(session_of(3), cache.now), nullptr);
}

TEST(FetchSessions, MemoryIsBounded) {
  Cache cache(1000, 64 << 10);
  std::vector<std::shared_ptr<FetchSession>> all;
  while (auto session = cache.sessions.add(session_of(100), cache.now)) all.push_back(session);
  EXPECT_GT(all.size(), 3u);
  EXPECT_LT(all.size(), 20u);
  EXPECT_LE(cache.account.used(), cache.account.limit());
  // One that grows and grows goes, and what it had is free again.
  FetchSession& greedy = *all[0];
  int rounds = 0;
  for (int from = 100;; from += 100, ++rounds) {
    std::vector<std::pair<int, std::int64_t>> more;
    for (int i = 0; i < 100; ++i) more.emplace_back(from + i, 0);
    if (!cache.sessions.update(greedy, Asking().want("t", more).request(), cache.now)) break;
    ASSERT_LT(rounds, 100);
  }
  EXPECT_EQ(cache.sessions.find(greedy.id()), nullptr);
  EXPECT_NE(cache.sessions.add(session_of(100), cache.now), nullptr);
  for (const auto& session : all) cache.sessions.remove(session->id());
}

}  // namespace
}  // namespace mr::server::kafka
