#include "coordinator/consumer_group_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/api/consumer_group_current_assignment_value.h"
#include "wire/api/consumer_group_member_key.h"
#include "wire/api/consumer_group_member_metadata_value.h"
#include "wire/api/consumer_group_metadata_value.h"
#include "wire/api/consumer_group_regex_value.h"
#include "wire/api/consumer_group_target_member_value.h"
#include "wire/api/consumer_group_target_metadata_value.h"
#include "wire/api/group_metadata_key.h"

namespace mr::coordinator {

namespace {

// The int16 in front of a key.
constexpr std::int16_t kGroupEpoch = 3;
constexpr std::int16_t kPartitionMetadata = 4;
constexpr std::int16_t kMember = 5;
constexpr std::int16_t kTargetEpoch = 6;
constexpr std::int16_t kTargetMember = 7;
constexpr std::int16_t kCurrentAssignment = 8;
constexpr std::int16_t kRegex = 16;

template <class Data>
std::vector<std::byte> encoded(std::int16_t prefix, const Data& data) {
  wire::Writer out;
  out.i16(prefix);
  MR_CHECK(data.encode(out, 0).ok());  // what cannot be encoded was let in by somebody who should not have
  ByteView bytes = out.flat();
  return {bytes.begin(), bytes.end()};
}

/// Of all values here version 0 is the only one.
template <class Data>
Result<Data> decoded(ByteView value, wire::Arena& arena) {
  if (value.size() < 2) return Error(Errc::malformed, "value shorter than its version");
  const auto version = load_be<std::int16_t>(value.data());
  if (version < 0) return Error(Errc::malformed, fmt::format("value version {}", version));
  if (version > 0) return Error(Errc::newer_format, fmt::format("value version {}, known up to 0", version));
  wire::Reader in(value.subspan(2), arena);
  return Data::decode(in, 0);
}

broker::StateRecord of_group(std::int16_t type, std::string_view group) {
  broker::StateRecord record;
  record.key = encoded(type, wire::group_metadata_key::Data{.group = group});
  return record;
}
broker::StateRecord of_member(std::int16_t type, std::string_view group, std::string_view member) {
  broker::StateRecord record;
  record.key = encoded(type, wire::consumer_group_member_key::Data{.group = group, .member = member});
  return record;
}

std::optional<std::string> owned(const std::optional<std::string_view>& text) {
  return text ? std::optional<std::string>(*text) : std::nullopt;
}
std::optional<std::string_view> view(const std::optional<std::string>& text) {
  return text ? std::optional<std::string_view>(*text) : std::nullopt;
}
std::vector<std::string> owned(const wire::List<std::string_view>& texts) {
  std::vector<std::string> sorted(texts.begin(), texts.end());
  sort_once(sorted);
  return sorted;
}
wire::List<std::string_view> lent(wire::Arena& arena, const std::vector<std::string>& texts) {
  auto list = arena.list<std::string_view>(texts.size());
  std::ranges::copy(texts, list.begin());
  return list;
}

std::optional<ClassicSide> owned(const std::optional<wire::consumer_group_member_metadata_value::ClassicMember>& from) {
  if (!from) return std::nullopt;
  ClassicSide classic{.session_timeout = Millis(from->session_timeout_ms), .protocols = {}};
  for (const auto& protocol : from->supported_protocols)
    classic.protocols.push_back({std::string(protocol.name), Blob(protocol.metadata)});
  return classic;
}
std::optional<wire::consumer_group_member_metadata_value::ClassicMember> lent(wire::Arena& arena,
                                                                              const std::optional<ClassicSide>& from) {
  using namespace wire::consumer_group_member_metadata_value;
  if (!from) return std::nullopt;
  ClassicMember classic{.session_timeout_ms = static_cast<std::int32_t>(from->session_timeout.count()),
                        .supported_protocols = arena.list<ClassicProtocol>(from->protocols.size())};
  for (std::size_t p = 0; p < from->protocols.size(); ++p)
    classic.supported_protocols[p] = {from->protocols[p].name, from->protocols[p].metadata.view()};
  return classic;
}

template <class Topic>
PartitionSet read_partitions(const wire::List<Topic>& topics) {
  PartitionSet set;
  for (const Topic& topic : topics) {
    if (topic.partitions.empty()) continue;
    std::vector<std::int32_t>& into = set[topic.topic_id];
    for (PartitionIndex partition : topic.partitions) into.push_back(partition.v);
    std::ranges::sort(into);
  }
  return set;
}
template <class Topic>
wire::List<Topic> lent(wire::Arena& arena, const PartitionSet& set) {
  auto topics = arena.list<Topic>(set.size());
  std::size_t t = 0;
  for (const auto& [id, partitions] : set) {
    topics[t].topic_id = id;
    topics[t].partitions = arena.list<PartitionIndex>(partitions.size());
    for (std::size_t p = 0; p < partitions.size(); ++p) topics[t].partitions[p] = PartitionIndex{partitions[p]};
    ++t;
  }
  return topics;
}

}  // namespace

bool is_consumer_group_key(std::int16_t type) { return (type >= kGroupEpoch && type <= 8) || type == kRegex; }

Result<ConsumerGroupKey> read_consumer_group_key(ByteView key) {
  if (key.size() < 2) return Error(Errc::malformed, "key shorter than its type");
  const auto type = load_be<std::int16_t>(key.data());
  wire::Arena arena;
  wire::Reader in(key.subspan(2), arena);
  if (type == kGroupEpoch || type == kPartitionMetadata || type == kTargetEpoch) {
    MR_TRY(auto data, wire::group_metadata_key::Data::decode(in, 0));
    if (type == kGroupEpoch) return ConsumerGroupKey(GroupEpochKey{data.group});
    if (type == kTargetEpoch) return ConsumerGroupKey(TargetEpochKey{data.group});
    return ConsumerGroupKey(PartitionMetadataKey{data.group});
  }
  MR_TRY(auto data, wire::consumer_group_member_key::Data::decode(in, 0));
  switch (type) {
    case kMember:
      return ConsumerGroupKey(ConsumerMemberKey{data.group, data.member});
    case kTargetMember:
      return ConsumerGroupKey(TargetMemberKey{data.group, data.member});
    case kCurrentAssignment:
      return ConsumerGroupKey(CurrentAssignmentKey{data.group, data.member});
    case kRegex:
      return ConsumerGroupKey(RegexKey{data.group, data.member});
    default:
      return Error(Errc::malformed, fmt::format("key type {}", type));
  }
}

Result<GroupEpochRecord> read_group_epoch(ByteView value) {
  wire::Arena arena;
  MR_TRY(auto data, decoded<wire::consumer_group_metadata_value::Data>(value, arena));
  return GroupEpochRecord{data.epoch, data.metadata_hash};
}

Result<ConsumerMember> read_consumer_member(ByteView value) {
  wire::Arena arena;
  MR_TRY(auto data, decoded<wire::consumer_group_member_metadata_value::Data>(value, arena));
  return ConsumerMember{.instance = owned(data.instance_id),
                        .rack = owned(data.rack_id),
                        .client_id = std::string(data.client_id),
                        .client_host = std::string(data.client_host),
                        .topics = owned(data.subscribed_topic_names),
                        .regex = owned(data.subscribed_topic_regex),
                        .rebalance_timeout = Millis(data.rebalance_timeout_ms),
                        .assignor = owned(data.server_assignor),
                        .classic = owned(data.classic_member)};
}

Result<TargetEpochRecord> read_target_epoch(ByteView value) {
  wire::Arena arena;
  MR_TRY(auto data, decoded<wire::consumer_group_target_metadata_value::Data>(value, arena));
  return TargetEpochRecord{data.assignment_epoch, data.assignment_timestamp};
}

Result<PartitionSet> read_target_member(ByteView value) {
  wire::Arena arena;
  MR_TRY(auto data, decoded<wire::consumer_group_target_member_value::Data>(value, arena));
  return read_partitions(data.topic_partitions);
}

Result<CurrentAssignment> read_current_assignment(ByteView value) {
  wire::Arena arena;
  MR_TRY(auto data, decoded<wire::consumer_group_current_assignment_value::Data>(value, arena));
  if (data.state < 0 || data.state > 2) return Error(Errc::malformed, fmt::format("member state {}", data.state));
  CurrentAssignment current{.epoch = data.member_epoch,
                            .previous_epoch = data.previous_member_epoch,
                            .state = static_cast<ReconcileState>(data.state),
                            .assigned = {},
                            .revoking = read_partitions(data.partitions_pending_revocation)};
  for (const auto& topic : data.assigned_partitions) {
    // Before Kafka 4.3 nobody wrote them; an epoch that early is every member's.
    const bool known = topic.assignment_epochs && topic.assignment_epochs->size() == topic.partitions.size();
    for (std::size_t p = 0; p < topic.partitions.size(); ++p)
      current.assigned[topic.topic_id][topic.partitions[p].v] =
          known ? (*topic.assignment_epochs)[p] : std::max(data.member_epoch, 0);
  }
  return current;
}

Result<ResolvedRegex> read_regex(ByteView value) {
  wire::Arena arena;
  MR_TRY(auto data, decoded<wire::consumer_group_regex_value::Data>(value, arena));
  return ResolvedRegex{owned(data.topics), data.version, data.timestamp};
}

broker::StateRecord group_epoch_record(std::string_view group, const GroupEpochRecord& value) {
  broker::StateRecord record = group_epoch_tombstone(group);
  record.value =
      encoded(0, wire::consumer_group_metadata_value::Data{.epoch = value.epoch, .metadata_hash = value.metadata_hash});
  return record;
}

broker::StateRecord consumer_member_record(std::string_view group, std::string_view member,
                                           const ConsumerMember& value) {
  broker::StateRecord record = consumer_member_tombstone(group, member);
  wire::Arena arena;
  record.value = encoded(0, wire::consumer_group_member_metadata_value::Data{
                                .instance_id = view(value.instance),
                                .rack_id = view(value.rack),
                                .client_id = value.client_id,
                                .client_host = value.client_host,
                                .subscribed_topic_names = lent(arena, value.topics),
                                .subscribed_topic_regex = view(value.regex),
                                .rebalance_timeout_ms = static_cast<std::int32_t>(value.rebalance_timeout.count()),
                                .server_assignor = view(value.assignor),
                                .classic_member = lent(arena, value.classic)});
  return record;
}

broker::StateRecord target_epoch_record(std::string_view group, const TargetEpochRecord& value) {
  broker::StateRecord record = target_epoch_tombstone(group);
  record.value = encoded(0, wire::consumer_group_target_metadata_value::Data{.assignment_epoch = value.epoch,
                                                                             .assignment_timestamp = value.made_at});
  return record;
}

broker::StateRecord target_member_record(std::string_view group, std::string_view member, const PartitionSet& value) {
  broker::StateRecord record = target_member_tombstone(group, member);
  wire::Arena arena;
  using namespace wire::consumer_group_target_member_value;
  record.value = encoded(0, Data{.topic_partitions = lent<TopicPartitions>(arena, value)});
  return record;
}

broker::StateRecord current_assignment_record(std::string_view group, std::string_view member,
                                              const CurrentAssignment& value) {
  broker::StateRecord record = current_assignment_tombstone(group, member);
  wire::Arena arena;
  using namespace wire::consumer_group_current_assignment_value;
  Data data{.member_epoch = value.epoch,
            .previous_member_epoch = value.previous_epoch,
            .state = static_cast<std::int8_t>(value.state),
            .assigned_partitions = arena.list<TopicPartitions>(value.assigned.size()),
            .partitions_pending_revocation = lent<TopicPartitions>(arena, value.revoking)};
  std::size_t t = 0;
  for (const auto& [id, partitions] : value.assigned) {
    TopicPartitions& topic = data.assigned_partitions[t++];
    topic.topic_id = id;
    topic.partitions = arena.list<PartitionIndex>(partitions.size());
    topic.assignment_epochs = arena.list<std::int32_t>(partitions.size());
    std::size_t p = 0;
    for (const auto& [partition, epoch] : partitions) {
      topic.partitions[p] = PartitionIndex{partition};
      (*topic.assignment_epochs)[p++] = epoch;
    }
  }
  record.value = encoded(0, data);
  return record;
}

broker::StateRecord regex_record(std::string_view group, std::string_view regex, const ResolvedRegex& value) {
  broker::StateRecord record = regex_tombstone(group, regex);
  wire::Arena arena;
  record.value =
      encoded(0, wire::consumer_group_regex_value::Data{
                     .topics = lent(arena, value.topics), .version = value.version, .timestamp = value.resolved_at});
  return record;
}

broker::StateRecord group_epoch_tombstone(std::string_view group) { return of_group(kGroupEpoch, group); }
broker::StateRecord consumer_member_tombstone(std::string_view group, std::string_view member) {
  return of_member(kMember, group, member);
}
broker::StateRecord target_epoch_tombstone(std::string_view group) { return of_group(kTargetEpoch, group); }
broker::StateRecord target_member_tombstone(std::string_view group, std::string_view member) {
  return of_member(kTargetMember, group, member);
}
broker::StateRecord current_assignment_tombstone(std::string_view group, std::string_view member) {
  return of_member(kCurrentAssignment, group, member);
}
broker::StateRecord regex_tombstone(std::string_view group, std::string_view regex) {
  return of_member(kRegex, group, regex);
}

}  // namespace mr::coordinator
