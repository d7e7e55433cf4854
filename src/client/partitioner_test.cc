// Aim: a key goes to the same partition as with other clients. Method: partitions that kafka-python 3.0.12 computed.
#include "client/partitioner.h"

#include <gtest/gtest.h>

namespace mr::client {
namespace {

TEST(Partitioner, AgreesWithOtherClients) {
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("", 0)), 1000).v, 681);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("a", 1)), 1000).v, 524);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("ab", 2)), 1000).v, 434);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("abc", 3)), 1000).v, 107);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("abcd", 4)), 1000).v, 100);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("k0", 2)), 1000).v, 345);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("user-42", 7)), 1000).v, 460);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("\xff"
                                                        "\xfe"
                                                        "\x80"
                                                        "\x00"
                                                        "\x01"
                                                        "",
                                                        5)),
                              1000)
                .v,
            733);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("the quick brown fox", 19)), 1000).v, 129);
  EXPECT_EQ(partition_for_key(as_bytes(std::string_view("\x80"
                                                        "\x81"
                                                        "\x82"
                                                        "",
                                                        3)),
                              1000)
                .v,
            587);
}

TEST(Partitioner, OnePartitionTakesAll) { EXPECT_EQ(partition_for_key(as_bytes("anything"), 1).v, 0); }

}  // namespace
}  // namespace mr::client
