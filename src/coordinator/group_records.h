#pragma once
#include <string_view>
#include <variant>
#include <vector>

#include "broker/state_machine_host.h"
#include "coordinator/group_types.h"

/// Keys and values of __consumer_offsets, byte for byte as Apache Kafka 4.3 writes them, so that its tools read the
/// topic. All older value versions are read. docs/formats/consumer-offsets.md has the bytes.
namespace mr::coordinator {

/// A committed offset as it is stored.
struct StoredOffset {
  Offset offset{-1};
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
  WallMillis committed_at = -1;
  WallMillis expire_at = -1;  ///< -1: offsets.retention.minutes says when
  TopicId topic_id;           ///< zero: not known
  friend bool operator==(const StoredOffset&, const StoredOffset&) = default;
};

struct StoredMember {
  std::string member;
  std::optional<std::string> instance;
  std::string client_id;
  std::string client_host;
  Millis rebalance_timeout{0};
  Millis session_timeout{0};
  Blob subscription;  ///< under the chosen protocol
  Blob assignment;
};

/// A group as its last round left it.
struct GroupRecord {
  std::string protocol_type;
  Generation generation{0};
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  WallMillis state_since = -1;
  std::vector<StoredMember> members;
};

struct OffsetKey {
  std::string_view group;
  std::string_view topic;
  PartitionIndex partition;
};
struct GroupKey {
  std::string_view group;
};
/// Something that other kinds of groups keep here.
struct OtherKey {
  std::int16_t type = 0;
};
using RecordKey = std::variant<OtherKey, OffsetKey, GroupKey>;

/// Views into `key`. Errors: malformed.
Result<RecordKey> read_key(ByteView key);
/// Errors: malformed; newer_format (a version that Kafka 4.3 does not write).
Result<StoredOffset> read_offset(ByteView value);
Result<GroupRecord> read_group(ByteView value);

broker::StateRecord offset_record(std::string_view group, std::string_view topic, PartitionIndex partition,
                                  const StoredOffset& offset);
broker::StateRecord offset_tombstone(std::string_view group, std::string_view topic, PartitionIndex partition);
broker::StateRecord group_record(std::string_view group, const GroupRecord& record);
broker::StateRecord group_tombstone(std::string_view group);

/// Java's String.hashCode() and length() of UTF-8 text.
std::int32_t java_hash(std::string_view utf8);
std::size_t java_length(std::string_view utf8);

}  // namespace mr::coordinator
