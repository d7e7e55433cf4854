// Metrics: what handles count is what the page says, in Prometheus' text form, also after handles are gone, from many
// threads, and with more label sets than a family holds.
#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace mr {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, PageInPrometheusForm) {
  MetricsRegistry registry;
  Counter a = registry.counter("millrace_things_total", "Things\nseen \\", {{"kind", "a\"b\\c\nd"}});
  Counter plain = registry.counter("millrace_plain_total", "No labels");
  Gauge level = registry.gauge("millrace_level", "May fall", {{"a", "1"}, {"b", ""}});
  a.add();
  a.add(41);
  level.set(5);
  level.add(-7);
  std::string page = registry.text();
  EXPECT_TRUE(has_line(page, "# HELP millrace_things_total Things\\nseen \\\\")) << page;
  EXPECT_TRUE(has_line(page, "# TYPE millrace_things_total counter")) << page;
  EXPECT_TRUE(has_line(page, "millrace_things_total{kind=\"a\\\"b\\\\c\\nd\"} 42")) << page;
  EXPECT_TRUE(has_line(page, "millrace_plain_total 0")) << page;
  EXPECT_TRUE(has_line(page, "millrace_level{a=\"1\",b=\"\"} -2")) << page;
}

TEST(Metrics, LabelsAreTextWhateverPeersCallThemselves) {
  MetricsRegistry registry;
  Counter c = registry.counter("x_total", "x", {{"group", "gr\xc3\xbc \xff\xfe"}});
  EXPECT_TRUE(has_line(registry.text(), "x_total{group=\"gr\xc3\xbc \xef\xbf\xbd\xef\xbf\xbd\"} 0")) << registry.text();
}

TEST(Metrics, HandlesOfOneSeriesAreSummedAndKeepWhatTheyCounted) {
  MetricsRegistry registry;
  Counter one = registry.counter("x_total", "x", {{"l", "v"}});
  {
    Counter two = registry.counter("x_total", "x", {{"l", "v"}});
    two.add(10);
    Gauge gone = registry.gauge("g", "g");
    gone.set(3);
    EXPECT_TRUE(has_line(registry.text(), "g 3"));
  }
  one.add(1);
  EXPECT_TRUE(has_line(registry.text(), "x_total{l=\"v\"} 11"));
  EXPECT_EQ(registry.text().find("g 3"), std::string::npos) << "a gauge leaves with its handle";
  Counter moved = std::move(one);
  moved.add(1);
  one.add(100);  // moved from: counts nothing
  EXPECT_TRUE(has_line(registry.text(), "x_total{l=\"v\"} 12"));
}

TEST(Metrics, Histogram) {
  MetricsRegistry registry;
  std::vector<double> bounds{0.5, 1, 2.5};
  {
    Histogram h = registry.histogram("h_seconds", "h", bounds);
    h.observe(0.5);  // at most
    h.observe(2);
    h.observe(100);
  }
  Histogram again = registry.histogram("h_seconds", "h", bounds);
  again.observe(0.25);
  std::string page = registry.text();
  EXPECT_NE(page.find("h_seconds_bucket{le=\"0.5\"} 2\nh_seconds_bucket{le=\"1\"} 2\nh_seconds_bucket{le=\"2.5\"} 3\n"
                      "h_seconds_bucket{le=\"+Inf\"} 4\nh_seconds_sum 102.75\nh_seconds_count 4\n"),
            std::string::npos)
      << page;
}

TEST(Metrics, WhatOthersCountedComesInWholeBuckets) {
  MetricsRegistry registry;
  std::vector<double> bounds{0.5, 1};
  Histogram h = registry.histogram("h_seconds", "h", bounds);
  h.observe(0.25);
  h.add(std::vector<std::uint64_t>{1, 2, 3}, 12.5);
  std::string page = registry.text();
  EXPECT_NE(page.find("h_seconds_bucket{le=\"0.5\"} 2\nh_seconds_bucket{le=\"1\"} 4\nh_seconds_bucket{le=\"+Inf\"} 7\n"
                      "h_seconds_sum 12.75\nh_seconds_count 7\n"),
            std::string::npos)
      << page;
}

TEST(Metrics, TheFirstHandleToBeForgottenLeavesTheSeriesToTheOthers) {
  MetricsRegistry registry;
  std::vector<double> bounds{1};
  Counter one = registry.counter("x_total", "x", {{"topic", "t"}});
  Counter two = registry.counter("x_total", "x", {{"topic", "t"}});
  Histogram h = registry.histogram("h_seconds", "h", bounds, {{"topic", "t"}});
  one.add(1);
  two.add(2);
  h.observe(3);
  one.forget();
  EXPECT_TRUE(has_line(registry.text(), "x_total{topic=\"t\"} 3")) << registry.text();
  two.forget();
  h.forget();
  one.add(5);  // forgotten: counts nothing
  EXPECT_EQ(registry.text().find("topic=\"t\""), std::string::npos) << registry.text();
  Counter anew = registry.counter("x_total", "x", {{"topic", "t"}});
  EXPECT_TRUE(has_line(registry.text(), "x_total{topic=\"t\"} 0")) << "a topic made anew begins at 0";
}

TEST(Metrics, SmallUnitsAreShownInBaseUnits) {
  MetricsRegistry registry;
  Counter busy = registry.counter("busy_seconds_total", "x", {}, 1e9);
  Gauge share = registry.gauge("share_ratio", "x", {}, 100);
  busy.add(1'500'000'000);
  share.set(-25);
  EXPECT_TRUE(has_line(registry.text(), "busy_seconds_total 1.5")) << registry.text();
  EXPECT_TRUE(has_line(registry.text(), "share_ratio -0.25")) << registry.text();
}

TEST(Metrics, HandlesMayOutliveTheRegistry) {
  auto registry = std::make_unique<MetricsRegistry>();
  auto gauge = std::make_shared<Gauge>(registry->gauge("g", "g"));
  registry->before_scrape([gauge] { gauge->set(9); });
  EXPECT_TRUE(has_line(registry->text(), "g 9"));
  registry.reset();
  EXPECT_EQ(gauge.use_count(), 1);
  gauge->set(1);
}

TEST(Metrics, LabelSetsAreBounded) {
  MetricsRegistry registry;
  std::vector<Counter> all;
  for (std::size_t i = 0; i < MetricsRegistry::kSeriesMax + 5; ++i) {
    std::string name = std::to_string(i);
    all.push_back(registry.counter("many_total", "many", {{"name", name}}));
    all.back().add();
  }
  std::string page = registry.text();
  EXPECT_TRUE(has_line(page, "many_total{name=\"overflow\"} 5"));
  EXPECT_TRUE(has_line(page, "millrace_metrics_overflow_total 5"));
}

TEST(Metrics, ManyWritersAndAScraper) {
  MetricsRegistry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry] {
      for (int round = 0; round < 20; ++round) {
        Counter counter = registry.counter("x_total", "x");
        for (int i = 0; i < 500; ++i) counter.add();
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(registry.text().empty());
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(has_line(registry.text(), "x_total 40000"));
}

TEST(MetricsDeathTest, BadNamesAreBugs) {
  MetricsRegistry registry;
  EXPECT_DEATH((void)registry.counter("no-dashes_total", ""), "valid_name");
  EXPECT_DEATH((void)registry.counter("not_ending", ""), "_total");
  EXPECT_DEATH((void)registry.gauge("g", "", {{"__reserved", ""}}), "valid_name");
}

}  // namespace
}  // namespace mr
