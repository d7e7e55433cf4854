#include "wire/consumer_protocol.h"

#include <algorithm>

#include "wire/api/consumer_assignment.h"
#include "wire/api/consumer_subscription.h"
#include "wire/writer.h"

namespace mr::wire {

namespace {

/// A topic's name stands once in the bytes but once per partition in what is returned.
constexpr std::size_t kNameBytesMax = 16 << 20;

/// Takes the version in front.
Result<std::int16_t> take_version(Reader& in) {
  const std::int16_t version = in.i16();
  if (version < 0) in.fail();
  MR_TRY_VOID(in.status());
  return version;
}

Result<std::vector<TopicPartition>> by_name(const List<consumer_assignment::AssignedTopic>& topics) {
  std::vector<TopicPartition> all;
  std::size_t name_bytes = 0;
  for (const auto& topic : topics) {
    name_bytes += topic.topic.size() * topic.partitions.size();
    if (name_bytes > kNameBytesMax) return Error(Errc::too_large, "an assignment of too many partitions");
    for (PartitionIndex partition : topic.partitions) all.push_back({std::string(topic.topic), partition});
  }
  std::ranges::sort(all);
  return all;
}

/// `partitions` in order of topics.
void write_topics(Writer& out, const std::vector<TopicPartition>& partitions) {
  std::size_t topics = 0;
  for (std::size_t p = 0; p < partitions.size(); ++p)
    if (p == 0 || partitions[p].topic != partitions[p - 1].topic) ++topics;
  out.count(topics, false);
  for (std::size_t begin = 0, end = 0; begin < partitions.size(); begin = end) {
    while (end < partitions.size() && partitions[end].topic == partitions[begin].topic) ++end;
    out.string(partitions[begin].topic, false);
    out.count(end - begin, false);
    for (std::size_t p = begin; p < end; ++p) out.i32(partitions[p].partition.v);
  }
}

std::vector<std::byte> copied(Writer& out) {
  const ByteView bytes = out.flat();
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Result<std::vector<std::string>> subscribed_topics(ByteView metadata) {
  Arena arena;
  Reader in(metadata, arena);
  MR_TRY_VOID(take_version(in));
  MR_TRY(auto data, consumer_subscription::Data::decode_prefix(in, 0));
  return std::vector<std::string>(data.topics.begin(), data.topics.end());
}

Result<std::vector<TopicPartition>> assigned_partitions(ByteView assignment) {
  if (assignment.empty()) return std::vector<TopicPartition>{};
  Arena arena;
  Reader in(assignment, arena);
  MR_TRY_VOID(take_version(in));
  MR_TRY(auto data, consumer_assignment::Data::decode_prefix(in, 0));
  return by_name(data.topics);
}

Result<ConsumerSubscription> read_subscription(ByteView metadata) {
  Arena arena;
  Reader in(metadata, arena);
  ConsumerSubscription read;
  MR_TRY(read.version, take_version(in));
  MR_TRY(auto data, consumer_subscription::Data::decode_prefix(in, 0));
  read.topics.assign(data.topics.begin(), data.topics.end());
  if (in.left() > 0) in.nullable_bytes(false);  // the assignor's own
  if (read.version >= 1 && in.left() > 0) {
    // Laid out as the topics of an assignment.
    MR_TRY(auto owned, consumer_assignment::Data::decode_prefix(in, 0));
    MR_TRY(read.owned, by_name(owned.topics));
  }
  if (read.version >= 2 && in.left() > 0) read.generation = in.i32();
  if (read.version >= 3 && in.left() > 0)
    if (NullableString rack = in.nullable_string(false)) read.rack = std::string(*rack);
  MR_TRY_VOID(in.status());
  return read;
}

bool has_user_data(ByteView assignment) {
  Arena arena;
  Reader in(assignment, arena);
  if (!take_version(in).ok() || !consumer_assignment::Data::decode_prefix(in, 0).ok() || in.left() == 0) return false;
  const NullableBytes data = in.nullable_bytes(false);
  return data && !data->empty();
}

std::vector<std::byte> write_subscription(const ConsumerSubscription& says, std::optional<ByteView> user_data) {
  Writer out;
  out.i16(says.version);
  out.count(says.topics.size(), false);
  for (const std::string& topic : says.topics) out.string(topic, false);
  out.nullable_bytes(user_data, false);
  if (says.version >= 1) write_topics(out, says.owned);
  if (says.version >= 2) out.i32(says.generation);
  if (says.version >= 3) out.nullable_string(says.rack, false);
  return copied(out);
}

std::vector<std::byte> write_assignment(std::int16_t version, const std::vector<TopicPartition>& partitions) {
  Writer out;
  out.i16(version);
  write_topics(out, partitions);
  out.nullable_bytes(std::nullopt, false);
  return copied(out);
}

}  // namespace mr::wire
