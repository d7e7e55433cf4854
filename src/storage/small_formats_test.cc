// The small files: known bytes (the examples of docs/formats), the rim of each rule, and refusal of what does not read.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "sim/disk.h"
#include "storage/epoch_table.h"
#include "storage/index_file.h"
#include "storage/partition_metadata.h"
#include "storage/producer_table.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"
#include "storage/test_batches.h"
#include "storage/text_checkpoint.h"

namespace mr::storage::test {
namespace {

std::string hex(ByteView bytes) {
  std::string text;
  for (std::byte b : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(b) >> 4];
    text += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

TEST(SegmentNames, RoundTripAndRefusal) {
  EXPECT_EQ(segment_path("/d/t-0", Offset{42}, kLogSuffix), "/d/t-0/00000000000000000042.log");
  auto name = parse_segment_file_name("00000000000000000042.timeindex.deleted");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->base, Offset{42});
  EXPECT_EQ(name->suffix, kTimeIndexSuffix);
  EXPECT_TRUE(name->deleted);
  for (std::string_view bad : {"42.log", "00000000000000000042", "0000000000000000004x.log", "99999999999999999999.log",
                               "09223372036854775807.log", "-0000000000000000042.log", "00000000000000000042.log2", ""})
    EXPECT_FALSE(parse_segment_file_name(bad).has_value()) << bad;
}

TEST(SegmentNames, PartitionDirectories) {
  EXPECT_EQ(parse_partition_directory("a-b-7")->topic, "a-b");
  EXPECT_EQ(parse_partition_directory("a-b-7")->partition, PartitionIndex{7});
  for (std::string_view bad : {"a", "a-", "-1", "a-01", "a-x", "a--1", "../x-1", "a-99999999999", "a-+1"})
    if (auto parsed = parse_partition_directory(bad)) EXPECT_EQ(parsed->to_string(), bad);
  EXPECT_FALSE(parse_partition_directory("a-01").has_value());
  EXPECT_FALSE(parse_partition_directory("../x-1").has_value());
}

TEST(TextCheckpoint, KnownTextAndRefusal) {
  OffsetCheckpoint offsets;
  offsets[{"orders", PartitionIndex{1}}] = Offset{42};
  offsets[{"orders", PartitionIndex{0}}] = Offset{7};
  EXPECT_EQ(encode_offset_checkpoint(offsets), "0\n2\norders 0 7\norders 1 42\n");
  EXPECT_EQ(*decode_offset_checkpoint("0\n2\norders 0 7\norders 1 42\n"), offsets);
  EXPECT_EQ(*decode_offset_checkpoint("0\r\n1\r\norders 1 42"),
            (OffsetCheckpoint{{{"orders", PartitionIndex{1}}, Offset{42}}}));
  EXPECT_EQ(decode_offset_checkpoint("1\n0\n").code(), Errc::newer_format);
  for (std::string_view bad : {"", "0", "0\n", "x\n0\n", "0\n2\norders 0 7\n", "0\n1\norders 0\n", "0\n1\norders 0 x\n",
                               "0\n1\n../up 0 1\n", "0\n1\norders -1 1\n", "0\n1\norders 0 -1\n", "-1\n0\n"})
    EXPECT_EQ(decode_offset_checkpoint(bad).code(), Errc::corrupt_data) << bad;
}

TEST(EpochTable, KnownText) {
  EpochTable table;
  EXPECT_TRUE(table.assign(LeaderEpoch{1}, Offset{0}));
  EXPECT_TRUE(table.assign(LeaderEpoch{4}, Offset{120}));
  EXPECT_FALSE(table.assign(LeaderEpoch{4}, Offset{130}));
  EXPECT_FALSE(table.assign(LeaderEpoch{2}, Offset{130}));
  EXPECT_EQ(table.encode(), "0\n2\n1 0\n4 120\n");
  EXPECT_EQ(EpochTable::decode(table.encode())->lines(), table.lines());
  for (std::string_view bad : {"0\n2\n4 0\n1 5\n", "0\n2\n1 9\n2 5\n", "0\n1\n1\n", "0\n1\n-1 0\n"})
    EXPECT_EQ(EpochTable::decode(bad).code(), Errc::corrupt_data) << bad;
}

TEST(EpochTable, AnEpochThatWroteNothingIsForgotten) {
  EpochTable table;
  table.assign(LeaderEpoch{1}, Offset{0});
  table.assign(LeaderEpoch{2}, Offset{50});
  table.assign(LeaderEpoch{3}, Offset{50});
  EXPECT_EQ(table.lines().size(), 2u);
  EXPECT_EQ(table.end_of(LeaderEpoch{2}, Offset{90}), (EpochTable::End{LeaderEpoch{1}, Offset{50}}));
}

TEST(EpochTable, EndsAtTheRim) {
  EpochTable table;
  EXPECT_EQ(table.end_of(LeaderEpoch{1}, Offset{0}), EpochTable::End{});
  table.assign(LeaderEpoch{3}, Offset{10});
  table.assign(LeaderEpoch{5}, Offset{30});
  EXPECT_EQ(table.end_of(LeaderEpoch{1}, Offset{40}), (EpochTable::End{LeaderEpoch{1}, Offset{10}}));
  EXPECT_EQ(table.end_of(LeaderEpoch{3}, Offset{40}), (EpochTable::End{LeaderEpoch{3}, Offset{30}}));
  EXPECT_EQ(table.end_of(LeaderEpoch{4}, Offset{40}), (EpochTable::End{LeaderEpoch{3}, Offset{30}}));
  EXPECT_EQ(table.end_of(LeaderEpoch{5}, Offset{40}), (EpochTable::End{LeaderEpoch{5}, Offset{40}}));
  EXPECT_EQ(table.end_of(LeaderEpoch{6}, Offset{40}), EpochTable::End{});
  EXPECT_EQ(table.end_of(LeaderEpoch{-1}, Offset{40}), EpochTable::End{});
}

TEST(EpochTable, TruncatesAtBothEnds) {
  EpochTable table;
  table.assign(LeaderEpoch{1}, Offset{0});
  table.assign(LeaderEpoch{2}, Offset{10});
  table.assign(LeaderEpoch{3}, Offset{20});
  EXPECT_FALSE(table.truncate_from_end(Offset{20}));
  EXPECT_TRUE(table.truncate_from_end(Offset{19}));
  EXPECT_EQ(table.latest(), LeaderEpoch{2});
  EXPECT_TRUE(table.truncate_from_start(Offset{12}));
  EXPECT_EQ(table.encode(), "0\n1\n2 12\n");
  EXPECT_FALSE(table.truncate_from_start(Offset{12}));
}

TEST(ProducerTable, KnownSnapshot) {
  ProducerTable table;
  BatchHeader header;
  header.producer_id = 7;
  header.producer_epoch = 2;
  header.base_sequence = 10;
  header.base_offset = 100;
  header.last_offset_delta = 4;
  header.max_timestamp = 1000;
  table.note(header, 5000);
  std::vector<std::byte> bytes = table.encode_snapshot();
  EXPECT_EQ(hex(bytes),
            "0001"      // version
            "8f48b5f5"  // crc of what follows
            "00000001"  // one producer
            "0000000000000007"
            "0002"
            "0000000e"
            "0000000000000068"
            "00000004"  // id, epoch, sequence, offset, delta
            "00000000000003e8"
            "ffffffff"
            "ffffffffffffffff");  // timestamp, coordinator, no transaction
  auto read = ProducerTable::decode_snapshot(bytes, 6000);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->list()[0].batches[0].base_sequence, 10);
  EXPECT_EQ(read->check(header)->duplicate_base_offset, Offset{100});
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    EXPECT_FALSE(ProducerTable::decode_snapshot(ByteView(bytes).subspan(0, cut), 0).ok()) << cut;
  bytes[1] = std::byte{2};
  EXPECT_EQ(ProducerTable::decode_snapshot(bytes, 0).code(), Errc::newer_format);
}

TEST(ProducerTable, SilentProducersExpire) {
  ProducerTable table;
  auto note = [&](std::int64_t id, WallMillis now) {
    table.note(header_of(make_batch({.producer_id = id, .producer_epoch = 0, .base_sequence = 0})), now);
  };
  note(1, 1000);
  note(2, 2000);
  table.expire(2500, 1500);
  ASSERT_EQ(table.size(), 1u);
  EXPECT_EQ(table.list()[0].id, ProducerId{2});
}

struct Indexes {
  Indexes() { EXPECT_TRUE(disk.make_directories("/d").ok()); }
  sim::Disk disk{1};
  LogPlace place{disk, "/d"};
  std::string path(std::string_view suffix) { return segment_path("/d", Offset{1000}, suffix); }
};

TEST(OffsetIndex, KnownBytesAndLookUps) {
  Indexes f;
  OffsetIndex index(f.place, Offset{1000}, kOffsetIndexSuffix);
  EXPECT_EQ(*index.position_for(Offset{5000}), 0u);
  ASSERT_TRUE(index.append(Offset{1009}, 4200).ok());
  ASSERT_TRUE(index.append(Offset{1021}, 8500).ok());
  EXPECT_EQ(*index.position_for(Offset{1008}), 0u);
  EXPECT_EQ(*index.position_for(Offset{1009}), 4200u);
  EXPECT_EQ(*index.position_for(Offset{1020}), 4200u);
  EXPECT_EQ(*index.position_for(Offset{9999}), 8500u);
  EXPECT_EQ(*index.position_before(8499), 4200u);
  EXPECT_FALSE(*f.disk.exists(f.path(kOffsetIndexSuffix))) << "entries wait in memory";
  ASSERT_TRUE(index.file().flush().ok());
  EXPECT_EQ(hex(*read_whole_file(f.disk, f.path(kOffsetIndexSuffix))),
            "0000000900001068"
            "0000001500002134");
}

TEST(OffsetIndex, LookUpsAreRightWhereverTheEntriesAre) {
  Indexes f;
  OffsetIndex index(f.place, Offset{1000}, kOffsetIndexSuffix);
  for (std::int64_t i = 1; i <= 150; ++i) {  // some written, some waiting
    ASSERT_TRUE(index.append(Offset{1000 + 10 * i}, static_cast<std::uint64_t>(100 * i)).ok());
    for (std::int64_t asked : {std::int64_t{1}, i / 2, i, i + 1})
      EXPECT_EQ(*index.position_for(Offset{1000 + 10 * asked + 5}),
                static_cast<std::uint64_t>(100 * std::min(asked, i)));
  }
}

TEST(TimeIndex, KnownBytesAndOnlyGrowingTimestamps) {
  Indexes f;
  TimeIndex index(f.place, Offset{1000}, kTimeIndexSuffix);
  ASSERT_TRUE(index.append(-1, Offset{1000}).ok());  // an empty segment has nothing to say
  ASSERT_TRUE(index.append(500, Offset{1009}).ok());
  ASSERT_TRUE(index.append(500, Offset{1010}).ok());
  ASSERT_TRUE(index.append(700, Offset{1021}).ok());
  EXPECT_EQ(index.file().entries(), 2u);
  EXPECT_EQ(index.last()->timestamp, 700);
  EXPECT_EQ(index.last_before(700)->offset, Offset{1009});
  EXPECT_EQ(index.last_before(500)->timestamp, -1);
  EXPECT_EQ(index.last_below(Offset{1021})->timestamp, 500);
  ASSERT_TRUE(index.file().flush().ok());
  EXPECT_EQ(hex(*read_whole_file(f.disk, f.path(kTimeIndexSuffix))),
            "00000000000001f4"
            "00000009"
            "00000000000002bc"
            "00000015");
}

TEST(IndexFile, FullDiskKeepsEntriesWaiting) {
  Indexes f;
  OffsetIndex index(f.place, Offset{1000}, kOffsetIndexSuffix);
  f.disk.add_fault({.op = sim::DiskOp::write, .times = sim::Fault::kAlways, .error = Errc::disk_full});
  for (std::int64_t i = 1; i <= 100; ++i)
    ASSERT_TRUE(index.append(Offset{1000 + i}, static_cast<std::uint64_t>(i)).ok());
  EXPECT_EQ(index.file().flush().code(), Errc::disk_full);
  f.disk.heal();
  ASSERT_TRUE(index.file().flush().ok());
  EXPECT_EQ(*index.position_for(Offset{1050}), 50u);
}

TEST(PartitionMetadata, KnownTextAndRefusal) {
  TopicId id{Uuid{0x0123456789abcdef, 0xfedcba9876543210}};
  std::string text = encode_partition_metadata(id);
  EXPECT_EQ(text, "version: 0\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA\n");
  EXPECT_EQ(*decode_partition_metadata(text), id);
  EXPECT_EQ(decode_partition_metadata("version: 1\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA\n").code(), Errc::newer_format);
  for (std::string_view bad : {"", "version: 0\n", "version: 0\ntopic_id: short\n",
                               "topic_id: ASNFZ4mrze_-3LqYdlQyEA\n", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA\n"})
    EXPECT_EQ(decode_partition_metadata(bad).code(), Errc::corrupt_data) << bad;
}

TEST(SmallFile, ReplacingIsAllOrNothing) {
  for (std::uint64_t operations = 1; operations < 8; ++operations) {
    sim::Disk disk(operations);
    ASSERT_TRUE(disk.make_directories("/d").ok());
    ASSERT_TRUE(disk.sync_directory("/").ok());
    ASSERT_TRUE(replace_file(disk, "/d/f", as_bytes("old")).ok());
    disk.crash_after(operations, sim::CrashMode::random);
    (void)replace_file(disk, "/d/f", as_bytes("new one"));
    disk.restart();
    disk.crash(sim::CrashMode::random);
    auto content = read_whole_file(disk, "/d/f");
    ASSERT_TRUE(content.ok());
    EXPECT_TRUE(as_text(*content) == "old" || as_text(*content) == "new one") << as_text(*content);
  }
}

}  // namespace
}  // namespace mr::storage::test
