// Aim: subscriptions and assignments of real clients are read, and no bytes that a client may send do harm. Method: the
// bytes that kafka-clients and librdkafka send, every shortened and many damaged copies of them.
#include "wire/consumer_protocol.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/arena.h"
#include "wire/writer.h"

namespace mr::wire {
namespace {

using Bytes = std::vector<std::byte>;

void put(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}
void put(Bytes& out, std::string_view text) {
  put(out, text.size(), 2);
  for (char c : text) out.push_back(static_cast<std::byte>(c));
}

/// As kafka-clients 4.3 sends it: topics, user data, then what later versions added.
Bytes subscription(std::int16_t version) {
  Bytes out;
  put(out, static_cast<std::uint16_t>(version), 2);
  put(out, 2, 4);
  put(out, "orders");
  put(out, "audit");
  put(out, 0xffffffff, 4);  // user data: null
  if (version < 1) return out;
  put(out, 1, 4);  // owned: orders 0
  put(out, "orders");
  put(out, 1, 4);
  put(out, 0, 4);
  if (version >= 2) put(out, 7, 4);       // generation
  if (version >= 3) put(out, 0xffff, 2);  // rack: null
  return out;
}

Bytes assignment(std::int16_t version) {
  Bytes out;
  put(out, static_cast<std::uint16_t>(version), 2);
  put(out, 2, 4);
  put(out, "orders");
  put(out, 2, 4);
  put(out, 3, 4);
  put(out, 1, 4);
  put(out, "audit");
  put(out, 1, 4);
  put(out, 0, 4);
  put(out, 0, 4);  // user data: empty, as librdkafka has it
  return out;
}

TEST(ConsumerProtocol, ReadsEveryVersionAndLaterOnes) {
  for (std::int16_t version : {0, 1, 2, 3, 4, 99}) {
    auto topics = subscribed_topics(subscription(version));
    ASSERT_TRUE(topics.ok()) << version;
    EXPECT_EQ(*topics, (std::vector<std::string>{"orders", "audit"}));
    auto partitions = assigned_partitions(assignment(version));
    ASSERT_TRUE(partitions.ok()) << version;
    EXPECT_EQ(*partitions,
              (std::vector<TopicPartition>{
                  {"audit", PartitionIndex{0}}, {"orders", PartitionIndex{1}}, {"orders", PartitionIndex{3}}}));
  }
  auto none = assigned_partitions({});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
}

TEST(ConsumerProtocol, ReadsAllOfASubscription) {
  for (std::int16_t version : {0, 1, 2, 3, 99}) {
    auto read = read_subscription(subscription(version));
    ASSERT_TRUE(read.ok()) << version;
    EXPECT_EQ(read->version, version);
    EXPECT_EQ(read->topics, (std::vector<std::string>{"orders", "audit"}));
    EXPECT_EQ(read->owned.size(), version >= 1 ? 1u : 0u);
    EXPECT_EQ(read->generation, version >= 2 ? 7 : -1);
    EXPECT_FALSE(read->rack);
  }
  Bytes racked = subscription(2);
  racked[1] = std::byte{3};
  put(racked, "b");
  auto read = read_subscription(racked);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->rack, "b");
  EXPECT_EQ(read->owned, (std::vector<TopicPartition>{{"orders", PartitionIndex{0}}}));
  // Whole fields may be missing, not parts of one.
  for (std::size_t n = 0; n < racked.size(); ++n) {
    const bool whole = n == 21 || n == 25 || n == 45 || n == 49;  // behind topics, user data, owned, generation
    EXPECT_EQ(read_subscription(ByteView(racked).first(n)).ok(), whole) << n;
  }
}

TEST(ConsumerProtocol, WritesWhatItReads) {
  const std::vector<TopicPartition> partitions{
      {"audit", PartitionIndex{0}}, {"orders", PartitionIndex{1}}, {"orders", PartitionIndex{3}}};
  const Bytes written = write_assignment(2, partitions);
  EXPECT_EQ(written[1], std::byte{2});
  auto read = assigned_partitions(written);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, partitions);
  EXPECT_FALSE(has_user_data(written));
  EXPECT_EQ(write_assignment(0, {}).size(), 10u) << "version, no topics, no user data";
}

