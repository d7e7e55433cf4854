// Aim: a start replays a million committed offsets, the bound of issue 4 being 2 s in an optimised build. Method: a
// log's worth of records is applied and groups are begun from it; the figure is printed, correctness is checked.
#include <gtest/gtest.h>

#include "base/units.h"
#include "coordinator/machine_fixture.h"
#include "runtime/real_clock.h"

namespace mr::coordinator {
namespace {

TEST(GroupLoad, AMillionOffsets) {
  constexpr int kRecords = 1'000'000;
  constexpr int kGroups = 1000;
  constexpr int kTopics = 10;
  constexpr int kPartitions = 20;
  std::vector<std::vector<std::byte>> batches;
  BatchBuilder builder;
  for (int i = 0; i < kRecords; ++i) {
    std::string group = "group-" + std::to_string(i % kGroups);
    std::string topic = "topic-" + std::to_string(i / kGroups % kTopics);
    broker::StateRecord record =
        offset_record(group, topic, PartitionIndex{i / kGroups / kTopics % kPartitions},
                      {.offset = Offset{i}, .metadata = "m", .committed_at = 1'700'000'000'000 + i});
    builder.add({.timestamp = 1, .key = record.key, .value = *record.value});
    if (builder.count() == 1000) {
      batches.push_back(*builder.build());
      builder.clear();
    }
  }
  const TimePoint began = mono_now();
  GroupState state;
  for (const auto& batch : batches) {
    RecordReader reader(ByteView(batch).subspan(BatchHeader::kBytes), 1000);
    for (Record record; reader.next(record);) GroupMachine::apply(state, record, 1);
    ASSERT_TRUE(reader.ok());
  }
  GroupMachine machine;
  LiveGroups live = machine.begin(state, {TimePoint{}, 1'700'000'000'000});
  const Duration took = mono_now() - began;
  EXPECT_EQ(state.offsets, static_cast<std::uint64_t>(kGroups) * kTopics * kPartitions);
  EXPECT_EQ(live.groups.size(), static_cast<std::size_t>(kGroups));
  EXPECT_EQ(state.groups.at("group-7").find("topic-9", PartitionIndex{19})->offset.v, 999'007);
  std::printf("replay of %d offset commits of %d groups: %.3f s\n", kRecords, kGroups,
              std::chrono::duration<double>(took).count());
}

}  // namespace
}  // namespace mr::coordinator
