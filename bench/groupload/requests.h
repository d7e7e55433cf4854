#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/kload/fields.h"

/// Requests of consumer groups as bytes, answers read from bytes. Versions: FindCoordinator 2, JoinGroup 9, SyncGroup
/// 5, Heartbeat 4, LeaveGroup 5, OffsetCommit 8, ConsumerGroupHeartbeat 1.
namespace mr::bench {

/// Kafka's error codes that mean "not yet" or "once more".
inline constexpr std::int16_t kLoading = 14, kNotAvailable = 15, kNotCoordinator = 16, kRebalance = 27,
                              kIdRequired = 79;
constexpr bool is_not_ready(std::int16_t error) {
  return error == kLoading || error == kNotAvailable || error == kNotCoordinator;
}

Bytes find_coordinator_frame(std::string_view group);
std::int16_t read_find_coordinator(ByteView answer);

struct JoinText {
  std::string_view group, member, topic;
  std::int32_t session_ms = 45'000;
  std::uint8_t variant = 0;  ///< part of the subscription's user data: another one makes a new round
};
Bytes join_frame(const JoinText& join);
struct Joined {
  std::int16_t error = 0;
  std::int32_t generation = -1;
  bool leads = false;
  std::string_view member;  ///< in the answer's bytes
  std::size_t members = 0;  ///< the leader is told of
};
Joined read_join(ByteView answer);

/// `everybody`: the leader's; each gets `assignment_bytes` bytes.
Bytes sync_frame(std::string_view group, std::int32_t generation, std::string_view member,
                 std::span<const std::string> everybody, std::size_t assignment_bytes);
Bytes heartbeat_frame(std::string_view group, std::int32_t generation, std::string_view member);
Bytes leave_frame(std::string_view group, std::span<const std::string> members);
/// Of a sync, heartbeat or leave: they begin alike.
std::int16_t read_error(ByteView answer);

struct CommitText {
  std::string_view group, member, topic;
  std::int32_t generation = -1;
  std::int32_t first_partition = 0;
  std::int32_t count = 1;  ///< partitions from there on
  std::int64_t offset = 0;
};
Bytes commit_frame(const CommitText& commit);
/// The first error of any partition.
std::int16_t read_commit(ByteView answer);

/// 16 bytes of a topic's id.
using TopicKey = std::string;
struct OwnedTopic {
  TopicKey topic;
  std::vector<std::int32_t> partitions;
};
using Owned = std::vector<OwnedTopic>;

/// What a member joins with: everything is said.
Bytes consumer_join_frame(std::string_view group, std::string_view member, std::span<const std::string> topics);
/// The epoch with which a member leaves.
inline constexpr std::int32_t kLeaveEpoch = -1;
/// `owned`: what it has, when it has to say so.
Bytes consumer_beat_frame(std::string_view group, std::string_view member, std::int32_t epoch, const Owned* owned);
struct Beaten {
  std::int16_t error = 0;
  std::int32_t epoch = 0;
  std::int32_t interval_ms = 0;
  std::optional<Owned> assignment;
};
Beaten read_consumer_beat(ByteView answer);

}  // namespace mr::bench
