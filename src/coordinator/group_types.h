#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "coordinator/rebalance_history.h"
#include "model/ids.h"

/// What is asked of a group and what it answers, in no wire version's words: requests own what they hold, since they
/// cross shards and outlive the frame they came in.
namespace mr::coordinator {

/// One round of a group; below 0: of no round (simple commits).
using Generation = Id<struct GenerationTag, std::int32_t>;
inline constexpr Generation kNoGeneration{-1};

/// Opaque bytes of clients (subscriptions, assignments): immutable, so copies share them, over shards too.
class Blob {
 public:
  Blob() = default;
  explicit Blob(ByteView bytes) {
    if (!bytes.empty()) bytes_ = std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
  }
  ByteView view() const { return bytes_ ? ByteView(*bytes_) : ByteView{}; }
  std::size_t size() const { return view().size(); }
  friend bool operator==(const Blob& a, const Blob& b) { return as_text(a.view()) == as_text(b.view()); }

 private:
  std::shared_ptr<const std::vector<std::byte>> bytes_;
};

/// A state's name as Kafka shows it is group_state_name()'s. `dead` is a group that does not exist.
/// `assigning` and `reconciling` are states of KIP-848 groups only.
enum class GroupStateName : std::uint8_t {
  empty,
  preparing_rebalance,
  completing_rebalance,
  stable,
  dead,
  assigning,
  reconciling
};
/// "Empty", "PreparingRebalance", ...
std::string_view group_state_name(GroupStateName state);

struct GroupProtocol {
  std::string name;
  Blob metadata;
  friend bool operator==(const GroupProtocol&, const GroupProtocol&) = default;
};

// Join.

struct JoinRequest {
  std::string group;
  std::string member;                   ///< empty: give me one
  std::optional<std::string> instance;  ///< static membership (KIP-345)
  std::string client_id;
  std::string client_host;  ///< as Kafka shows it: "/10.0.0.1"
  Millis session_timeout{0};
  Millis rebalance_timeout{0};  ///< v0 has none: the session timeout
  std::string protocol_type;
  std::vector<GroupProtocol> protocols;  ///< in the member's order of preference
  std::string reason;                    ///< KIP-800, for the log
  /// The client can be told its member id first and come back with it (JoinGroup v4, KIP-394).
  bool member_id_required = false;
  /// A returning static leader can be told not to assign (JoinGroup v9, KIP-814).
  bool skip_assignment_known = false;
};
struct JoinedMember {
  std::string member;
  std::optional<std::string> instance;
  Blob metadata;  ///< under the chosen protocol
};
struct JoinAnswer {
  /// invalid_group_id, invalid_session_timeout, member_id_required, unknown_member, fenced_instance_id,
  /// inconsistent_group_protocol, group_max_size_reached, rebalance_in_progress; or the coordinator's (see
  /// GroupCoordinator).
  std::optional<Error> error;
  Generation generation = kNoGeneration;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;  ///< versions without null say "" instead
  std::string leader;
  std::string member;  ///< also with member_id_required: the id to come back with; else what the request said
  std::vector<JoinedMember> members;  ///< for the leader only
  bool skip_assignment = false;
};

// Sync.

struct MemberAssignment {
  std::string member;
  Blob assignment;
};
struct SyncRequest {
  std::string group;
  Generation generation = kNoGeneration;
  std::string member;
  std::optional<std::string> instance;
  std::optional<std::string> protocol_type;  ///< null: not checked (KIP-559)
  std::optional<std::string> protocol;
  std::vector<MemberAssignment> assignments;  ///< of the leader
};
struct SyncAnswer {
  /// unknown_member, illegal_generation, rebalance_in_progress, fenced_instance_id, inconsistent_group_protocol,
  /// invalid_group_id, group_record_too_large; or the coordinator's.
  std::optional<Error> error;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  Blob assignment;
};

// Heartbeat, leave.

struct HeartbeatRequest {
  std::string group;
  Generation generation = kNoGeneration;
  std::string member;
  std::optional<std::string> instance;
};
struct HeartbeatAnswer {
  /// unknown_member, illegal_generation, rebalance_in_progress, fenced_instance_id, invalid_group_id; or the
  /// coordinator's.
  std::optional<Error> error;
};

struct LeavingMember {
  std::string member;  ///< may be empty with an instance (admin)
  std::optional<std::string> instance;
  std::string reason;
};
struct LeaveRequest {
  std::string group;
  std::vector<LeavingMember> members;
};
struct LeaveAnswer {
  struct Member {
    std::string member;
    std::optional<std::string> instance;
    std::optional<Error> error;  ///< unknown_member, fenced_instance_id
  };
  std::optional<Error> error;   ///< invalid_group_id; or the coordinator's
  std::vector<Member> members;  ///< one per asked, in that order
};

// Offsets.

/// Where one partition stands, and whose topic that is. Doors have found out that the topic exists.
struct OffsetToCommit {
  std::string topic;
  TopicId topic_id;  ///< zero: unknown
  PartitionIndex partition;
  Offset offset{-1};
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
};
struct CommitRequest {
  std::string group;
  Generation generation = kNoGeneration;  ///< of a simple commit -1, with an empty member; in KIP-848 the member epoch
  std::string member;
  std::optional<std::string> instance;
  /// OffsetCommit v2-4 can ask for its own retention.
  std::optional<Millis> retention;
  std::vector<OffsetToCommit> offsets;
  /// The caller knows member epochs (OffsetCommit v9).
  bool knows_epochs = true;
};
struct CommitAnswer {
  /// Of all: unknown_member, illegal_generation, rebalance_in_progress, fenced_instance_id, invalid_group_id,
  /// group_not_found (a generation for a group that is not there; below v9 illegal_generation), commit_too_large,
  /// stale_member_epoch, unsupported_version (a KIP-848 group and a caller who does not know its epochs); or the
  /// coordinator's.
  std::optional<Error> error;
  std::vector<std::optional<Error>> partitions;  ///< as asked: offset_metadata_too_large; empty when `error` is set
};

struct TopicPartitionsWanted {
  std::string topic;
  TopicId topic_id;  ///< zero: unknown
  std::vector<PartitionIndex> partitions;
};
struct FetchOffsetsRequest {
  std::string group;
  std::optional<std::string> member;  ///< OffsetFetch v9; null or empty with epoch -1: not checked
  std::int32_t member_epoch = -1;
  std::optional<std::vector<TopicPartitionsWanted>> topics;  ///< null: all there are
  /// Offsets that a transaction is about to replace answer unstable_offset (v7).
  bool require_stable = false;
};
struct FetchedOffset {
  PartitionIndex partition;
  Offset offset{-1};  ///< -1: none
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
  std::optional<Error> error;  ///< unstable_offset
};
struct FetchedTopic {
  std::string topic;
  TopicId topic_id;
  std::vector<FetchedOffset> partitions;
};
struct FetchOffsetsAnswer {
  /// invalid_group_id, unknown_member, stale_member_epoch; or the coordinator's.
  std::optional<Error> error;
  std::vector<FetchedTopic> topics;
};

struct DeleteOffsetsRequest {
  std::string group;
  std::vector<TopicPartitionsWanted> topics;
};
struct DeleteOffsetsAnswer {
  struct Partition {
    std::string topic;
    PartitionIndex partition;
    std::optional<Error> error;  ///< group_subscribed_to_topic
  };
  std::optional<Error> error;         ///< invalid_group_id, group_not_found, group_not_empty; or the coordinator's
  std::vector<Partition> partitions;  ///< in the order asked; empty when `error` is set
};

// Looking in.

/// How far a group has come in one partition.
struct GroupPosition {
  std::string group;
  std::string topic;
  PartitionIndex partition;
  Offset offset{-1};
};

struct DescribedMember {
  std::string member;
  std::optional<std::string> instance;
  std::string client_id;
  std::string client_host;
  Blob metadata;    ///< under the chosen protocol; empty unless stable or completing
  Blob assignment;  ///< of the last round whose leader has assigned
  Duration since_heartbeat{0};
  Millis session_timeout{0};
};
struct GroupDescription {
  std::optional<Error> error;  ///< the coordinator's, invalid_group_id, group_not_found (v6; below: dead, no error)
  std::string group;
  GroupStateName state = GroupStateName::dead;
  std::string protocol_type;
  std::string protocol;  ///< empty unless stable
  Generation generation = kNoGeneration;
  std::string leader;
  std::vector<DescribedMember> members;
  std::vector<Rebalance> rebalances;  ///< the last ones, youngest first; when asked for
};
/// How a group is run; its text is Kafka's.
enum class GroupType : std::uint8_t { classic, consumer };
/// "classic", "consumer"
std::string_view group_type_name(GroupType type);

struct ListedGroup {
  std::string group;
  std::string protocol_type;
  GroupStateName state = GroupStateName::empty;
  GroupType type = GroupType::classic;
};

}  // namespace mr::coordinator
