// JoinGroup, SyncGroup and Heartbeat of members that speak the classic protocol in a group of KIP-848 (traps.md 93).
// To them it looks like a group whose leader is somebody else: a join moves them on towards their target, a sync tells
// what they have, and a heartbeat tells that they shall join again.
#include <algorithm>

#include "coordinator/consumer_change.h"
#include "wire/consumer_protocol.h"

namespace mr::coordinator {

namespace {

constexpr std::string_view kConsumerType = "consumer";

/// The place that a join is for.
struct Place {
  std::optional<Errc> wrong;
  std::string id;
  std::optional<std::string> replaces;  ///< the static member whose place it is
};
Place place_of(const JoinRequest& request, const ConsumerGroupState& group, std::string new_id) {
  const bool comes_without_id = request.member.empty();
  Place place{.wrong = std::nullopt, .id = comes_without_id ? std::move(new_id) : request.member, .replaces = {}};
  if (!request.instance) return place;
  const std::string* holder = group.holder(*request.instance);
  if (holder == nullptr) {
    if (!comes_without_id) place.wrong = Errc::unknown_member;
  } else if (comes_without_id) {
    place.replaces = *holder;
  } else if (*holder != request.member) {
    place.wrong = Errc::fenced_instance_id;
  }
  return place;
}

ConsumerMember asked_for(JoinRequest& request, wire::ConsumerSubscription& subscription, const ConsumerMember* before) {
  ConsumerMember asks = before == nullptr ? ConsumerMember{} : *before;
  if (request.instance) asks.instance = request.instance;
  if (subscription.rack) asks.rack = std::move(subscription.rack);
  asks.client_id = request.client_id;
  asks.client_host = request.client_host;
  asks.topics = std::move(subscription.topics);
  sort_once(asks.topics);
  asks.regex.reset();
  asks.assignor.reset();
  asks.rebalance_timeout = request.rebalance_timeout;
  asks.classic = ClassicSide{request.session_timeout, std::move(request.protocols)};
  return asks;
}

PartitionSet by_id(const std::vector<TopicPartition>& partitions, const broker::TopicTable* topics) {
  PartitionSet set;
  for (const TopicPartition& one : partitions)
    if (const broker::TopicRef topic = topics == nullptr ? nullptr : topics->find(one.topic))
      set[topic->id].push_back(one.partition.v);
  for (auto& [topic, numbers] : set) sort_once(numbers);
  return set;
}

std::string first_protocol(const ConsumerMember& member) {
  return member.classic->protocols.empty() ? std::string() : member.classic->protocols.front().name;
}

/// May this caller speak for the member? It has to speak the classic protocol.
std::optional<Error> check_caller(const ConsumerGroupState& group, const std::string& member,
                                  const std::optional<std::string>& instance, Generation generation) {
  if (instance) {
    const std::string* holder = group.holder(*instance);
    if (holder == nullptr) return Errc::unknown_member;
    if (*holder != member) return Errc::fenced_instance_id;
  }
  const ConsumerMember* found = group.member(member);
  if (found == nullptr || !found->classic) return Errc::unknown_member;
  if (generation.v != group.current(member).epoch) return Errc::illegal_generation;
  return std::nullopt;
}

/// The member has been told to join again, and is given the time for it once.
void expect_join(Deciding& d, const std::string& group, const std::string& id, const ConsumerMember& member) {
  Deadline& rejoin = d.live.find_consumer(group)->sessions.find(id)->second.rejoin;
  if (rejoin.at == kForever) d.arm(rejoin, member.rebalance_timeout, {DeadlineKind::consumer_rejoin, group, id});
}

/// There are targets that it has not heard of. (Those that are still to be made are no reason to stop reading.)
bool is_behind(const ConsumerGroupState& group, const CurrentAssignment& current) {
  return current.epoch < group.target_epoch();
}

/// All that it waits for has been let go of.
bool may_go_on(const ConsumerGroupState& group, const std::string& id, const CurrentAssignment& current) {
  if (current.state != ReconcileState::unreleased) return false;
  return std::ranges::all_of(group.target(id), [&](const auto& target) {
    const auto& [topic, partitions] = target;
    auto has = current.assigned.find(topic);
    return std::ranges::all_of(partitions, [&](std::int32_t partition) {
      return (has != current.assigned.end() && has->second.contains(partition)) || group.is_free(topic, partition);
    });
  });
}

/// A static client of the classic protocol is back in the place of the last member that spoke KIP-848: the group is
/// one of classic members, and the client joins that.
bool makes_it_classic(Deciding& d, const JoinRequest& request, const Place& place, const ConsumerGroupState& group) {
  if (!place.replaces || group.member(*place.replaces)->classic) return false;
  const std::vector<std::string> gone{*place.replaces};
  const RebalanceReason reason{RebalanceCause::member_replaced, place.id};
  if (may_downgrade(d, request.group, gone, 1)) return downgrade(d, request.group, gone, reason);
  if (group.members().size() > 1 || !allows(d.settings.migration, MigrationPolicy::downgrade)) return false;
  remove_consumers(d, request.group, gone, reason);  // it was alone
  return true;
}

}  // namespace

bool join_consumers(Deciding& d, WaiterId waiter, JoinRequest& request, std::string new_id) {
  auto refuse = [&](Error why, std::string member) {
    d.reply(waiter, JoinAnswer{.error = std::move(why), .member = std::move(member)});
    return true;
  };
  const ConsumerGroupState& group = consumer_state(d.state, request.group);
  const Place place = place_of(request, group, std::move(new_id));
  const ConsumerMember* known = group.member(place.replaces ? *place.replaces : place.id);
  if (known == nullptr && group.members().size() >= d.settings.consumer_members_max)
    return refuse(Errc::group_max_size_reached, "");
  if (request.protocol_type != kConsumerType || !group.all_speak_one_of(request.protocols))
    return refuse(Errc::inconsistent_group_protocol, request.member);
  if (request.member.empty() && !request.instance && request.member_id_required)
    return refuse(Errc::member_id_required, place.id);
  if (place.wrong) return refuse(*place.wrong, request.member);
  auto subscription = wire::read_subscription(request.protocols.front().metadata.view());
  if (!subscription.ok()) return refuse(Errc::inconsistent_group_protocol, request.member);
  if (makes_it_classic(d, request, place, group)) return false;

  const PartitionSet owned = by_id(subscription->owned, d.live.topics.get());
  ConsumerMember asks = asked_for(request, *subscription, known);
  const Millis session = asks.classic->session_timeout;
  const std::string protocol = first_protocol(asks);
  if (stored_bytes(consumer_member_record(request.group, place.id, asks)) > d.settings.record_bytes_max)
    return refuse(Error(Errc::group_record_too_large, "the subscription does not fit a record"), request.member);

  ConsumerChange change(d, request.group);
  const CurrentAssignment& before = group.current(place.replaces ? *place.replaces : place.id);
  const bool bumps = changes_targets(change, known, asks);
  const bool subscription_changed = other_subscription(known, asks);
  if (place.replaces) {
    take_over(change, *place.replaces, place.id, std::move(asks));
  } else if (known == nullptr || asks != *known) {
    change.put_member(place.id, std::move(asks));
  }
  if (bumps) change.bump({place.replaces ? RebalanceCause::member_replaced : RebalanceCause::member_joined, place.id});
  change.settle();
  const CurrentAssignment after = move_on(
      d, change, {.member = place.id, .before = before, .owned = &owned, .subscription_changed = subscription_changed});
  heard_consumer(d, request.group, change.live(), place.id, session);
  LiveConsumerGroup::Session& times = change.live().sessions.find(place.id)->second;
  d.live.deadlines.disarm(times.rejoin);
  d.arm(times.sync, request.rebalance_timeout, {DeadlineKind::consumer_sync, request.group, place.id});
  d.reply(waiter, JoinAnswer{.error = std::nullopt,
                             .generation = Generation{after.epoch},
                             .protocol_type = std::string(kConsumerType),
                             .protocol = protocol,
                             .leader = "",
                             .member = place.id});
  return true;
}

void sync_consumers(Deciding& d, WaiterId waiter, const SyncRequest& request) {
  auto refuse = [&](Error why) { d.reply(waiter, SyncAnswer{.error = std::move(why)}); };
  const ConsumerGroupState& group = consumer_state(d.state, request.group);
  if (auto wrong = check_caller(group, request.member, request.instance, request.generation))
    return refuse(std::move(*wrong));
  const ConsumerMember& member = *group.member(request.member);
  const std::string protocol = first_protocol(member);
  if ((request.protocol_type && request.protocol_type != kConsumerType) ||
      (request.protocol && request.protocol != protocol))
    return refuse(Errc::inconsistent_group_protocol);
  const CurrentAssignment& current = group.current(request.member);
  // Who still has to let go hears first of what.
  if (is_behind(group, current) && current.state != ReconcileState::unrevoked) {
    expect_join(d, request.group, request.member, member);
    return refuse(Errc::rebalance_in_progress);
  }
  LiveConsumerGroup& live = *d.live.find_consumer(request.group);
  d.live.deadlines.disarm(live.sessions.find(request.member)->second.sync);
  heard_consumer(d, request.group, live, request.member, member.classic->session_timeout);

  std::vector<TopicPartition> has;
  for (const auto& [id, partitions] : current.assigned) {
    const broker::TopicRef topic = d.live.topics == nullptr ? nullptr : d.live.topics->find(id);
    if (topic == nullptr) continue;
    for (const auto& [partition, epoch] : partitions) has.push_back({topic->name, PartitionIndex{partition}});
  }
  std::ranges::sort(has);
  std::int16_t version = 0;
  if (!member.classic->protocols.empty())
    if (auto read = wire::read_subscription(member.classic->protocols.front().metadata.view()); read.ok())
      version = read->version;
  d.reply(waiter, SyncAnswer{.error = std::nullopt,
                             .protocol_type = std::string(kConsumerType),
                             .protocol = protocol,
                             .assignment = Blob(wire::write_assignment(version, has))});
}

void heartbeat_consumers(Deciding& d, WaiterId waiter, const HeartbeatRequest& request) {
  auto answer = [&](std::optional<Error> why) { d.reply(waiter, HeartbeatAnswer{.error = std::move(why)}); };
  const ConsumerGroupState& group = consumer_state(d.state, request.group);
  if (auto wrong = check_caller(group, request.member, request.instance, request.generation))
    return answer(std::move(wrong));
  const ConsumerMember& member = *group.member(request.member);
  heard_consumer(d, request.group, *d.live.find_consumer(request.group), request.member,
                 member.classic->session_timeout);
  const CurrentAssignment& current = group.current(request.member);
  if (!is_behind(group, current) && current.state != ReconcileState::unrevoked &&
      !may_go_on(group, request.member, current))
    return answer(std::nullopt);
  expect_join(d, request.group, request.member, member);
  answer(Errc::rebalance_in_progress);
}

}  // namespace mr::coordinator
