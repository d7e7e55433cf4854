#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/shard_state.h"
#include "coordinator/consumer_group_records.h"

namespace mr::coordinator {

/// The durable half of one KIP-848 group: what replaying its records gives. The tables at the end follow from the
/// records and change with them, so that they can never say anything else.
class ConsumerGroupState {
 public:
  template <class T>
  using ById = std::map<std::string, T, std::less<>>;

  std::int32_t epoch() const { return group_.epoch; }
  std::int64_t metadata_hash() const { return group_.metadata_hash; }
  /// When the epoch rose last, by its record's timestamp; -1: never. A group without members has had none since then.
  WallMillis epoch_since() const { return epoch_since_; }
  std::int32_t target_epoch() const { return target_.epoch; }
  const ById<ConsumerMember>& members() const { return members_; }
  const ById<PartitionSet>& targets() const { return targets_; }
  const ById<CurrentAssignment>& currents() const { return currents_; }
  const ById<ResolvedRegex>& regexes() const { return regexes_; }

  /// Null when there is none.
  const ConsumerMember* member(std::string_view id) const { return find(members_, id); }
  /// Of a member without one: nothing, at epoch 0.
  const CurrentAssignment& current(std::string_view id) const;
  const PartitionSet& target(std::string_view id) const;
  const ResolvedRegex* regex(std::string_view pattern) const { return find(regexes_, pattern); }
  /// The member that holds a static instance; null when nobody does.
  const std::string* holder(std::string_view instance) const { return find(instances_, instance); }
  /// Nobody has it, or may still read it.
  bool is_free(TopicId topic, std::int32_t partition) const {
    return !owned_.contains(broker::PartitionKey{topic, PartitionIndex{partition}});
  }
  /// Some member reads it, by its name or by a pattern.
  bool subscribes(std::string_view topic) const;
  /// Members that have all of their target, as of this epoch of it.
  std::size_t settled_at(std::int32_t target_epoch) const {
    auto at = settled_.find(target_epoch);
    return at == settled_.end() ? 0 : at->second;
  }
  bool uses_pattern(std::string_view pattern) const { return patterns_.contains(pattern); }
  bool has_patterns() const { return !patterns_.empty(); }
  /// In order, none twice.
  std::vector<std::string> patterns() const;
  /// In order of names, none twice; existing or not.
  std::vector<std::string_view> subscribed() const;
  /// Every classic member speaks one of these.
  bool all_speak_one_of(const std::vector<GroupProtocol>& protocols) const {
    return std::ranges::any_of(protocols, [this](const GroupProtocol& protocol) {
      auto at = speakers_.find(protocol.name);
      return (at == speakers_.end() ? 0 : at->second) == classic_;
    });
  }
  /// Without these members only classic ones are left, if any.
  bool classic_without(const std::vector<std::string>& gone) const {
    const auto others = std::ranges::count_if(gone, [this](const std::string& id) { return !member(id)->classic; });
    return members_.size() - classic_ == static_cast<std::size_t>(others);
  }
  /// Nothing is left of it.
  bool gone() const {
    return group_.epoch == 0 && target_.epoch == 0 && members_.empty() && targets_.empty() && currents_.empty() &&
           regexes_.empty();
  }

  // Records; null: a tombstone.
  void put(const GroupEpochRecord* value, WallMillis written_at) {
    group_ = value ? *value : GroupEpochRecord{};
    epoch_since_ = value ? written_at : -1;
  }
  void put(const TargetEpochRecord* value) { target_ = value ? *value : TargetEpochRecord{}; }
  void put_member(std::string_view id, const ConsumerMember* value);
  void put_target(std::string_view id, const PartitionSet* value);
  void put_current(std::string_view id, const CurrentAssignment* value);
  void put_regex(std::string_view pattern, const ResolvedRegex* value);

 private:
  template <class T>
  static const T* find(const ById<T>& map, std::string_view id) {
    auto at = map.find(id);
    return at == map.end() ? nullptr : &at->second;
  }
  void count(const ConsumerMember& member, std::string_view id, bool in);
  void hold(const CurrentAssignment& current, bool in);

  GroupEpochRecord group_;
  WallMillis epoch_since_ = -1;
  TargetEpochRecord target_;
  ById<ConsumerMember> members_;
  ById<PartitionSet> targets_;
  ById<CurrentAssignment> currents_;
  ById<ResolvedRegex> regexes_;

  ById<std::string> instances_;                                   ///< instance -> member
  ById<std::size_t> names_;                                       ///< topic -> members that name it
  std::size_t classic_ = 0;                                       ///< members that speak the classic protocol
  ById<std::size_t> speakers_;                                    ///< protocol -> classic members that speak it
  ById<std::size_t> patterns_;                                    ///< pattern -> members that have it
  std::unordered_map<broker::PartitionKey, std::int32_t> owned_;  ///< -> epoch of the member that has it
  std::map<std::int32_t, std::size_t> settled_;                   ///< epoch -> members that are stable in it
};

}  // namespace mr::coordinator
