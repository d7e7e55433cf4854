// Aim: metadata values come back as they went, damaged ones are refused, newer ones are recognised. Method: round
// trips, every shortened prefix, hand-written texts.
#include "metastore/records.h"

#include <gtest/gtest.h>

namespace mr::metastore::records {
namespace {

TopicRecord example() {
  TopicRecord topic{.name = "t", .id = TopicId{Uuid{1, 2}}, .created = 1'700'000'000'000};
  topic.configs = {{"retention.ms", "5"}, {"odd=%\n name", "a=b%\r\n"}, {"empty", ""}};
  topic.partitions.resize(3);
  return topic;
}

TEST(Records, TopicsAndPartitionsComeBack) {
  auto head = decode_topic(encode_topic(example()));
  ASSERT_TRUE(head.ok()) << head.error().message();
  EXPECT_EQ(head->topic.id, example().id);
  EXPECT_EQ(head->topic.created, example().created);
  EXPECT_EQ(head->topic.configs, example().configs);
  EXPECT_EQ(head->partition_count, 3);

  PartitionRecord partition{PartitionIndex{7}, BrokerId{1}, LeaderEpoch{9}, {BrokerId{1}, BrokerId{22}}, {}};
  auto back = decode_partition(encode_partition(partition));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->index, partition.index);
  EXPECT_EQ(back->leader_epoch, partition.leader_epoch);
  EXPECT_EQ(back->replicas, partition.replicas);
  EXPECT_TRUE(back->isr.empty());
}

TEST(Records, ShortenedValuesAreRefused) {
  const auto topic = encode_topic(example());
  for (std::size_t length = 0; length < topic.size(); ++length) {
    auto head = decode_topic(topic.substr(0, length));
    // Only a cut at the end of a line can look whole, and then a field that must be there is missing.
    if (head.ok()) {
      EXPECT_EQ(topic[length - 1], '\n');
    }
  }
  EXPECT_EQ(decode_topic("v=1\nid=x\n").code(), Errc::corrupt_data);
  EXPECT_EQ(decode_partition("v=1\nindex=1x\n").code(), Errc::corrupt_data);
  EXPECT_EQ(decode_fields("v=1\na=%4\n").code(), Errc::corrupt_data);
  EXPECT_EQ(decode_fields("v=1\na=%zz\n").code(), Errc::corrupt_data);
  EXPECT_EQ(decode_fields("a=b\n").code(), Errc::corrupt_data);
}

TEST(Records, NewerVersionsAreRecognisedAndUnknownFieldsSkipped) {
  EXPECT_EQ(decode_fields("v=2\na=b\n").code(), Errc::newer_format);
  EXPECT_TRUE(decode_partition("v=1\nepoch=1\nindex=0\nisr=\nleader=1\nlater=thing\nreplicas=1\n").ok());
}

TEST(Records, KeysSortAsPartitionsDo) {
  const TopicId id{Uuid{1, 2}};
  EXPECT_LT(partition_key(id, PartitionIndex{9}), partition_key(id, PartitionIndex{10}));
  EXPECT_EQ(name_key("a.b"), name_key("a_b"));
}

}  // namespace
}  // namespace mr::metastore::records
