#include "wire/consumer_protocol.h"

#include <algorithm>

#include "wire/api/consumer_assignment.h"
#include "wire/api/consumer_subscription.h"

namespace mr::wire {

namespace {

/// A topic's name stands once in the bytes but once per partition in what is returned.
constexpr std::size_t kNameBytesMax = 16 << 20;

/// Takes the version in front; which it is makes no difference to what is read.
Result<void> take_version(Reader& in) {
  if (in.i16() < 0) in.fail();
  return in.status();
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
  std::vector<TopicPartition> all;
  if (assignment.empty()) return all;
  Arena arena;
  Reader in(assignment, arena);
  MR_TRY_VOID(take_version(in));
  MR_TRY(auto data, consumer_assignment::Data::decode_prefix(in, 0));
  std::size_t name_bytes = 0;
  for (const auto& topic : data.topics) {
    name_bytes += topic.topic.size() * topic.partitions.size();
    if (name_bytes > kNameBytesMax) return Error(Errc::too_large, "an assignment of too many partitions");
    for (PartitionIndex partition : topic.partitions) all.push_back({std::string(topic.topic), partition});
  }
  std::ranges::sort(all);
  return all;
}

}  // namespace mr::wire
