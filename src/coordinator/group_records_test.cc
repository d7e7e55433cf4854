// Aim: what Apache Kafka writes into __consumer_offsets we read, and the other way round. Method: bytes written out by
// hand from the facts in shared/kafka-protocol, round trips, and every shortened prefix.
#include "coordinator/group_records.h"

#include <gtest/gtest.h>

#include "coordinator/group_state.h"
#include "sim/random.h"

namespace mr::coordinator {
namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

TEST(GroupRecords, KeysAreKafkas) {
  EXPECT_EQ(offset_tombstone("g", "ab", PartitionIndex{3}).key, bytes({0, 1, 0, 1, 'g', 0, 2, 'a', 'b', 0, 0, 0, 3}));
  EXPECT_EQ(group_tombstone("g").key, bytes({0, 2, 0, 1, 'g'}));
  EXPECT_FALSE(group_tombstone("g").value);
  // The key type of old brokers.
  auto legacy = bytes({0, 0, 0, 1, 'g', 0, 2, 'a', 'b', 0, 0, 0, 3});
  auto key = read_key(legacy);
  ASSERT_TRUE(key.ok());
  const auto& offset = std::get<OffsetKey>(*key);
  EXPECT_EQ(offset.group, "g");
  EXPECT_EQ(offset.topic, "ab");
  EXPECT_EQ(offset.partition.v, 3);
  auto other = read_key(bytes({0, 17, 0, 1, 'g'}));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(std::get<OtherKey>(*other).type, 17);
}

TEST(GroupRecords, OffsetsInTheVersionThatHoldsThem) {
  StoredOffset offset{.offset = Offset{258}, .leader_epoch = LeaderEpoch{5}, .metadata = "m", .committed_at = 1000};
  EXPECT_EQ(*offset_record("g", "t", PartitionIndex{0}, offset).value,
            bytes({0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5, 0, 1, 'm', 0, 0, 0, 0, 0, 0, 3, 0xe8}));
  offset.topic_id = TopicId{Uuid{1, 2}};
  EXPECT_EQ(*offset_record("g", "t", PartitionIndex{0}, offset).value,
            bytes({0, 4,    0, 0, 0,  0, 0, 0, 1, 2, 0, 0, 0, 5, 2, 'm', 0, 0, 0, 0, 0, 0,
                   3, 0xe8, 1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,   0, 0, 0, 0, 2}));
  EXPECT_EQ(*read_offset(*offset_record("g", "t", PartitionIndex{0}, offset).value), offset);
  // An expiry of its own fits v1 only, which has neither epoch nor id.
  offset.expire_at = 2000;
  auto v1 = offset_record("g", "t", PartitionIndex{0}, offset);
  EXPECT_EQ(*v1.value,
            bytes({0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1, 'm', 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0, 7, 0xd0}));
  StoredOffset read = *read_offset(*v1.value);
  EXPECT_EQ(read.expire_at, 2000);
  EXPECT_EQ(read.leader_epoch, kNoLeaderEpoch);
  // v0 and v2.
  for (int version : {0, 2}) {
    auto old = bytes({0, version, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7});
    auto stored = read_offset(old);
    ASSERT_TRUE(stored.ok()) << version;
    EXPECT_EQ(stored->offset.v, 9);
    EXPECT_EQ(stored->committed_at, 7);
  }
}

GroupRecord sample() {
  return {.protocol_type = "consumer",
          .generation = Generation{7},
          .protocol = "range",
          .leader = "m1",
          .state_since = 1234,
          .members = {{.member = "m1",
                       .instance = "i",
                       .client_id = "c",
                       .client_host = "/h",
                       .rebalance_timeout = Millis(2),
                       .session_timeout = Millis(1),
                       .subscription = Blob(as_bytes("s")),
                       .assignment = Blob(as_bytes("aa"))}}};
}

TEST(GroupRecords, GroupsAreKafkasVersion3) {
  auto record = group_record("g", sample());
  EXPECT_EQ(*record.value,
            bytes({0,   3,   0,   8,   'c', 'o', 'n', 's', 'u', 'm', 'e', 'r', 0,   0, 0, 7,   0,    5,
                   'r', 'a', 'n', 'g', 'e', 0,   2,   'm', '1', 0,   0,   0,   0,   0, 0, 4,   0xd2, 0,
                   0,   0,   1,   0,   2,   'm', '1', 0,   1,   'i', 0,   1,   'c', 0, 2, '/', 'h',  0,
                   0,   0,   2,   0,   0,   0,   1,   0,   0,   0,   1,   's', 0,   0, 0, 2,   'a',  'a'}));
  auto read = read_group(*record.value);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->generation.v, 7);
  EXPECT_EQ(read->leader, "m1");
  ASSERT_EQ(read->members.size(), 1u);
  EXPECT_EQ(read->members[0].instance, "i");
  EXPECT_EQ(group_record("g", *read).value, record.value);
}

