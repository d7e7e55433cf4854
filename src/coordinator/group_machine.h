#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/state_machine_host.h"
#include "config/group_config.h"
#include "coordinator/group_state.h"
#include "coordinator/jobs.h"
#include "coordinator/live_group.h"

namespace mr::coordinator {

/// Whether groups with members change their protocol with the members (group.consumer.migration.policy).
enum class MigrationPolicy : std::uint8_t { disabled = 0, upgrade = 1, downgrade = 2, bidirectional = 3 };
inline bool allows(MigrationPolicy policy, MigrationPolicy what) {
  return (static_cast<int>(policy) & static_cast<int>(what)) != 0;
}

/// Kafka's names and defaults, but for the first round's delay and the bounds at the end.
struct GroupSettings {
  Millis session_timeout_min{6'000};
  Millis session_timeout_max{1'800'000};
  Millis first_round_delay{0};  ///< group.initial.rebalance.delay.ms
  std::size_t members_max = INT32_MAX;
  std::size_t offset_metadata_max = 4096;  ///< offset.metadata.max.bytes, which Kafka counts in UTF-16 units
  Millis offsets_retention{7ll * 24 * 3'600'000};
  Millis retention_check{600'000};
  Millis session_step{0};  ///< sessions of a group end at one moment of each of these: up to so much late
  std::size_t record_bytes_max = 1'048'588 - 512;  ///< of one record or one commit: what max.message.bytes leaves
  std::size_t waiting_max = 100'000;               ///< joins and syncs without an answer, of one partition
  std::size_t pending_max = 10'000;                ///< member ids given out and not used, of one group
  std::size_t blob_bytes_max = 64u << 20;          ///< subscriptions of one group, under all protocols

  // KIP-848 groups: group.consumer.*
  config::GroupTimes consumer_times{///< of groups that set nothing else
                                    .session_timeout_ms = 45'000,
                                    .heartbeat_interval_ms = 5'000,
                                    .assignment_interval_ms = 1'000};
  std::size_t consumer_members_max = INT32_MAX;
  MigrationPolicy migration = MigrationPolicy::bidirectional;
  Assignors assignors;  ///< the first is the default; at least one
  /// Who waits for something that others are about to do is told to come back after this.
  Millis waiting_heartbeat_interval{500};
  std::size_t assign_on_shard_max = 1000;  ///< work_of() more than that is done on the offload pool
};

/// Texts of requests that are stored: Kafka's formats have 16 bits for their length.
inline constexpr std::size_t kTextBytesMax = 32'000;

// Events. The requests of group_types.h are events as they are, but for these.
struct JoinEvent {
  JoinRequest request;
  std::string fresh_id;  ///< random text: a new member's id ends with it
};
struct DescribeEvent {
  std::vector<std::string> groups;
  bool with_rebalances = false;
};
struct ListEvent {};
struct DeleteGroupsEvent {
  std::vector<std::string> groups;
};
struct TopicDeletedEvent {
  std::string topic;
  TopicId id;
};
struct ConsumerDescribeEvent {
  std::vector<std::string> groups;
  bool with_rebalances = false;
};
/// Topics are these now. The first event after a load.
struct TopicsChangedEvent {
  std::shared_ptr<const broker::TopicTable> topics;
  std::string topic;  ///< which one came, went or changed; empty: any may have
};
/// Groups set these now. Comes after a load, before topics do.
struct GroupConfigsEvent {
  std::shared_ptr<const config::GroupConfigs> configs;
};
/// Some deadline has come.
struct TickEvent {};

struct GroupEvent {
  WaiterId waiter;  ///< who is answered; nobody for ticks and deleted topics
  std::variant<TickEvent, JoinEvent, SyncRequest, HeartbeatRequest, LeaveRequest, CommitRequest, FetchOffsetsRequest,
               DeleteOffsetsRequest, DescribeEvent, ListEvent, DeleteGroupsEvent, TopicDeletedEvent,
               ConsumerHeartbeatRequest, ConsumerDescribeEvent, TopicsChangedEvent, GroupConfigsEvent, AssignedEvent,
               MatchedEvent>
      what;
};

struct DeleteGroupsAnswer {
  std::vector<std::optional<Error>> groups;
};
using GroupAnswer =
    std::variant<JoinAnswer, SyncAnswer, HeartbeatAnswer, LeaveAnswer, CommitAnswer, FetchOffsetsAnswer,
                 DeleteOffsetsAnswer, std::vector<GroupDescription>, std::vector<ListedGroup>, DeleteGroupsAnswer,
                 ConsumerHeartbeatAnswer, std::vector<ConsumerGroupDescription>, AssignJob, MatchJob>;

/// Not a call: a job for the machine's host, which brings what comes out as an event.
inline constexpr WaiterId kNobody{0};

/// The only effect: a call is answered, perhaps not the one that brought the event.
struct GroupReply {
  WaiterId waiter;
  GroupAnswer answer;
};

/// The groups of one partition of __consumer_offsets, as the host of broker/state_machine_host.h runs them.
/// on_join.cc, on_sync.cc, on_heartbeat.cc, on_leave.cc, on_offsets.cc, on_admin.cc, expiry.cc: one family of events
/// each; rounds.cc: what those of classic groups share, consumer_change.h: those of KIP-848 groups.
struct GroupMachine {
  using State = GroupState;
  using Volatile = LiveGroups;
  using Event = GroupEvent;
  using Effect = GroupReply;

  GroupSettings settings;

  static void apply(State& state, const Record& record, WallMillis written_at) { state.apply(record, written_at); }
  static Result<void> check(const State& state) {
    if (state.broken) return *state.broken;
    return {};
  }
  /// Members that the records know are there again, their sessions beginning now.
  Volatile begin(const State& state, broker::Moment now) const;
  broker::Decision<Effect> decide(const State& state, Volatile& live, Event event, broker::Moment now) const;
};

}  // namespace mr::coordinator
