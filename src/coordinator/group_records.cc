#include "coordinator/group_records.h"

#include <fmt/format.h>

#include "wire/api/group_metadata_key.h"
#include "wire/api/group_metadata_value.h"
#include "wire/api/offset_commit_key.h"
#include "wire/api/offset_commit_value.h"

namespace mr::coordinator {

namespace {

// The int16 in front of a key.
constexpr std::int16_t kLegacyOffset = 0;
constexpr std::int16_t kOffset = 1;
constexpr std::int16_t kGroup = 2;

// Versions of values that are written: the newest of Kafka 4.3 that can hold what there is to say.
constexpr wire::Version kOffsetWithExpiry = 1;
constexpr wire::Version kOffsetPlain = 3;
constexpr wire::Version kOffsetWithTopicId = 4;
constexpr wire::Version kGroupVersion = 3;

Millis millis(std::int32_t v) { return Millis(v); }

/// What cannot be encoded was let in by somebody who should not have.
template <class Data>
std::vector<std::byte> encoded(std::int16_t prefix, const Data& data, wire::Version version) {
  wire::Writer out;
  out.i16(prefix);
  MR_CHECK(data.encode(out, version).ok());
  ByteView bytes = out.flat();
  return {bytes.begin(), bytes.end()};
}

template <class Message>
Result<Message> decoded(ByteView value, wire::Arena& arena, wire::Version max) {
  if (value.size() < 2) return Error(Errc::malformed, "value shorter than its version");
  const auto version = load_be<std::int16_t>(value.data());
  if (version < 0) return Error(Errc::malformed, fmt::format("value version {}", version));
  if (version > max) return Error(Errc::newer_format, fmt::format("value version {}, known up to {}", version, max));
  wire::Reader in(value.subspan(2), arena);
  return Message::decode(in, version);
}

}  // namespace

Result<RecordKey> read_key(ByteView key) {
  if (key.size() < 2) return Error(Errc::malformed, "key shorter than its type");
  const auto type = load_be<std::int16_t>(key.data());
  wire::Arena arena;
  wire::Reader in(key.subspan(2), arena);
  switch (type) {
    case kLegacyOffset:
    case kOffset: {
      MR_TRY(auto data, wire::offset_commit_key::Data::decode(in, 0));
      return RecordKey(OffsetKey{data.group, data.topic, data.partition});
    }
    case kGroup: {
      MR_TRY(auto data, wire::group_metadata_key::Data::decode(in, 0));
      return RecordKey(GroupKey{data.group});
    }
    default:
      return RecordKey(OtherKey{type});
  }
}

Result<StoredOffset> read_offset(ByteView value) {
  wire::Arena arena;
  using Value = wire::offset_commit_value::Data;
  MR_TRY(Value data, decoded<Value>(value, arena, wire::offset_commit_value::kVersionMax));
  return StoredOffset{.offset = data.offset,
                      .leader_epoch = data.leader_epoch,
                      .metadata = std::string(data.metadata),
                      .committed_at = data.commit_timestamp,
                      .expire_at = data.expire_timestamp,
                      .topic_id = data.topic_id};
}

Result<GroupRecord> read_group(ByteView value) {
  wire::Arena arena;
  using Value = wire::group_metadata_value::Data;
  MR_TRY(Value data, decoded<Value>(value, arena, wire::group_metadata_value::kVersionMax));
  GroupRecord record{.protocol_type = std::string(data.protocol_type),
                     .generation = Generation{data.generation},
                     .protocol = data.protocol.transform([](auto text) { return std::string(text); }),
                     .leader = data.leader.transform([](auto text) { return std::string(text); }),
                     .state_since = data.current_state_timestamp,
                     .members = {}};
  for (const auto& member : data.members) {
    const std::int32_t rebalance = member.rebalance_timeout < 0 ? member.session_timeout : member.rebalance_timeout;
    record.members.push_back(
        {.member = std::string(member.member_id),
         .instance = member.group_instance_id.transform([](auto text) { return std::string(text); }),
         .client_id = std::string(member.client_id),
         .client_host = std::string(member.client_host),
         .rebalance_timeout = millis(rebalance),
         .session_timeout = millis(member.session_timeout),
         .subscription = Blob(member.subscription),
         .assignment = Blob(member.assignment)});
  }
  return record;
}

broker::StateRecord offset_record(std::string_view group, std::string_view topic, PartitionIndex partition,
                                  const StoredOffset& offset) {
  broker::StateRecord record = offset_tombstone(group, topic, partition);
  const wire::Version version = offset.expire_at >= 0         ? kOffsetWithExpiry
                                : offset.topic_id.v.is_zero() ? kOffsetPlain
                                                              : kOffsetWithTopicId;
  wire::offset_commit_value::Data value{.offset = offset.offset,
                                        .leader_epoch = offset.leader_epoch,
                                        .metadata = offset.metadata,
                                        .commit_timestamp = offset.committed_at,
                                        .expire_timestamp = offset.expire_at,
                                        .topic_id = offset.topic_id};
  record.value = encoded(version, value, version);
  return record;
}

broker::StateRecord offset_tombstone(std::string_view group, std::string_view topic, PartitionIndex partition) {
  broker::StateRecord record;
  record.key =
      encoded(kOffset, wire::offset_commit_key::Data{.group = group, .topic = topic, .partition = partition}, 0);
  return record;
}

broker::StateRecord group_record(std::string_view group, const GroupRecord& from) {
  broker::StateRecord record = group_tombstone(group);
  wire::Arena arena;
  auto view = [](const std::string& text) { return std::string_view(text); };
  wire::group_metadata_value::Data value{.protocol_type = from.protocol_type,
                                         .generation = from.generation.v,
                                         .protocol = from.protocol.transform(view),
                                         .leader = from.leader.transform(view),
                                         .current_state_timestamp = from.state_since,
                                         .members = {}};
  value.members = arena.list<wire::group_metadata_value::StoredMember>(from.members.size());
  for (std::size_t i = 0; i < from.members.size(); ++i) {
    const StoredMember& member = from.members[i];
    value.members[i] = {.member_id = member.member,
                        .group_instance_id = member.instance.transform(view),
                        .client_id = member.client_id,
                        .client_host = member.client_host,
                        .rebalance_timeout = static_cast<std::int32_t>(member.rebalance_timeout.count()),
                        .session_timeout = static_cast<std::int32_t>(member.session_timeout.count()),
                        .subscription = member.subscription.view(),
                        .assignment = member.assignment.view()};
  }
  record.value = encoded(kGroupVersion, value, kGroupVersion);
  return record;
}

broker::StateRecord group_tombstone(std::string_view group) {
  broker::StateRecord record;
  record.key = encoded(kGroup, wire::group_metadata_key::Data{.group = group}, 0);
  return record;
}

std::int32_t java_hash(std::string_view utf8) {
  std::uint32_t hash = 0;
  auto unit = [&hash](std::uint32_t u) { hash = hash * 31 + u; };
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<std::uint8_t>(utf8[i]);
    const std::size_t more = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 4;
    bool whole = more < 4 && i + more < utf8.size();
    std::uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
    for (std::size_t k = 1; whole && k <= more; ++k) {
      const auto next = static_cast<std::uint8_t>(utf8[i + k]);
      whole = (next & 0xc0) == 0x80;
      point = point << 6 | (next & 0x3f);
    }
    if (!whole) {  // Java's decoder puts the replacement character here
      unit(0xfffd);
      ++i;
      continue;
    }
    i += more + 1;
    if (point < 0x10000) {
      unit(point);
    } else {
      unit(0xd800 + ((point - 0x10000) >> 10));
      unit(0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  }
  return static_cast<std::int32_t>(hash);
}

std::size_t java_length(std::string_view utf8) {
  std::size_t units = 0;
  for (char c : utf8) {
    const auto byte = static_cast<std::uint8_t>(c);
    units += (byte & 0xc0) == 0x80 ? 0 : byte >= 0xf0 ? 2 : 1;
  }
  return units;
}

}  // namespace mr::coordinator
