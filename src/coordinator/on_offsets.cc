// Offsets: committed, fetched, deleted by hand or with their topic (traps.md 83-85, 113).
#include <algorithm>

#include "coordinator/consumer_change.h"

namespace mr::coordinator {

namespace {

/// May this caller commit? (traps.md 83). `group` is null when there is none.
std::optional<Error> check_commit(LiveGroup* group, const CommitRequest& request) {
  if (group == nullptr) {
    if (request.generation.v < 0) return std::nullopt;
    return Errc::group_not_found;
  }
  const bool empty = group->state == GroupStateName::empty;
  if (request.generation.v < 0 && empty) return std::nullopt;
  if (request.generation.v < 0 && request.member.empty() && !request.instance) return Errc::unknown_member;
  if (auto wrong = check_member(*group, request.member, request.instance)) return wrong;
  if (request.generation != group->generation) return Errc::illegal_generation;
  if (group->state == GroupStateName::completing_rebalance) return Errc::rebalance_in_progress;
  return std::nullopt;
}

/// The same of a KIP-848 group (traps.md 92).
std::optional<Error> check_consumer_commit(const ConsumerGroupState& group, const CommitRequest& request) {
  if (request.generation.v < 0 && group.members().empty()) return std::nullopt;
  const ConsumerMember* member = group.member(request.member);
  if (member == nullptr) return Errc::unknown_member;
  if (member->classic) {
    if (request.generation.v == group.current(request.member).epoch) return std::nullopt;
    return Errc::illegal_generation;
  }
  if (!request.knows_epochs) return Error(Errc::unsupported_version, "OffsetCommit v9 is the first that knows epochs");
  const CurrentAssignment& current = group.current(request.member);
  if (request.generation.v == current.epoch) return std::nullopt;
  // An answer that is under way may bring the next epoch: what the member had before is still its own.
  auto had = [&](const OffsetToCommit& one) {
    auto topic = current.assigned.find(one.topic_id);
    if (topic == current.assigned.end()) return false;
    auto partition = topic->second.find(one.partition.v);
    return partition != topic->second.end() && partition->second <= request.generation.v;
  };
  if (request.generation.v > 0 && request.generation.v < current.epoch && std::ranges::all_of(request.offsets, had))
    return std::nullopt;
  return Errc::stale_member_epoch;
}
std::optional<Error> check_consumer_fetch(const ConsumerGroupState& group, const FetchOffsetsRequest& request) {
  if (request.member_epoch < 0 && request.member.value_or("").empty()) return std::nullopt;
  const ConsumerMember* member = group.member(request.member.value_or(""));
  if (member == nullptr) return Errc::unknown_member;
  if (request.member_epoch != group.current(*request.member).epoch)
    return member->classic ? Errc::illegal_generation : Errc::stale_member_epoch;
  return std::nullopt;
}

/// Looks for offsets to expire from now on. The first may be due before the group's next look.
Millis first_expiry(const Deciding& d, const std::optional<Millis>& retention) {
  const Millis after = retention ? std::min(*retention, d.settings.offsets_retention) : d.settings.offsets_retention;
  return std::max(after, d.settings.retention_check);
}

const Error kMetadataTooLarge(Errc::offset_metadata_too_large);

FetchedOffset fetched(PartitionIndex partition, const StoredOffset* stored) {
  if (stored == nullptr) return {.partition = partition};
  return {.partition = partition,
          .offset = stored->offset,
          .leader_epoch = stored->leader_epoch,
          .metadata = stored->metadata};
}

/// An offset that belongs to an earlier topic of the same name is none.
bool of_other_topic(const StoredOffset& stored, TopicId wanted) {
  return !stored.topic_id.v.is_zero() && !wanted.v.is_zero() && stored.topic_id != wanted;
}

}  // namespace

void on_commit(Deciding& d, WaiterId waiter, CommitRequest request) {
  auto refuse = [&](Error why) { d.reply(waiter, CommitAnswer{.error = std::move(why)}); };
  if (request.group.size() > kTextBytesMax) return refuse(Errc::invalid_group_id);
  LiveGroup* group = d.live.find(request.group);
  LiveConsumerGroup* modern = d.live.find_consumer(request.group);
  auto wrong = modern != nullptr ? check_consumer_commit(consumer_state(d.state, request.group), request)
                                 : check_commit(group, request);
  if (wrong) return refuse(std::move(*wrong));

  CommitAnswer answer;
  std::vector<broker::StateRecord> records;
  std::size_t bytes = 0;
  for (OffsetToCommit& one : request.offsets) {
    if (java_length(one.metadata) > d.settings.offset_metadata_max || one.metadata.size() > kTextBytesMax) {
      answer.partitions.emplace_back(kMetadataTooLarge);
      continue;
    }
    StoredOffset stored{.offset = one.offset,
                        .leader_epoch = one.leader_epoch,
                        .metadata = std::move(one.metadata),
                        .committed_at = d.now.wall,
                        .topic_id = one.topic_id};
    if (request.retention) stored.expire_at = d.now.wall + request.retention->count();
    records.push_back(offset_record(request.group, one.topic, one.partition, stored));
    bytes += broker::stored_bytes(records.back());
    answer.partitions.emplace_back(std::nullopt);
  }
  if (bytes > d.settings.record_bytes_max) return refuse(Errc::commit_too_large);

  if (modern != nullptr) arm_consumer_expiry(d, request.group, *modern, first_expiry(d, request.retention));
  if (group == nullptr && modern == nullptr && !records.empty()) {
    group = &d.live.find_or_make(request.group);
    group->state_since = d.now.wall;
  }
  if (group != nullptr) {
    Member* member = group->find(request.member);
    if (member != nullptr && group->state != GroupStateName::empty) d.heard(*group, *member);
    arm_expiry(d, *group, first_expiry(d, request.retention));
  }
  d.live.stats.offset_commits += records.size();
  d.out.records = std::move(records);
  d.out.stands_alone = true;
  d.reply(waiter, std::move(answer));
}

void on_fetch_offsets(Deciding& d, WaiterId waiter, const FetchOffsetsRequest& request) {
  FetchOffsetsAnswer answer;
  if (d.live.find_consumer(request.group) != nullptr)
    answer.error = check_consumer_fetch(consumer_state(d.state, request.group), request);
  if (answer.error) return d.reply(waiter, std::move(answer));
  const DurableGroup* durable = d.durable(request.group);
  if (!request.topics) {
    if (durable != nullptr)
      for (const auto& [topic, partitions] : durable->offsets) {
        FetchedTopic& into = answer.topics.emplace_back(FetchedTopic{.topic = topic});
        for (const auto& [partition, stored] : partitions) {
          into.topic_id = stored.topic_id;
          into.partitions.push_back(fetched(PartitionIndex{partition}, &stored));
        }
      }
    d.reply(waiter, std::move(answer));
    return;
  }
  for (const TopicPartitionsWanted& wanted : *request.topics) {
    FetchedTopic& into =
        answer.topics.emplace_back(FetchedTopic{.topic = wanted.topic, .topic_id = wanted.topic_id, .partitions = {}});
    for (PartitionIndex partition : wanted.partitions) {
      const StoredOffset* stored = durable == nullptr ? nullptr : durable->find(wanted.topic, partition);
      if (stored != nullptr && of_other_topic(*stored, wanted.topic_id)) stored = nullptr;
      into.partitions.push_back(fetched(partition, stored));
    }
  }
  d.reply(waiter, std::move(answer));
}

void on_delete_offsets(Deciding& d, WaiterId waiter, const DeleteOffsetsRequest& request) {
  auto refuse = [&](Errc why) { d.reply(waiter, DeleteOffsetsAnswer{.error = why}); };
  if (request.group.empty()) return refuse(Errc::invalid_group_id);
  LiveGroup* group = d.live.find(request.group);
  const LiveConsumerGroup* modern = d.live.find_consumer(request.group);
  if (group == nullptr && modern == nullptr) return refuse(Errc::group_not_found);
  if (group != nullptr && group->state != GroupStateName::empty && !group->is_consumer())
    return refuse(Errc::group_not_empty);
  DeleteOffsetsAnswer answer;
  const DurableGroup* durable = d.durable(request.group);
  for (const TopicPartitionsWanted& wanted : request.topics) {
    const bool subscribed = group != nullptr ? group->state != GroupStateName::empty && group->subscribes(wanted.topic)
                                             : consumer_state(d.state, request.group).subscribes(wanted.topic);
    for (PartitionIndex partition : wanted.partitions) {
      answer.partitions.push_back({wanted.topic, partition, std::nullopt});
      if (subscribed) {
        answer.partitions.back().error = Errc::group_subscribed_to_topic;
      } else if (durable != nullptr && durable->find(wanted.topic, partition) != nullptr) {
        d.record(offset_tombstone(request.group, wanted.topic, partition));
      }
    }
  }
  d.out.stands_alone = true;
  d.reply(waiter, std::move(answer));
}

void on_topic_deleted(Deciding& d, const TopicDeletedEvent& event) {
  for (const auto& [name, group] : d.state.groups) {
    auto of_topic = group.offsets.find(event.topic);
    if (of_topic == group.offsets.end()) continue;
    for (const auto& [partition, stored] : of_topic->second)
      if (!of_other_topic(stored, event.id)) d.record(offset_tombstone(name, event.topic, PartitionIndex{partition}));
  }
  d.out.stands_alone = true;
}

}  // namespace mr::coordinator