TEST(GroupRecords, MembersKeepWhatTheySaidInTheClassicProtocol) {
  const ConsumerMember member{.client_id = "c",
                              .client_host = "/h",
                              .topics = {"t"},
                              .rebalance_timeout = Millis(5),
                              .classic = ClassicSide{Millis(6), {{"range", Blob(as_bytes("s"))}}}};
  auto record = consumer_member_record("g", "m", member);
  EXPECT_EQ(*record.value, bytes({0, 0,  0, 0, 2, 'c', 3, '/', 'h', 2,   2,   't', 0,   0,   0, 0,   5, 0, 1,
                                  0, 16, 1, 0, 0, 0,   6, 2,   6,   'r', 'a', 'n', 'g', 'e', 2, 's', 0, 0}));
  auto read = read_consumer_member(*record.value);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(*read, member);
  for (std::size_t n = 0; n < record.value->size(); ++n)
    EXPECT_FALSE(read_consumer_member(ByteView(*record.value).first(n)).ok()) << n;
}

TEST(GroupRecords, OldGroupsLackWhatCameLater) {
  // v0: no time, no rebalance timeout, no instance.
  auto v0 = bytes({0, 0,   0, 1, 'c', 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0,
                   1, 'm', 0, 0, 0,   0, 0, 0, 0, 9,    0,    0,    0,    0, 0, 0, 0, 0});
  auto read = read_group(v0);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->state_since, -1);
  EXPECT_FALSE(read->protocol || read->leader);
  EXPECT_EQ(read->members.at(0).rebalance_timeout, Millis(9)) << "the session timeout stands in";
}

TEST(GroupRecords, ShortAndNewerBytesAreErrors) {
  auto group = *group_record("g", sample()).value;
  for (std::size_t n = 0; n < group.size(); ++n) EXPECT_FALSE(read_group(ByteView(group).first(n)).ok()) << n;
  auto offset = *offset_record("g", "t", PartitionIndex{0}, {.topic_id = TopicId{Uuid{1, 2}}}).value;
  for (std::size_t n = 0; n < offset.size(); ++n) EXPECT_FALSE(read_offset(ByteView(offset).first(n)).ok()) << n;
  auto key = offset_tombstone("g", "t", PartitionIndex{0}).key;
  for (std::size_t n = 0; n < key.size(); ++n) EXPECT_FALSE(read_key(ByteView(key).first(n)).ok()) << n;
  offset[1] = std::byte{5};
  EXPECT_EQ(read_offset(offset).code(), Errc::newer_format);
  group[0] = std::byte{0x80};
  EXPECT_EQ(read_group(group).code(), Errc::malformed);
}

TEST(GroupRecords, AStateThatCannotBeReadSaysSo) {
  auto offset = offset_record("g", "t", PartitionIndex{0}, {.offset = Offset{1}});
  (*offset.value)[1] = std::byte{99};
  GroupState state;
  state.apply({.key = ByteView(offset.key), .value = ByteView(*offset.value)}, 1);
  ASSERT_TRUE(state.broken);
  EXPECT_EQ(state.broken->code(), Errc::newer_format);
}

// Whatever bytes come: an error or a value that encodes again, never more memory than the bytes deserve.
TEST(GroupRecords, AnyBytesAreReadOrRefused) {
  sim::Random random(7);
  int read = 0;
  auto valid = *group_record("g", sample()).value;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> damaged = valid;
    for (std::uint64_t flips = random.between(1, 4); flips > 0; --flips)
      damaged[random.below(damaged.size())] = static_cast<std::byte>(random.next());
    auto group = read_group(damaged);
    if (group.ok()) {
      ++read;
      auto again = read_group(*group_record("g", *group).value);
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(again->members.size(), group->members.size());
    }
    (void)read_offset(damaged);
    (void)read_key(damaged);
  }
  EXPECT_GT(read, 1000);
}

TEST(GroupRecords, HashIsJavas) {
  EXPECT_EQ(java_hash(""), 0);
  EXPECT_EQ(java_hash("group"), 98629247);
  EXPECT_EQ(java_hash("console-consumer-12345"), 158455506);
  EXPECT_EQ(java_hash("polygenelubricants"), INT32_MIN);
  EXPECT_EQ(java_hash("\xc3\xa9"), 0xe9);                          // é, one unit
  EXPECT_EQ(java_hash("\xe2\x82\xac"), 0x20ac);                    // €
  EXPECT_EQ(java_hash("\xf0\x9f\x98\x80"), 0xd83d * 31 + 0xde00);  // two units
  EXPECT_EQ(java_hash("\xff"), 0xfffd);
  EXPECT_EQ(java_length("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), 5u);
}

}  // namespace
}  // namespace mr::coordinator
