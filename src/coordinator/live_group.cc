#include "coordinator/live_group.h"

#include <algorithm>

#include "coordinator/group_records.h"
#include "wire/consumer_protocol.h"

namespace mr::coordinator {

Blob Member::metadata(std::string_view protocol) const {
  auto at = std::ranges::find(protocols, protocol, &GroupProtocol::name);
  return at == protocols.end() ? Blob{} : at->metadata;
}

Member* LiveGroup::find(std::string_view id) {
  auto at = members_.find(id);
  return at == members_.end() ? nullptr : &at->second;
}

Member* LiveGroup::find_instance(std::string_view instance) {
  auto at = instances_.find(instance);
  return at == instances_.end() ? nullptr : find(at->second);
}

void LiveGroup::count_protocols(const Member& member, int by) {
  for (const GroupProtocol& protocol : member.protocols) {
    std::size_t& speakers = speakers_[protocol.name];
    speakers += static_cast<std::size_t>(by);
    if (speakers == 0) speakers_.erase(protocol.name);
    blob_bytes_ += static_cast<std::size_t>(by) * protocol.metadata.size();
  }
}

Member& LiveGroup::add(Member member, std::string_view type) {
  if (members_.empty()) protocol_type = std::string(type);
  if (member.instance) MR_CHECK(instances_.emplace(*member.instance, member.id).second);
  if (leader.empty()) leader = member.id;
  pending.erase(member.id);
  count_protocols(member, 1);
  joining_ += member.joining ? 1 : 0;
  std::string id = member.id;
  auto [at, added] = members_.emplace(std::move(id), std::move(member));
  MR_CHECK(added);
  return at->second;
}

void LiveGroup::remove(std::string_view id) {
  auto at = members_.find(id);
  if (at == members_.end()) return;
  const Member& member = at->second;
  count_protocols(member, -1);
  joining_ -= member.joining ? 1 : 0;
  if (member.instance) instances_.erase(*member.instance);
  const bool led = is_leader(member.id);
  members_.erase(at);
  if (led) leader = members_.empty() ? std::string() : members_.begin()->first;
}

Member& LiveGroup::rename(std::string_view old_id, std::string new_id) {
  auto node = members_.extract(members_.find(old_id));
  MR_CHECK(!node.empty() && !node.mapped().joining && !node.mapped().syncing && node.mapped().instance);
  const bool led = is_leader(old_id);
  node.key() = new_id;
  Member& member = node.mapped();
  member.id = new_id;
  member.session = Deadline{};  // the entry in the queue is under the old id
  instances_[*member.instance] = new_id;
  if (led) leader = new_id;
  MR_CHECK(members_.insert(std::move(node)).inserted);
  return member;
}

void LiveGroup::set_protocols(Member& member, std::vector<GroupProtocol> protocols) {
  count_protocols(member, -1);
  member.protocols = std::move(protocols);
  count_protocols(member, 1);
}

void LiveGroup::set_joining(Member& member, std::optional<WaiterId> waiter) {
  joining_ -= member.joining ? 1 : 0;
  member.joining = waiter;
  joining_ += member.joining ? 1 : 0;
}

bool LiveGroup::supports(std::string_view type, const std::vector<GroupProtocol>& protocols) const {
  if (state == GroupStateName::empty) return !type.empty() && !protocols.empty();
  return protocol_type == type && std::ranges::any_of(protocols, [this](const GroupProtocol& protocol) {
           auto at = speakers_.find(protocol.name);
           return (at == speakers_.end() ? 0 : at->second) == members_.size();
         });
}

std::string LiveGroup::choose_protocol() const {
  MR_CHECK(!members_.empty());
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members_) {
    auto vote = std::ranges::find_if(
        member.protocols, [this](const GroupProtocol& p) { return speakers_.find(p.name)->second == members_.size(); });
    if (vote != member.protocols.end()) ++votes[vote->name];
  }
  MR_CHECK(!votes.empty());  // nobody gets in without a common protocol
  // Where two have the same, the one that Apache Kafka would take: the first in the order of a small Java hash map.
  auto rank = [](std::string_view name) {
    const auto hash = static_cast<std::uint32_t>(java_hash(name));
    return (hash ^ hash >> 16) & 15;
  };
  auto best = votes.begin();
  for (auto it = votes.begin(); it != votes.end(); ++it)
    if (it->second > best->second || (it->second == best->second && rank(it->first) < rank(best->first))) best = it;
  return std::string(best->first);
}

