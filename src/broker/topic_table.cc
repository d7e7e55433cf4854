#include "broker/topic_table.h"

namespace mr::broker {

std::string TopicTable::collides_with(std::string_view name) const {
  auto it = by_collision_key_.find(collision_key(name));
  return it == by_collision_key_.end() || it->second == name ? std::string() : it->second;
}

std::shared_ptr<const TopicTable> TopicTable::with(TopicRef topic) const {
  auto table = std::make_shared<TopicTable>(*this);
  if (auto old = find(topic->name)) {
    table->by_id_.erase(old->id);
    table->partition_count_ -= old->partitions.size();
  }
  table->by_id_[topic->id] = topic;
  table->by_collision_key_[collision_key(topic->name)] = topic->name;
  table->partition_count_ += topic->partitions.size();
  table->by_name_[topic->name] = std::move(topic);
  return table;
}

std::shared_ptr<const TopicTable> TopicTable::without(TopicId id) const {
  auto table = std::make_shared<TopicTable>(*this);
  if (auto topic = find(id)) {
    table->by_name_.erase(topic->name);
    table->by_id_.erase(id);
    table->by_collision_key_.erase(collision_key(topic->name));
    table->partition_count_ -= topic->partitions.size();
  }
  return table;
}

ShardId home_of(TopicId id, PartitionIndex partition, std::uint32_t shards) {
  // Neighbouring partitions go to neighbouring shards, so that a topic with as many partitions as shards uses all.
  std::uint64_t start = (id.v.high ^ id.v.low) * 0x9e3779b97f4a7c15ull >> 32;
  return ShardId{static_cast<std::uint32_t>((start + static_cast<std::uint64_t>(partition.v)) % shards)};
}

}  // namespace mr::broker
