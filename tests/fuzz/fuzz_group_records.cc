// What stands in __consumer_offsets, and what members send there: keys, values of every version, subscriptions. What is
// read can be written, and is read again as the same.
#include "coordinator/group_records.h"
#include "tests/fuzz/input.h"
#include "wire/consumer_protocol.h"

namespace {

using namespace mr;
using namespace mr::coordinator;

void key(ByteView bytes) {
  auto read = read_key(bytes);
  if (!read.ok()) return;
  if (const auto* offset = std::get_if<OffsetKey>(&*read)) {
    auto written = offset_tombstone(offset->group, offset->topic, offset->partition);
    auto again = read_key(written.key);
    MR_CHECK(again.ok() && std::get<OffsetKey>(*again).topic == offset->topic);
    static_cast<void>(java_hash(offset->group));
  }
  if (const auto* group = std::get_if<GroupKey>(&*read)) {
    auto written = group_tombstone(group->group);
    auto again = read_key(written.key);
    MR_CHECK(again.ok() && std::get<GroupKey>(*again).group == group->group);
    static_cast<void>(java_length(group->group));
  }
}

void offset(ByteView bytes) {
  auto read = read_offset(bytes);
  if (!read.ok() || read->metadata.size() > 32'767) return;
  auto again = read_offset(*offset_record("g", "t", PartitionIndex{1}, *read).value);
  MR_CHECK(again.ok() && again->offset == read->offset && again->metadata == read->metadata);
}

void group(ByteView bytes) {
  auto read = read_group(bytes);
  if (!read.ok()) return;
  auto again = read_group(*group_record("g", *read).value);
  MR_CHECK(again.ok() && again->generation == read->generation && again->members.size() == read->members.size());
  for (std::size_t i = 0; i < read->members.size(); ++i) {
    MR_CHECK(std::ranges::equal(again->members[i].subscription.view(), read->members[i].subscription.view()));
    static_cast<void>(wire::subscribed_topics(read->members[i].subscription.view()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input{ByteView(reinterpret_cast<const std::byte*>(data), size)};
  switch (input.byte() % 4) {
    case 0:
      key(input.left);
      break;
    case 1:
      offset(input.left);
      break;
    case 2:
      group(input.left);
      break;
    case 3:
      static_cast<void>(wire::subscribed_topics(input.left));
      static_cast<void>(wire::read_subscription(input.left));
      static_cast<void>(wire::has_user_data(input.left));
      if (auto given = wire::assigned_partitions(input.left); given.ok()) {
        auto again = wire::assigned_partitions(wire::write_assignment(1, *given));
        MR_CHECK(again.ok() && *again == *given);
      }
      break;
  }
  return 0;
}
