#include "coordinator/group_state.h"

namespace mr::coordinator {

namespace {
/// The entry of `key`; made when missing.
template <class Map>
typename Map::mapped_type& at_or_new(Map& map, std::string_view key) {
  auto at = map.find(key);
  return at != map.end() ? at->second : map.emplace(std::string(key), typename Map::mapped_type{}).first->second;
}
}  // namespace

void GroupState::apply(const Record& record, WallMillis written_at) {
  auto applied = apply_checked(record, written_at);
  if (!applied.ok() && !broken) broken = applied.error();
}

Result<void> GroupState::apply_checked(const Record& record, WallMillis written_at) {
  if (!record.key) return Error(Errc::malformed, "a record without a key");
  MR_TRY(RecordKey key, read_key(*record.key));
  if (const auto* offset = std::get_if<OffsetKey>(&key)) {
    if (!record.value) {
      drop_offset(*offset);
      return {};
    }
    MR_TRY(StoredOffset value, read_offset(*record.value));
    put_offset(*offset, std::move(value));
  } else if (const auto* group = std::get_if<GroupKey>(&key)) {
    if (record.value) {
      auto readable = read_group(*record.value);
      if (!readable.ok()) return std::move(readable).error();
    }
    put_group(group->group, record.value);
  } else if (is_consumer_group_key(std::get<OtherKey>(key).type)) {
    MR_TRY(ConsumerGroupKey consumer, read_consumer_group_key(*record.key));
    return apply_consumer(consumer, record.value, written_at);
  } else {
    ++other_records;
  }
  return {};
}

namespace {
/// Hands the decoded value, or null for a tombstone, to `put`.
template <class Read, class Put>
Result<void> decode_and(std::optional<ByteView> bytes, Read read, Put put) {
  using Value = typename decltype(read(ByteView{}))::value_type;
  if (!bytes) {
    put(static_cast<const Value*>(nullptr));
    return {};
  }
  MR_TRY(Value value, read(*bytes));
  put(&value);
  return {};
}
}  // namespace

Result<void> GroupState::apply_consumer(const ConsumerGroupKey& key, std::optional<ByteView> value,
                                        WallMillis written_at) {
  const std::string_view name = std::visit([](const auto& k) { return k.group; }, key);
  ConsumerGroupState& group = at_or_new(consumers, name);
  struct Visit {
    ConsumerGroupState& group;
    std::optional<ByteView> value;
    WallMillis written_at;
    Result<void> operator()(const GroupEpochKey&) {
      return decode_and(value, read_group_epoch, [&](const auto* v) { group.put(v, written_at); });
    }
    Result<void> operator()(const PartitionMetadataKey&) { return {}; }
    Result<void> operator()(const ConsumerMemberKey& k) {
      return decode_and(value, read_consumer_member, [&](const auto* v) { group.put_member(k.member, v); });
    }
    Result<void> operator()(const TargetEpochKey&) {
      return decode_and(value, read_target_epoch, [&](const auto* v) { group.put(v); });
    }
    Result<void> operator()(const TargetMemberKey& k) {
      return decode_and(value, read_target_member, [&](const auto* v) { group.put_target(k.member, v); });
    }
    Result<void> operator()(const CurrentAssignmentKey& k) {
      return decode_and(value, read_current_assignment, [&](const auto* v) { group.put_current(k.member, v); });
    }
    Result<void> operator()(const RegexKey& k) {
      return decode_and(value, read_regex, [&](const auto* v) { group.put_regex(k.regex, v); });
    }
  };
  auto applied = std::visit(Visit{group, value, written_at}, key);
  if (group.gone()) consumers.erase(consumers.find(name));
  return applied;
}

void GroupState::put_offset(const OffsetKey& key, StoredOffset offset) {
  auto& of_topic = at_or_new(at_or_new(groups, key.group).offsets, key.topic);
  auto [at, added] = of_topic.insert_or_assign(key.partition.v, std::move(offset));
  if (added) ++offsets;
}

void GroupState::drop_offset(const OffsetKey& key) {
  auto group = groups.find(key.group);
  if (group == groups.end()) return;
  auto topic = group->second.offsets.find(key.topic);
  if (topic == group->second.offsets.end() || topic->second.erase(key.partition.v) == 0) return;
  --offsets;
  if (topic->second.empty()) group->second.offsets.erase(topic);
  if (group->second.empty()) groups.erase(group);
}

void GroupState::put_group(std::string_view name, std::optional<ByteView> record) {
  if (record) {
    at_or_new(groups, name).record.assign(record->begin(), record->end());
    return;
  }
  auto group = groups.find(name);
  if (group == groups.end()) return;
  group->second.record.clear();
  if (group->second.empty()) groups.erase(group);
}

}  // namespace mr::coordinator
