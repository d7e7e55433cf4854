// Aim: an address has no more connections than it may, whatever others do, and a change of the limits holds for the
// next one. Method: enter and leave by hand.
#include "server/kafka/host_counts.h"

#include <gtest/gtest.h>

#include "base/log.h"

namespace mr::server::kafka {
namespace {

using namespace std::chrono_literals;

HostCounts::Settings settings(std::int32_t limit, std::string overrides = "") {
  config::BrokerSettings made;
  made.config.max_connections_per_ip = limit;
  made.config.max_connections_per_ip_overrides = std::move(overrides);
  return std::make_shared<const config::BrokerSettings>(std::move(made));
}

struct Door {
  HostCounts counts;
  HostCounts::Settings now = settings(2);
  Door() { set_log_level(LogLevel::off); }
  bool enter(const std::string& host) { return counts.enter(host, now, TimePoint{}); }
};

TEST(HostCounts, EachAddressForItself) {
  Door door;
  EXPECT_TRUE(door.enter("10.0.0.1") && door.enter("10.0.0.1"));
  EXPECT_FALSE(door.enter("10.0.0.1"));
  EXPECT_TRUE(door.enter("10.0.0.2"));
  door.counts.leave("10.0.0.1");
  EXPECT_TRUE(door.enter("10.0.0.1")) << "who leaves makes room";
  EXPECT_FALSE(door.enter("10.0.0.1"));
  door.counts.leave("10.0.0.1");
  door.counts.leave("10.0.0.1");
  door.counts.leave("10.0.0.2");
  EXPECT_EQ(door.counts.hosts(), 0u) << "who has no connection takes no memory";
}

TEST(HostCounts, OverridesAndChanges) {
  Door door;
  door.now = settings(0, "10.0.0.1:1,[0:0::1]:3");
  EXPECT_FALSE(door.enter("10.0.0.2")) << "0 for all others";
  EXPECT_TRUE(door.enter("10.0.0.1"));
  EXPECT_FALSE(door.enter("10.0.0.1"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(door.enter("::1"));
  EXPECT_FALSE(door.enter("::1"));
  door.now = settings(5);
  EXPECT_TRUE(door.enter("10.0.0.1")) << "those from before count, the new limit holds";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(door.enter("10.0.0.1"));
  EXPECT_FALSE(door.enter("10.0.0.1"));
  door.now = settings(1);
  EXPECT_FALSE(door.enter("10.0.0.1"));
}

TEST(SeldomSaid, OnceInTenSecondsWithHowOften) {
  SeldomSaid said;
  TimePoint now{};
  EXPECT_EQ(said.count(now), 1u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(said.count(now + 9s), 0u);
  EXPECT_EQ(said.count(now + 10s), 101u);
}

}  // namespace
}  // namespace mr::server::kafka
