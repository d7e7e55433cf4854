#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/ids.h"
#include "runtime/executor.h"

namespace mr::broker {

/// Where one partition lives and who leads it, as every shard knows it.
struct PartitionPlace {
  ShardId home;
  BrokerId leader;
  LeaderEpoch leader_epoch;
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> isr;
};

/// One topic as every shard knows it. Immutable once published.
struct TopicInfo {
  std::string name;
  TopicId id;
  bool internal = false;
  std::map<std::string, std::string> configs;  ///< explicitly set ones
  std::vector<PartitionPlace> partitions;      ///< by index

  const PartitionPlace* partition(PartitionIndex index) const {
    return index.v >= 0 && static_cast<std::size_t>(index.v) < partitions.size()
               ? &partitions[static_cast<std::size_t>(index.v)]
               : nullptr;
  }
};
using TopicRef = std::shared_ptr<const TopicInfo>;

/// All topics. Immutable: a change makes a new table, which every shard takes over; a shard's requests see one table
/// from beginning to end.
class TopicTable {
 public:
  TopicRef find(std::string_view name) const {
    auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
  }
  TopicRef find(TopicId id) const {
    auto it = by_id_.find(id);
    return it == by_id_.end() ? nullptr : it->second;
  }
  /// Name of an existing topic that would share a directory-safe name with `name` (traps.md 38); empty when none.
  std::string collides_with(std::string_view name) const;
  /// In order of names.
  const std::map<std::string, TopicRef, std::less<>>& topics() const { return by_name_; }
  std::size_t partition_count() const { return partition_count_; }

  std::shared_ptr<const TopicTable> with(TopicRef topic) const;
  std::shared_ptr<const TopicTable> without(TopicId id) const;

 private:
  std::map<std::string, TopicRef, std::less<>> by_name_;
  std::unordered_map<TopicId, TopicRef> by_id_;
  std::unordered_map<std::string, std::string> by_collision_key_;
  std::size_t partition_count_ = 0;
};

/// The shard that owns a partition: the same on every start with the same number of shards, spread evenly.
ShardId home_of(TopicId id, PartitionIndex partition, std::uint32_t shards);

}  // namespace mr::broker
