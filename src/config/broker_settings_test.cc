// Aim: every source reaches the config with the right precedence, and mistakes are named. Method: inputs as users write
// them, then the parsed struct and the history.
#include "config/broker_settings.h"

#include <gmock/gmock.h>

namespace mr::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const std::vector<SettingInput>& inputs) {
  auto loaded = load_broker_settings(inputs);
  EXPECT_FALSE(loaded.ok());
  return loaded.ok() ? "" : loaded.error().detail();
}

TEST(BrokerSettings, DefaultsFillEveryField) {
  auto loaded = load_broker_settings({});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_THAT(loaded->config.listeners, ElementsAre("PLAINTEXT://127.0.0.1:9092"));
  EXPECT_EQ(loaded->config.log_segment_bytes, 64 << 20);
  EXPECT_EQ(loaded->config.log_flush_interval_messages, 1);
  EXPECT_EQ(loaded->config.log_retention_ms, std::nullopt);
  EXPECT_TRUE(loaded->config.auto_create_topics_enable);
  EXPECT_EQ(loaded->config.log_level, "info");
  EXPECT_EQ(loaded->settings.size(), broker_options().size());
}

TEST(BrokerSettings, StrongerSourceWinsWhateverTheOrder) {
  std::vector<SettingInput> inputs = {{Origin::flag, "--num-partitions", "num.partitions", "5"},
                                      {Origin::set, "--set", "num.partitions", "4"},
                                      {Origin::environment, "MILLRACE_NUM_PARTITIONS", "num.partitions", "3"},
                                      {Origin::file, "f:1", "num.partitions", "2"}};
  for (int expected = 5; expected >= 2; --expected) {
    auto loaded = load_broker_settings(inputs);
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded->config.num_partitions, expected);
    EXPECT_EQ(loaded->of("num.partitions").where, inputs.front().where);
    inputs.erase(inputs.begin());
  }
  EXPECT_EQ(load_broker_settings({})->of("num.partitions").origin, Origin::default_value);
}

