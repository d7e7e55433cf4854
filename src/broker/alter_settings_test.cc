// Aim: altered settings of topics and of the broker hold at once on every shard, for what is open and for what is
// opened later, survive a power cut, and are refused whole. Method: a whole broker over a simulated disk and metastore.
#include <gtest/gtest.h>

#include "broker/broker_fixture.h"

namespace mr::broker {
namespace {

using config::BrokerScope;
using config::ChangeKind;
using Configs = std::map<std::string, std::string>;

struct AlterSettings : testing::Test {
  AlterSettings() : world({.seed = 9}), host(world.add_host("b")) { start(); }
  ~AlterSettings() override { (void)running->stop(); }

  void start() {
    running = std::make_unique<Running>(world, host.start(3), journal);
    MR_CHECK(running->started.ok());
  }
  void crash_and_start() {
    host.crash(sim::CrashMode::lose_unsynced);
    (void)running->stop();  // of a ghost: its disk is cut off
    start();
  }
  void make(const std::string& name, Configs configs = {}) {
    auto made = running->run(running->broker->create_topic({.name = name, .partitions = 4, .configs = configs}, false));
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  Result<void> alter(const std::string& name, std::vector<config::ConfigChange> changes, bool replace = false,
                     bool validate_only = false) {
    return running->run(running->broker->alter_topic(name, {replace, std::move(changes)}, validate_only));
  }
  Result<void> alter_broker(BrokerScope scope, std::vector<config::ConfigChange> changes, bool validate_only = false) {
    return running->run(running->broker->alter_settings(scope, {false, std::move(changes)}, validate_only));
  }
  /// `look` at every partition of a topic, which lie on several shards: what it says of all of them.
  template <class Look>
  auto all_say(const std::string& name, Look look) {
    std::vector<decltype(look(std::declval<const replication::Partition&>()))> said;
    for (std::int32_t p = 0; p < 4; ++p) {
      TopicRef of = running->topic(name);
      PartitionRef found =
          running->broker->shard(of->partitions[static_cast<std::size_t>(p)].home).find(of->id, PartitionIndex{p});
      said.push_back(look(*found));
    }
    EXPECT_EQ(std::ranges::count(said, said.front()), 4);
    return said.front();
  }
  std::int64_t batch_bytes_max(const std::string& name) {
    return all_say(name, [](const auto& p) { return std::int64_t{p.config().batch_bytes_max}; });
  }
  std::int64_t retention_ms(const std::string& name) {
    return all_say(name, [](const auto& p) { return p.log().config().retention_ms; });
  }

  sim::World world;
  sim::Host& host;
  std::shared_ptr<metastore::MemoryJournal> journal = std::make_shared<metastore::MemoryJournal>();
  std::unique_ptr<Running> running;
};

TEST_F(AlterSettings, OfATopicHoldAtOnceAndAfterAPowerCut) {
  make("t", {{"flush.ms", "7"}});
  make("other");
  ASSERT_TRUE(alter("t", {{"max.message.bytes", ChangeKind::set, "200"},
                          {"retention.ms", ChangeKind::set, "5000"},
                          {"cleanup.policy", ChangeKind::append, "compact"}})
                  .ok());
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(batch_bytes_max("t"), 200);
    EXPECT_EQ(retention_ms("t"), 5000);
    EXPECT_EQ(all_say("t", [](const auto& p) { return int{p.config().compacted && p.log().config().delete_old}; }), 1);
    EXPECT_EQ(batch_bytes_max("other"), 1048588);
    EXPECT_EQ(running->append("t", std::string(300, 'v')).code(), Errc::message_too_large);
    EXPECT_TRUE(running->append("other", std::string(300, 'v')).ok());
    for (std::uint32_t s = 0; s < 3; ++s)
      EXPECT_EQ(running->broker->topics(ShardId{s})->find("t")->configs.at("cleanup.policy"), "delete,compact");
    crash_and_start();
  }
  ASSERT_TRUE(alter("t", {{"retention.ms", ChangeKind::set, "6000"}}, true).ok());
  EXPECT_EQ(running->topic("t")->configs, (Configs{{"retention.ms", "6000"}}));
  EXPECT_EQ(batch_bytes_max("t"), 1048588);
  EXPECT_TRUE(running->append("t", std::string(300, 'v')).ok());
}

TEST_F(AlterSettings, AreRefusedWhole) {
  make("t", {{"flush.ms", "7"}});
  EXPECT_EQ(alter("none", {}).code(), Errc::unknown_topic);
  EXPECT_EQ(alter("t", {{"retention.ms", ChangeKind::set, "5"}, {"segment.bytes", ChangeKind::set, "x"}}).code(),
            Errc::invalid_config);
  EXPECT_TRUE(alter("t", {{"retention.ms", ChangeKind::set, "5"}}, false, true).ok());
  EXPECT_EQ(alter("t", {{"retention.ms", ChangeKind::set, "y"}}, false, true).code(), Errc::invalid_config);
  EXPECT_EQ(running->topic("t")->configs, (Configs{{"flush.ms", "7"}}));
  EXPECT_EQ(retention_ms("t"), 604800000);
  auto made = running->run(running->broker->create_topic(
      {.name = "u", .configs = {{"leader.replication.throttled.replicas", std::string(40'000, '1')}}}, false));
  EXPECT_EQ(made.code(), Errc::invalid_config);
}

// A weaker policy lets the watermark go at once; back at the default it never stands above what is on disk.
TEST_F(AlterSettings, OfFlushingMoveWhatWaits) {
  make("t", {{"flush.messages", "1000"}, {"flush.ms", "9223372036854775807"}});
  ASSERT_TRUE(running->append("t", "a").ok());
  auto unsynced = [&] {
    TopicRef of = running->topic("t");
    PartitionRef p = running->broker->shard(of->partitions[0].home).find(of->id, PartitionIndex{0});
    return p->log_end().v - p->log().durable_end().v;
  };
  EXPECT_EQ(unsynced(), 1);
  ASSERT_TRUE(alter("t", {{"flush.messages", ChangeKind::set, "1"}}).ok());
  ASSERT_EQ(world.run_until([&] { return unsynced() == 0; }, std::chrono::seconds(5)), sim::RunEnd::done);
  ASSERT_TRUE(alter("t", {{"flush.messages", ChangeKind::set, "1000"}}).ok());
  ASSERT_TRUE(running->append("t", "b").ok());
  EXPECT_EQ(unsynced(), 1);
  ASSERT_TRUE(alter("t", {{"flush.ms", ChangeKind::set, "10"}}).ok());
  EXPECT_EQ(world.run_until([&] { return unsynced() == 0; }, std::chrono::seconds(5)), sim::RunEnd::done);
}

TEST_F(AlterSettings, OfTheBrokerReachTopicsThatDoNotSetThem) {
  make("own", {{"retention.ms", "5"}});
  make("t");
  ASSERT_TRUE(alter_broker(BrokerScope::everywhere,
                           {{"log.retention.ms", ChangeKind::set, "77"}, {"message.max.bytes", ChangeKind::set, "200"}})
                  .ok());
  ASSERT_TRUE(alter_broker(BrokerScope::broker, {{"message.max.bytes", ChangeKind::set, "400"}}).ok());
  EXPECT_TRUE(alter_broker(BrokerScope::broker, {{"message.max.bytes", ChangeKind::set, "1"}}, true).ok());
  EXPECT_EQ(alter_broker(BrokerScope::broker, {{"node.id", ChangeKind::set, "1"}}).code(), Errc::invalid_argument);
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(retention_ms("own"), 5);
    EXPECT_EQ(retention_ms("t"), 77);
    EXPECT_EQ(batch_bytes_max("t"), 400);
    for (std::uint32_t s = 0; s < 3; ++s)
      EXPECT_EQ(running->broker->settings(ShardId{s})->of("message.max.bytes").dynamic_default, "200");
    const std::string later = "later" + std::to_string(life);
    make(later);
    EXPECT_EQ(batch_bytes_max(later), 400);
    crash_and_start();
  }
  ASSERT_TRUE(alter_broker(BrokerScope::broker, {{"message.max.bytes", ChangeKind::remove, {}}}).ok());
  EXPECT_EQ(batch_bytes_max("t"), 200);
}

TEST_F(AlterSettings, GroupsKeepWhatTheySet) {
  constexpr char kSession[] = "consumer.session.timeout.ms";
  auto alter_group = [&](std::string group, std::optional<std::string> value, bool validate_only = false) {
    config::ConfigChange change{kSession, value ? ChangeKind::set : ChangeKind::remove, value};
    return running->run(running->broker->alter_group(std::move(group), {false, {std::move(change)}}, validate_only));
  };
  auto on_every_shard = [&] {
    std::vector<std::string> said;
    for (std::uint32_t s = 0; s < 3; ++s) {
      said.emplace_back();
      for (const auto& [group, config] : *running->broker->group_configs(ShardId{s}))
        said.back() += group + "=" + std::to_string(config.times.session_timeout_ms) + " ";
    }
    EXPECT_EQ(std::ranges::count(said, said.front()), 3);
    return said.front();
  };
  EXPECT_TRUE(alter_group("g", "50000", true).ok());
  EXPECT_EQ(on_every_shard(), "");
  EXPECT_TRUE(alter_group("a/b %", "50000").ok());
  EXPECT_TRUE(alter_group("g", "60000").ok());
  EXPECT_TRUE(alter_group("gone", "50000").ok());
  EXPECT_TRUE(alter_group("gone", std::nullopt).ok());
  EXPECT_EQ(alter_group("g", "1").code(), Errc::invalid_config);
  EXPECT_EQ(alter_group("", "50000").code(), Errc::invalid_group_id);
  EXPECT_EQ(alter_group(std::string(1025, 'g'), "50000").code(), Errc::invalid_group_id);
  EXPECT_EQ(on_every_shard(), "a/b %=50000 g=60000 ");
  crash_and_start();
  EXPECT_EQ(on_every_shard(), "a/b %=50000 g=60000 ");
}

}  // namespace
}  // namespace mr::broker
