#include <gtest/gtest.h>

#include "coordinator/lag/group_lag.h"
#include "coordinator/lag/lag_history.h"

namespace mr::coordinator {
namespace {

using namespace std::literals;

constexpr TimePoint kStart{1h};

TEST(LagHistory, TellsRatesOfTheLastMinute) {
  LagHistory history;
  const TopicPartition name{"t", PartitionIndex{0}};
  EXPECT_FALSE(history.rates(kStart, "g", name, Offset{0}, Offset{0}));
  for (int i = 0; i < 30; ++i) history.note(kStart + i * 5s, "g", name, Offset{i * 50}, Offset{1000 + i * 100});
  const auto rates = history.rates(kStart + 29 * 5s, "g", name, Offset{29 * 50}, Offset{1000 + 29 * 100});
  ASSERT_TRUE(rates);
  EXPECT_DOUBLE_EQ(rates->produced, 20);
  EXPECT_DOUBLE_EQ(rates->consumed, 10);
  // Nothing has come since: the rate falls.
  const auto later = history.rates(kStart + 41 * 5s, "g", name, Offset{29 * 50}, Offset{1000 + 29 * 100});
  EXPECT_DOUBLE_EQ(later->produced, 10);
}

TEST(LagHistory, SaysNothingOfTooShortATimeNorOfOffsetsThatWentBack) {
  LagHistory history;
  const TopicPartition name{"t", PartitionIndex{0}};
  history.note(kStart, "g", name, Offset{10}, Offset{20});
  EXPECT_FALSE(history.rates(kStart + 3s, "g", name, Offset{12}, Offset{25}));
  EXPECT_TRUE(history.rates(kStart + 4s, "g", name, Offset{12}, Offset{25}));
  EXPECT_FALSE(history.rates(kStart + 4s, "g", name, Offset{9}, Offset{25})) << "sought back";
  EXPECT_FALSE(history.rates(kStart + 4s, "g", name, Offset{12}, Offset{3})) << "the topic was made anew";
  history.note(kStart + 5s, "g", name, Offset{0}, Offset{25});
  EXPECT_FALSE(history.rates(kStart + 6s, "g", name, Offset{1}, Offset{25})) << "what was before a seek does not count";
}

TEST(LagHistory, ForgetsWhatIsNotNotedAnyMore) {
  LagHistory history;
  for (int p = 0; p < 3; ++p) history.note(kStart, "g", {"t", PartitionIndex{p}}, Offset{0}, Offset{0});
  history.forget_others();
  EXPECT_EQ(history.size(), 3u);
  history.note(kStart + 5s, "g", {"t", PartitionIndex{1}}, Offset{0}, Offset{0});
  history.forget_others();
  EXPECT_EQ(history.size(), 1u);
}

PartitionLag row(int partition, std::int64_t lag, double age, double produced, double consumed, std::string member) {
  return {.name = {"t", PartitionIndex{partition}},
          .committed = Offset{100},
          .end = Offset{100 + lag},
          .age_seconds = age,
          .rates = LagRates{produced, consumed},
          .member = std::move(member)};
}
LaggingMember member(std::string id) { return {id, "app", "/10.0.0.1", Millis(45'000)}; }
std::vector<std::string> advice_of(const LagFacts& facts) {
  std::vector<std::string> names;
  for (const LagAdvice& one : advise(facts)) names.emplace_back(advice_name(one.kind));
  return names;
}
using Names = std::vector<std::string>;

TEST(GroupLag, SumsUp) {
  const LagSummary sum = summarize({row(0, 100, 3, 10, 15, "a"), row(1, 50, 7, 10, 20, "a"), {}});
  EXPECT_EQ(sum.records, 150);
  EXPECT_DOUBLE_EQ(*sum.age_seconds, 7);
  EXPECT_DOUBLE_EQ(*sum.drain_seconds, 10);
  EXPECT_FALSE(summarize({row(0, 100, 3, 10, 10, "a")}).drain_seconds) << "it never will be";
  EXPECT_DOUBLE_EQ(*summarize({row(0, 0, 0, 10, 10, "a")}).drain_seconds, 0);
  EXPECT_FALSE(summarize({}).age_seconds);
}

TEST(GroupLag, OfACommitBeyondTheEndIsNone) {
  EXPECT_EQ(row(0, -5, 0, 0, 0, "").records(), 0);
  EXPECT_EQ(PartitionLag{.end = Offset{5}}.records(), std::nullopt) << "nothing committed";
}

TEST(GroupLag, AdvisesWhatTheFiguresSay) {
  EXPECT_EQ(advice_of({{row(0, 100, 60, 10, 0, "")}, {}, {}}), Names{"no_consumer"});
  EXPECT_EQ(advice_of({{row(0, 0, 0, 10, 10, "a"), row(1, 0, 0, 1, 1, "a")}, {member("a")}, {}}), Names{});
  EXPECT_EQ(advice_of({{row(0, 9, 60, 10, 5, "a"), row(1, 9, 60, 10, 5, "a")}, {member("a")}, {}}),
            Names{"add_consumers"});
  EXPECT_EQ(advice_of({{row(0, 9, 60, 10, 5, "a"), row(1, 9, 60, 10, 5, "b")}, {member("a"), member("b")}, {}}),
            Names{"add_partitions"});
  EXPECT_EQ(advice_of({{row(0, 9, 60, 10, 1, "a"), row(1, 9, 0, 10, 10, "b")}, {member("a"), member("b")}, {}}),
            Names{"slow_member"});
  EXPECT_EQ(advice_of({{row(0, 0, 0, 1, 1, "a")}, {member("a"), member("b")}, {}}), Names{"idle_members"});
}

TEST(GroupLag, AYoungOrShrinkingLagNeedsNothing) {
  EXPECT_EQ(advice_of({{row(0, 9, 1, 10, 5, "a"), row(1, 9, 1, 10, 5, "a")}, {member("a")}, {}}), Names{});
  EXPECT_EQ(advice_of({{row(0, 9, 60, 10, 20, "a"), row(1, 9, 60, 10, 20, "a")}, {member("a")}, {}}), Names{});
}

TEST(GroupLag, RebalancesThatComeFromTimeoutsNameALongerOne) {
  LagFacts facts{{row(0, 0, 0, 1, 1, "a")}, {member("a")}, {.all = 6, .session_timeouts = 4}};
  ASSERT_EQ(advice_of(facts), Names{"rebalances_too_often"});
  EXPECT_NE(advise(facts)[0].text.find("try session.timeout.ms=90000"), std::string::npos);
  facts.group_sets_sessions = true;
  EXPECT_NE(advise(facts)[0].text.find("try consumer.session.timeout.ms=90000 for the group"), std::string::npos);
  facts.rebalances = {.all = 6, .missed_rounds = 4};
  EXPECT_NE(advise(facts)[0].text.find("max.poll.interval.ms"), std::string::npos);
  facts.rebalances = {.all = 4};
  EXPECT_EQ(advice_of(facts), Names{});
}

TEST(GroupLag, SaysHowManyConsumersWouldDo) {
  LagFacts facts{{}, {member("a")}, {}};
  for (int p = 0; p < 10; ++p) facts.partitions.push_back(row(p, 9, 60, 30, 10, "a"));
  EXPECT_NE(advise(facts)[0].text.find("at this rate 4 are needed"), std::string::npos) << advise(facts)[0].text;
}

}  // namespace
}  // namespace mr::coordinator
