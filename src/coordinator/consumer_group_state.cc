#include "coordinator/consumer_group_state.h"

#include <algorithm>

namespace mr::coordinator {

namespace {
template <class T>
void change(ConsumerGroupState::ById<T>& map, std::string_view id, const T* value) {
  auto at = map.find(id);
  if (value == nullptr) {
    if (at != map.end()) map.erase(at);
  } else if (at != map.end()) {
    at->second = *value;
  } else {
    map.emplace(std::string(id), *value);
  }
}

void count_one(ConsumerGroupState::ById<std::size_t>& counts, std::string_view name, bool in) {
  auto at = counts.find(name);
  if (in) {
    if (at == counts.end()) at = counts.emplace(std::string(name), 0).first;
    ++at->second;
  } else if (at != counts.end() && --at->second == 0) {
    counts.erase(at);
  }
}
}  // namespace

const CurrentAssignment& ConsumerGroupState::current(std::string_view id) const {
  static const CurrentAssignment kNone;
  const CurrentAssignment* found = find(currents_, id);
  return found == nullptr ? kNone : *found;
}

const PartitionSet& ConsumerGroupState::target(std::string_view id) const {
  static const PartitionSet kNone;
  const PartitionSet* found = find(targets_, id);
  return found == nullptr ? kNone : *found;
}

bool ConsumerGroupState::subscribes(std::string_view topic) const {
  if (names_.contains(topic)) return true;
  return std::ranges::any_of(patterns_, [&](const auto& entry) {
    const ResolvedRegex* resolved = regex(entry.first);
    return resolved != nullptr && std::ranges::binary_search(resolved->topics, topic);
  });
}

std::vector<std::string_view> ConsumerGroupState::subscribed() const {
  std::vector<std::string_view> all;
  for (const auto& [name, members] : names_) all.push_back(name);
  if (patterns_.empty()) return all;
  for (const auto& [pattern, members] : patterns_)
    if (const ResolvedRegex* resolved = regex(pattern))
      all.insert(all.end(), resolved->topics.begin(), resolved->topics.end());
  sort_once(all);
  return all;
}

std::vector<std::string> ConsumerGroupState::patterns() const {
  std::vector<std::string> all;
  for (const auto& [pattern, members] : patterns_) all.push_back(pattern);
  return all;
}

void ConsumerGroupState::count(const ConsumerMember& member, std::string_view id, bool in) {
  for (const std::string& topic : member.topics) count_one(names_, topic, in);
  if (member.regex) count_one(patterns_, *member.regex, in);
  if (member.classic) {
    classic_ += in ? 1 : std::size_t(-1);
    for (const GroupProtocol& protocol : member.classic->protocols) count_one(speakers_, protocol.name, in);
  }
  if (!member.instance) return;
  if (in) {
    instances_.insert_or_assign(*member.instance, std::string(id));
  } else if (const std::string* held_by = holder(*member.instance); held_by != nullptr && *held_by == id) {
    instances_.erase(*member.instance);
  }
}

void ConsumerGroupState::hold(const CurrentAssignment& current, bool in) {
  auto one = [&](TopicId topic, std::int32_t partition) {
    const broker::PartitionKey key{topic, PartitionIndex{partition}};
    if (in) {
      owned_.insert_or_assign(key, current.epoch);
    } else if (auto at = owned_.find(key); at != owned_.end() && at->second == current.epoch) {
      owned_.erase(at);  // another epoch: somebody else has it meanwhile
    }
  };
  for (const auto& [topic, partitions] : current.assigned)
    for (const auto& [partition, epoch] : partitions) one(topic, partition);
  for (const auto& [topic, partitions] : current.revoking)
    for (std::int32_t partition : partitions) one(topic, partition);
  if (current.state != ReconcileState::stable) return;
  if (std::size_t& settled = settled_[current.epoch]; in) {
    ++settled;
  } else if (--settled == 0) {
    settled_.erase(current.epoch);
  }
}

void ConsumerGroupState::put_member(std::string_view id, const ConsumerMember* value) {
  if (const ConsumerMember* before = member(id)) count(*before, id, false);
  change(members_, id, value);
  if (value != nullptr) count(*value, id, true);
}

void ConsumerGroupState::put_target(std::string_view id, const PartitionSet* value) { change(targets_, id, value); }

void ConsumerGroupState::put_current(std::string_view id, const CurrentAssignment* value) {
  if (auto before = currents_.find(id); before != currents_.end()) hold(before->second, false);
  change(currents_, id, value);
  if (value != nullptr) hold(*value, true);
}

void ConsumerGroupState::put_regex(std::string_view pattern, const ResolvedRegex* value) {
  change(regexes_, pattern, value);
}

}  // namespace mr::coordinator