TEST(BrokerSettings, LaterWinsWithinOneSourceAndOldNamesWork) {
  auto loaded = load_broker_settings({{Origin::set, "--set", "broker.id", "7"},
                                      {Origin::set, "--set", "node.id", "8"},
                                      {Origin::file, "f:1", "log.dir", "/data"}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->config.node_id, 8);
  EXPECT_THAT(loaded->config.log_dirs, ElementsAre("/data"));
}

TEST(BrokerSettings, MistakesNameOptionValueRangeAndPlace) {
  EXPECT_EQ(refusal({{Origin::file, "server.properties:3", "log.segment.bytes", "5"}}),
            "server.properties:3: log.segment.bytes is '5' but must be 1048576 to 2147483647");
  EXPECT_THAT(refusal({{Origin::set, "--set", "num.partition", "5"}}), HasSubstr("did you mean num.partitions?"));
  EXPECT_THAT(refusal({{Origin::set, "--set", "sasl.enabled.mechanisms", "PLAIN"}}), HasSubstr("leave a door open"));
  EXPECT_THAT(refusal({{Origin::set, "--set", "listeners", ""}}), HasSubstr("nobody could connect"));
  EXPECT_THAT(refusal({{Origin::set, "--set", "listeners", "SASL_SSL://:9093"}}), HasSubstr("not supported yet"));
  EXPECT_THAT(refusal({{Origin::set, "--set", "advertised.listeners", "PLAINTEXT://0.0.0.0:1"}}),
              HasSubstr("clients can reach"));
  EXPECT_THAT(refusal({{Origin::set, "--set", "advertised.listeners", "OTHER://h:1"}}), HasSubstr("listeners has not"));
  // A bad value is a mistake even where something stronger overrides it.
  refusal({{Origin::flag, "--node-id", "node.id", "1"}, {Origin::file, "f:1", "node.id", "x"}});
}

TEST(BrokerSettings, OptionsOfKafkaWithoutEffectWarn) {
  auto loaded = load_broker_settings({{Origin::file, "f:9", "num.io.threads", "8"}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->warnings, ElementsAre(HasSubstr("f:9: num.io.threads")));
}

// Kafka's rules for groups of the consumer protocol.
TEST(BrokerSettings, ConsumerGroupTimesStayInTheirBounds) {
  auto set = [](std::string name, std::string value) {
    return SettingInput{Origin::set, "--set", std::move(name), std::move(value)};
  };
  EXPECT_THAT(refusal({set("group.consumer.session.timeout.ms", "6000")}), HasSubstr("45000 to 60000"));
  EXPECT_THAT(refusal({set("group.consumer.heartbeat.interval.ms", "20000")}), HasSubstr("5000 to 15000"));
  EXPECT_THAT(
      refusal({set("group.consumer.min.session.timeout.ms", "5000"), set("group.consumer.session.timeout.ms", "5000")}),
      HasSubstr("must be below group.consumer.session.timeout.ms"));
  EXPECT_THAT(refusal({set("group.consumer.assignors", "")}), HasSubstr("nobody could assign"));
  EXPECT_TRUE(load_broker_settings({set("group.consumer.min.session.timeout.ms", "6000"),
                                    set("group.consumer.session.timeout.ms", "6000")})
                  .ok());
}

TEST(BrokerSettings, ThePageCacheIsTheKernelsOrLargeEnough) {
  auto bytes = [](std::string value) { return SettingInput{Origin::set, "--set", "log.page.cache.bytes", value}; };
  for (const char* value : {"-1", "64MiB", "1GiB"}) EXPECT_TRUE(load_broker_settings({bytes(value)}).ok()) << value;
  for (const char* value : {"0", "63MiB"}) EXPECT_THAT(refusal({bytes(value)}), HasSubstr("-1 or at least 67108864"));
  EXPECT_THAT(refusal({bytes("-2")}), HasSubstr("must be -1 to "));
}

TEST(BrokerSettings, ReadsPropertiesFiles) {
  auto inputs =
      parse_properties("# comment\n\n node.id = 3\nlog.dirs:/a,\\\n  /b\n! other\nlisteners=PLAINTEXT://:1", "f");
  ASSERT_TRUE(inputs.ok());
  ASSERT_EQ(inputs->size(), 3u);
  EXPECT_EQ((*inputs)[0].where, "f:3");
  EXPECT_EQ((*inputs)[1].value, "/a,/b");
  EXPECT_EQ((*inputs)[2].value, "PLAINTEXT://:1");
  EXPECT_EQ((*inputs)[2].where, "f:7");
  EXPECT_FALSE(parse_properties("just words", "f").ok());
  EXPECT_FALSE(parse_properties("=x", "f").ok());
}

TEST(BrokerSettings, ReadsEnvironmentAndAssignments) {
  auto inputs = parse_environment({"PATH=/bin", "MILLRACE_LOG_SEGMENT_BYTES=2MiB", "MILLRACE_UNKNOWN=1"});
  ASSERT_EQ(inputs.size(), 1u);
  EXPECT_EQ(inputs[0].name, "log.segment.bytes");
  EXPECT_EQ(inputs[0].value, "2MiB");
  EXPECT_EQ(parse_assignment("a.b= c=d")->value, "c=d");
  EXPECT_FALSE(parse_assignment("a.b").ok());
}

TEST(BrokerSettings, ReadsListeners) {
  EXPECT_EQ(*parse_listener("PLAINTEXT://h:9092"), (ListenerAddress{"PLAINTEXT", "h", 9092}));
  EXPECT_EQ(*parse_listener("127.0.0.1:0"), (ListenerAddress{"PLAINTEXT", "127.0.0.1", 0}));
  EXPECT_EQ(*parse_listener("IN://[::1]:1"), (ListenerAddress{"IN", "::1", 1}));
  EXPECT_EQ(*parse_listener(":1"), (ListenerAddress{"PLAINTEXT", "", 1}));
  for (auto bad : {"h", "h:", "h:65536", "h:-1", "://h:1", "::1:1", "SSL://h:1", "h:1x"})
    EXPECT_FALSE(parse_listener(bad).ok()) << bad;
  EXPECT_FALSE(parse_listeners({"h:1", "PLAINTEXT://h:2"}).ok());
}

}  // namespace
}  // namespace mr::config