bool LiveGroup::anybody_owes_sync() const {
  return std::ranges::any_of(members_, [](const auto& entry) { return entry.second.owes_sync; });
}

Millis LiveGroup::rebalance_timeout() const {
  Millis longest{0};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

void LiveGroup::read_subscriptions() {
  subscribed.reset();
  if (!is_consumer()) return;
  std::set<std::string, std::less<>> topics;
  for (const auto& [id, member] : members_) {
    if (!protocol) return;
    auto wanted = wire::subscribed_topics(member.metadata(*protocol).view());
    if (!wanted.ok()) return;
    for (std::string& topic : *wanted) topics.insert(std::move(topic));
  }
  subscribed = std::move(topics);
}

bool LiveGroup::subscribes(std::string_view topic) const {
  return subscribed ? subscribed->contains(topic) : is_consumer();
}

LiveGroup& LiveGroups::find_or_make(std::string_view group) {
  auto at = groups.find(group);
  if (at != groups.end()) return at->second;
  return groups.emplace(std::string(group), LiveGroup(std::string(group))).first->second;
}

namespace {
Deadline* deadline_of(LiveConsumerGroup& group, const DeadlineKey& key) {
  if (key.kind == DeadlineKind::consumer_assign) return &group.assign;
  if (key.kind == DeadlineKind::consumer_expiry) return &group.expiry;
  auto at = group.sessions.find(key.member);
  if (at == group.sessions.end()) return nullptr;
  LiveConsumerGroup::Session& session = at->second;
  switch (key.kind) {
    case DeadlineKind::consumer_revoke:
      return &session.revoke;
    case DeadlineKind::consumer_rejoin:
      return &session.rejoin;
    case DeadlineKind::consumer_sync:
      return &session.sync;
    default:
      return &session.session;
  }
}
}  // namespace

TimePoint SessionSteps::operator()(const DeadlineKey& key, TimePoint at) const {
  const bool session = key.kind == DeadlineKind::session || key.kind == DeadlineKind::consumer_session;
  if (!session || step <= Duration::zero()) return at;
  const Duration phase(static_cast<Duration::rep>(TextHash{}(key.group) % static_cast<std::size_t>(step.count())));
  const Duration past = (at.time_since_epoch() + step - phase) % step;
  return past == Duration::zero() ? at : at + step - past;
}

Deadline* LiveGroups::deadline(const DeadlineKey& key) {
  if (is_consumer(key.kind)) {
    LiveConsumerGroup* modern = find_consumer(key.group);
    return modern == nullptr ? nullptr : deadline_of(*modern, key);
  }
  LiveGroup* group = find(key.group);
  if (group == nullptr) return nullptr;
  switch (key.kind) {
    case DeadlineKind::session: {
      Member* member = group->find(key.member);
      return member == nullptr ? nullptr : &member->session;
    }
    case DeadlineKind::pending: {
      auto at = group->pending.find(key.member);
      return at == group->pending.end() ? nullptr : &at->second;
    }
    case DeadlineKind::round:
      return &group->round;
    case DeadlineKind::sync:
      return &group->sync;
    case DeadlineKind::expiry:
      return &group->expiry;
    case DeadlineKind::consumer_session:
    case DeadlineKind::consumer_revoke:
    case DeadlineKind::consumer_assign:
    case DeadlineKind::consumer_expiry:
    case DeadlineKind::consumer_rejoin:
    case DeadlineKind::consumer_sync:
      return nullptr;
  }
  return nullptr;
}

}  // namespace mr::coordinator
