#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "coordinator/consumer_group_state.h"
#include "coordinator/group_records.h"
#include "model/record.h"

namespace mr::coordinator {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

/// What one partition of __consumer_offsets says about a group.
struct DurableGroup {
  /// The value of its record, as stored; empty for a group that only commits offsets.
  std::vector<std::byte> record;
  TextMap<std::unordered_map<std::int32_t, StoredOffset>> offsets;  ///< by topic and partition

  bool empty() const { return record.empty() && offsets.empty(); }
  /// Null when there is none.
  const StoredOffset* find(std::string_view topic, PartitionIndex partition) const {
    auto at = offsets.find(topic);
    if (at == offsets.end()) return nullptr;
    auto found = at->second.find(partition.v);
    return found == at->second.end() ? nullptr : &found->second;
  }
  friend bool operator==(const DurableGroup&, const DurableGroup&) = default;
};

/// The durable half of the groups of one partition: what replaying its log gives, and nothing else.
struct GroupState {
  TextMap<DurableGroup> groups;
  /// Those of KIP-848; their offsets are in `groups`, as everybody's.
  TextMap<ConsumerGroupState> consumers;
  std::uint64_t offsets = 0;
  std::uint64_t other_records = 0;  ///< of kinds that are not read yet
  /// The first record that could not be read: such a partition is not served, since offsets could be missing.
  std::optional<Error> broken;

  void apply(const Record& record, WallMillis written_at);

 private:
  Result<void> apply_checked(const Record& record, WallMillis written_at);
  Result<void> apply_consumer(const ConsumerGroupKey& key, std::optional<ByteView> value, WallMillis written_at);
  void put_offset(const OffsetKey& key, StoredOffset offset);
  void drop_offset(const OffsetKey& key);
  void put_group(std::string_view group, std::optional<ByteView> record);
};

}  // namespace mr::coordinator
