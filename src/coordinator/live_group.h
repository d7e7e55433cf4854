#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "broker/topic_table.h"
#include "coordinator/deadlines.h"
#include "coordinator/group_alarms.h"
#include "coordinator/group_state.h"
#include "coordinator/group_stats.h"
#include "coordinator/group_types.h"
#include "coordinator/live_consumer_group.h"
#include "coordinator/rebalance_history.h"

namespace mr::coordinator {

/// Names a call that waits for its answer; the host of the machine knows where that goes.
using WaiterId = Id<struct WaiterIdTag, std::uint64_t>;

/// What a deadline is about.
enum class DeadlineKind : std::uint8_t {
  session,  ///< of a member
  pending,  ///< somebody was told its member id and shall come back with it
  round,    ///< those who have not joined by now are left behind
  sync,     ///< those who have not fetched their assignment by now are left behind
  expiry,   ///< look for offsets, or a whole group, that nobody wants any more
  // Of KIP-848 groups.
  consumer_session,  ///< of a member
  consumer_revoke,   ///< a member shall have let go of partitions by now
  consumer_assign,   ///< targets may be made again
  consumer_expiry,   ///< as `expiry`
  consumer_rejoin,   ///< a classic member shall have joined again by now
  consumer_sync,     ///< a classic member shall have fetched its assignment by now
};
inline bool is_consumer(DeadlineKind kind) { return kind >= DeadlineKind::consumer_session; }
struct DeadlineKey {
  DeadlineKind kind = DeadlineKind::session;
  std::string group;
  std::string member;
};
/// Sessions end at one moment of each `step` (0: at any), which is another one for each group. So members that go
/// together go in one decision, with one rebalance; and when all clients of a broker vanish their groups come one by
/// one.
struct SessionSteps {
  Duration step{0};
  TimePoint operator()(const DeadlineKey& key, TimePoint at) const;
};
using Deadlines = DeadlineQueue<DeadlineKey, SessionSteps>;

struct Member {
  std::string id;
  std::optional<std::string> instance;
  std::string client_id;
  std::string client_host;
  Millis session_timeout{0};
  Millis rebalance_timeout{0};
  std::vector<GroupProtocol> protocols;
  Blob assignment;
  Blob last_assignment;             ///< of the last round that ended; tells what moves
  std::optional<WaiterId> joining;  ///< its join waits for the round
  std::optional<WaiterId> syncing;  ///< its sync waits for the leader's
  bool never_joined = false;        ///< its first join is not answered yet: it cannot send heartbeats
  bool owes_sync = false;           ///< has not fetched its assignment in this round
  Deadline session;
  TimePoint last_heard{};

  /// Its metadata under a protocol; empty when it does not speak it.
  Blob metadata(std::string_view protocol) const;
};

/// A group as it lives: members that come and go between two records, who waits for what, until when. Volatile: gone
/// with the process, built from the group's record when the partition is loaded.
/// Members join and leave only by add() and remove(), which keep the counts.
class LiveGroup {
 public:
  explicit LiveGroup(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  const std::map<std::string, Member, std::less<>>& members() const { return members_; }
  Member* find(std::string_view id);
  /// By static instance; null when nobody has it.
  Member* find_instance(std::string_view instance);
  /// For changes that the counts below do not depend on.
  template <class F>
  void for_each_member(F fn) {
    for (auto& [id, member] : members_) fn(member);
  }

  /// Members with this id or instance must not be there. The first becomes leader and decides the protocol type.
  Member& add(Member member, std::string_view type);
  /// A leader that goes is succeeded by somebody.
  void remove(std::string_view id);
  /// The same member under another id, nobody waiting. Returns it.
  Member& rename(std::string_view old_id, std::string new_id);
  void set_protocols(Member& member, std::vector<GroupProtocol> protocols);
  void set_joining(Member& member, std::optional<WaiterId> waiter);

  bool is_leader(std::string_view id) const { return !leader.empty() && leader == id; }
  /// May somebody with these protocols be a member? (traps.md 77)
  bool supports(std::string_view type, const std::vector<GroupProtocol>& protocols) const;
  /// The one most members prefer among those that all speak. At least one member.
  std::string choose_protocol() const;
  bool all_joined() const { return joining_ == members_.size() && pending.empty(); }
  std::size_t joining() const { return joining_; }
  bool anybody_owes_sync() const;
  /// The longest of its members.
  Millis rebalance_timeout() const;
  std::size_t blob_bytes() const { return blob_bytes_; }
  std::size_t static_members() const { return instances_.size(); }

  bool is_consumer() const { return protocol_type == "consumer"; }
  /// After members, protocol or generation have changed: which topics its members read, when that can be told.
  void read_subscriptions();
  bool subscribes(std::string_view topic) const;

  GroupStateName state = GroupStateName::empty;
  Generation generation{0};
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::string leader;
  WallMillis state_since = -1;
  std::map<std::string, Deadline, std::less<>> pending;  ///< member ids that were given out and have not come back
  std::optional<std::set<std::string, std::less<>>> subscribed;
  RebalanceHistory history;
  FlapWatch flaps;
  Deadline round;
  Deadline sync;
  Deadline expiry;
  TimePoint round_began{};
  /// The first round waits for group.initial.rebalance.delay.ms, and longer while members arrive.
  struct FirstRound {
    bool on = false;
    bool somebody_came = false;
    Millis delay{0};
    Millis left{0};
  } first_round;

 private:
  void count_protocols(const Member& member, int by);

  std::string name_;
  std::map<std::string, Member, std::less<>> members_;
  std::map<std::string, std::string, std::less<>> instances_;  ///< instance -> member id
  std::map<std::string, std::size_t, std::less<>> speakers_;   ///< protocol -> members that speak it
  std::size_t joining_ = 0;
  std::size_t blob_bytes_ = 0;
};

/// The volatile half of the groups of one partition.
struct LiveGroups {
  TextMap<LiveGroup> groups;
  TextMap<LiveConsumerGroup> consumers;  ///< no name is in both
  /// Topics as of the last event that brought them; null: of none yet.
  std::shared_ptr<const broker::TopicTable> topics;
  std::shared_ptr<const config::GroupConfigs> configs = std::make_shared<const config::GroupConfigs>();
  Deadlines deadlines;
  std::size_t waiting = 0;  ///< joins and syncs without an answer
  GroupStats stats;

  LiveGroup* find(std::string_view group) {
    auto at = groups.find(group);
    return at == groups.end() ? nullptr : &at->second;
  }
  LiveGroup& find_or_make(std::string_view group);
  LiveConsumerGroup* find_consumer(std::string_view group) {
    auto at = consumers.find(group);
    return at == consumers.end() ? nullptr : &at->second;
  }
  /// Where a key's deadline stands; null when that is gone.
  Deadline* deadline(const DeadlineKey& key);
};

}  // namespace mr::coordinator
