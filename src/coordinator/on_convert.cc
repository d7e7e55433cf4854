// A group changes its protocol: without members it becomes what its next member speaks; with members it becomes one of
// KIP-848 when the first member of that joins, and a classic one when the last of them goes (traps.md 93). Offsets stay
// as they are: they are everybody's.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "coordinator/consumer_change.h"
#include "wire/consumer_protocol.h"

namespace mr::coordinator {

LiveGroup& to_classic(Deciding& d, std::string_view name) {
  log_info("coordinator", "a group without members is a classic one from now on", {{"group", name}});
  erase_consumer_group(d, name);
  LiveGroup& group = d.live.find_or_make(name);
  group.state_since = d.now.wall;
  arm_expiry(d, group, d.settings.retention_check);
  return group;
}

LiveConsumerGroup& to_consumer(Deciding& d, std::string_view name) {
  auto classic = d.live.groups.find(name);
  if (classic != d.live.groups.end()) {
    MR_CHECK(classic->second.members().empty());
    const DurableGroup* durable = d.durable(name);
    if (durable != nullptr && !durable->record.empty()) d.record(group_tombstone(name));
    d.live.groups.erase(classic);
  }
  LiveConsumerGroup& live = d.live.consumers[std::string(name)];
  live.empty_since = d.now.wall;
  arm_consumer_expiry(d, name, live, d.settings.retention_check);
  return live;
}

namespace {

/// What a classic member says of itself, and what it may be reading.
struct Reader {
  std::string id;
  ConsumerMember asks;
  std::vector<TopicPartition> assigned;  ///< in the last round that ended
  std::vector<TopicPartition> owned;     ///< by its own words, which can be older or younger
  std::int32_t owned_generation = -1;
};

/// Errors: malformed and the like, invalid_argument.
Result<Reader> read_member(const Member& member) {
  if (member.protocols.empty()) return Error(Errc::invalid_argument, "a member speaks nothing");
  MR_TRY(auto subscription, wire::read_subscription(member.protocols.front().metadata.view()));
  Reader reader{.id = member.id,
                .asks = {.instance = member.instance,
                         .rack = std::move(subscription.rack),
                         .client_id = member.client_id,
                         .client_host = member.client_host,
                         .topics = std::move(subscription.topics),
                         .regex = std::nullopt,
                         .rebalance_timeout = member.rebalance_timeout,
                         .assignor = std::nullopt,
                         .classic = ClassicSide{member.session_timeout, member.protocols}},
                .assigned = {},
                .owned = std::move(subscription.owned),
                .owned_generation = subscription.generation};
  sort_once(reader.asks.topics);
  // `assignment` is thrown away when a round begins before the last one has ended; the member reads on.
  MR_TRY(reader.assigned, wire::assigned_partitions(member.last_assignment.view()));
  if (wire::has_user_data(member.last_assignment.view()))
    return Error(Errc::invalid_argument, "an assignment has data of its assignor, which would be lost");
  return reader;
}

/// Who has what, none twice: what the last round gave, and what a member says it has not let go of yet. Topics that are
/// gone are nobody's.
std::map<std::string, PartitionSet> share_out(std::vector<Reader>& readers, const broker::TopicTable& topics) {
  std::map<std::string, PartitionSet> has;
  std::set<std::pair<TopicId, std::int32_t>> taken;
  auto take = [&](const std::string& id, const std::vector<TopicPartition>& partitions) {
    for (const TopicPartition& one : partitions) {
      const broker::TopicRef topic = topics.find(one.topic);
      if (topic != nullptr && taken.emplace(topic->id, one.partition.v).second)
        has[id][topic->id].push_back(one.partition.v);
    }
  };
  for (const Reader& reader : readers) take(reader.id, reader.assigned);
  std::ranges::sort(readers, std::ranges::greater{},
                    [](const Reader& reader) { return std::pair(reader.owned_generation, reader.id); });
  for (const Reader& reader : readers) take(reader.id, reader.owned);
  for (auto& [id, set] : has)
    for (auto& [topic, partitions] : set) sort_once(partitions);
  return has;
}

CurrentAssignment settled(const PartitionSet& set, std::int32_t epoch) {
  CurrentAssignment current{.epoch = epoch, .previous_epoch = epoch};
  for (const auto& [topic, partitions] : set)
    for (std::int32_t partition : partitions) current.assigned[topic].emplace(partition, epoch);
  return current;
}

std::size_t bytes_of(const std::vector<broker::StateRecord>& records) {
  std::size_t sum = 0;
  for (const broker::StateRecord& record : records) sum += broker::stored_bytes(record);
  return sum;
}

}  // namespace

Result<std::unique_ptr<const Upgrade>> plan_upgrade(const Deciding& d, const LiveGroup& group) {
  const std::string& name = group.name();
  auto refused = [&](std::string_view why) {
    log_info("coordinator", "a classic group is not taken over by the consumer protocol",
             {{"group", name}, {"why", why}});
    return Error(Errc::group_not_found, fmt::format("Group {} is not a consumer group: {}.", name, why));
  };
  if (!allows(d.settings.migration, MigrationPolicy::upgrade))
    return refused("group.consumer.migration.policy forbids to make it one");
  if (!group.is_consumer()) return refused("its members are no consumers");
  if (group.members().size() > d.settings.consumer_members_max)
    return refused("it has more members than group.consumer.max.size");
  if (d.live.topics == nullptr) return refused("topics are not known yet");

  std::vector<Reader> readers;
  for (const auto& [id, member] : group.members()) {
    auto reader = read_member(member);
    if (!reader.ok()) return refused(fmt::format("member {}: {}", id, reader.error().message()));
    readers.push_back(std::move(*reader));
  }
  std::map<std::string, PartitionSet> has = share_out(readers, *d.live.topics);
  const std::int32_t epoch = std::max(group.generation.v, 0);
  auto plan = std::make_unique<Upgrade>();
  auto& [state, records] = *plan;
  const DurableGroup* durable = d.durable(name);
  if (durable != nullptr && !durable->record.empty()) records.push_back(group_tombstone(name));
  for (const Reader& reader : readers) {
    records.push_back(consumer_member_record(name, reader.id, reader.asks));
    state.put_member(reader.id, &reader.asks);
  }
  const GroupEpochRecord of_group{epoch, 0};
  const TargetEpochRecord of_targets{epoch, d.now.wall};
  records.push_back(group_epoch_record(name, of_group));
  state.put(&of_group, d.now.wall);
  for (const Reader& reader : readers) {
    records.push_back(target_member_record(name, reader.id, has[reader.id]));
    state.put_target(reader.id, &has[reader.id]);
  }
  records.push_back(target_epoch_record(name, of_targets));
  state.put(&of_targets);
  for (const Reader& reader : readers) {
    const CurrentAssignment current = settled(has[reader.id], epoch);
    records.push_back(current_assignment_record(name, reader.id, current));
    state.put_current(reader.id, &current);
  }
  // All of it or nothing is in the log: one batch.
  if (bytes_of(records) > d.settings.record_bytes_max) return refused("what it has to store does not fit one batch");
  return std::unique_ptr<const Upgrade>(std::move(plan));
}

void upgrade(Deciding& d, std::string_view name, std::unique_ptr<const Upgrade> plan) {
  LiveGroup& group = *d.live.find(name);
  log_info("coordinator", "a classic group is one of the consumer protocol from now on",
           {{"group", name}, {"members", group.members().size()}, {"generation", group.generation.v}});
  LiveConsumerGroup& live = d.live.consumers[std::string(name)];
  live.history = std::move(group.history);
  live.flaps = std::move(group.flaps);
  group.for_each_member([&](Member& member) {
    answer_join(d, group, member, JoinAnswer{.error = Errc::rebalance_in_progress, .member = member.id});
    answer_sync(d, member, SyncAnswer{.error = Errc::rebalance_in_progress});
    live.sessions.try_emplace(member.id);
    heard_consumer(d, name, live, member.id, member.session_timeout);
  });
  for (const broker::StateRecord& record : plan->records) d.record(record);
  d.upgraded = std::move(plan);
  d.live.groups.erase(d.live.groups.find(name));
  arm_consumer_expiry(d, name, live, d.settings.retention_check);
}

bool may_downgrade(const Deciding& d, std::string_view name, const std::vector<std::string>& gone, std::size_t joins) {
  const ConsumerGroupState& group = consumer_state(d.state, name);
  const std::size_t stay = group.members().size() - gone.size();
  return allows(d.settings.migration, MigrationPolicy::downgrade) && stay > 0 && group.classic_without(gone) &&
         stay + joins <= d.settings.members_max && d.live.topics != nullptr;
}

namespace {

/// What a member has or has not let go of yet, by name. Not its target: others may still read of that, and a leader
/// would take it for this member's.
std::vector<TopicPartition> reads(const CurrentAssignment& current, const broker::TopicTable& topics) {
  std::vector<TopicPartition> all;
  auto take = [&](TopicId id, std::int32_t partition) {
    if (const broker::TopicRef topic = topics.find(id)) all.push_back({topic->name, PartitionIndex{partition}});
  };
  for (const auto& [topic, partitions] : current.assigned)
    for (const auto& [partition, epoch] : partitions) take(topic, partition);
  for (const auto& [topic, partitions] : current.revoking)
    for (std::int32_t partition : partitions) take(topic, partition);
  std::ranges::sort(all);
  return all;
}

/// Those of `group` who stay, as one stable classic group. Empty: they have no protocol in common.
std::optional<LiveGroup> as_classic(const Deciding& d, const std::string& name, const ConsumerGroupState& group,
                                    const std::vector<std::string>& gone) {
  LiveGroup made(name);
  made.generation = Generation{group.epoch()};
  for (const auto& [id, asks] : group.members()) {
    if (std::ranges::find(gone, id) != gone.end()) continue;
    made.add(Member{.id = id,
                    .instance = asks.instance,
                    .client_id = asks.client_id,
                    .client_host = asks.client_host,
                    .session_timeout = asks.classic->session_timeout,
                    .rebalance_timeout = asks.rebalance_timeout,
                    .protocols = asks.classic->protocols},
             "consumer");
  }
  // A log that somebody else has written may say anything.
  if (!group.all_speak_one_of(made.members().begin()->second.protocols)) return std::nullopt;
  made.protocol = made.choose_protocol();
  made.for_each_member([&](Member& member) {
    auto subscription = wire::read_subscription(member.metadata(*made.protocol).view());
    const std::int16_t version = subscription.ok() ? subscription->version : std::int16_t{0};
    const std::vector<std::byte> bytes =
        wire::write_assignment(version, reads(group.current(member.id), *d.live.topics));
    member.assignment = Blob(bytes);
    member.last_assignment = member.assignment;
  });
  made.state = GroupStateName::stable;
  // The round that follows finds one. Until it has ended the record says so: what those had who went is nobody's.
  made.leader.clear();
  made.state_since = d.now.wall;
  made.read_subscriptions();
  return made;
}

}  // namespace

bool downgrade(Deciding& d, const std::string& name, const std::vector<std::string>& gone,
               const RebalanceReason& reason) {
  const ConsumerGroupState& state = consumer_state(d.state, name);
  std::optional<LiveGroup> made = as_classic(d, name, state, gone);
  if (!made) return false;
  std::vector<broker::StateRecord> records = consumer_tombstones(state, name);
  records.push_back(group_record(name, as_record(*made)));
  if (bytes_of(records) > d.settings.record_bytes_max || made->blob_bytes() > d.settings.blob_bytes_max) {
    log_warn("coordinator", "a group of classic members stays one of the consumer protocol: it does not fit one batch",
             {{"group", name}, {"members", made->members().size()}, {"bytes", bytes_of(records)}});
    return false;
  }
  log_info("coordinator", "a group is a classic one again",
           {{"group", name}, {"members", made->members().size()}, {"generation", made->generation.v}});
  for (broker::StateRecord& record : records) d.record(std::move(record));
  auto old = d.live.consumers.find(name);
  made->history = std::move(old->second.history);
  made->flaps = std::move(old->second.flaps);
  d.live.stats.members -= gone.size();
  d.live.consumers.erase(old);
  LiveGroup& group = d.live.groups.emplace(name, std::move(*made)).first->second;
  group.for_each_member([&](Member& member) { d.heard(group, member); });
  arm_expiry(d, group, d.settings.retention_check);
  begin_round(d, group, reason);
  return true;
}

}  // namespace mr::coordinator