TEST(ConsumerProtocol, WritesSubscriptionsOfEachVersion) {
  const ConsumerSubscription all{.version = 3,
                                 .topics = {"audit", "orders"},
                                 .owned = {{"audit", PartitionIndex{0}}, {"orders", PartitionIndex{1}}},
                                 .generation = 7,
                                 .rack = "b"};
  for (std::int16_t version = 0; version <= 3; ++version) {
    ConsumerSubscription says = all;
    says.version = version;
    auto read = read_subscription(write_subscription(says, as_bytes("mine")));
    ASSERT_TRUE(read.ok()) << version;
    EXPECT_EQ(read->version, version);
    EXPECT_EQ(read->topics, all.topics);
    EXPECT_EQ(read->owned.size(), version >= 1 ? 2u : 0u);
    EXPECT_EQ(read->generation, version >= 2 ? 7 : -1);
    EXPECT_EQ(read->rack.has_value(), version >= 3);
  }
}

TEST(ConsumerProtocol, TellsUserData) {
  EXPECT_FALSE(has_user_data({}));
  EXPECT_FALSE(has_user_data(assignment(0))) << "empty is none";
  Bytes data = assignment(0);
  data.back() = std::byte{1};
  EXPECT_FALSE(has_user_data(data)) << "cut off";
  data.push_back(std::byte{7});
  EXPECT_TRUE(has_user_data(data));
}

TEST(ConsumerProtocol, RefusesWhatIsNoSuchThing) {
  EXPECT_EQ(subscribed_topics({}).code(), Errc::malformed);
  EXPECT_EQ(subscribed_topics(subscription(-1)).code(), Errc::malformed);
  EXPECT_EQ(assigned_partitions(assignment(-2)).code(), Errc::malformed);
  // Two billion topics in six bytes, and as many partitions of one.
  Bytes many;
  put(many, 0, 2);
  put(many, 0x7fffffff, 4);
  EXPECT_FALSE(subscribed_topics(many).ok());
  EXPECT_FALSE(assigned_partitions(many).ok());
  // A long name times many partitions would be far more than what came.
  Bytes blown;
  put(blown, 0, 2);
  put(blown, 1, 4);
  put(blown, std::string(30'000, 'x'));
  put(blown, 10'000, 4);
  blown.resize(blown.size() + 40'000 + 4);
  EXPECT_EQ(assigned_partitions(blown).code(), Errc::too_large);
}

TEST(ConsumerProtocol, ShortenedAndDamagedBytesDoNoHarm) {
  const Bytes topics = subscription(0);
  // User data, the last four bytes of both, is not looked at.
  for (std::size_t n = 0; n < topics.size(); ++n)
    EXPECT_EQ(subscribed_topics(ByteView(topics).first(n)).ok(), n + 4 >= topics.size()) << n;
  const Bytes partitions = assignment(0);
  for (std::size_t n = 1; n < partitions.size(); ++n)
    EXPECT_EQ(assigned_partitions(ByteView(partitions).first(n)).ok(), n + 4 >= partitions.size()) << n;
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes damaged = round % 2 == 0 ? subscription(3) : assignment(0);
    for (int i = 0; i < 3; ++i) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    // Whatever is made of it stands in the bytes that came.
    if (auto names = subscribed_topics(damaged); names.ok()) EXPECT_LE(names->size(), damaged.size());
    if (auto all = read_subscription(damaged); all.ok())
      EXPECT_LE(all->topics.size() + all->owned.size(), damaged.size());
    has_user_data(damaged);
    if (auto given = assigned_partitions(damaged); given.ok()) EXPECT_LE(given->size(), damaged.size());
  }
}

}  // namespace
}  // namespace mr::wire
