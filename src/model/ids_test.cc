// Aim: topic names are exactly Kafka's, since they become directory names.
#include "model/ids.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

TEST(TopicName, KafkasAlphabetAndLength) {
  for (const char* good : {"a", "A-b_c.9", "..."}) EXPECT_TRUE(valid_topic_name(good)) << good;
  EXPECT_TRUE(valid_topic_name(std::string(249, 'x')));
  EXPECT_FALSE(valid_topic_name(std::string(250, 'x')));
  for (std::string_view bad :
       {std::string_view(""), std::string_view("."), std::string_view(".."), std::string_view("a/b"),
        std::string_view("a b"), std::string_view("a\0b", 3), std::string_view("\xc3\xa4")})
    EXPECT_FALSE(valid_topic_name(bad)) << bad;
}

TEST(TopicName, CoordinatorsOwnExactlyThree) {
  for (const char* name : {"__consumer_offsets", "__transaction_state", "__share_group_state"})
    EXPECT_TRUE(internal_topic(name)) << name;
  for (const char* name : {"__mine", "_consumer_offsets", "__consumer_offsets2", ""})
    EXPECT_FALSE(internal_topic(name)) << name;
}

TEST(TopicName, DotsAndUnderscoresCollide) {
  EXPECT_EQ(collision_key("a.b_c"), collision_key("a_b.c"));
  EXPECT_NE(collision_key("a-b"), collision_key("a_b"));
}

}  // namespace
}  // namespace mr
