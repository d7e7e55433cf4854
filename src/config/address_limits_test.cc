// Aim: limits of connections by address are read as Kafka reads them, and what cannot be meant is refused. Method:
// texts.
#include "config/address_limits.h"

#include <gtest/gtest.h>

#include "config/broker_settings.h"

namespace mr::config {
namespace {

TEST(AddressLimits, AddressesWithCounts) {
  auto limits = parse_address_limits(" 127.0.0.1:200 , [::1]:3,FE80::0001:7,::ffff:10.0.0.9:0, ");
  ASSERT_TRUE(limits.ok());
  EXPECT_EQ(*limits, (AddressLimits{{"10.0.0.9", 0}, {"127.0.0.1", 200}, {"::1", 3}, {"fe80::1", 7}}));
  EXPECT_TRUE(parse_address_limits("")->empty());
  EXPECT_EQ(parse_address_limits("10.0.0.1:1,10.0.0.1:2")->at("10.0.0.1"), 2) << "the last wins";
}

TEST(AddressLimits, WhatCannotBeMeantIsRefused) {
  for (const char* text : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:2147483648", "host:5",
                           ":5", "127.0.0.1:5 6", "127.0.0.1:5;10.0.0.1:6"}) {
    auto limits = parse_address_limits(text);
    ASSERT_FALSE(limits.ok()) << text;
    EXPECT_EQ(limits.code(), Errc::invalid_config);
    EXPECT_NE(limits.error().detail().find("max.connections.per.ip.overrides"), std::string::npos);
  }
}

TEST(AddressLimits, NobodyAtAllTakesOverrides) {
  auto load = [](std::vector<SettingInput> inputs) { return load_broker_settings(inputs); };
  const SettingInput none{.where = "test", .name = "max.connections.per.ip", .value = "0"};
  const SettingInput some{.where = "test", .name = "max.connections.per.ip.overrides", .value = "127.0.0.1:5"};
  const SettingInput bad{.where = "test", .name = "max.connections.per.ip.overrides", .value = "localhost:5"};
  EXPECT_FALSE(load({none}).ok());
  EXPECT_FALSE(load({bad}).ok());
  ASSERT_TRUE(load({none, some}).ok());
  EXPECT_EQ(load({none, some})->config.max_connections_per_ip, 0);
  // Stored while it ran; each is looked at alone at a start, so the pair must not be needed for one of them.
  auto now = load({});
  ASSERT_TRUE(now.ok());
  EXPECT_TRUE(with_dynamic(*now, {.broker = {{"max.connections.per.ip", "0"}}, .everywhere = {}}).ok());
  EXPECT_FALSE(with_dynamic(*now, {.broker = {{"max.connections.per.ip.overrides", "x:1"}}, .everywhere = {}}).ok());
}

}  // namespace
}  // namespace mr::config
