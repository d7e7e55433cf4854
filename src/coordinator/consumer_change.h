#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/deciding.h"
#include "coordinator/reconcile.h"

/// What the decisions about KIP-848 groups share. Private to this room.
namespace mr::coordinator {

/// What one decision makes of one group: reads like the group after it, leaves the records that make it so. One per
/// group and decision, since the records of another would not be seen.
class ConsumerChange {
 public:
  /// The group is there, in `d.live` at least.
  ConsumerChange(Deciding& d, std::string_view group);

  const std::string& name() const { return name_; }
  LiveConsumerGroup& live() const { return live_; }
  const ConsumerGroupState& before() const { return before_; }
  std::int32_t epoch() const { return epoch_; }
  std::int32_t target_epoch() const { return target_epoch_; }
  /// Null when it is not in the group.
  const ConsumerMember* member(std::string_view id) const;
  const PartitionSet& target(std::string_view id) const;
  /// The member reads this topic, by its name or by a pattern of which it is known that it matches.
  bool reads(const ConsumerMember& member, TopicId topic) const;
  /// It is known which topics the pattern matches.
  bool is_matched(std::string_view pattern) const { return regex(pattern) != nullptr; }

  /// A new member, or what it asks for has changed. Does not bump().
  void put_member(const std::string& id, ConsumerMember member);
  /// With all it has.
  void remove_member(const std::string& id);
  void put_target(const std::string& id, PartitionSet target);
  void put_current(const std::string& id, const CurrentAssignment& current);
  void put_regex(const std::string& pattern, ResolvedRegex resolved);
  /// The group's epoch rises, once in a decision.
  void bump(RebalanceReason reason);
  /// What the decision has written so far is stored whole or not at all.
  bool fits_one_batch() const;
  /// What follows from the changes; only put_current() may come later. Targets are made, or will be.
  void settle();
  /// As settle(), with targets that were made off the shard.
  void settle(const AssignedEvent& made);
  /// Patterns are matched with today's topics, off the shard.
  void match_patterns();
  void forget_unused_patterns();

  /// Of the topics the members read, as they are now.
  std::int64_t metadata_hash() const;
  /// Somebody has a pattern of which nobody knows yet what it matches.
  bool waits_for_patterns() const;

 private:
  ConsumerChange(Deciding& d, TextMap<LiveConsumerGroup>::value_type& live);
  template <class F>
  void for_each_member(F fn) const;
  /// Names that somebody reads, ascending.
  std::vector<std::string_view> topics_read() const;
  std::vector<std::string> patterns() const;
  const ResolvedRegex* regex(std::string_view pattern) const;
  void write_epoch();
  Millis assignment_interval() const;
  bool assign_now() const;
  std::shared_ptr<AssignorInput> assignor_input() const;
  std::shared_ptr<const Assignor> assignor() const;
  void begin_whole();
  void make_targets();
  std::optional<Error> too_much_for_one(const AssignorOutput& output) const;
  /// Who has that member's place now: itself, or who came back with its static instance; null: nobody.
  const std::string* in_place_of(const AssignorMember& then) const;
  void take_targets(const AssignorInput& input, const Result<AssignorOutput>& output, std::int32_t epoch);
  bool everybody_settled() const;
  /// The rebalance under way is over when every member has what its target says.
  void look_for_end();

  Deciding& d_;
  const std::string& name_;  ///< the key in `d.live`
  LiveConsumerGroup& live_;
  const std::size_t first_record_;  ///< of the decision
  const ConsumerGroupState& before_;
  std::int32_t epoch_;
  std::int32_t target_epoch_;
  bool bumped_ = false;
  bool patterns_touched_ = false;
  std::map<std::string, std::optional<ConsumerMember>, std::less<>> members_;  ///< changed; empty: gone
  std::map<std::string, PartitionSet, std::less<>> targets_;                   ///< changed
  std::map<std::string, ResolvedRegex, std::less<>> regexes_;                  ///< changed
  std::map<std::string, std::int32_t, std::less<>> settled_;  ///< changed: epoch in which it is stable; -1: in none
};

/// The state's own, or one with nothing in it.
const ConsumerGroupState& consumer_state(const GroupState& state, std::string_view group);
/// As this decision found it, or made it out of a classic group.
const ConsumerGroupState& consumer_state(const Deciding& d, std::string_view group);
GroupStateName consumer_group_state(const ConsumerGroupState& group);
/// Its own when it speaks the classic protocol.
Millis session_timeout(const Deciding& d, std::string_view group, const ConsumerMember& member);
/// The session of `member` begins, or goes on.
void heard_consumer(Deciding& d, std::string_view group, LiveConsumerGroup& live, const std::string& member,
                    Millis timeout);
/// Does the member read something else than before?
bool other_subscription(const ConsumerMember* before, const ConsumerMember& after);
/// Does what a member asks for make other targets? Not with a pattern of which it is not known yet what it matches: the
/// targets would have to be made again.
bool changes_targets(const ConsumerChange& change, const ConsumerMember* before, const ConsumerMember& after);
/// A new client with the instance of another: the same place under another id.
void take_over(ConsumerChange& change, const std::string& old_id, const std::string& new_id, ConsumerMember asks);
struct Step {
  const std::string& member;
  const CurrentAssignment& before;      ///< where it was, or where the one was whose place it took
  const PartitionSet* owned = nullptr;  ///< what it says it reads; null: it does not say
  bool subscription_changed = false;    ///< with this request
};
/// The member takes the steps towards its target that it can take; where it is then.
CurrentAssignment move_on(Deciding& d, ConsumerChange& change, const Step& step);
/// Members are out, and what they had is free. When only members of the classic protocol stay, the group is theirs.
void remove_consumers(Deciding& d, const std::string& group, const std::vector<std::string>& members,
                      RebalanceReason reason);
/// Tombstones of all that the group keeps but its offsets.
std::vector<broker::StateRecord> consumer_tombstones(const ConsumerGroupState& group, std::string_view name);
/// With those it is forgotten.
void erase_consumer_group(Deciding& d, std::string_view group);
void arm_consumer_expiry(Deciding& d, std::string_view group, LiveConsumerGroup& live, Duration in);
/// The one that most members ask for, else the first of the settings.
std::shared_ptr<const Assignor> preferred_assignor(const GroupSettings& settings,
                                                   const std::map<std::string, std::size_t, std::less<>>& votes);

}  // namespace mr::coordinator
