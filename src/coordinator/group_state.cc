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

void GroupState::apply(const Record& record) {
  auto applied = apply_checked(record);
  if (!applied.ok() && !broken) broken = applied.error();
}

Result<void> GroupState::apply_checked(const Record& record) {
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
  } else {
    ++other_records;
  }
  return {};
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
