#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/state_machine_host.h"
#include "coordinator/group_state.h"
#include "coordinator/live_group.h"

namespace mr::coordinator {

/// Kafka's names and defaults, but for the first round's delay and the bounds at the end.
struct GroupSettings {
  Millis session_timeout_min{6'000};
  Millis session_timeout_max{1'800'000};
  Millis first_round_delay{0};  ///< group.initial.rebalance.delay.ms
  std::size_t members_max = INT32_MAX;
  std::size_t offset_metadata_max = 4096;  ///< offset.metadata.max.bytes, which Kafka counts in UTF-16 units
  Millis offsets_retention{7ll * 24 * 3'600'000};
  Millis retention_check{600'000};
  std::size_t record_bytes_max = 1'048'588 - 512;  ///< of one record or one commit: what max.message.bytes leaves
  std::size_t waiting_max = 100'000;               ///< joins and syncs without an answer, of one partition
  std::size_t pending_max = 10'000;                ///< member ids given out and not used, of one group
  std::size_t blob_bytes_max = 64u << 20;          ///< subscriptions of one group, under all protocols
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
/// Some deadline has come.
struct TickEvent {};

struct GroupEvent {
  WaiterId waiter;  ///< who is answered; nobody for ticks and deleted topics
  std::variant<TickEvent, JoinEvent, SyncRequest, HeartbeatRequest, LeaveRequest, CommitRequest, FetchOffsetsRequest,
               DeleteOffsetsRequest, DescribeEvent, ListEvent, DeleteGroupsEvent, TopicDeletedEvent>
      what;
};

struct DeleteGroupsAnswer {
  std::vector<std::optional<Error>> groups;
};
using GroupAnswer =
    std::variant<JoinAnswer, SyncAnswer, HeartbeatAnswer, LeaveAnswer, CommitAnswer, FetchOffsetsAnswer,
                 DeleteOffsetsAnswer, std::vector<GroupDescription>, std::vector<ListedGroup>, DeleteGroupsAnswer>;

/// The only effect: a call is answered, perhaps not the one that brought the event.
struct GroupReply {
  WaiterId waiter;
  GroupAnswer answer;
};

/// Classic groups of one partition of __consumer_offsets, as the host of broker/state_machine_host.h runs them.
/// on_join.cc, on_sync.cc, on_heartbeat.cc, on_leave.cc, on_offsets.cc, on_admin.cc, expiry.cc: one family of events
/// each; rounds.cc: what they share.
struct GroupMachine {
  using State = GroupState;
  using Volatile = LiveGroups;
  using Event = GroupEvent;
  using Effect = GroupReply;

  GroupSettings settings;

  static void apply(State& state, const Record& record) { state.apply(record); }
  static Result<void> check(const State& state) {
    if (state.broken) return *state.broken;
    return {};
  }
  /// Members that the records know are there again, their sessions beginning now.
  Volatile begin(const State& state, broker::Moment now) const;
  broker::Decision<Effect> decide(const State& state, Volatile& live, Event event, broker::Moment now) const;
};

}  // namespace mr::coordinator
