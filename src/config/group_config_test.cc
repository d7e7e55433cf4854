#include "config/group_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mr::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const BrokerSettings& broker() {
  static const BrokerSettings settings = *load_broker_settings({});
  return settings;
}

Result<GroupOverrides> altered(GroupOverrides now, std::vector<ConfigChange> changes, bool replace = false) {
  auto after = alter_group_config(broker().config, now, {.replace = replace, .changes = std::move(changes)});
  if (!after.ok()) return after.error();
  return std::move(after->overrides);
}
std::string refusal(ConfigChange change) {
  auto result = altered({}, {std::move(change)});
  return result.ok() ? "" : result.error().detail();
}

constexpr char kSession[] = "consumer.session.timeout.ms";
constexpr char kHeartbeat[] = "consumer.heartbeat.interval.ms";
constexpr char kAssignment[] = "consumer.assignment.interval.ms";

TEST(GroupConfig, SetsRemovesAndReplaces) {
  EXPECT_THAT(*altered({}, {{.name = kSession, .value = " 50000"}}), ElementsAre(Pair(kSession, "50000")));
  EXPECT_THAT(*altered({{kSession, "50000"}}, {{.name = kAssignment, .value = "0"}}),
              ElementsAre(Pair(kAssignment, "0"), Pair(kSession, "50000")));
  EXPECT_TRUE(altered({{kSession, "50000"}}, {{.name = kSession, .kind = ChangeKind::remove, .value = {}}})->empty());
  EXPECT_TRUE(altered({}, {{.name = "nope", .kind = ChangeKind::remove, .value = {}}})->empty());
  EXPECT_THAT(*altered({{kSession, "50000"}}, {{.name = kHeartbeat, .value = "6000"}}, true),
              ElementsAre(Pair(kHeartbeat, "6000")));
}

TEST(GroupConfig, RefusesAsKafkaDoes) {
  for (const char* value : {"1", "70000"})
    EXPECT_THAT(refusal({.name = kSession, .value = value}), HasSubstr("group.consumer.min.session.timeout.ms"))
        << value;
  EXPECT_THAT(refusal({.name = kHeartbeat, .value = "16000"}), HasSubstr("5000 to 15000"));
  EXPECT_THAT(refusal({.name = kAssignment, .value = "99999999"}), HasSubstr("0 to 15000"));
  EXPECT_NE(refusal({.name = kAssignment, .value = "-1"}), "");
  EXPECT_NE(refusal({.name = kSession, .value = "x"}), "");
  EXPECT_THAT(refusal({.name = "consumer.session.timeout", .value = "1"}), HasSubstr("Unknown group config name"));
  EXPECT_THAT(refusal({.name = "share.session.timeout.ms", .value = "45000"}), HasSubstr("not served yet"));
  EXPECT_THAT(refusal({.name = kSession, .kind = ChangeKind::append, .value = "1"}), HasSubstr("is no list"));
  EXPECT_EQ(altered({}, {{.name = kSession, .value = {}}}).code(), Errc::invalid_argument);
  EXPECT_EQ(altered({}, {{.name = kSession, .value = "50000"}, {.name = kSession, .value = "51000"}}).code(),
            Errc::invalid_argument);
}

TEST(GroupConfig, HeartbeatsComeWithinASession) {
  BrokerConfig wide = broker().config;
  wide.group_consumer_min_session_timeout_ms = 1;
  EXPECT_THAT(resolve_group(wide, {{kSession, "5000"}}).error().detail(), HasSubstr("must be below"));
  EXPECT_EQ(resolve_group(wide, {{kSession, "5001"}})->session_timeout_ms, 5001);
}

TEST(GroupConfig, TellsWhereAValueComesFrom) {
  auto entries = describe_group_config({{kSession, "50000"}}, broker());
  ASSERT_EQ(entries.size(), 3u);
  const ConfigEntry& session = entries[2];
  EXPECT_EQ(session.name, kSession);
  EXPECT_EQ(session.value, "50000");
  EXPECT_EQ(session.source, ConfigSource::group);
  ASSERT_EQ(session.synonyms.size(), 2u);
  EXPECT_EQ(session.synonyms[1].name, "group.consumer.session.timeout.ms");
  EXPECT_EQ(session.synonyms[1].value, "45000");
  EXPECT_EQ(entries[1].value, "5000");
  EXPECT_EQ(entries[1].source, ConfigSource::default_value);
}

}  // namespace
}  // namespace mr::config
