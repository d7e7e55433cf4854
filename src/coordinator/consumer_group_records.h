#pragma once
#include <string_view>
#include <variant>

#include "broker/state_machine_host.h"
#include "coordinator/consumer_group_types.h"

/// Keys and values that KIP-848 groups keep in __consumer_offsets, byte for byte as Apache Kafka 4.3 writes them.
/// docs/formats/consumer-offsets.md has the bytes.
namespace mr::coordinator {

struct GroupEpochRecord {
  std::int32_t epoch = 0;
  std::int64_t metadata_hash = 0;
};
struct TargetEpochRecord {
  std::int32_t epoch = 0;
  WallMillis made_at = 0;
};

// Keys: views into the bytes.
struct GroupEpochKey {
  std::string_view group;
};
/// Kafka 4.0 and before: what topics looked like; replaced by the hash in the group's epoch.
struct PartitionMetadataKey {
  std::string_view group;
};
struct ConsumerMemberKey {
  std::string_view group, member;
};
struct TargetEpochKey {
  std::string_view group;
};
struct TargetMemberKey {
  std::string_view group, member;
};
struct CurrentAssignmentKey {
  std::string_view group, member;
};
struct RegexKey {
  std::string_view group, regex;
};
using ConsumerGroupKey = std::variant<GroupEpochKey, PartitionMetadataKey, ConsumerMemberKey, TargetEpochKey,
                                      TargetMemberKey, CurrentAssignmentKey, RegexKey>;
/// Whether a key of this type is one of those above.
bool is_consumer_group_key(std::int16_t type);
/// Errors: malformed.
Result<ConsumerGroupKey> read_consumer_group_key(ByteView key);

// Values. Errors: malformed; newer_format.
Result<GroupEpochRecord> read_group_epoch(ByteView value);
Result<ConsumerMember> read_consumer_member(ByteView value);
Result<TargetEpochRecord> read_target_epoch(ByteView value);
Result<PartitionSet> read_target_member(ByteView value);
Result<CurrentAssignment> read_current_assignment(ByteView value);
Result<ResolvedRegex> read_regex(ByteView value);

broker::StateRecord group_epoch_record(std::string_view group, const GroupEpochRecord& value);
broker::StateRecord consumer_member_record(std::string_view group, std::string_view member,
                                           const ConsumerMember& value);
broker::StateRecord target_epoch_record(std::string_view group, const TargetEpochRecord& value);
broker::StateRecord target_member_record(std::string_view group, std::string_view member, const PartitionSet& value);
broker::StateRecord current_assignment_record(std::string_view group, std::string_view member,
                                              const CurrentAssignment& value);
broker::StateRecord regex_record(std::string_view group, std::string_view regex, const ResolvedRegex& value);

broker::StateRecord group_epoch_tombstone(std::string_view group);
broker::StateRecord consumer_member_tombstone(std::string_view group, std::string_view member);
broker::StateRecord target_epoch_tombstone(std::string_view group);
broker::StateRecord target_member_tombstone(std::string_view group, std::string_view member);
broker::StateRecord current_assignment_tombstone(std::string_view group, std::string_view member);
broker::StateRecord regex_tombstone(std::string_view group, std::string_view regex);

}  // namespace mr::coordinator
