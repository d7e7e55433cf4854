// Aim: what a topic sets after an alteration is what Kafka 4.3 makes of it, and what it refuses is refused. Method: a
// table of alterations and outcomes, in the order a user could send them; pure.
#include "config/alter_config.h"

#include <gmock/gmock.h>

namespace mr::config {
namespace {

using Map = TopicOverrides;
constexpr auto kSet = ChangeKind::set, kRemove = ChangeKind::remove, kAppend = ChangeKind::append,
               kSubtract = ChangeKind::subtract;

Result<TopicOverrides> alter(const Map& now, std::vector<ConfigChange> changes, bool replace = false,
                             const std::string& broker_policy = "delete") {
  auto broker = load_broker_settings({{Origin::set, "--set", "log.cleanup.policy", broker_policy}});
  return alter_topic_config(broker->config, now, {replace, std::move(changes)});
}

TEST(AlterTopicConfig, SetsAndRemoves) {
  EXPECT_EQ(*alter({{"flush.ms", "5"}}, {{"retention.ms", kSet, " 1000 "}}),
            (Map{{"flush.ms", "5"}, {"retention.ms", "1000"}}));
  EXPECT_EQ(*alter({{"segment.bytes", "1048576"}}, {{"segment.bytes", kSet, "2MiB"}}),
            (Map{{"segment.bytes", "2097152"}}));
  EXPECT_EQ(*alter({{"flush.ms", "5"}}, {{"flush.ms", kRemove, {}}}), Map());
  EXPECT_EQ(*alter({{"flush.ms", "5"}}, {{"flush.ms", kRemove, "junk"}, {"flush.messages", kSet, "9"}}),
            (Map{{"flush.messages", "9"}}));
  EXPECT_EQ(*alter({}, {{"retention.ms", kRemove, {}}, {"no.such", kRemove, {}}}), Map());
  EXPECT_EQ(*alter({{"flush.ms", "5"}}, {}), (Map{{"flush.ms", "5"}}));
}

TEST(AlterTopicConfig, ReplacesTheWholeSet) {
  EXPECT_EQ(*alter({{"flush.ms", "5"}, {"retention.ms", "9"}}, {{"flush.ms", kSet, "6"}}, true),
            (Map{{"flush.ms", "6"}}));
  EXPECT_EQ(*alter({{"flush.ms", "5"}}, {}, true), Map());
}

TEST(AlterTopicConfig, ListsGrowAndShrink) {
  auto policy = [](const Map& now, ChangeKind kind, const std::string& value, const std::string& broker = "delete") {
    return (*alter(now, {{"cleanup.policy", kind, value}}, false, broker)).at("cleanup.policy");
  };
  EXPECT_EQ(policy({}, kAppend, "compact"), "delete,compact");
  EXPECT_EQ(policy({}, kAppend, "delete", "compact"), "compact,delete");
  EXPECT_EQ(policy({{"cleanup.policy", "delete,compact"}}, kAppend, "compact"), "delete,compact");
  EXPECT_EQ(policy({{"cleanup.policy", ""}}, kAppend, "delete"), "delete");
  EXPECT_EQ(policy({{"cleanup.policy", "delete"}}, kAppend, ""), "delete");
  EXPECT_EQ(policy({{"cleanup.policy", "delete,compact"}}, kSubtract, "compact,delete"), "");
  EXPECT_EQ(policy({}, kSubtract, "delete"), "");
  EXPECT_EQ(policy({}, kSubtract, "foo"), "delete");
  EXPECT_EQ(policy({}, kSet, "compact,compact"), "compact");
}

TEST(AlterTopicConfig, OperationsBeforeValues) {
  auto why = [](std::vector<ConfigChange> changes) {
    auto checked = check_operations({.changes = std::move(changes)});
    return checked.ok() ? std::string() : checked.error().detail();
  };
  EXPECT_EQ(why({{"retention.ms", kSet, "x"}, {"no.such", kSet, "1"}, {"cleanup.policy", kAppend, "x"}}), "");
  EXPECT_THAT(why({{"retention.ms", kSet, {}}}), testing::HasSubstr("null value"));
  EXPECT_THAT(why({{"flush.ms", kSet, "1"}, {"flush.ms", kRemove, {}}}), testing::HasSubstr("twice"));
  EXPECT_THAT(why({{"retention.ms", kSubtract, "1"}}), testing::HasSubstr("no list"));
  EXPECT_THAT(why({{"no.such", kAppend, "1"}}), testing::HasSubstr("no.such"));
}

TEST(AlterTopicConfig, Refusals) {
  auto why = [](const Map& now, std::vector<ConfigChange> changes) {
    auto after = alter(now, std::move(changes));
    EXPECT_FALSE(after.ok());
    return after.ok() ? Errc::internal : after.code();
  };
  EXPECT_EQ(why({}, {{"retention.ms", kSet, "x"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"compression.gzip.level", kSet, "0"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"retention.ms", kSet, "-2"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"no.such", kSet, "1"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"retention.ms", kAppend, "1"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"retention.ms", kSubtract, "1"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"cleanup.policy", kAppend, "shred"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"remote.storage.enable", kSet, "true"}}), Errc::invalid_config);
  EXPECT_EQ(why({{"min.compaction.lag.ms", "100"}}, {{"max.compaction.lag.ms", kSet, "10"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"leader.replication.throttled.replicas", kSet, "0:1,x"}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"leader.replication.throttled.replicas", kSet, std::string(40'000, '1')}}), Errc::invalid_config);
  EXPECT_EQ(why({}, {{"retention.ms", kSet, {}}}), Errc::invalid_argument);
  EXPECT_EQ(why({}, {{"cleanup.policy", kAppend, {}}}), Errc::invalid_argument);
  EXPECT_EQ(why({}, {{"retention.ms", kSet, "5"}, {"retention.ms", kRemove, {}}}), Errc::invalid_argument);
  EXPECT_TRUE(alter({}, {{"leader.replication.throttled.replicas", kSet, "*"}}).ok());
  EXPECT_TRUE(alter({}, {{"leader.replication.throttled.replicas", kAppend, "0:1,12:3"}}).ok());
}

BrokerSettings started(const std::vector<std::pair<std::string, std::string>>& values = {}) {
  std::vector<SettingInput> inputs;
  for (const auto& [name, value] : values) inputs.push_back({Origin::set, "--set", name, value});
  return *load_broker_settings(inputs);
}

BrokerSettings altered(const BrokerSettings& now, BrokerScope scope, std::vector<ConfigChange> changes,
                       bool replace = false) {
  auto after = alter_broker_config(now, scope, {replace, std::move(changes)});
  EXPECT_TRUE(after.ok()) << after.error().message();
  return *with_dynamic(now, *after);
}

ConfigEntry entry(const std::vector<ConfigEntry>& entries, const std::string& name) {
  for (const auto& one : entries)
    if (one.name == name) return one;
  ADD_FAILURE() << name;
  return {};
}

// Strongest first: this broker's, all brokers', as started, default; and all of it is taken back again.
TEST(AlterBrokerConfig, LayersOverWhatItWasStartedWith) {
  BrokerSettings now = started({{"message.max.bytes", "1000"}, {"log.retention.hours", "2"}});
  now = altered(now, BrokerScope::everywhere, {{"message.max.bytes", kSet, "2000"}, {"log.retention.ms", kSet, "7"}});
  EXPECT_EQ(now.config.message_max_bytes, 2000);
  now = altered(now, BrokerScope::broker, {{"message.max.bytes", kSet, "3000"}});
  EXPECT_EQ(now.config.message_max_bytes, 3000);
  EXPECT_EQ(TopicConfig::resolve(now.config, {})->max_message_bytes, 3000);
  EXPECT_EQ(TopicConfig::resolve(now.config, {})->retention_ms, 7);

  auto shown = entry(describe_broker_config(now), "message.max.bytes");
  EXPECT_EQ(shown.value, "3000");
  EXPECT_EQ(shown.source, ConfigSource::dynamic_broker);
  ASSERT_EQ(shown.synonyms.size(), 4u);
  EXPECT_EQ(shown.synonyms[1].source, ConfigSource::dynamic_default);
  EXPECT_EQ(shown.synonyms[2].value, "1000");
  EXPECT_EQ(shown.synonyms[3].source, ConfigSource::default_value);
  EXPECT_EQ(describe_cluster_config(now).size(), 2u);

  EXPECT_EQ(entry(describe_broker_config(now), "log.retention.ms").synonyms.back().name, "log.retention.hours");
  EXPECT_TRUE(entry(describe_broker_config(started()), "log.retention.ms").synonyms.empty());

  auto retention = entry(describe_topic_config({}, now), "retention.ms");
  EXPECT_EQ(retention.value, "7");
  EXPECT_EQ(retention.source, ConfigSource::dynamic_default);
  ASSERT_EQ(retention.synonyms.size(), 3u);
  EXPECT_EQ(retention.synonyms[1].value, "2");

  now = altered(now, BrokerScope::broker, {}, true);
  EXPECT_EQ(now.config.message_max_bytes, 2000);
  now = altered(now, BrokerScope::everywhere, {{"message.max.bytes", kRemove, {}}, {"log.retention.ms", kRemove, {}}});
  EXPECT_EQ(now.config.message_max_bytes, 1000);
  EXPECT_FALSE(now.config.log_retention_ms.has_value());
  EXPECT_EQ(now.dynamic(), DynamicSettings());
}

TEST(AlterBrokerConfig, Refusals) {
  const BrokerSettings now = started();
  auto why = [&](std::vector<ConfigChange> changes) {
    auto after = alter_broker_config(now, BrokerScope::broker, {false, std::move(changes)});
    EXPECT_FALSE(after.ok());
    return after.ok() ? Errc::internal : after.code();
  };
  EXPECT_EQ(why({{"node.id", kSet, "3"}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"num.partitions", kSet, "3"}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"no.such", kSet, "3"}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"num.io.threads", kSet, "3"}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"message.max.bytes", kSet, "x"}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"message.max.bytes", kAppend, "1"}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"message.max.bytes", kSet, "1"}, {"message.max.bytes", kRemove, {}}}), Errc::invalid_argument);
  EXPECT_EQ(why({{"log.cleaner.min.compaction.lag.ms", kSet, "5"}, {"log.cleaner.max.compaction.lag.ms", kSet, "4"}}),
            Errc::invalid_argument);
  EXPECT_TRUE(alter_broker_config(now, BrokerScope::broker, {false, {{"node.id", kRemove, {}}}}).ok());
  EXPECT_EQ(alter_broker_config(now, BrokerScope::broker, {false, {{"log.cleanup.policy", kAppend, "compact"}}})
                ->broker.at("log.cleanup.policy"),
            "delete,compact");
}

}  // namespace
}  // namespace mr::config
