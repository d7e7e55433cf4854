// Aim: a topic's effective configs, their sources and refusals are Kafka's, and the table agrees with the facts about
// Kafka. Method: overrides and broker settings in, parsed struct and describe list out; kafka_configs.tsv row by row.
#include "config/topic_config.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

namespace mr::config {
namespace {

using testing::HasSubstr;

BrokerSettings broker(const std::vector<std::pair<std::string, std::string>>& values = {}) {
  std::vector<SettingInput> inputs;
  for (const auto& [name, value] : values) inputs.push_back({Origin::set, "--set", name, value});
  auto loaded = load_broker_settings(inputs);
  EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().message());
  return *loaded;
}

ConfigEntry described(const std::string& name, const TopicOverrides& overrides, const BrokerSettings& settings) {
  for (auto& entry : describe_topic_config(overrides, settings))
    if (entry.name == name) return entry;
  ADD_FAILURE() << name;
  return {};
}

TEST(TopicConfig, DefaultsOverridesAndBrokerSynonyms) {
  auto plain = TopicConfig::resolve(broker().config, {});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->segment_bytes, 64 << 20);
  EXPECT_EQ(plain->flush_messages, 1);
  EXPECT_EQ(plain->retention_ms, 604800000);
  EXPECT_EQ(plain->min_cleanable_dirty_ratio, 0.5);
  EXPECT_TRUE(plain->deleted());
  EXPECT_FALSE(plain->compacted());
  EXPECT_FALSE(plain->log_append_time());

  auto set = TopicConfig::resolve(broker({{"log.segment.bytes", "2MiB"}, {"message.max.bytes", "5"}}).config,
                                  {{"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}});
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(set->compacted());
  EXPECT_FALSE(set->deleted());
  EXPECT_EQ(set->segment_bytes, 1 << 20);
  EXPECT_EQ(set->max_message_bytes, 5);
}

TEST(TopicConfig, RetentionTakesTheFinestUnitThatIsSet) {
  auto retention = [](const std::vector<std::pair<std::string, std::string>>& values) {
    return TopicConfig::resolve(broker(values).config, {})->retention_ms;
  };
  EXPECT_EQ(retention({{"log.retention.hours", "2"}}), 7200000);
  EXPECT_EQ(retention({{"log.retention.hours", "2"}, {"log.retention.minutes", "3"}}), 180000);
  EXPECT_EQ(retention({{"log.retention.minutes", "3"}, {"log.retention.ms", "4"}}), 4);
  EXPECT_EQ(retention({{"log.retention.hours", "-1"}}), -1);
}

TEST(TopicConfig, LagsOfCompactionMustLeaveRoom) {
  TopicOverrides lags{{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "5"}};
  EXPECT_TRUE(TopicConfig::resolve(broker().config, lags)->check_together().ok());
  lags["max.compaction.lag.ms"] = "4";
  EXPECT_EQ(TopicConfig::resolve(broker().config, lags)->check_together().code(), Errc::invalid_config);
}

TEST(TopicConfig, RefusesWithASentence) {
  auto why = [](const TopicOverrides& overrides) {
    auto parsed = TopicConfig::resolve(broker().config, overrides);
    EXPECT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.code(), Errc::invalid_config);
    return parsed.error().detail();
  };
  EXPECT_THAT(why({{"retention.mss", "1"}}), HasSubstr("did you mean retention.ms?"));
  EXPECT_THAT(why({{"segment.bytes", "14"}}), HasSubstr("1048576 to"));
  EXPECT_THAT(why({{"remote.storage.enable", "true"}}), HasSubstr("not supported yet"));
  EXPECT_THAT(why({{"compression.type", "lzma"}}), HasSubstr("one of"));
  EXPECT_THAT(why({{"message.format.version", "2.8"}}), HasSubstr("Unknown topic config name"));
  EXPECT_TRUE(TopicConfig::resolve(broker().config, {{"remote.storage.enable", "false"}, {"cleanup.policy", ""}}).ok());
}

TEST(TopicConfig, DescribesSourcesAndSynonyms) {
  auto plain = described("segment.bytes", {}, broker());
  EXPECT_EQ(plain.source, ConfigSource::default_value);
  EXPECT_EQ(plain.value, "67108864");
  ASSERT_EQ(plain.synonyms.size(), 1u);
  EXPECT_EQ(plain.synonyms[0].name, "log.segment.bytes");

  auto all = described("retention.ms", {{"retention.ms", "9"}}, broker({{"log.retention.minutes", "1"}}));
  EXPECT_EQ(all.value, "9");
  EXPECT_EQ(all.source, ConfigSource::topic);
  EXPECT_EQ(all.type, Type::int64);
  ASSERT_EQ(all.synonyms.size(), 3u);
  EXPECT_EQ(all.synonyms[0].name, "retention.ms");
  EXPECT_EQ(all.synonyms[1].name, "log.retention.minutes");
  EXPECT_EQ(all.synonyms[1].source, ConfigSource::static_broker);
  EXPECT_EQ(all.synonyms[2].name, "log.retention.hours");
  EXPECT_EQ(all.synonyms[2].source, ConfigSource::default_value);

  auto inherited = described("retention.ms", {}, broker({{"log.retention.minutes", "1"}}));
  EXPECT_EQ(inherited.value, "60000");
  EXPECT_EQ(inherited.source, ConfigSource::static_broker);
}

TEST(TopicConfig, DescribesBrokerOptions) {
  for (const auto& entry : describe_broker_config(broker({{"node.id", "4"}}))) {
    if (entry.name == "node.id") {
      EXPECT_EQ(entry.source, ConfigSource::static_broker);
      EXPECT_EQ(entry.value, "4");
      EXPECT_TRUE(entry.read_only);
    }
    if (entry.name == "log.retention.ms") {
      EXPECT_EQ(entry.value, std::nullopt);
    }
  }
}

// Extreme broker values must be fine for topics too: TopicConfig::resolve checks that they are.
TEST(TopicConfig, EveryBrokerValueSuitsItsTopicConfig) {
  for (const auto& option : topic_options())
    for (const auto& synonym : split_list(option.broker_synonyms)) {
      const auto name = synonym.substr(0, synonym.find('*'));
      const BrokerOption* broker_option = find_broker_option(name);
      if (broker_option == nullptr) continue;
      for (auto extreme : {broker_option->rule.min, broker_option->rule.max}) {
        if (broker_option->rule.type == Type::list || broker_option->rule.type == Type::string) continue;
        EXPECT_TRUE(TopicConfig::resolve(broker({{name, std::to_string(extreme)}}).config, {}).ok()) << name << extreme;
      }
      // The two defaults are one.
      if (broker_option->default_text && synonym == name) {
        EXPECT_EQ(*broker_option->default_text, option.default_text) << name;
      }
    }
}

TEST(TopicConfig, TablesAgreeWithTheFactsAboutKafka) {
  std::ifstream facts(MR_SOURCE_DIR "/src/config/kafka_configs.tsv");
  std::size_t topics = 0;
  for (std::string line; std::getline(facts, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream cells(line);
    std::string kind, name, type, default_value, valid;
    std::getline(cells, kind, '\t');
    std::getline(cells, name, '\t');
    std::getline(cells, type, '\t');
    std::getline(cells, default_value, '\t');
    std::getline(cells, valid, '\t');
    const ValueRule* rule = nullptr;
    if (kind == "topic") {
      const auto* option = find_topic_option(name);
      ASSERT_NE(option, nullptr) << name << " is missing";
      rule = &option->rule;
      ++topics;
    } else if (const auto* option = find_broker_option(name); option != nullptr && option->rule.name == name) {
      rule = &option->rule;
    }
    if (rule == nullptr) continue;
    std::string ours(to_string(rule->type));
    for (char& c : ours) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(ours, type) << name;
    if (valid.starts_with("min ")) {
      EXPECT_EQ(std::to_string(rule->min), valid.substr(4)) << name;
    }
    if (valid.starts_with("in ")) {
      EXPECT_EQ(rule->allowed, valid.substr(3)) << name;
    }
  }
  EXPECT_EQ(topics, topic_options().size());
}

}  // namespace
}  // namespace mr::config
